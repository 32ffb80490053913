"""The processes of a /proc: listing, and whether two share one address space.

Source: man 5 proc (stat, status, cgroup); fs/proc/array.c do_task_stat(). Kernel threads and zombies have no memory
of their own and are left out. A process that leaves while it is listed was never there.
"""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from zonerss._core import check, ffi, lib
from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy, cgroup_path, memory_domain
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass, field
from zonerss.records import Cause, Gap, Task
from zonerss.units import PAGE_BYTES

if TYPE_CHECKING:
    from zonerss._core import _lib as core

_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_NO_UID = 0xFFFFFFFF
_ENTRY_BYTES = 8  # of a page table
_DETAIL_CHARACTERS = 400  # of a text that is not understood, for a gap: it is a stranger's, of any length
_SIZES = re.compile(rb"^(VmRSS|VmPTE):\s+(\d{1,20}) kB$", re.MULTILINE)
_RSS = re.compile(rb"^Rss(Anon|File|Shmem):\s+(\d{1,20}) kB$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class TaskList:
    """The processes, as they were listed."""

    tasks: tuple[Task, ...]
    gaps: tuple[Gap, ...]
    """Processes that could not be read."""
    handle: core.task_list | None
    """The core's own list, by which a walk sees whether a process has moved. None: they were listed by the kernel's
    iterator, which is asked after the walk."""
    roots: Roots
    """Whose processes these are."""
    mm_leaders: Mapping[int, int] = field(default_factory=dict)
    """For each pid the lowest one that has the same address space, as far as the listing tells."""
    cgroup_ids: Mapping[int, int] = field(default_factory=dict)
    """The kernel's number of the cgroup that each pid was in, likewise."""


def text_of(raw: bytes) -> str:
    """Kernel bytes as text, without loss: UTF-8, other bytes as surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def read_tasks(
    roots: Roots,
    hierarchy: MemoryHierarchy,
    want_users: bool = False,
    among: Collection[int] | None = None,
) -> TaskList:
    """
    All processes with memory of their own.

    :param want_users: read real and effective uid, too (one file more for each)
    :param among: only these pids are in question; None: whoever is there
    :raises CannotServe: there is no /proc
    """
    try:
        proc_fd = os.open(roots.proc, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as err:
        raise CannotServe(f"cannot open {roots.proc}: {err.strerror}; is it mounted?") from err
    try:
        ret = ffi.new("struct task_list **")
        asked = ffi.NULL if among is None else ffi.new("int32_t[]", sorted(among) or [0])
        count = 0 if among is None else len(among)
        error = lib.tasks_read(proc_fd, asked, count, want_users, hierarchy.version > 0, ret)
        check(error, f"listing the processes of {roots.proc}")
    finally:
        os.close(proc_fd)
    return _decode(roots, ffi.gc(ret[0], lib.tasks_free), hierarchy)


def _decode(roots: Roots, handle: core.task_list, hierarchy: MemoryHierarchy) -> TaskList:
    length = ffi.new("size_t *")
    paths: list[str | KernelFormatError] = []
    for index in range(lib.tasks_cgroups(handle)):
        text = lib.tasks_cgroup(handle, index, length)
        try:
            paths.append(memory_domain(hierarchy, cgroup_path(bytes(ffi.buffer(text, length[0])), hierarchy)))
        except KernelFormatError as err:
            paths.append(err)
    rows, tasks, gaps = lib.tasks_all(handle), [], []
    for index in range(lib.tasks_count(handle)):
        row = rows[index]
        if row.error:
            gaps.append(gap_of_errno(row.pid, "list", row.error))
            continue
        path = paths[row.cgroup]
        if isinstance(path, KernelFormatError):
            gaps.append(Gap(row.pid, "cgroup", Cause.UNREADABLE, str(path)[:_DETAIL_CHARACTERS]))
            continue
        uid, euid = row.uid, row.euid
        tasks.append(
            Task(
                pid=row.pid,
                start_ticks=row.start_ticks,
                uid=None if uid == _NO_UID else uid,
                euid=None if euid == _NO_UID else euid,
                command=text_of(ffi.string(row.command)),
                cgroup=path,
                rss_pages=row.rss_pages,
                walk_tid=row.walk_tid,
                size_bytes=row.vsize_bytes,
                stack_start=row.startstack,
                cgroup_text=row.cgroup,
                threads=row.threads,
            )
        )
    return TaskList(tuple(tasks), tuple(gaps), handle, roots)


def moved_since(before: Iterable[Task], now: Iterable[Task]) -> frozenset[int]:
    """The processes of two listings that were in another cgroup the first time. Pure."""
    was = {task.pid: task for task in before}
    return frozenset(
        task.pid
        for task in now
        if task.pid in was
        and task.start_ticks == was[task.pid].start_ticks
        and task.cgroup != was[task.pid].cgroup
    )


def gap_of_errno(pid: int, step: str, number: int) -> Gap:
    """The gap that an errno met at a process stands for."""
    if number in (errno.EACCES, errno.EPERM):
        return Gap(pid, step, Cause.REFUSED, os.strerror(number))
    if number in (errno.ENOENT, errno.ESRCH):
        return Gap(pid, step, Cause.EXITED)
    return Gap(pid, step, Cause.UNREADABLE, os.strerror(number))


def pids(roots: Roots) -> frozenset[int]:
    """The pids that /proc shows now, kernel threads and zombies among them."""
    return frozenset(map(int, filter(str.isdigit, os.listdir(roots.proc))))


def with_memory(roots: Roots, among: Iterable[int]) -> Iterator[int]:
    """Those of the pids that are processes with memory of their own, or may not be read."""
    for pid in sorted(among):
        try:
            lives = living_thread(roots, pid) is not None
        except PermissionError:
            lives = True
        if lives:
            yield pid


def living_thread(roots: Roots, pid: int) -> int | None:
    """
    The thread through which the memory of a process can be read: its first one, or another where that has ended.

    :return: None where there is none: no such process, a zombie, a kernel thread
    :raises OSError: it cannot be told
    """
    directory = roots.proc / str(pid)
    try:
        row = parse_stat((directory / "stat").read_bytes())
        if row.vsize_bytes or row.threads < 2:
            return pid if row.vsize_bytes and not row.flags & _PF_KTHREAD else None
        threads = os.listdir(directory / "task")
    except (FileNotFoundError, ProcessLookupError, KernelFormatError):
        return None
    for name in threads:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, KernelFormatError):
            if parse_stat((directory / "task" / name / "stat").read_bytes()).vsize_bytes:
                return int(name)
    return None


def parse_stat(text: bytes) -> core.task:
    """
    One /proc/PID/stat as the core's struct task (tasks.h).

    :raises KernelFormatError: it is not of the form that we know
    """
    row: core.task = ffi.new("struct task *")
    if lib.task_parse_stat(ffi.from_buffer(text), len(text), row):
        raise KernelFormatError(f"/proc/PID/stat is not of the form that we know: {text[:200]!r}")
    return row


def shared_mm_leaders(listed: TaskList, our_pids: bool) -> dict[int, int]:
    """
    For each pid the lowest pid that has the same address space: itself for nearly all.

    What the listing tells are candidates: an address space that went while it was made may have left its place in the
    kernel's memory to another one. Of the others, only processes of the same virtual size and stack start are. They are
    compared by kcmp(2), which orders address spaces, so that a few calls a process are enough. Threads are compared,
    those that the processes are walked through: a first thread that has ended has no address space, as all that have
    ended. Where kcmp is not to be had, or a process has left, it stands for itself.

    :param our_pids: the pids are those of our own namespace, by which kcmp goes; False: each stands for itself
    """
    leaders = {task.pid: listed.mm_leaders.get(task.pid, task.pid) for task in listed.tasks}
    if not our_pids:
        return leaders
    leaders.update(_confirmed(listed, leaders))
    if len(listed.mm_leaders) == len(leaders):
        return leaders
    alike: dict[tuple[int, int], list[Task]] = {}
    for task in listed.tasks:
        if leaders[task.pid] == task.pid:
            alike.setdefault((task.size_bytes, task.stack_start), []).append(task)
    merged: dict[int, int] = {}
    for group in alike.values():
        if len(group) > 1 and not all(task.pid in listed.mm_leaders for task in group):
            merged.update(_leaders_of(listed.roots, group))
    return {pid: merged.get(leader, leader) for pid, leader in leaders.items()}


def _confirmed(listed: TaskList, leaders: Mapping[int, int]) -> dict[int, int]:
    """The leaders of those for whom the listing tells another process that has the same address space."""
    told = {leader for pid, leader in leaders.items() if pid != leader}
    if not told:
        return {}
    groups: dict[int, list[Task]] = {}
    for task in listed.tasks:
        if leaders[task.pid] in told:
            groups.setdefault(leaders[task.pid], []).append(task)
    found: dict[int, int] = {}
    for group in groups.values():
        found.update(_leaders_of(listed.roots, group))
    return found


def _leaders_of(roots: Roots, group: Sequence[Task]) -> dict[int, int]:
    ordered = sorted(group, key=functools.cmp_to_key(_compare_mm))
    leaders, first = {}, ordered[0]
    for task in ordered:
        if task is not first and not _is_same_mm(roots, first, task):
            first = task
        leaders[task.pid] = first.pid
    lowest: dict[int, int] = {}
    for pid, leader in leaders.items():
        lowest[leader] = min(pid, lowest.get(leader, pid))
    return {pid: lowest[leader] for pid, leader in leaders.items()}


def _is_same_mm(roots: Roots, a: Task, b: Task) -> bool:
    """Two that have just ended are equal, too, for kcmp: neither has an address space then."""
    if lib.tasks_compare_mm(a.walk_tid, b.walk_tid):
        return False
    try:
        text = (roots.proc / str(a.pid) / "task" / str(a.walk_tid) / "stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return bool(parse_stat(text).vsize_bytes)


def _compare_mm(a: Task, b: Task) -> int:
    order = lib.tasks_compare_mm(a.walk_tid, b.walk_tid)
    if order in (0, 1, 2):
        return {0: 0, 1: -1, 2: 1}[order]
    return (a.pid > b.pid) - (a.pid < b.pid)


def read_rss(roots: Roots, task: Task) -> dict[str, int]:
    """
    Pages of a process by kind (anon, file, shmem); empty where it has left or cannot be read.

    Source: fs/proc/task_mmu.c task_mem(): exact since Linux 6.16 (commit 82241a83cd15, in stable kernels, too), before
    that up to a batch for each processor off.
    """
    try:
        fd = os.open(f"{roots.proc}/{task.pid}/task/{task.walk_tid}/status", os.O_RDONLY)
    except OSError:
        return {}
    try:
        return parse_rss(os.read(fd, 8192))
    except OSError:
        return {}
    finally:
        os.close(fd)


def read_tables(roots: Roots, task: Task) -> tuple[int, int]:
    """
    How many pages a process maps, hugetlb left out, and how many entries its page tables of all levels have.

    Source: fs/proc/task_mmu.c task_mem(): VmRSS, and VmPTE, which has all levels since Linux 4.15.

    :raises OSError: it cannot be read; ESRCH: it has no memory any more
    """
    text = (roots.proc / str(task.pid) / "task" / str(task.walk_tid) / "status").read_bytes()
    sizes = {name: int(size_kib) * 1024 for name, size_kib in _SIZES.findall(text)}
    if len(sizes) < 2:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
    return sizes[b"VmRSS"] // PAGE_BYTES, sizes[b"VmPTE"] // _ENTRY_BYTES


def parse_rss(text: bytes) -> dict[str, int]:
    """RssAnon, RssFile and RssShmem of a /proc/PID/status, in pages; empty where it has none. Pure."""
    return {
        name.decode().lower(): int(size_kib) * 1024 // PAGE_BYTES for name, size_kib in _RSS.findall(text)
    }
