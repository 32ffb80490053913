"""tmpfs mounts, memfds, deleted files and System V segments of all processes that can be seen, and their sizes.

Mounts are those of the mount namespaces that processes are in, each file system once. A mount point belongs to
strangers: its path is walked with no symbolic link followed, with a deadline, and what is found there counts only if
it is of the device that was looked for. A file is told by its mount, not by its name, which anybody can give to any
file.

Source: proc_pid_mountinfo(5), proc_pid_fdinfo(5) (mnt_id, Linux 3.15); statfs(2), whose free blocks mm/shmem.c
shmem_statfs() knows only of a mount with a limit; shmem_getattr(), whose blocks count pages in memory and in swap;
ipc/shm.c sysvipc_shm_proc_show(), which tells of the reader's IPC namespace.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from zonerss.errors import KernelFormatError
from zonerss.kernel.ipc import in_ipc_namespace
from zonerss.kernel.mounts import Mount, parse_mountinfo
from zonerss.kernel.patience import Busy, opened_patiently, patiently
from zonerss.kernel.roots import Roots
from zonerss.kernel.safely import reached
from zonerss.records.shmem import Shmem, ShmemFound, ShmemKind

_TYPES = ("tmpfs", "devtmpfs")
_DELETED = " (deleted)"
_MNT_ID = re.compile(rb"^mnt_id:\s+(\d+)$", re.MULTILINE)
_BLOCK_BYTES = 512
"""Of st_blocks."""
MOST_FDS = 100_000
"""Looked at of one process."""
MOST_PLACES = 8
"""Of one file system that are tried."""
_Device = tuple[int, int]


class _Mounts:
    """The tmpfs file systems of some mount namespaces: where each is mounted, and by which process that is seen."""

    def __init__(self) -> None:
        self.places: dict[_Device, list[tuple[int, str]]] = {}
        self.device_of: dict[int, _Device] = {}
        """By number of the mount, which is unique on the machine."""

    def add(self, pid: int, mounts: Iterable[Mount]) -> None:
        for mount in mounts:
            if mount.fs_type in _TYPES:
                major, minor = map(int, mount.device.split(":"))
                self.places.setdefault((major, minor), []).append((pid, mount.mount_point))
                self.device_of[mount.mount_id] = (major, minor)


def read_shmem(roots: Roots, pids: Sequence[int]) -> ShmemFound:
    """
    What holds shared memory, as far as these processes show it.

    :param pids: processes, whose namespaces and open files are looked at
    """
    unseen: list[str] = []
    mounts = _read_mounts(roots, _one_of_each(roots, pids, "mnt"), unseen)
    things = [_mount(roots, device, places) for device, places in sorted(mounts.places.items())]
    things += _open_files(roots, pids, mounts, unseen)
    things += _segments(roots, _one_of_each(roots, pids, "ipc"), unseen)
    return ShmemFound(tuple(things), tuple(unseen))


def _one_of_each(roots: Roots, pids: Iterable[int], namespace: str) -> dict[int, int]:
    """A process of each namespace, by the namespace's inode: ourselves first, who cannot leave."""
    found: dict[int, int] = {}
    for pid in (os.getpid(), *pids):
        try:
            found.setdefault(os.stat(roots.proc / str(pid) / "ns" / namespace).st_ino, pid)
        except OSError:
            continue  # it has left, or may not be read
    return found


# ---- mounts ----------------------------------------------------------------------------------------------


def _read_mounts(roots: Roots, processes: dict[int, int], unseen: list[str]) -> _Mounts:
    mounts = _Mounts()
    for pid in processes.values():
        path = roots.proc / str(pid) / "mountinfo"
        try:
            mounts.add(pid, parse_mountinfo(patiently(path.read_bytes, pid), str(path)))
        except (OSError, Busy, KernelFormatError) as err:
            unseen.append(f"the mounts that process {pid} sees: {err}")
    return mounts


def _mount(roots: Roots, device: _Device, places: Sequence[tuple[int, str]]) -> Shmem:
    """A file system by the first of its places that can be reached."""
    pid, name = min(places, key=lambda place: (len(place[1]), place))
    for reader, where in sorted(places, key=lambda place: len(place[1]))[:MOST_PLACES]:
        used = _used(roots, reader, where, device)
        if used is not None:
            return Shmem(ShmemKind.MOUNT, where, device, bytes=used, pids=(reader,))
    return Shmem(ShmemKind.MOUNT, name, device, pids=(pid,))


def _used(roots: Roots, pid: int, where: str, device: _Device) -> int | None:
    """What is in use of a mounted tmpfs; None: something else is met there, or it has no limit."""

    def ask() -> int | None:
        with reached(roots.proc / str(pid) / "root", where, ()) as fd:
            found = os.fstat(fd)
            if (os.major(found.st_dev), os.minor(found.st_dev)) != device:
                return None
            blocks = os.fstatvfs(fd)
            return (blocks.f_blocks - blocks.f_bfree) * blocks.f_frsize if blocks.f_blocks else None

    try:
        return patiently(ask, pid)
    except (OSError, ValueError, Busy):
        return None


# ---- open files ------------------------------------------------------------------------------------------


def _open_files(roots: Roots, pids: Iterable[int], mounts: _Mounts, unseen: list[str]) -> list[Shmem]:
    """memfds, and deleted files of the mounts, that processes hold open; each once."""
    own = _own_mount(roots)
    found: dict[tuple[_Device, int], tuple[Shmem, list[int]]] = {}
    for pid in pids:
        try:
            for number in _numbers(roots, pid, unseen):
                thing = _open_file(roots, pid, number, mounts, own)
                if thing is not None:
                    _, holders = found.setdefault((thing.device, thing.inode), (thing, []))
                    if holders[-1:] != [pid]:
                        holders.append(pid)
        except Busy as err:
            unseen.append(f"descriptors of process {pid}: {err}")
    return [
        Shmem(thing.kind, thing.name, thing.device, thing.inode, bytes=thing.bytes, pids=tuple(holders))
        for thing, holders in found.values()
    ]


def _own_mount(roots: Roots) -> int | None:
    """The number of the kernel's own tmpfs mount, which all memfds are of."""
    fd = os.memfd_create("zonerss", os.MFD_CLOEXEC)
    try:
        return _mount_of(roots, fd)
    finally:
        os.close(fd)


def _numbers(roots: Roots, pid: int, unseen: list[str]) -> Iterator[str]:
    """The descriptors of a process whose file may have no name any more."""
    directory = roots.proc / str(pid) / "fd"
    try:
        with os.scandir(directory) as entries:
            for entry in islice(entries, MOST_FDS):
                name = _link(entry.path)
                if name is None or name.endswith(_DELETED):
                    yield entry.name
            if next(entries, None) is not None:
                unseen.append(f"descriptors of process {pid} beyond the first {MOST_FDS:,}")
    except OSError:
        return  # it has left, or may not be read, which the walk has said


def _link(path: str) -> str | None:
    """What a descriptor is of; "": it is closed; None: its path is longer than the kernel tells (a page)."""
    try:
        return os.readlink(path)
    except OSError as err:
        return None if err.errno == errno.ENAMETOOLONG else ""


def _open_file(roots: Roots, pid: int, number: str, mounts: _Mounts, own: int | None) -> Shmem | None:
    path = str(roots.proc / str(pid) / "fd" / number)
    try:
        # What it has opened stays the same file while it is looked at.
        fd = opened_patiently(path, os.O_PATH, pid)
    except OSError:
        return None
    try:
        mount = _mount_of(roots, fd)
        if mount is None or (mount != own and mount not in mounts.device_of):
            return None
        status, name = os.fstat(fd), _link(path)
    finally:
        os.close(fd)
    # The path of the descriptor leads to a file whose own path is too long to be told.
    name = path if name is None else name.removesuffix(_DELETED)
    device = (os.major(status.st_dev), os.minor(status.st_dev))
    is_memfd = mount == own and name.startswith("/memfd:")
    # A file that has a name may be called "x (deleted)".
    if status.st_nlink or (not is_memfd and mounts.device_of.get(mount) != device):
        return None
    return Shmem(
        ShmemKind.MEMFD if is_memfd else ShmemKind.DELETED,
        name.removeprefix("/memfd:") if is_memfd else name,
        device,
        status.st_ino,
        bytes=status.st_blocks * _BLOCK_BYTES,
    )


def _mount_of(roots: Roots, fd: int) -> int | None:
    """The number of the mount that a descriptor of ours is of."""
    try:
        found = _MNT_ID.search((roots.proc / "self" / "fdinfo" / str(fd)).read_bytes())
    except OSError:
        return None
    return int(found[1]) if found else None


# ---- System V segments -----------------------------------------------------------------------------------


def _segments(roots: Roots, processes: dict[int, int], unseen: list[str]) -> list[Shmem]:
    """The segments of each IPC namespace."""
    things = []
    for namespace, pid in processes.items():
        path = roots.proc / "sysvipc" / "shm"
        try:
            read = path.read_bytes
            text = read() if pid == os.getpid() else in_ipc_namespace(roots, pid, read)
        except FileNotFoundError:
            continue  # no System V shared memory in this kernel
        except OSError as err:
            unseen.append(f"System V segments of the IPC namespace of process {pid}: {err.strerror}")
            continue
        things += parse_segments(text, namespace, str(path))
    return things


def parse_segments(text: bytes, namespace: int, path: str = "/proc/sysvipc/shm") -> list[Shmem]:
    """
    The rows of /proc/sysvipc/shm; rss and swap since Linux 2.6.38.

    :raises KernelFormatError: a row is not of the form that we know
    """
    header, *rows = text.splitlines() or [b""]
    columns = header.split()
    things = []
    for row in rows:
        try:
            values = dict(zip(columns, map(int, row.split()), strict=True))
            key, number, resident, swapped = (values[name] for name in (b"key", b"shmid", b"rss", b"swap"))
        except (KeyError, ValueError) as err:
            raise KernelFormatError(f"{path}: a row that is not understood: {row[:200]!r}") from err
        things.append(
            Shmem(
                ShmemKind.SYSV,
                f"0x{key & 0xFFFFFFFF:08x}",
                (0, 0),
                number,
                namespace,
                bytes=resident + swapped,
                swap_bytes=swapped,
            )
        )
    return things
