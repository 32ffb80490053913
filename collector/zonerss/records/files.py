"""Files that processes map, and what parts hold of them: records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from zonerss.plain import dataclass


class FileKind(StrEnum):
    """What a mapping is of."""

    FILE = "file"
    """A file on disk: its pages are page cache."""
    DELETED = "deleted"
    """A file without a name any more; it goes with its last mapping and open file."""
    TMPFS = "tmpfs"
    """A file on tmpfs or ramfs: its pages are the only copy."""
    MEMFD = "memfd"
    SYSV = "sysv"
    """A System V shared memory segment."""
    SHARED = "shared"
    """Anonymous memory that was mapped shared."""
    HUGETLB = "hugetlb"
    DEVICE = "device"
    """Memory of a driver or of another kernel object: a ring, a buffer."""
    KERNEL = "kernel"
    """The kernel's own pages, mapped everywhere: the vdso."""


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A file, or what the kernel treats as one, that processes map."""

    name: str
    """The shortest of its names, each as seen in the mount namespace of a process that maps it."""
    kind: FileKind
    lasts: bool
    """It stays when nothing maps it any more, because it has a name or an id to be found by."""
    size_bytes: int | None = None
    """How long it is; None where it could not be asked."""
    device: tuple[int, int] = (0, 0)
    """Major and minor number as maps shows them; on overlayfs and btrfs not those of stat(2)."""
    inode: int = 0
    """As maps shows it: of a System V segment its id."""
    ipc_namespace: int | None = None
    """Of a System V segment: the inode of the IPC namespace that ends with it at the latest."""
    aliases: tuple[str, ...] = ()
    """Its other names."""


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that processes hold open, and how much of it is in the page cache, mapped or not."""

    name: str
    """As seen in the mount namespace of the process."""
    device: tuple[int, int]
    """Of stat(2)."""
    inode: int
    pid: int
    """The lowest of those that hold it open."""
    size_bytes: int
    """How long it is."""
    cached_bytes: int


@dataclass(frozen=True, slots=True)
class OpenFiles:
    """The files that some processes hold open."""

    files: tuple[OpenFile, ...]
    """Those of which most is cached first."""
    unseen: tuple[str, ...]
    """What could not be looked at, a sentence each."""
    least_bytes: int | None = 0
    """Of a file that is not among them no more than so much was cached, if it was held open. None: not known."""


def file_order(file: MappedFile | None) -> tuple[object, ...]:
    """For sorting: what is of no file, then files by name; those of one name by what tells them apart."""
    if file is None:
        return ()
    size = -1 if file.size_bytes is None else file.size_bytes
    return (
        file.name,
        file.kind,
        file.device,
        file.inode,
        file.ipc_namespace or 0,
        file.aliases,
        file.lasts,
        size,
    )


def holding_order(holding: Holding) -> tuple[object, ...]:
    """For sorting what a part holds: by file."""
    return file_order(holding[0])


Holding = tuple[MappedFile | None, tuple[int, ...]]
"""The pages of a part that belong to one file, by :class:`zonerss.census.kinds.Kind`.

None: private memory, or a file that was not found."""
Holdings = Mapping[int, Sequence[Holding]]
"""What is in each part, by the number of its set."""
