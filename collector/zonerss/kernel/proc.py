"""The processes of a /proc: listing, and whether two share one address space.

Source: man 5 proc (stat, status, cgroup); fs/proc/array.c do_task_stat(). Kernel threads and zombies have no memory
of their own and are left out. A process that leaves while it is listed was never there.
"""

from __future__ import annotations

import errno
import functools
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from zonerss._core import check, ffi, lib
from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy, cgroup_path
from zonerss.kernel.roots import Roots
from zonerss.records import Cause, Gap, Task

_PF_KTHREAD = 0x00200000  # include/linux/sched.h
_NO_UID = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class TaskList:
    """The processes, as they were listed."""

    tasks: tuple[Task, ...]
    gaps: tuple[Gap, ...]
    """Processes that could not be read."""
    handle: Any
    """The core's own list (struct task_list *); the walk asks it whether a process has moved."""
    cgroup_index: dict[int, int]
    """pid -> index of its cgroup text in the handle."""
    vsize_bytes: dict[int, int]
    """pid -> virtual size."""
    startstack: dict[int, int]
    """pid -> where its stack begins: with vsize, a hint that two processes share an address space."""


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
        wants = want_users, hierarchy.version > 0
        if among is None:
            error = lib.tasks_read(proc_fd, *wants, ret)
        else:
            asked = ffi.new("int32_t[]", sorted(among))
            error = lib.tasks_read_some(proc_fd, asked, len(among), *wants, ret)
        check(error, f"listing the processes of {roots.proc}")
    finally:
        os.close(proc_fd)
    handle = ffi.gc(ret[0], lib.tasks_free)
    return _decode(handle, hierarchy)


def _decode(handle: Any, hierarchy: MemoryHierarchy) -> TaskList:
    length = ffi.new("size_t *")
    paths = []
    for index in range(lib.tasks_cgroups(handle)):
        text = lib.tasks_cgroup(handle, index, length)
        paths.append(cgroup_path(bytes(ffi.buffer(text, length[0])), hierarchy))
    rows, tasks, gaps = lib.tasks_all(handle), [], []
    vsize: dict[int, int] = {}
    startstack: dict[int, int] = {}
    cgroup_index: dict[int, int] = {}
    for index in range(lib.tasks_count(handle)):
        row = rows[index]
        pid = row.pid
        if row.error:
            gaps.append(gap_of_errno(pid, "list", row.error))
            continue
        uid, euid = row.uid, row.euid
        tasks.append(
            Task(
                pid=pid,
                start_ticks=row.start_ticks,
                uid=None if uid == _NO_UID else uid,
                euid=None if euid == _NO_UID else euid,
                command=text_of(ffi.string(row.command)),
                cgroup=paths[row.cgroup],
                rss_pages=row.rss_pages,
                walk_tid=row.walk_tid,
            )
        )
        cgroup_index[pid] = row.cgroup
        vsize[pid] = row.vsize_bytes
        startstack[pid] = row.startstack
    return TaskList(tuple(tasks), tuple(gaps), handle, cgroup_index, vsize, startstack)


def gap_of_errno(pid: int, step: str, number: int) -> Gap:
    """The gap that an errno met at a process stands for."""
    if number in (errno.EACCES, errno.EPERM):
        return Gap(pid, step, Cause.REFUSED, os.strerror(number))
    if number in (errno.ENOENT, errno.ESRCH):
        return Gap(pid, step, Cause.EXITED)
    return Gap(pid, step, Cause.UNREADABLE, os.strerror(number))


def pids(roots: Roots) -> frozenset[int]:
    """The pids that /proc shows now, kernel threads and zombies among them."""
    return frozenset(int(name) for name in os.listdir(roots.proc) if name.isdigit())


def began_since(roots: Roots, before: frozenset[int], known: Iterable[int]) -> Iterator[int]:
    """Pids of processes with memory of their own that are neither in ``before`` nor in ``known``."""
    return with_memory(roots, pids(roots) - before - frozenset(known))


def with_memory(roots: Roots, among: Iterable[int]) -> Iterator[int]:
    """Those of the pids that are processes with memory of their own."""
    for pid in sorted(among):
        try:
            row = parse_stat((roots.proc / str(pid) / "stat").read_bytes())
        except (OSError, KernelFormatError):
            continue
        if row.vsize_bytes and not row.flags & _PF_KTHREAD:
            yield pid


def parse_stat(text: bytes) -> Any:
    """
    One /proc/PID/stat as the core's struct task (core.h).

    :raises KernelFormatError: it is not of the form that we know
    """
    row = ffi.new("struct task *")
    if lib.task_parse_stat(ffi.from_buffer(text), len(text), row):
        raise KernelFormatError(f"/proc/PID/stat is not of the form that we know: {text[:200]!r}")
    return row


def shared_mm_leaders(listed: TaskList) -> dict[int, int]:
    """
    For each pid the lowest pid that has the same address space: itself for nearly all.

    Only processes of the same virtual size and stack start are compared, by kcmp(2), which orders address spaces, so
    that a few calls a process are enough. Where kcmp is not to be had, or a process has left, it stands for itself.
    """
    alike: dict[tuple[int, int], list[int]] = {}
    for task in listed.tasks:
        pid = task.pid
        alike.setdefault((listed.vsize_bytes[pid], listed.startstack[pid]), []).append(pid)
    leaders = {task.pid: task.pid for task in listed.tasks}
    for group in alike.values():
        if len(group) > 1:
            leaders.update(_leaders_of(group))
    return leaders


def _leaders_of(group: Sequence[int]) -> dict[int, int]:
    ordered = sorted(group, key=functools.cmp_to_key(_compare_mm))
    leaders, first = {}, ordered[0]
    for pid in ordered:
        if pid != first and lib.tasks_compare_mm(first, pid) != 0:
            first = pid
        leaders[pid] = first
    lowest: dict[int, int] = {}
    for pid, leader in leaders.items():
        lowest[leader] = min(pid, lowest.get(leader, pid))
    return {pid: lowest[leader] for pid, leader in leaders.items()}


def _compare_mm(a: int, b: int) -> int:
    order = lib.tasks_compare_mm(a, b)
    if order in (0, 1, 2):
        return {0: 0, 1: -1, 2: 1}[order]
    return (a > b) - (a < b)
