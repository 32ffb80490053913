"""Shared memory, thing by thing: how much it has, who maps it, and how much nobody maps; and who is charged. Pure.

What a thing has allocated is its file system's word, what zones map of it the census's: frames, each once. The rest is
mapped by nobody, or by processes that were not walked, or swapped out. Who is charged is known of frames, not of files:
so it is told of all shared memory together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from zonerss.answers.files import FileUsage
from zonerss.census.kinds import Kind
from zonerss.plain import dataclass
from zonerss.records.files import FileKind, MappedFile
from zonerss.records.machine import RamPages
from zonerss.records.shmem import Shmem, ShmemKind
from zonerss.units import pages_to_bytes

_MAPPED_KINDS = {
    FileKind.MEMFD: ShmemKind.MEMFD,
    FileKind.SYSV: ShmemKind.SYSV,
    FileKind.SHARED: ShmemKind.SHARED,
    FileKind.DELETED: ShmemKind.DELETED,
    FileKind.TMPFS: ShmemKind.MOUNT,
}
_Key = tuple[ShmemKind, object, int]


@dataclass(frozen=True, slots=True)
class Held:
    """One thing that holds shared memory, and who maps it."""

    thing: Shmem
    mapped_bytes: int
    """By any zone, each frame once."""
    mapped_by: tuple[tuple[str, int], ...]
    """Each zone that maps it, and how much of it; most first."""
    opened_by: tuple[str, ...]
    """Zones whose processes hold it open; of a mount the zone that sees it."""

    @property
    def not_mapped_bytes(self) -> int | None:
        """What no zone maps, or is swapped out; None: what it has is not known."""
        return None if self.thing.bytes is None else max(self.thing.bytes - self.mapped_bytes, 0)


@dataclass(frozen=True, slots=True)
class Charged:
    """What one cgroup is charged for, of all shared memory."""

    cgroup: str | None
    """None: charged to no cgroup."""
    mapped_bytes: int
    not_mapped_bytes: int

    @property
    def bytes(self) -> int:
        """All of it."""
        return self.mapped_bytes + self.not_mapped_bytes


@dataclass(frozen=True, slots=True)
class ShmemAnswer:
    """Shared memory of the machine."""

    mapped_bytes: int
    """Frames that somebody maps."""
    not_mapped_bytes: int
    """Frames that nobody maps."""
    held: tuple[Held, ...]
    """Largest first."""
    charged: tuple[Charged, ...] | None
    """Largest first; None: the kernel does not tell who is charged for a frame."""


def shmem_answer(
    things: Iterable[Shmem],
    usages: Iterable[FileUsage],
    zone_of_pid: Mapping[int, str],
    ram: RamPages,
    path_of: Callable[[int], str],
) -> ShmemAnswer:
    """
    Join what was found with what is mapped.

    :param usages: the mapped files, of all zones
    :param path_of: what to call the cgroup of an inode, not 0
    """
    things = tuple(things)
    mapped, rest = _mapped(things, usages)
    held = [_held(thing, mapped.get(_key(thing), []), zone_of_pid) for thing in (*things, *rest)]
    held = [one for one in held if one.thing.bytes != 0 or one.mapped_bytes]
    return ShmemAnswer(
        mapped_bytes=pages_to_bytes(ram.zones[Kind.SHMEM] + ram.others[Kind.SHMEM]),
        not_mapped_bytes=pages_to_bytes(ram.bare[Kind.SHMEM]),
        held=tuple(sorted(held, key=lambda one: (-(one.thing.bytes or one.mapped_bytes), one.thing.name))),
        charged=None if ram.charges is None else _charged(ram, path_of),
    )


def _key(thing: Shmem) -> _Key:
    if thing.kind is ShmemKind.SYSV:
        return thing.kind, thing.ipc_namespace, thing.inode
    return thing.kind, thing.device, 0 if thing.kind is ShmemKind.MOUNT else thing.inode


def _key_of_file(file: MappedFile) -> _Key | None:
    kind = _MAPPED_KINDS.get(file.kind)
    if kind is None:
        return None
    if kind is ShmemKind.SYSV:
        return kind, file.ipc_namespace, file.inode
    return kind, file.device, 0 if kind is ShmemKind.MOUNT else file.inode


def _mapped(
    things: tuple[Shmem, ...], usages: Iterable[FileUsage]
) -> tuple[dict[_Key, list[FileUsage]], list[Shmem]]:
    """The mapped files of each thing, and things that only their mappings show."""
    mapped: dict[_Key, list[FileUsage]] = {}
    known = {_key(thing) for thing in things}
    mounts = {thing.device for thing in things if thing.kind is ShmemKind.MOUNT}
    rest: list[Shmem] = []
    for usage in usages:
        key = None if usage.file is None else _key_of_file(usage.file)
        if key is None or usage.file is None:
            continue
        if key[0] is ShmemKind.DELETED:
            if usage.file.device not in mounts:
                continue  # of a disk: page cache
            mapped.setdefault((ShmemKind.MOUNT, usage.file.device, 0), []).append(usage)
        if key not in known:
            known.add(key)
            rest.append(_only_mapped(key[0], usage.file))
        mapped.setdefault(key, []).append(usage)
    return mapped, rest


def _only_mapped(kind: ShmemKind, file: MappedFile) -> Shmem:
    name = file.name.removeprefix("/memfd:") if kind is ShmemKind.MEMFD else file.name
    inode = 0 if kind is ShmemKind.MOUNT else file.inode
    return Shmem(kind, name, file.device, inode, file.ipc_namespace)


def _held(thing: Shmem, usages: Iterable[FileUsage], zone_of_pid: Mapping[int, str]) -> Held:
    total, by_zone = 0, Counter[str]()
    for usage in usages:
        total += usage.bytes
        by_zone.update(dict(usage.mapped_by))
    zones = sorted({zone_of_pid[pid] for pid in thing.pids if pid in zone_of_pid})
    return Held(thing, total, tuple(sorted(by_zone.items(), key=lambda one: (-one[1], one[0]))), tuple(zones))


def _charged(ram: RamPages, path_of: Callable[[int], str]) -> tuple[Charged, ...]:
    mapped, bare = Counter[str | None](), Counter[str | None]()
    for charge in ram.charges or ():
        path = path_of(charge.inode) if charge.inode else None
        (mapped if charge.mapped else bare)[path] += pages_to_bytes(charge.pages[Kind.SHMEM])
    rows = [Charged(path, mapped[path], bare[path]) for path in mapped | bare if mapped[path] or bare[path]]
    return tuple(sorted(rows, key=lambda row: (-row.bytes, row.cgroup or "")))
