"""Clearing accessed bits of page table entries: the one thing that zonerss changes of a process that it looks at.

A bit that is set later says that the page was touched meanwhile. Two ways:

cold: process_madvise(2) with MADV_COLD (Linux 5.10, commits 9c276cc65a58, ecb8ac8b1f14), in slices of 2 MiB at most,
which are aligned so that no huge page is split. Each call holds the mmap lock for reading, and waits for it whatever
signal comes: so pagemap is read before each, which a fatal signal ends. The bits of pages that are
mapped more than once stay as they are (mm/madvise.c, madvise_cold_or_pageout_pte_range()), and so do those of locked,
hugetlb and device mappings, which the kernel refuses (EINVAL).

clear_refs: /proc/PID/task/TID/clear_refs, proc_pid_clear_refs(5) (Linux 2.6.22). All bits but those of hugetlb and of
devices, in one go, with the mmap lock held for writing: a process that maps or faults memory meanwhile stands still.

What has been cleared is set again where it is used. What is lost by either way is what the kernel knew of earlier use:
PG_referenced, by which reclaim goes, and PG_young of idle page tracking are cleared with the bits.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zonerss._core import ffi, lib
from zonerss.errors import CannotServe
from zonerss.kernel.patience import PATIENCE_SECONDS, Busy, explained_seconds, patiently
from zonerss.kernel.pidfds import opened, require_same
from zonerss.kernel.proc import gap_of_errno, parse_stat, read_tables
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass
from zonerss.records import Cause, Gap, Task
from zonerss.units import PAGE_BYTES

if TYPE_CHECKING:
    from zonerss._core import _lib as core

STALL_SECONDS = 0.010
"""How long clear_refs may hold up a process, unless something else is asked for."""
STALL_SECONDS_PER_PAGE = 0.025 / ((1 << 30) // PAGE_BYTES)
"""How long clear_refs takes for an entry that maps a page; tests/benchmarks/bench_wss.py measures it."""
STALL_SECONDS_PER_ENTRY = STALL_SECONDS_PER_PAGE / 10
"""Likewise, for one that maps none, a page that is swapped out among them."""
_SECONDS_PER_PAGE = 2e-6
"""More than any way of clearing takes for one, on any machine."""
STEP = "clear"


@dataclass(frozen=True, slots=True)
class Clearing:
    """What came of one process."""

    longest_ns: int
    """The longest call: how long the process may have been held up at once."""
    took_ns: int
    """All calls together."""
    refused: int = 0
    """Slices that the kernel did not take: their bits are as they were."""


def clear_by_cold(
    roots: Roots,
    task: Task,
    slices: Any,
    count: int,
    patience: float = PATIENCE_SECONDS,
    rest: int = 1,
    keeps: object = None,
) -> Clearing | Gap:
    """
    Clear the bits of pages of a process that are mapped once, by MADV_COLD.

    :param slices: struct slice *, of the process's address space
    :param count: how many
    :param patience: seconds that the kernel may take for one call, of 2 MiB at most
    :param rest: how often as long as it works it sleeps
    :param keeps: what the slices belong to: a thread that is left behind may still read them
    :return: what was done; or the gap where the process is not the one that was listed, ended, or could not be cleared
        in time
    :raises CannotServe: no thread can be started to do it
    """
    stop = ffi.new("int32_t *")

    def clear(row: core.cleared, _: object = keeps) -> int:
        with opened(roots, task) as pidfd, _opened(roots.proc / str(task.pid) / "pagemap") as pagemap_fd:
            require_same(roots, task)
            return lib.clear_by_cold(pidfd, pagemap_fd, slices, count, rest, stop, row)

    return _clear(
        clear, task, patience, stop, lambda row: 0 < row.since_ns < time.monotonic_ns() - patience * 1e9
    )


def clear_by_clear_refs(
    roots: Roots, task: Task, stall: float = STALL_SECONDS, patience: float = PATIENCE_SECONDS
) -> Clearing | Gap:
    """
    Clear all bits of a process, unless that is expected to take longer than half of ``stall`` seconds.

    What is left of them is how long its lock may be waited for, which holds it up, too. What clearing takes is expected
    from what the process maps just before: nothing stops it once it has begun.

    :param patience: seconds that the kernel may take beyond that, and beyond what the size of the process explains
    :return: what was done; or a gap, REFUSED where it is too large
    :raises CannotServe: no thread can be started to do it
    """
    try:
        expected = stall_of(*read_tables(roots, task))
    except OSError as err:
        return gap_of_errno(task.pid, STEP, err.errno or errno.EIO)
    if expected > stall / 2:
        detail = f"clearing would hold it up for about {expected * 1000:.0f} ms, more than half of {stall * 1000:g} ms"
        return Gap(task.pid, STEP, Cause.REFUSED, detail)

    def clear(row: core.cleared) -> int:
        with _clear_refs(roots, task) as fd:
            error = lib.clear_by_clear_refs(fd, round((stall - expected) * 1e9), row)
        if not error:
            _require_memory(roots, task)
        return error

    seconds = patience + stall + explained_seconds(task.rss_pages, _SECONDS_PER_PAGE)
    return _clear(clear, task, seconds, ffi.new("int32_t *"), lambda _: True)


def stall_of(pages: int, entries: int) -> float:
    """For about how many seconds clear_refs holds up a process of so many pages, in tables of so many entries."""
    mapped = min(pages, entries)
    return mapped * STALL_SECONDS_PER_PAGE + (entries - mapped) * STALL_SECONDS_PER_ENTRY


def _clear(
    clear: Callable[[core.cleared], int],
    task: Task,
    seconds: float,
    stop: Any,
    is_stuck: Callable[[core.cleared], bool],
) -> Clearing | Gap:
    row: core.cleared = ffi.new("struct cleared *")
    row.since_ns = time.monotonic_ns()
    try:
        error = patiently(lambda: clear(row), task.pid, seconds, lambda: is_stuck(row))
    except Busy:
        return Gap(task.pid, STEP, Cause.BUSY)
    except OSError as err:
        return gap_of_errno(task.pid, STEP, err.errno or errno.EIO)
    finally:
        stop[0] = 1  # who is left behind ends where it is, also where a signal has ended the waiting
    if error == -errno.ETIMEDOUT:
        return Gap(task.pid, STEP, Cause.BUSY, f"its memory was locked for {row.longest_ns / 1e6:.0f} ms")
    if error:
        return gap_of_errno(task.pid, STEP, -error)
    return Clearing(row.longest_ns, row.took_ns, row.refused)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """:raises OSError: it cannot be opened"""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _clear_refs(roots: Roots, task: Task) -> Iterator[int]:
    """
    Its clear_refs: that of the thread that it is walked through. Writing to that of a first thread that has ended does
    nothing, and succeeds (fs/proc/task_mmu.c, clear_refs_write(): it has no address space any more).

    :raises OSError: it cannot be opened
    """
    with ExitStack() as stack:
        directory = os.open(roots.proc / str(task.pid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        stack.callback(os.close, directory)
        fd = os.open(f"task/{task.walk_tid}/clear_refs", os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
        stack.callback(os.close, fd)
        require_same(roots, task)
        yield fd


def _require_memory(roots: Roots, task: Task) -> None:
    """:raises OSError: the thread that it is walked through has ended, so that perhaps nothing was cleared"""
    stat = roots.proc / str(task.pid) / "task" / str(task.walk_tid) / "stat"
    if not parse_stat(stat.read_bytes()).vsize_bytes:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))


_CAP_SYS_NICE = 23


def require_process_madvise(roots: Roots) -> None:
    """:raises CannotServe: this kernel or these privileges do not let us advise other processes"""
    own = ffi.new("struct cleared *")
    pidfd = os.pidfd_open(os.getpid())
    try:
        with _opened(Path("/proc/self/pagemap")) as pagemap_fd:
            error = lib.clear_by_cold(pidfd, pagemap_fd, _nothing(), 1, 1, ffi.new("int32_t *"), own)
    finally:
        os.close(pidfd)
    if error == -errno.ENOSYS:
        raise CannotServe("the kernel has no process_madvise(2): it needs Linux 5.10 or later")
    for line in (roots.proc / "self" / "status").read_text("utf-8", "replace").splitlines():
        if line.startswith("CapEff:") and not int(line.split()[1], 16) >> _CAP_SYS_NICE & 1:
            raise CannotServe(
                "CAP_SYS_NICE is missing: without it the kernel lets nobody advise other processes "
                "(process_madvise(2)); grant it, or say --method clear_refs"
            )


def _nothing() -> Any:
    """A slice of no pages."""
    return ffi.new("struct slice *")
