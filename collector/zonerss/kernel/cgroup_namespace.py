"""The cgroup namespace of this process, and leaving it for that of the host.

The kernel spells each cgroup relative to the root of the reader's cgroup namespace, in /proc/PID/cgroup and in
mountinfo. What lies outside of that root begins with /.. and has lost the names above it. A container of cgroup
version 2 has a namespace of its own, and a pod has no option against that. Where /proc shows the host's process 1, its
namespace can be entered with CAP_SYS_ADMIN; paths are then spelled as on the host.

Source: cgroup_namespaces(7), setns(2) (CLONE_NEWCGROUP, Linux 4.6); kernel/cgroup/namespace.c cgroupns_install(),
kernel/cgroup/cgroup.c cgroup_path_ns(); fs/proc/namespaces.c proc_ns_get_link() for what may be opened.
"""

from __future__ import annotations

import os
from contextlib import suppress

from zonerss.kernel.namespaces import FIRST_CGROUP_NAMESPACE
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import dataclass
from zonerss.records import Caveat

OWN = "ZONERSS_CGROUPNS"
"""The environment variable that keeps us where we are: ``own``."""
_CLONE_NEWCGROUP = 0x02000000
_INIT, _KTHREADD = "1", "2"


@dataclass(frozen=True, slots=True)
class Entry:
    """What became of the wish to enter the host's cgroup namespace."""

    why_not: str = ""
    """Why it was not entered; empty: it was."""
    left_fd: int = -1
    """The namespace that we came from, close-on-exec; -1: none was left."""


_entry: Entry | None = None
"""A namespace is the whole process's, and so is what became of it. None: there was nothing to do, or nothing done."""


def spelled_from_below(roots: Roots = HOST) -> bool:
    """
    Whether process 1 is outside of our cgroup namespace, so that cgroups of the host are spelled with /.. .

    It is where we are in a container that sees the host's processes, and in one that shares its pid namespace with
    other containers of its pod. False where /proc/1/cgroup cannot be read.
    """
    return _outside(roots, _INIT)


def enter_host(roots: Roots = HOST, keep: bool | None = None) -> Entry | None:
    """
    Enter the cgroup namespace of process 1 with this process, where its cgroup is then spelled from the root.

    To be called before there are threads: setns(2) moves the calling thread, and those it starts afterwards. Where
    process 1 does not let itself be opened, that of kthreadd is entered, which is the kernel's first.

    :param keep: stay where we are; None: as :data:`OWN` in the environment says
    :return: what became of it; None: our cgroup namespace has process 1 in it, there is nothing to enter
    """
    global _entry
    _entry = _enter(roots, os.environ.get(OWN) == "own" if keep is None else keep)
    return _entry


def entry() -> Entry | None:
    """What became of the last :func:`enter_host` of this process."""
    return _entry


def go_back() -> None:
    """
    Go back to the cgroup namespace that we came from, if we left one: for a child, before it executes a program.

    :raises OSError: the kernel does not let us
    """
    if _entry is not None and _entry.left_fd >= 0:
        _setns(_entry.left_fd)


def cgroup_namespace_caveats(roots: Roots = HOST) -> tuple[Caveat, ...]:
    """What a snapshot must say where cgroups of the host are spelled from below."""
    if not spelled_from_below(roots):
        return ()
    why = f" ({_entry.why_not})" if _entry is not None and _entry.why_not else ""
    text = (
        "Cgroups outside of our cgroup namespace are spelled with /.. and have lost names, so zones may have ids for "
        f"names{why}. Run zonerss on the host, or in a container with --cgroupns=host."
    )
    return (Caveat("cgroups", text),)


def _enter(roots: Roots, keep: bool) -> Entry | None:
    if not spelled_from_below(roots):
        return None
    if keep:
        return Entry(f"{OWN} is own")
    try:
        if len(os.listdir(roots.proc / "self" / "task")) > 1:
            return Entry("this process has threads already")
        before = os.open(roots.proc / "self" / "ns" / "cgroup", os.O_RDONLY | os.O_CLOEXEC)
    except OSError as err:
        return Entry(f"{err.filename}: {err.strerror}")
    why_not = _go_outside(roots, before)
    if why_not:
        os.close(before)
        return Entry(why_not)
    return Entry(left_fd=before)


def _go_outside(roots: Roots, before: int) -> str:
    """Enter the namespace of the first process that has the host's; why not, if none was entered."""
    try:
        fd = _open_host(roots)
    except OSError as err:
        return f"the host's cannot be opened: {err.filename}: {err.strerror}"
    try:
        _setns(fd)
    except OSError as err:
        return f"the host's cannot be entered: {err.strerror}; CAP_SYS_ADMIN is needed"
    finally:
        os.close(fd)
    if not _outside(roots, "self"):
        return ""
    # Of another container, as in a pod with a pid namespace of its own: nothing was won.
    with suppress(OSError):
        _setns(before)
    return "process 1 is that of another container"


def _open_host(roots: Roots) -> int:
    """
    The namespace of process 1, or the first one, which kthreadd is in.

    :raises OSError: as of process 1, if neither can be opened
    """
    flags = os.O_RDONLY | os.O_CLOEXEC
    try:
        return os.open(roots.proc / _INIT / "ns" / "cgroup", flags)
    except PermissionError:
        with suppress(OSError):
            fd = os.open(roots.proc / _KTHREADD / "ns" / "cgroup", flags)
            if os.fstat(fd).st_ino == FIRST_CGROUP_NAMESPACE:  # elsewhere 2 is any process
                return fd
            os.close(fd)
        raise


def _outside(roots: Roots, process: str) -> bool:
    """Whether a process is outside of our cgroup namespace, in any hierarchy."""
    try:
        text = (roots.proc / process / "cgroup").read_bytes()
    except OSError:
        return False
    paths = (line.split(b":", 2)[-1] for line in text.split(b"\n"))
    return any(path == b"/.." or path.startswith(b"/../") for path in paths)


def _setns(fd: int) -> None:
    import ctypes  # here, because next to no call needs it

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(fd, _CLONE_NEWCGROUP):
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
