"""The cgroup hierarchy that carries the memory controller: which it is, where a process is in it, what it
charges.

Version 2 where it has the controller; version 1's memory hierarchy on version 1 and hybrid hosts. Where no
memory controller can be seen, processes are still grouped (by version 2, or version 1's name=systemd, or the
first named hierarchy there is, or all in "/"), and charges are unknown.

Source: cgroups(7); Documentation/admin-guide/cgroup-v2.rst and cgroup-v1/memory.rst; kernel/cgroup/cgroup.c
proc_cgroup_show(), cgroup_show_path().
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from zonerss.errors import KernelFormatError
from zonerss.kernel.mounts import Mount, read_mounts
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass
from zonerss.records import Caveat

_DELETED = " (deleted)"


@dataclass(frozen=True, slots=True)
class MemoryHierarchy:
    """The hierarchy whose paths group the processes."""

    version: int
    """2 or 1; 0 where there are no cgroups at all: every process is in "/"."""
    mount_point: Path
    """Where it is mounted, under the roots that were given."""
    mount_root: str
    """The cgroup at the mount point: "/" unless only a part of the hierarchy is mounted here."""
    controller: str = "memory"
    """Version 1: the word that finds its line in /proc/PID/cgroup (memory, name=systemd). Version 2:
    unused."""
    charges: bool = True
    """Whether it carries the memory controller, so that :func:`charged_bytes` can know."""
    local_events: bool = False
    """Version 2: a cgroup is not told of events below it (mount option memory_localevents, Linux 5.2)."""


def find_memory_hierarchy(roots: Roots) -> MemoryHierarchy:
    """
    The hierarchy that carries the memory controller, or the best one for grouping where none does.

    A controller is on one hierarchy at a time, so a mounted version 1 memory hierarchy decides; otherwise
    version 2 has it if the topmost cgroup.controllers that we can see says so.

    :raises OSError: /proc/self/mountinfo cannot be read
    :raises KernelFormatError: it is not of the form that we know
    """
    mounts = read_mounts(roots)
    v1 = [m for m in mounts if m.fs_type == "cgroup"]
    v2 = [m for m in mounts if m.fs_type == "cgroup2"]
    if memory := [m for m in v1 if "memory" in m.super_options]:
        return _hierarchy(roots, memory, version=1)
    if v2:
        found = _hierarchy(roots, v2, version=2)
        if _has_memory(found.mount_point):
            return found
        return _hierarchy(roots, v2, version=2, charges=False)
    for name in ("name=systemd", *_named(v1)):
        if same := [m for m in v1 if name in m.super_options]:
            return _hierarchy(roots, same, version=1, controller=name, charges=False)
    return MemoryHierarchy(version=0, mount_point=roots.sys / "fs/cgroup", mount_root="/", charges=False)


def cgroup_caveats(hierarchy: MemoryHierarchy) -> tuple[Caveat, ...]:
    """What a snapshot must say where cgroups, or some of them, or what they are charged, cannot be seen here."""
    if hierarchy.version == 0:
        text = "No cgroups can be seen here, so all processes are one zone: mount them on /sys/fs/cgroup."
    elif not hierarchy.charges:
        text = "No memory controller can be seen here, so charges and limits are unknown."
    elif _hides_some(hierarchy.mount_root):
        text = (
            f"Only cgroups below {hierarchy.mount_root} can be seen here: charges and limits of others are unknown. "
            "Run zonerss on the host, or in a container with --cgroupns=host."
        )
    else:
        return ()
    return (Caveat("cgroups", text),)


def cgroup_path(text: bytes, hierarchy: MemoryHierarchy) -> str:
    """
    The cgroup of a process in the hierarchy, beginning with a slash, UTF-8 with surrogateescape.

    A path is relative to the root of the reader's cgroup namespace; of a process outside of it the path
    begins with "/..", and stays so. A version 2 cgroup that was removed while a process is in it (a zombie)
    loses the kernel's " (deleted)", unless there is one of that name; on version 1 the kernel says "/" of a
    process that is exiting. Colons in names are kept; the kernel allows no newline in one.

    :param text: the content of /proc/PID/cgroup
    :raises KernelFormatError: a line is not of the form ID:CONTROLLERS:PATH, or none is of this hierarchy;
        gives the raw text

    Source: cgroups(7); kernel/cgroup/cgroup.c proc_cgroup_show() and, for newlines, cgroup_mkdir().
    """
    if hierarchy.version == 0:
        return "/"
    for line in text.split(b"\n"):
        if not line:
            continue
        number, _, rest = line.partition(b":")
        controllers, colon, path = rest.partition(b":")
        if not (colon and number.isdigit() and path.startswith(b"/")):
            raise KernelFormatError(
                f"/proc/PID/cgroup: not of the form ID:CONTROLLERS:PATH: {line!r} in {text!r}"
            )
        if hierarchy.version == 2:
            if number == b"0" and not controllers:
                return _without_mark(hierarchy, path.decode("utf-8", "surrogateescape"))
        elif number != b"0" and hierarchy.controller.encode() in controllers.split(b","):
            return path.decode("utf-8", "surrogateescape")
    wanted = "0::" if hierarchy.version == 2 else hierarchy.controller
    raise KernelFormatError(f"/proc/PID/cgroup: no line of the hierarchy {wanted!r}: {text!r}")


def _without_mark(hierarchy: MemoryHierarchy, path: str) -> str:
    """Without the kernel's mark of a removed cgroup; one that is there may be called so."""
    if not path.endswith(_DELETED):
        return path
    there = _directory(hierarchy, path)
    return path if there is not None and os.path.isdir(there) else path.removesuffix(_DELETED)


def memory_domain(hierarchy: MemoryHierarchy, path: str) -> str:
    """
    The cgroup that memory of the processes of a cgroup belongs to: itself, unless it is a threaded one of version 2.

    Threaded cgroups divide the threads of processes, not their memory: the memory controller knows only the nearest
    cgroup above that is no threaded one. On version 1 any thread may be in another cgroup; memory belongs to that of
    the first thread, or of the first that lives (mm->owner), whose cgroup is asked for there.

    Source: cgroup-v2.rst, "Threads"; cgroup.type since Linux 4.14. mm/memcontrol.c get_mem_cgroup_from_mm().
    """
    while hierarchy.version == 2 and path != "/" and _is_threaded(hierarchy, path):
        path = path.rpartition("/")[0] or "/"
    return path


def hierarchy_id(roots: Roots, hierarchy: MemoryHierarchy) -> int | None:
    """The number by which the kernel knows a cgroup hierarchy: 0 is version 2's."""
    if hierarchy.version == 2:
        return 0
    return parse_hierarchy_id((roots.proc / "self" / "cgroup").read_bytes(), hierarchy.controller)


def parse_hierarchy_id(text: bytes, controller: str) -> int | None:
    """The number that stands before a controller in a /proc/PID/cgroup; None: no line has it. Pure."""
    for line in text.split(b"\n"):
        number, _, rest = line.partition(b":")
        if controller.encode() in rest.partition(b":")[0].split(b","):
            found = whole_number(number)
            if found is not None:
                return found
    return None


def directory(hierarchy: MemoryHierarchy, path: str) -> Path | None:
    """
    The directory of a cgroup; None where it is not below the part of the hierarchy that is mounted here.

    Pure: whether the directory exists is not asked.
    """
    where = _directory(hierarchy, path)
    return None if where is None else Path(where)


def charged_bytes(hierarchy: MemoryHierarchy, path: str, without: Iterable[str] = ()) -> int | None:
    """
    What the kernel charges a cgroup and everything below it, in bytes: memory.current, or
    memory.usage_in_bytes.

    Each is one open, read and close. Version 1's figure may lag by the kernel's per-cpu stock (64 pages a
    cpu).

    :param without: cgroups below it that are zones of their own: their charges are taken off (not below 0,
        since the files are not read at one instant). One that has no charge of its own is charged here and
        takes nothing
    :return: None where it cannot be known: no memory controller here or not enabled for this cgroup, the root
        cgroup, a cgroup that is gone or not mounted here

    Source: cgroup-v2.rst, memory.current (not on the root); cgroup-v1/memory.rst, usage_in_bytes, sections
    4.4, 5.5.
    """
    if path == "/" and hierarchy.version != 2:
        return None
    charged = _read_charge(hierarchy, path)
    if charged is None:
        return None
    for inner in without:
        less = _read_charge(hierarchy, inner)
        if less is not None:
            charged -= less
    return max(charged, 0)


def children(hierarchy: MemoryHierarchy, path: str) -> tuple[str, ...]:
    """The cgroups directly below one, sorted; none where it is gone, unreadable or not mounted here."""
    where = _directory(hierarchy, path)
    if where is None or hierarchy.version == 0:
        return ()
    try:
        with os.scandir(where) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return ()
    return tuple(f"{path.rstrip('/')}/{name}" for name in names)


def walk(hierarchy: MemoryHierarchy, path: str = "/", without: Collection[str] = ()) -> Iterator[str]:
    """
    A cgroup and all below it, parents first, however deep.

    :param without: cgroups that are left out, with all below them
    """
    todo = [path]
    while todo:
        here = todo.pop()
        if here in without:
            continue
        yield here
        todo.extend(reversed(children(hierarchy, here)))


def _hierarchy(
    roots: Roots, mounts: list[Mount], *, version: int, controller: str = "memory", charges: bool = True
) -> MemoryHierarchy:
    # The same hierarchy may be mounted several times (bind mounts, a container's own): take the mount that
    # shows most of it; of equal ones the last, which hides the others where they share a mount point.
    best = min(reversed(mounts), key=_hidden_part)
    return MemoryHierarchy(
        version=version,
        mount_point=_under(roots, best.mount_point),
        mount_root=best.root,
        controller=controller,
        charges=charges,
        local_events=version == 2 and "memory_localevents" in best.super_options,
    )


def _hidden_part(mount: Mount) -> int:
    # "/../.." lies above the root of our cgroup namespace: it shows more than "/" does, "/docker/ID" less.
    parts = [part for part in mount.root.split("/") if part]
    return len(parts) if _hides_some(mount.root) else -len(parts)


def _hides_some(root: str) -> bool:
    return any(part not in ("", "..") for part in root.split("/"))


def _under(roots: Roots, mount_point: str) -> Path:
    if mount_point == "/sys" or mount_point.startswith("/sys/"):
        return roots.sys / mount_point[5:]
    return roots.host / mount_point.lstrip("/")


def _has_memory(mount_point: Path) -> bool:
    try:
        return b"memory" in (mount_point / "cgroup.controllers").read_bytes().split()
    except OSError:
        return False


def _named(mounts: list[Mount]) -> list[str]:
    return sorted({option for m in mounts for option in m.super_options if option.startswith("name=")})


def _directory(hierarchy: MemoryHierarchy, path: str) -> str | None:
    above = "" if hierarchy.mount_root == "/" else hierarchy.mount_root
    below = "" if path == "/" else path
    if not f"{below}/".startswith(f"{above}/"):
        return None
    below = below[len(above) :]
    return None if "/../" in f"{below}/" else f"{hierarchy.mount_point}{below}"


def _is_threaded(hierarchy: MemoryHierarchy, path: str) -> bool:
    where = _directory(hierarchy, path)
    # Nearly all have this file, which no threaded one has, and to look for it takes less than to read the other.
    if where is None or (hierarchy.charges and os.path.exists(f"{where}/memory.current")):
        return False
    try:
        with open(f"{where}/cgroup.type", "rb", buffering=0) as file:
            return file.read(64) == b"threaded\n"
    except (OSError, ValueError):
        return False


def read_cgroup_file(hierarchy: MemoryHierarchy, path: str, name: str, most_bytes: int) -> bytes | None:
    """The first so many bytes of a file of a cgroup; None: it is not there, not mounted here, or cannot be read."""
    where = _directory(hierarchy, path)
    if where is None:
        return None
    try:
        fd = os.open(f"{where}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, ValueError):
        return None
    try:
        return os.read(fd, most_bytes)
    except OSError:
        return None
    finally:
        os.close(fd)


def _read_charge(hierarchy: MemoryHierarchy, path: str) -> int | None:
    name = "memory.current" if hierarchy.version == 2 else "memory.usage_in_bytes"
    text = read_cgroup_file(hierarchy, path, name, 64) if hierarchy.charges else None
    if text is None:
        return None
    number = whole_number(text.strip())
    if number is None:
        where = _directory(hierarchy, path)
        raise KernelFormatError(f"{where}/{name}: not a number of bytes: {text!r}")
    return number
