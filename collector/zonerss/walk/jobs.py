"""What every source of frames shares: the jobs of a walk, what comes of them, and what the walkers need to be given.

A source walks the page tables of processes in C and marks their frames in a census. There are two: pagemap
(:mod:`zonerss.walk.pagemap`), always there, and pagetable (:mod:`zonerss.walk.pagetable`), by BPF.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

from zonerss._core import ffi, lib
from zonerss.census.census import Census
from zonerss.errors import CannotServe, FramesHidden
from zonerss.kernel.proc import TaskList, gap_of_errno
from zonerss.kernel.roots import Roots
from zonerss.records import Cause, Gap, Task
from zonerss.units import PAGE_BYTES

_PFN_MASK = (1 << 55) - 1
_PRESENT = 1 << 63
_STEPS = {
    lib.STEP_OPEN: "open",
    lib.STEP_MAPS: "maps",
    lib.STEP_PAGEMAP: "pagemap",
    lib.STEP_CGROUP: "cgroup",
    lib.STEP_KPAGEFLAGS: "kpageflags",
    lib.STEP_TABLES: "tables",
}
_CAUSES = {
    lib.WALK_EXITED: Cause.EXITED,
    lib.WALK_REUSED: Cause.REUSED,
    lib.WALK_EXECED: Cause.EXECED,
    lib.WALK_MOVED: Cause.MOVED,
    lib.WALK_BUSY: Cause.BUSY,
}


@dataclass(frozen=True, slots=True)
class Walked:
    """What the walk of one address space found, in base pages: page table entries, not frames."""

    rss_pages: int
    hugetlb_pages: int
    swap_pages: int
    zero_pages: int
    vmas: int
    """Mappings looked at; 0: nothing of the process was seen."""
    words: int
    """Entries looked at."""
    refused: int
    """Entries whose frame is no memory."""


class Source(Protocol):
    """Where frames come from."""

    name: str

    def walk(self, census: Census, jobs: Any, count: int, settings: Any) -> None:
        """
        Walk the jobs (struct walk_job[count]) and mark their frames; failures of a job are noted in it.

        :raises OSError: the walk as a whole failed
        """


def walk(
    source: Source,
    census: Census,
    listed: TaskList | None,
    assigned: Sequence[tuple[Task, int]],
    settings: Any,
) -> tuple[list[Walked], list[Gap]]:
    """
    Walk address spaces and mark their frames for zones.

    :param listed: where the tasks are from, to see whether one has moved meanwhile; None: do not look
    :param assigned: whose address space is walked for which zone number
    :param settings: from :func:`walk_settings`
    :return: one Walked per assignment, in their order, and the gaps
    """
    jobs = make_jobs(listed, assigned)
    settings.tasks = listed.handle if listed else ffi.NULL
    source.walk(census, jobs, len(assigned), settings)
    walked = [
        Walked(
            job.rss_pages,
            job.hugetlb_pages,
            job.swap_pages,
            job.zero_pages,
            job.vmas,
            job.words,
            job.refused,
        )
        for job, _ in zip(jobs, assigned, strict=False)
    ]
    return walked, read_gaps(jobs, assigned)


def make_jobs(listed: TaskList | None, assigned: Sequence[tuple[Task, int]]) -> Any:
    """The jobs of a walk (struct walk_job[]); parameters as for :func:`walk`."""
    jobs = ffi.new("struct walk_job[]", max(len(assigned), 1))
    for job, (task, zone) in zip(jobs, assigned, strict=False):
        job.pid, job.leader, job.zone = task.walk_tid, task.pid, zone
        job.cgroup = listed.cgroup_index[task.pid] if listed else 0
        job.start_ticks, job.expected_pages = task.start_ticks, task.rss_pages
    return jobs


def read_gaps(jobs: Any, assigned: Sequence[tuple[Task, int]]) -> list[Gap]:
    """What jobs that are done say they could not see."""
    return [
        _gap(task.pid, _STEPS[job.step], job.error)
        for job, (task, _) in zip(jobs, assigned, strict=False)
        if job.step
    ]


def _gap(pid: int, step: str, error: int) -> Gap:
    cause = _CAUSES.get(error)
    return Gap(pid, step, cause) if cause else gap_of_errno(pid, step, error)


@contextmanager
def walk_settings(roots: Roots, threads: int | None = None) -> Iterator[Any]:
    """
    What the walkers in C need (struct walk_settings), with its files open for as long as the context lasts.

    :param threads: how many walk side by side; None: one for each processor that we may use, at most 8
    :raises CannotServe: not root, or the kernel lacks the files
    :raises FramesHidden: frame numbers read as 0
    """
    require_root()
    settings = ffi.new("struct walk_settings *")
    with _opened(roots.proc, os.O_DIRECTORY) as proc, _opened(roots.proc / "kpageflags") as kpageflags:
        settings.proc_fd, settings.kpageflags_fd = proc, kpageflags
        settings.page_bytes = PAGE_BYTES
        settings.huge_pages = _huge_pages(roots)
        settings.threads = threads or min(len(os.sched_getaffinity(0)), 8)
        with _opened(roots.proc / "self" / "pagemap") as pagemap:
            _probe_own_pages(pagemap, settings)
        yield settings


def require_root() -> None:
    """:raises CannotServe: we are not root"""
    if os.geteuid() != 0:
        raise CannotServe("page tables can be read by root only: run zonerss with sudo")


@contextmanager
def _opened(path: os.PathLike[str], flags: int = 0) -> Iterator[int]:
    try:
        fd = os.open(path, os.O_RDONLY | flags)
    except OSError as err:
        raise CannotServe(_cannot_open(str(path), err)) from err
    try:
        yield fd
    finally:
        os.close(fd)


def _cannot_open(path: str, err: OSError) -> str:
    if isinstance(err, FileNotFoundError):
        return f"there is no {path}: the kernel needs CONFIG_PROC_PAGE_MONITOR, and /proc must be mounted in full"
    return (
        f"cannot open {path}: {err.strerror}; run as root of the host, with CAP_SYS_ADMIN and CAP_SYS_PTRACE"
    )


def _probe_own_pages(pagemap: int, settings: Any) -> None:
    """Find the frame of the zero page, and whether PAGEMAP_SCAN is there, by pages of our own."""
    with mmap.mmap(-1, 2 * PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as own:
        own[PAGE_BYTES] = 1  # ours
        _ = own[0]  # only read: the zero page
        address = int(ffi.cast("uintptr_t", ffi.from_buffer(own)))
        raw = os.pread(pagemap, 16, address // PAGE_BYTES * 8)
        zero, written = struct.unpack("=QQ", raw)
        if not (written & _PRESENT and written & _PFN_MASK):
            raise FramesHidden(
                "the kernel hides frame numbers from us (they all read as 0): CAP_SYS_ADMIN is missing; "
                "run as root of the host, in a container with --privileged or --cap-add SYS_ADMIN"
            )
        # A page that was only read is the zero page, unless the kernel maps something else there.
        settings.zero_pfn = zero & _PFN_MASK if zero & _PRESENT else 0
        settings.use_scan = lib.walk_can_scan(pagemap, address, PAGE_BYTES)


def _huge_pages(roots: Roots) -> int:
    """Base pages of a PMD-mapped huge page; 0 where we do not know that one entry tells the frames of all."""
    if os.uname().machine != "x86_64":
        return 0
    return (2 << 20) // PAGE_BYTES
