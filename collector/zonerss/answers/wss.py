"""Working sets: how much of its memory each zone has touched since accessed bits were cleared. Pure.

What zone z has touched is the sum over the parts whose set has an entry of z with its bit set; see
:mod:`zonerss.census.touched`. Each frame counts once a zone, as in everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict, TypeVar

from zonerss.census.kinds import Kind, rss_of
from zonerss.census.parts import NO_GROUP
from zonerss.census.touched import State, TouchedPages, Touches
from zonerss.census.usage import Member
from zonerss.plain import dataclass
from zonerss.records import Gap, Task, Usage
from zonerss.records.files import Holdings, MappedFile
from zonerss.snapshot import Snapshot
from zonerss.units import pages_to_bytes


@dataclass(frozen=True, slots=True)
class TouchedBytes:
    """What something has touched. All in bytes."""

    rss_bytes: int
    """Every frame that it maps, once."""
    touched_anon_bytes: int
    touched_file_bytes: int
    touched_shmem_bytes: int
    unknown_bytes: int
    """Of rss, and not in touched: bits are set that could not have been cleared."""
    longest_stall_ns: int | None
    """For how long a process may have been held up at once by the clearing of its bits; None: none was cleared."""

    @property
    def touched_bytes(self) -> int:
        """All kinds."""
        return self.touched_anon_bytes + self.touched_file_bytes + self.touched_shmem_bytes

    @property
    def idle_bytes(self) -> int:
        """What was surely not touched, as far as bits tell."""
        return self.rss_bytes - self.touched_bytes - self.unknown_bytes


@dataclass(frozen=True, slots=True)
class ZoneTouched(TouchedBytes):
    """What a zone has touched."""

    zone: str
    cgroup: str | None
    id: str | None
    kind: str
    processes: int


@dataclass(frozen=True, slots=True)
class ProcessTouched(TouchedBytes):
    """What a process has touched."""

    pid: int
    zone: str
    uid: int | None
    command: str


@dataclass(frozen=True, slots=True)
class FileTouched:
    """What all zones shown have touched of a file through their mappings of it. In bytes."""

    file: MappedFile | None
    """None: files that could not be found again."""
    bytes: int
    """Mapped of it."""
    touched_bytes: int
    unknown_bytes: int


@dataclass(frozen=True, slots=True)
class WorkingSets:
    """What was touched in a time."""

    snapshot: Snapshot
    seconds: float
    """How long ago bits were cleared when the walk began."""
    method: str
    total: ZoneTouched
    """All zones shown, every frame once."""
    zones: tuple[ZoneTouched, ...]
    """Most touched first."""
    processes: tuple[ProcessTouched, ...] | None
    """Where they were asked for; most touched first."""
    files: tuple[FileTouched, ...] | None
    """Likewise."""
    unarmed: tuple[Gap, ...]
    """Processes whose bits were not cleared, of those that were walked: what they map is unknown."""
    gaps: tuple[Gap, ...]
    """What else could not be seen."""


def working_sets(
    snapshot: Snapshot, processes: bool = False, held: tuple[Holdings, Sequence[Gap]] | None = None
) -> WorkingSets:
    """
    What the zones of a snapshot of armed processes have touched.

    :param processes: tell it of each process, too; the snapshot has told them apart
    :param held: the files of its parts, and what could not be seen of them, where files are wanted
    :raises ValueError: its processes were not armed
    """
    if snapshot.touches is None or snapshot.armed is None or snapshot.touch_seconds is None:
        raise ValueError("the processes of this snapshot were not armed")
    touches, armed, members = snapshot.touches, snapshot.armed, snapshot.members
    total = _by_group(touches, members, lambda member: "")
    pages = _by_group(touches, members, lambda member: member.zones[0].name)
    stalls = _stalls(armed.longest_stall_ns, members, lambda member: member.zones[0].name)
    zones = [_zone(usage, pages[usage.zone], stalls.get(usage.zone)) for usage in snapshot.zones]
    holdings, file_gaps = held or (None, ())
    return WorkingSets(
        snapshot=snapshot,
        seconds=snapshot.touch_seconds,
        method=armed.method,
        total=_zone(snapshot.total, total.get("", TouchedPages()), max(stalls.values(), default=None)),
        zones=tuple(sorted(zones, key=lambda zone: (-zone.touched_bytes, zone.zone))),
        processes=_processes(snapshot, touches, armed.longest_stall_ns) if processes else None,
        files=None if holdings is None else _files(touches, members, holdings),
        unarmed=tuple(gap for gap in armed.gaps if gap.pid in {member.task.pid for member in members}),
        gaps=tuple(dict.fromkeys((*snapshot.gaps, *file_gaps))),
    )


Key = TypeVar("Key")


def _by_group(
    touches: Touches, members: Iterable[Member], key: Callable[[Member], Key]
) -> dict[Key, TouchedPages]:
    """What members with the same key map, every frame once."""
    number: dict[Key, int] = {}
    group_of = [NO_GROUP] * touches.apart.owners
    for member in members:
        group_of[member.owner] = number.setdefault(key(member), len(number))
    sums = touches.by_group(group_of, len(number))
    return {name: sums[at] for name, at in number.items()}


def _stalls(
    stall_of: Callable[[Task], int | None], members: Iterable[Member], key: Callable[[Member], Key]
) -> dict[Key, int]:
    """The longest of each; missing where none was cleared."""
    found: dict[Key, int] = {}
    for member in members:
        stall = stall_of(member.task)
        if stall is not None:
            found[key(member)] = max(found.get(key(member), 0), stall)
    return found


class _Bytes(TypedDict):
    rss_bytes: int
    touched_anon_bytes: int
    touched_file_bytes: int
    touched_shmem_bytes: int
    unknown_bytes: int


def _in_bytes(pages: TouchedPages) -> _Bytes:
    return _Bytes(
        rss_bytes=pages_to_bytes(rss_of(pages.mapped)),
        touched_anon_bytes=pages_to_bytes(pages.touched[Kind.ANON]),
        touched_file_bytes=pages_to_bytes(pages.touched[Kind.FILE]),
        touched_shmem_bytes=pages_to_bytes(pages.touched[Kind.SHMEM]),
        unknown_bytes=pages_to_bytes(rss_of(pages.unknown)),
    )


def _zone(usage: Usage, pages: TouchedPages, longest_stall_ns: int | None) -> ZoneTouched:
    return ZoneTouched(
        **_in_bytes(pages),
        longest_stall_ns=longest_stall_ns,
        zone=usage.zone,
        cgroup=usage.cgroup,
        id=usage.id,
        kind=usage.kind,
        processes=usage.processes,
    )


def _processes(
    snapshot: Snapshot, touches: Touches, stall_of: Callable[[Task], int | None]
) -> tuple[ProcessTouched, ...]:
    pages = _by_group(touches, snapshot.members, lambda member: member.mm)
    stalls = _stalls(stall_of, snapshot.members, lambda member: member.mm)
    found = [
        ProcessTouched(
            **_in_bytes(pages[member.mm]),
            longest_stall_ns=stalls.get(member.mm),
            pid=member.task.pid,
            zone=member.zones[0].name,
            uid=member.task.uid,
            command=member.task.command,
        )
        for member in snapshot.members
    ]
    return tuple(sorted(found, key=lambda process: (-process.touched_bytes, process.pid)))


def _files(touches: Touches, members: Iterable[Member], holdings: Holdings) -> tuple[FileTouched, ...]:
    group_of = [NO_GROUP] * touches.apart.owners
    for member in members:
        group_of[member.owner] = 0
    tallies: dict[MappedFile | None, dict[State, int]] = {}
    for number, held in holdings.items():
        state = touches.states(touches.parts.owners_of(number), group_of).get(0)
        for file, pages in held:
            count = pages[Kind.FILE] + pages[Kind.SHMEM]
            if state is not None and count:
                tally = tallies.setdefault(file, dict.fromkeys(State, 0))
                tally[state] += count
    found = [
        FileTouched(
            file=file,
            bytes=pages_to_bytes(sum(tally.values())),
            touched_bytes=pages_to_bytes(tally[State.TOUCHED]),
            unknown_bytes=pages_to_bytes(tally[State.UNKNOWN]),
        )
        for file, tally in tallies.items()
    ]
    return tuple(sorted(found, key=lambda one: (-one.touched_bytes, one.file.name if one.file else "")))
