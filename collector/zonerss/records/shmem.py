"""Memory that is the only copy of files: tmpfs mounts, memfds, System V segments, deleted files. Records."""

from __future__ import annotations

from enum import StrEnum

from zonerss.plain import dataclass


class ShmemKind(StrEnum):
    """What holds shared memory."""

    MOUNT = "mount"
    """A tmpfs, with all files in it, deleted ones included."""
    DELETED = "deleted"
    """A file of a mount that has no name any more; part of what its mount holds."""
    MEMFD = "memfd"
    SYSV = "sysv"
    SHARED = "shared"
    """Anonymous memory that was mapped shared: known by its mappings only."""


@dataclass(frozen=True, slots=True)
class Shmem:
    """One such thing."""

    kind: ShmemKind
    name: str
    """Where it is mounted, its last name, or of a segment its key."""
    device: tuple[int, int]
    """Major and minor number, as stat(2) and /proc/PID/maps show them."""
    inode: int = 0
    """Of a System V segment its id; 0 of a mount."""
    ipc_namespace: int | None = None
    """Of a System V segment: the inode of its IPC namespace."""
    bytes: int | None = None
    """What it has allocated, swapped out or not; None: it cannot be told (a mount without a limit, or out of reach)."""
    swap_bytes: int | None = None
    """Of it: swapped out. Known of segments only."""
    pids: tuple[int, ...] = ()
    """Processes that hold it open; of a mount one that sees it."""


@dataclass(frozen=True, slots=True)
class ShmemFound:
    """All that was found."""

    things: tuple[Shmem, ...]
    unseen: tuple[str, ...]
    """What could not be looked at, a sentence each."""
