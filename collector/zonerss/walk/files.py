"""Which file, memfd, tmpfs file or System V segment the frames of some parts hold.

The census by zone knows sets of zones, not files. So the processes in question are walked once more, through
pagemap, and the frames of each mapped file are marked for that file in a second census. The two censuses are then
joined frame by frame. In the second one a set says which names one file goes by: on overlayfs the same cached pages
appear under another device number in each mount, so (device, inode) is no key there; the frames are.

Source: proc_pid_maps(5), proc_pid_map_files(5); mm/shmem.c shmem_kernel_file_setup(), ipc/shm.c newseg().
"""

from __future__ import annotations

import errno
import functools
import os
import re
import stat
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.census.parts import Parts
from zonerss.errors import KernelFormatError
from zonerss.kernel.patience import Busy, patiently
from zonerss.kernel.proc import text_of
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import dataclass, replace
from zonerss.records import Gap, Task
from zonerss.records.files import FileKind, Holdings, MappedFile
from zonerss.walk.host import Host
from zonerss.walk.jobs import walk

if TYPE_CHECKING:
    from zonerss._core import _lib as core

_ROOM = 16384
_DELETED = " (deleted)"
_SHM_DEST = 0o1000  # include/uapi/linux/shm.h: it goes when the last process detaches
_SHM_ROW = re.compile(rb" *-?[0-9]{1,10} +([0-9]{1,10}) +([0-7]{1,6}) ")
_TMPFS = (lib.FS_TMPFS, lib.FS_RAMFS, lib.FS_ROOTFS)
_KIND_WORDS = ((("/memfd:",), FileKind.MEMFD), (("/SYSV",), FileKind.SYSV))


@dataclass(frozen=True, slots=True)
class RawFile:
    """A mapped file as maps tells it, and where one mapping of it is."""

    name: str
    device: tuple[int, int]
    inode: int
    ipc_namespace: int
    pid: int
    start: int
    end: int

    @property
    def has_file(self) -> bool:
        """Not so of [vdso]. The first System V segment of a namespace has the inode 0."""
        return bool(self.inode) or self.name.startswith("/")


@dataclass(frozen=True, slots=True)
class Look:
    """What asking for a mapped file itself told."""

    name: str
    links: int
    size_bytes: int
    mode: int
    fs_kind: int
    """The sort of its file system: enum fs_kind of the core."""


def name_parts(
    census: Census, host: Host, tasks: Sequence[Task], wanted: Collection[int] | None = None
) -> tuple[Holdings, tuple[Gap, ...]]:
    """
    What the parts of a census hold, as far as these processes map it.

    :param census: as the walk by zone left it
    :param tasks: whose mappings to look at, one of each address space
    :param wanted: numbers of the sets in question; None: all
    :return: the holdings of each set, and processes that could not be read
    """
    raw, names, gaps = _walk_files(host, tasks)
    overlaps = census.overlaps(names, wanted)
    aliases = names.parts()
    file_of = _files(raw, aliases, {overlap.other for overlap in overlaps}, host)
    holdings: dict[int, dict[MappedFile | None, list[int]]] = {}
    for overlap in overlaps:
        files = holdings.setdefault(overlap.number, {})
        pages = files.setdefault(file_of.get(overlap.other), [0] * len(overlap.pages))
        for kind, count in enumerate(overlap.pages):
            pages[kind] += count
    return {
        number: [(file, tuple(pages)) for file, pages in files.items()] for number, files in holdings.items()
    }, tuple(gaps)


def ipc_namespace(pid: int | str, roots: Roots = HOST) -> int | None:
    """The IPC namespace of a process, by its inode; None: it has left."""
    try:
        return os.stat(roots.proc / str(pid) / "ns" / "ipc").st_ino
    except OSError:
        return None


def _walk_files(host: Host, tasks: Sequence[Task]) -> tuple[list[RawFile], Census, list[Gap]]:
    room = _ROOM
    while True:
        ret = ffi.new("struct mapped_files **")
        check(lib.mapped_files_create(room, ret), "collecting mapped files")
        files: core.mapped_files = ffi.gc(ret[0], lib.mapped_files_destroy)
        census = Census(room)
        begin = functools.partial(_begin, files)
        try:
            _, gaps = walk(begin, census, None, [(task, 0) for task in tasks], host)
            return _raw_files(files), census, gaps
        except OSError as err:
            if err.errno != errno.ENOSPC:
                raise
            room *= 4


def _begin(files: core.mapped_files, request: core.walk_request, ret: Any) -> int:
    return lib.pagemap_walk(request, files, ret)


def _raw_files(mapped: core.mapped_files) -> list[RawFile]:
    rows, text = lib.mapped_files_all(mapped), lib.mapped_files_text(mapped)
    files = []
    for index in range(lib.mapped_files_count(mapped)):
        row = rows[index]
        name = text_of(bytes(ffi.buffer(text + row.name, row.name_length)))
        device = (row.major, row.minor)
        files.append(RawFile(name, device, row.inode, row.ipc_namespace, row.pid, row.start, row.end))
    return files


def _files(raw: Sequence[RawFile], aliases: Parts, used: Iterable[int], host: Host) -> dict[int, MappedFile]:
    """The file of each set of raw files that is in use."""
    sets = {number: aliases.owners_of(number) for number in used if number}
    group_of = _groups(raw, map(aliases.owners_of, aliases.filled()))
    own = _OwnKernel(host)
    members: dict[int, list[int]] = {}
    for index, group in enumerate(group_of):
        members.setdefault(group, []).append(index)
    merged: dict[int, MappedFile] = {}
    files = {}
    for number, indices in sets.items():
        group = group_of[indices[0]]
        if group not in merged:
            merged[group] = merge([describe(raw[i], own.look(raw[i]), own) for i in members[group]])
        files[number] = merged[group]
    return files


def _groups(raw: Sequence[RawFile], sets: Iterable[tuple[int, ...]]) -> list[int]:
    """For each raw file the first that is the same file: the two share frames, and inode or last name."""
    group = list(range(len(raw)))

    def find(index: int) -> int:
        while group[index] != index:
            group[index] = group[group[index]]
            index = group[index]
        return index

    for first, *others in sets:
        for other in others:
            if may_be_one(raw[first], raw[other]):
                a, b = find(first), find(other)
                group[max(a, b)] = min(a, b)
    return [find(index) for index in range(len(raw))]


def may_be_one(a: RawFile, b: RawFile) -> bool:
    """
    Whether two files that were seen to share a frame are one.

    A frame that was freed and taken by another file between two looks would make two files one; but they would
    hardly have one inode number or one last name.
    """
    return a.inode == b.inode or _last_name(a.name) == _last_name(b.name)


def _last_name(name: str) -> str:
    return name.removesuffix(_DELETED).rpartition("/")[2]


class Mounts:
    """What a process sees mounted: by it the sort of a file system is told, without asking whoever serves it."""

    def __init__(self, directory: int) -> None:
        """:param directory: the process's, in /proc"""
        ret = ffi.new("struct mounts **")
        check(lib.mounts_create(ret), "listing mounts")
        self._handle: core.mounts = ffi.gc(ret[0], lib.mounts_destroy)
        fd = os.open("mountinfo", os.O_RDONLY | os.O_CLOEXEC, dir_fd=directory)
        try:
            check(lib.mounts_read(self._handle, ffi.NULL, fd), "listing mounts")
        finally:
            os.close(fd)

    def kind_at(self, mount_id: int, device: tuple[int, int]) -> int:
        """enum fs_kind."""
        return lib.mounts_find(self._handle, mount_id, *device)


class _OwnKernel:
    """What has to be asked once: the device of the kernel's internal tmpfs, our IPC namespace, its segments."""

    def __init__(self, host: Host) -> None:
        roots = self._roots = host.roots
        self.shm_device = host.shm_device
        self._hugetlb_devices, self._patience_seconds = host.hugetlb_devices, host.patience_seconds
        self._mounts: tuple[int, Mounts] | None = None
        self._ipc = ipc_namespace("self", roots)
        self._ending: frozenset[int] | None = None

    def look(self, raw: RawFile) -> Look | None:
        """The file of a mapping, by /proc/PID/map_files; None where it cannot be had any more, or not in time."""
        if not raw.has_file:
            return None
        try:
            return patiently(lambda: self._look(raw), raw.pid, self._patience_seconds)
        except (OSError, Busy):
            return None

    def _look(self, raw: RawFile) -> Look:
        seen: core.file_look = ffi.new("struct file_look *")
        path = f"map_files/{raw.start:x}-{raw.end:x}"
        directory = os.open(self._roots.proc / str(raw.pid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            check(lib.file_look(directory, path.encode(), seen), path)
            name = os.readlink(path, dir_fd=directory)
            kind = self._kind_at(raw.pid, directory, seen.mount_id, (seen.major, seen.minor))
        finally:
            os.close(directory)
        return Look(name, seen.links, seen.size, seen.mode, kind)

    def _kind_at(self, pid: int, directory: int, mount_id: int, device: tuple[int, int]) -> int:
        if device in self._hugetlb_devices:
            return lib.FS_HUGETLBFS
        if self._mounts is None or self._mounts[0] != pid:
            self._mounts = pid, Mounts(directory)  # files of one process mostly follow each other
        return self._mounts[1].kind_at(mount_id, device)

    def segment_ends(self, raw: RawFile) -> bool:
        """Whether a System V segment of our IPC namespace was removed, and waits for the last process to detach."""
        if raw.ipc_namespace != self._ipc:
            return False
        if self._ending is None:
            self._ending = _removed_segments(self._roots)
        return raw.inode in self._ending


def _removed_segments(roots: Roots) -> frozenset[int]:
    path = roots.proc / "sysvipc" / "shm"
    try:
        text = path.read_bytes()
    except OSError:
        return frozenset()
    return parse_removed_segments(text, str(path))


def parse_removed_segments(text: bytes, path: str = "/proc/sysvipc/shm") -> frozenset[int]:
    """
    The ids of System V segments that go with their last mapping, because they were removed (SHM_DEST). Pure.

    :raises KernelFormatError: a row does not begin with key, id and octal permissions; gives path and row

    Source: proc(5); ipc/shm.c sysvipc_shm_proc_show().
    """
    found = set()
    for row in text.split(b"\n")[1:]:
        if not row:
            continue
        if not (match := _SHM_ROW.match(row)):
            raise KernelFormatError(f"{path}: not a row of a segment: {row!r}")
        if int(match[2], 8) & _SHM_DEST:
            found.add(int(match[1]))
    return frozenset(found)


def describe(raw: RawFile, look: Look | None, own: _OwnKernel) -> MappedFile:
    """What a mapped file is, and whether it stays when its last mapping goes."""
    kind, lasts = _kind_of(raw, look, own)
    name = look.name if look else raw.name.replace("\\012", "\n")
    if kind is not FileKind.FILE:
        name = name.removesuffix(_DELETED)
    return MappedFile(
        name=name,
        kind=kind,
        lasts=lasts,
        size_bytes=look.size_bytes if look and kind not in (FileKind.DEVICE, FileKind.KERNEL) else None,
        device=raw.device,
        inode=raw.inode,
        ipc_namespace=raw.ipc_namespace or None,
    )


def _kind_of(raw: RawFile, look: Look | None, own: _OwnKernel) -> tuple[FileKind, bool]:
    if not raw.has_file:
        return FileKind.KERNEL, True
    if raw.device == own.shm_device:
        for prefixes, kind in _KIND_WORDS:
            if raw.name.startswith(prefixes):
                return kind, kind is FileKind.SYSV and not own.segment_ends(raw)
        return FileKind.SHARED, False
    if not raw.name.startswith("/") or (look and stat.S_ISCHR(look.mode)):
        return FileKind.DEVICE, False
    lasts = look.links > 0 if look else not raw.name.endswith(_DELETED)
    if look and look.fs_kind == lib.FS_HUGETLBFS:
        return FileKind.HUGETLB, lasts
    if not lasts:
        return FileKind.DELETED, False
    if look and look.fs_kind in _TMPFS:
        return FileKind.TMPFS, True
    return FileKind.FILE, True


def merge(same: Sequence[MappedFile]) -> MappedFile:
    """One file out of what it looked like through several mounts and names: it lasts if it does anywhere."""
    best = min(same, key=lambda file: (not file.lasts, len(file.name), file.name))
    aliases = tuple(sorted({file.name for file in same} - {best.name}))
    return replace(best, aliases=aliases)
