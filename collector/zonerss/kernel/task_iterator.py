"""The processes, listed by a BPF iterator over the kernel's tasks (bpf/processes.bpf.c), not by reading /proc/PID.

It gives the list that :func:`zonerss.kernel.proc.read_tasks` gives, for a tenth of the processor time. What it cannot
tell is read from /proc, process by process: those whose first thread has ended, those whose cgroup has no directory
that we see, those that the kernel offers to no iterator.

Source: kernel/bpf/task_iter.c (iter/task, Linux 5.8, commit eaaacd23910f). Fields as fs/proc/array.c do_task_stat()
and task_state() tell them.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from zonerss._core import check, ffi, lib
from zonerss.closing import Closing
from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.boot import boot_offset_ns
from zonerss.kernel.cgroupfs import MemoryHierarchy, cgroup_path, directory, memory_domain
from zonerss.kernel.mounts import read_mounts
from zonerss.kernel.namespaces import shows_our_pids
from zonerss.kernel.proc import TaskList, moved_since, pids, read_tasks, text_of, with_memory
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import dataclass
from zonerss.records import Task

if TYPE_CHECKING:
    from zonerss._core import _lib as core

_ROW = struct.Struct("=iIQQQQQQII16s")
"""struct iterated_task: pid, threads, start_ticks, mm, vsize_bytes, rss_pages, startstack, cgroup, uids, command."""
BUILT = hasattr(lib, "task_iterator_open")
"""Whether clang and bpftool were there when zonerss was built (bpf/build)."""


@dataclass(frozen=True, slots=True)
class Later:
    """What is otherwise than it was listed."""

    moved: frozenset[int]
    """Processes that are in another cgroup."""
    began: tuple[int, ...]
    """Processes with memory of their own that were not there."""


class TaskIterator(Closing):
    """The BPF program, loaded, for as long as it is open. Use it as a context manager."""

    def __init__(self, roots: Roots = HOST) -> None:
        """
        Load it.

        :raises CannotServe: processes must be listed through /proc; the sentence says why
        """
        _require_here(roots)
        self._roots = roots
        handle = ffi.new("struct task_iterator **")
        if error := lib.task_iterator_open(boot_offset_ns(roots), handle):
            raise CannotServe(
                f"the kernel does not take the BPF program that lists tasks ({os.strerror(-error)}): it needs Linux "
                "6.1 or later with CONFIG_DEBUG_INFO_BTF, and CAP_BPF and CAP_PERFMON"
            )
        self._handle: core.task_iterator | None = handle[0]
        self._offers_all = False
        self._hierarchy: MemoryHierarchy | None = None
        self._paths: dict[int, str] = {}
        self.known: frozenset[int] = frozenset()
        """Pids that were there at the last :meth:`read`, kernel threads and zombies among them."""

    def close(self) -> None:
        """Unload it. A second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            lib.task_iterator_close(handle)

    def serves(self, hierarchy: MemoryHierarchy) -> bool:
        """Whether it tells the cgroups of a hierarchy: version 2's, or the one that has the memory controller."""
        return hierarchy.version != 1 or hierarchy.controller == "memory"

    def read(self, hierarchy: MemoryHierarchy, want_users: bool = False) -> TaskList:
        """
        All processes with memory of their own; see :func:`zonerss.kernel.proc.read_tasks`. What :meth:`later` tells is
        since then.

        :raises OSError: the iterator cannot be read
        """
        listed, self.known = self._list(hierarchy, want_users)
        return listed

    def again(self, hierarchy: MemoryHierarchy, want_users: bool = False) -> TaskList:
        """
        The same as they are now, for which :meth:`later` tells what it would have told.

        :raises OSError: the iterator cannot be read
        """
        return self._list(hierarchy, want_users)[0]

    def _list(self, hierarchy: MemoryHierarchy, want_users: bool) -> tuple[TaskList, frozenset[int]]:
        """And the pids of all that were there."""
        shown = frozenset() if self._offers_all else pids(self._roots)
        rows = self._rows(hierarchy)
        paths = self._cgroups(hierarchy, rows)
        tasks, apart = [], []
        leaders: dict[int, int] = {}
        names: dict[bytes, str] = {}
        mm_leaders, cgroup_ids = {}, {}
        for pid, threads, start, mm, size, rss, stack, cgroup, uid, euid, comm in rows:
            path = paths.get(cgroup) if mm else None
            if path is None:
                # Its first thread may have ended, but there are others; or it has executed a program at this moment.
                if mm or threads > 1:
                    apart.append(pid)
                continue
            if not want_users:
                uid = euid = None
            name = names.get(comm)
            if name is None:
                name = names[comm] = text_of(comm.partition(b"\0")[0])
            tasks.append(Task(pid, start, uid, euid, name, path, rss, pid, size, stack, threads=threads))
            mm_leaders[pid] = leaders.setdefault(mm, pid)
            cgroup_ids[pid] = cgroup
        offered = frozenset([row[0] for row in rows])
        others = read_tasks(self._roots, hierarchy, want_users, apart)
        hidden = read_tasks(self._roots, hierarchy, want_users, shown - offered)
        self._offers_all = not hidden.tasks and not hidden.gaps
        if more := (*others.tasks, *hidden.tasks):
            tasks = sorted((*tasks, *more), key=lambda task: task.pid)
        gaps = (*others.gaps, *hidden.gaps)
        return TaskList(tuple(tasks), gaps, None, self._roots, mm_leaders, cgroup_ids), shown | offered

    def later(self, hierarchy: MemoryHierarchy, listed: TaskList, walked: Collection[int]) -> Later:
        """
        What is otherwise by now.

        :param listed: what :meth:`read` gave the last time
        :param walked: pids of it for which it is asked whether they have moved
        :raises OSError: the iterator cannot be read
        """
        shown = frozenset() if self._offers_all else pids(self._roots)
        before = {task.pid: task for task in listed.tasks if task.pid in walked}
        moved, began, unsure = set(), [], []
        rows = self._rows(hierarchy)
        for pid, threads, start, mm, _, _, _, cgroup, _, _, _ in rows:
            task = before.get(pid)
            if task is not None:
                was = listed.cgroup_ids.get(pid)
                if mm and was is not None and was != cgroup and start == task.start_ticks:
                    moved.add(pid)
            elif pid not in self.known:
                if mm:
                    began.append(pid)
                elif threads > 1:
                    unsure.append(pid)
        unsure += shown - self.known - {row[0] for row in rows}
        began += with_memory(self._roots, unsure)
        apart = before.keys() - listed.cgroup_ids.keys()
        now = read_tasks(self._roots, hierarchy, among=apart).tasks
        return Later(moved_since(before.values(), now).union(moved), tuple(began))

    def _rows(self, hierarchy: MemoryHierarchy) -> list[tuple[Any, ...]]:
        if self._handle is None:
            raise ValueError("the iterator is closed")
        rows, count = ffi.new("struct iterated_task **"), ffi.new("size_t *")
        error = lib.task_iterator_read(self._handle, hierarchy.version == 1, rows, count)
        check(error, "reading the kernel's list of tasks")
        return list(_ROW.iter_unpack(ffi.buffer(rows[0], count[0] * _ROW.size))) if count[0] else []

    def _cgroups(self, hierarchy: MemoryHierarchy, rows: list[tuple[Any, ...]]) -> dict[int, str]:
        """
        The paths of the cgroups that processes are in, by id, those that have a directory here.

        The id is the inode of the directory (Linux 5.5, commit 40430452fd5d). So a path that one process tells is known
        to be that of all: that process may have moved meanwhile, and cgroups of version 1 may be renamed.
        """
        members = {row[7]: row[0] for row in reversed(rows) if row[3]}
        if not hierarchy.version:
            return dict.fromkeys(members, "/")
        if hierarchy != self._hierarchy:
            self._hierarchy, self._paths = hierarchy, {}
        found = {}
        for cgroup, pid in members.items():
            path = self._paths.get(cgroup)
            if path is None or not _is_at(hierarchy, path, cgroup):
                path = self._told_by(hierarchy, pid)
            if path is not None and _is_at(hierarchy, path, cgroup):
                found[cgroup] = path
        self._paths = found
        return {cgroup: memory_domain(hierarchy, path) for cgroup, path in found.items()}

    def _told_by(self, hierarchy: MemoryHierarchy, pid: int) -> str | None:
        try:
            return cgroup_path((self._roots.proc / str(pid) / "cgroup").read_bytes(), hierarchy)
        except (OSError, KernelFormatError):
            return None


def _is_at(hierarchy: MemoryHierarchy, path: str, cgroup: int) -> bool:
    where = directory(hierarchy, path)
    try:
        return where is not None and os.stat(where).st_ino == cgroup
    except (OSError, ValueError):
        return False


def _require_here(roots: Roots) -> None:
    """What can be said without asking the kernel."""
    if not BUILT:
        raise CannotServe(
            "zonerss was built without the BPF program that lists tasks: "
            "install clang, bpftool and libbpf-dev, and build zonerss again"
        )
    if not shows_our_pids(roots):
        raise CannotServe(f"{roots.proc} shows another pid namespace than ours: run zonerss in that one")
    try:
        mounts = read_mounts(roots)
    except OSError as err:
        raise CannotServe(f"whether {roots.proc} hides processes cannot be told: {err.strerror}") from err
    for mount in mounts:
        if mount.mount_point == str(roots.proc) and any(map(_hides, mount.super_options)):
            raise CannotServe(f"{roots.proc} is mounted with hidepid, and it alone tells whom we may see")


def _hides(option: str) -> bool:
    """Source: proc(5), hidepid; fs/proc/root.c proc_show_options() (fs/proc/inode.c), by name since Linux 5.8."""
    return option.startswith("hidepid=") and option not in ("hidepid=0", "hidepid=off")
