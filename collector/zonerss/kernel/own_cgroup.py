"""A cgroup of its own for a command, in the hierarchy that carries the memory controller.

On version 1 it lies below the cgroup of this process. On version 2 a cgroup that has processes cannot hand the memory
controller down ("no internal processes"), the root excepted. So there it lies, and has a bill,

1. below our cgroup, where that hands memory down already, or can;
2. below our cgroup, where nobody else is in it: we go into another child of it meanwhile. So it is in a unit of
   systemd's that runs nothing else;
3. else beside our cgroup, below its parent, if ours has no memory limit that the command would escape and is no service
   (which systemd ends by what is below its cgroup);
4. else below our cgroup without the controller: its memory is charged to ours, and it has no bill of its own.

Source: Documentation/admin-guide/cgroup-v2.rst ("Top-down Constraint", "No Internal Process Constraint", memory.peak),
cgroup-v1/memory.rst (memory.max_usage_in_bytes); kernel/cgroup/cgroup.c cgroup_subtree_control_write(). The limits that
systemd sets: systemd.resource-control(5); its claim to be the only writer: docs/CGROUP_DELEGATION.md.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from zonerss.errors import CannotServe
from zonerss.kernel.cgroupfs import MemoryHierarchy, cgroup_path, children, directory, walk
from zonerss.kernel.controls import parse_limit
from zonerss.kernel.memcg import cgroup_processes, parse_stat
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.roots import HOST, Roots

PREFIX = "zonerss-run-"
"""Of the names of these cgroups; a process id follows."""
_SELF = "zonerss-self-"
_LIMITS = ("memory.max", "memory.high", "memory.swap.max")
_TRIES = 100
_PAUSE_SECONDS = 0.01


class OwnCgroup:
    """A cgroup that was made for a command; see :func:`own_cgroup`."""

    def __init__(self, hierarchy: MemoryHierarchy, path: str, has_bill: bool) -> None:
        self._hierarchy = hierarchy
        self.path = path
        """As /proc/PID/cgroup spells it."""
        self.has_bill = has_bill
        """Whether the kernel charges it for its memory, and not the cgroup above it."""
        self.is_removed = False
        """Whether it could be removed in the end."""
        where = directory(hierarchy, path)
        assert where is not None
        self._where = where

    def join(self) -> None:
        """
        Put the calling process into it.

        :raises OSError: the kernel does not allow it
        """
        _write(self._where / "cgroup.procs", "0")

    def peak_bytes(self) -> int | None:
        """
        The most that the kernel ever charged it, page cache and kernel memory included.

        None: it has no bill of its own, or the kernel does not tell.

        Source: memory.max_usage_in_bytes; memory.peak since Linux 5.19.
        """
        name = "memory.peak" if self._hierarchy.version == 2 else "memory.max_usage_in_bytes"
        text = _read(self._where / name)
        return whole_number(text.strip()) if self.has_bill and text is not None else None

    def oom_kills(self) -> int | None:
        """How many processes in it were killed for want of memory. None: the kernel does not tell."""
        name = "memory.events" if self._hierarchy.version == 2 else "memory.oom_control"
        text = _read(self._where / name)
        return None if text is None or not self.has_bill else parse_stat(text, name).get("oom_kill")

    def processes(self) -> frozenset[int]:
        """Those that are in it or below it now."""
        return cgroup_processes(self._hierarchy, self.path)

    def remove(self) -> None:
        """Remove it and what is below it, if no process is left there; a cgroup stays busy for a moment."""
        for _ in range(_TRIES):
            for path in reversed(list(walk(self._hierarchy, self.path))):
                with suppress(OSError):
                    os.rmdir(directory(self._hierarchy, path) or "")
            self.is_removed = not self._where.exists()
            if self.is_removed or self.processes():
                return
            time.sleep(_PAUSE_SECONDS)


@contextmanager
def own_cgroup(hierarchy: MemoryHierarchy, roots: Roots = HOST) -> Iterator[OwnCgroup]:
    """
    Make a cgroup for a command; in the end it is removed, unless processes are left in it.

    :raises CannotServe: none can be made here; says why
    """
    text = (roots.proc / "self" / "cgroup").read_bytes()
    ours = cgroup_path(text, hierarchy)
    if hierarchy.version == 0 or directory(hierarchy, ours) is None:
        raise CannotServe(
            f"the cgroup of this process, {ours}, cannot be seen here, so that none can be made for the command: run "
            "zonerss on the host, or in a container with --cgroupns=host and the cgroups mounted"
        )
    with ExitStack() as undo:
        try:
            parent, has_bill = _choose(hierarchy, ours, undo)
            _remove_left(hierarchy, parent, roots)
            made = OwnCgroup(hierarchy, _make(hierarchy, parent, f"{PREFIX}{os.getpid()}"), has_bill)
        except OSError as err:
            raise CannotServe(
                f"no cgroup can be made for the command below {ours}: {err.strerror}: {err.filename}; cgroups must be "
                "mounted for writing"
            ) from err
        undo.callback(made.remove)
        yield made


def _choose(hierarchy: MemoryHierarchy, ours: str, undo: ExitStack) -> tuple[str, bool]:
    """Below which cgroup it is to be, and whether it has a bill there; undo: what is to be done in the end."""
    where = directory(hierarchy, ours)
    assert where is not None
    if hierarchy.version == 1 or not hierarchy.charges:
        return ours, hierarchy.charges
    if "memory" in _words(where / "cgroup.subtree_control"):
        return ours, True
    if "memory" not in _words(where / "cgroup.controllers"):
        return ours, False
    if _hand_down(hierarchy, ours, undo) or _step_aside(hierarchy, ours, undo):
        return ours, True
    above = ours.rpartition("/")[0] or "/"
    if ours != "/" and directory(hierarchy, above) is not None and not _holds(where, ours):
        return above, True
    return ours, False


def _hand_down(hierarchy: MemoryHierarchy, path: str, undo: ExitStack) -> bool:
    """Let the children of a cgroup have the memory controller. False: the kernel does not allow it."""
    control = (directory(hierarchy, path) or Path()) / "cgroup.subtree_control"
    try:
        _write(control, "+memory")
    except OSError:
        return False

    def take_back() -> None:
        if not children(hierarchy, path):  # others may have come to use it
            with suppress(OSError):
                _write(control, "-memory")

    undo.callback(take_back)
    return True


def _step_aside(hierarchy: MemoryHierarchy, ours: str, undo: ExitStack) -> bool:
    """Where nobody else is in our cgroup: go into a child of it, so that it can hand the controller down."""
    where = directory(hierarchy, ours) or Path()
    if (_read(where / "cgroup.procs") or b"").split() != [str(os.getpid()).encode()]:
        return False
    with ExitStack() as back:
        try:
            aside = directory(hierarchy, _make(hierarchy, ours, f"{_SELF}{os.getpid()}")) or Path()
            back.callback(_ignoring(lambda: os.rmdir(aside)))
            _write(aside / "cgroup.procs", "0")
        except OSError:
            return False
        back.callback(_ignoring(lambda: _write(where / "cgroup.procs", "0")))
        control = where / "cgroup.subtree_control"
        try:
            _write(control, "+memory")
        except OSError:
            return False
        back.callback(_ignoring(lambda: _write(control, "-memory")))
        undo.push(back.pop_all())
    return True


def _holds(where: Path, path: str) -> bool:
    """Whether processes must stay in a cgroup: it limits their memory, or systemd ends them by it."""
    limited = any(parse_limit(_read(where / name) or b"", name) is not None for name in _LIMITS)
    return limited or path.endswith(".service")


def _remove_left(hierarchy: MemoryHierarchy, parent: str, roots: Roots) -> None:
    """Remove empty cgroups of commands whose zonerss was killed."""
    for path in children(hierarchy, parent):
        match = re.fullmatch(rf"(?:{PREFIX}|{_SELF})(\d+)(?:-\d+)?", path.rpartition("/")[2], re.ASCII)
        if match and not (roots.proc / match[1]).exists():
            with suppress(OSError):
                os.rmdir(directory(hierarchy, path) or "")


def _make(hierarchy: MemoryHierarchy, parent: str, name: str) -> str:
    """Make a cgroup of that name, or of one like it where there is one already; its path."""
    for number in range(_TRIES):
        path = f"{parent.rstrip('/')}/{name}" + (f"-{number}" if number else "")
        try:
            os.mkdir(directory(hierarchy, path) or "")
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, "there are too many of that name already", name)


def _ignoring(do: Callable[[], object]) -> Callable[[], None]:
    def done() -> None:
        with suppress(OSError):
            do()

    return done


def _words(path: Path) -> list[str]:
    return (_read(path) or b"").decode("ascii", "replace").split()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _write(path: Path, text: str) -> None:
    """In one write(2), as these files want it; errors name the file."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as err:
        raise OSError(err.errno, err.strerror, str(path)) from err
    finally:
        os.close(fd)
