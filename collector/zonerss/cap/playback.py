"""A recording as a model: what a cap would have done with the zones that were recorded. Pure.

A recording has each zone's memory by kind and by who shares it, the sum of its processes' RSS, and the machine's swap.
It does not have which pages were cold, which of a zone's own pages several of its processes map, nor when the machine
reclaimed. So what is only the zone's counts as mapped once, a share of it that whoever asks names counts as cold, and
nothing keeps the cap from acting: where all of it is, what comes out is what it would have taken at most.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta

from zonerss.cap.model import SECOND_NS, Area, World
from zonerss.cap.records import KINDS, Bound, Cap, Gone, Machine, Settings
from zonerss.cap.simulate import Simulated, simulate
from zonerss.census.kinds import Kind
from zonerss.census.parts import NO_GROUP
from zonerss.errors import CannotServe, UsageError
from zonerss.history.moment import GROUPINGS, Moment
from zonerss.plain import dataclass, replace

_USED_NS = SECOND_NS // 10
"""How often what is not cold is touched."""
_OTHERS = "others"
"""Who shares it: a recording knows, but the model needs no names."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """What a cap would have done."""

    began: datetime
    """The first snapshot."""
    ended: datetime
    """The last."""
    host_name: str
    snapshots: int
    cold_share: float
    """0 to 1: what of a zone's own memory was taken to be cold."""
    settings: Settings
    simulated: Simulated

    def time(self, at_ns: int) -> datetime:
        """When something of the model would have been."""
        return self.began + timedelta(microseconds=at_ns // 1000)


@dataclass(frozen=True, slots=True)
class _Seen:
    """A zone in a snapshot. In bytes."""

    own: tuple[int, ...]
    """By kind of KINDS; no other zone maps it."""
    shared_bytes: int
    process_rss_bytes: int


def replay(
    moments: Iterable[Moment],
    caps: Callable[[Collection[str]], Mapping[str, Cap]],
    by: str = "zone",
    settings: Settings | None = None,
    cold_share: float = 1.0,
) -> Replayed:
    """
    Let the policy act on a recording.

    :param moments: in the order of time, as :meth:`zonerss.history.recording.Recording.moments` gives them
    :param caps: the cap of each zone that has one, given the names of all; as of :class:`zonerss.cap.rules.Caps`
    :param by: zone or cgroup: what is recorded
    :param cold_share: 0 to 1: what of a zone's own memory was cold
    :raises CannotServe: there is no snapshot
    :raises UsageError: another grouping
    """
    if by not in GROUPINGS:
        raise UsageError(f"a recording knows zones and cgroups: --by {by} cannot be simulated from one")
    recorded = _Recorded(GROUPINGS.index(by))
    for moment in moments:
        recorded.add(moment)
    if recorded.began is None:
        raise CannotServe("there is no snapshot that could be read")
    chosen = {zone: cap for zone, cap in caps(recorded.zones).items() if zone in recorded.zones}
    world = recorded.world(chosen, cold_share)
    settings = replace(settings or Settings(), enforce=True)
    found = simulate(chosen, world, recorded.times_ns[-1], settings)
    return Replayed(
        began=recorded.began,
        ended=recorded.began + timedelta(microseconds=recorded.times_ns[-1] // 1000),
        host_name=recorded.host_name,
        snapshots=len(recorded.times_ns),
        cold_share=cold_share,
        settings=settings,
        simulated=found,
    )


class _Recorded:
    """What is needed of some moments."""

    def __init__(self, position: int) -> None:
        """:param position: of the grouping among those of a moment"""
        self._position = position
        self.began: datetime | None = None
        self.host_name = ""
        self.times_ns: list[int] = []
        self.machines: list[Machine] = []
        self.zones: dict[str, dict[int, _Seen]] = {}
        """Each by the number of the moment."""

    def add(self, moment: Moment) -> None:
        """Note a moment."""
        snapshot = moment.snapshot
        self.began = self.began or snapshot.began
        self.host_name = moment.host_name
        at_ns = int((snapshot.began - self.began).total_seconds() * SECOND_NS)
        number = len(self.times_ns)
        self.times_ns.append(max(at_ns, self.times_ns[-1] + 1 if self.times_ns else 0))
        for zone, seen in _zones(moment, self._position).items():
            self.zones.setdefault(zone, {})[number] = seen
        machine = snapshot.machine
        memory, available = (machine.memory_bytes, machine.available_bytes) if machine else (0, None)
        self.machines.append(
            Machine(
                at_ns=self.times_ns[-1],
                memory_bytes=memory,
                used_bytes=memory - (available or 0) if available is not None else memory,
                swap_bytes=machine.swap_bytes if machine else 0,
                swap_free_bytes=machine.swap_free_bytes if machine else 0,
                reclaiming=False,
            )
        )

    def world(self, zones: Collection[str], cold_share: float) -> World:
        """A model of these zones."""
        areas = {zone: tuple(self._areas(self.zones[zone], cold_share)) for zone in zones}
        bounds = {zone: self._steps(self.zones[zone], lambda seen: seen.process_rss_bytes) for zone in zones}
        return _Past(areas, self.machines, bounds)

    def _areas(self, seen: Mapping[int, _Seen], cold_share: float) -> Iterable[Area]:
        for position, kind in enumerate(KINDS):

            def cold(one: _Seen, position: int = position) -> int:
                return int(one.own[position] * cold_share)

            def used(one: _Seen, position: int = position) -> int:
                return one.own[position] - int(one.own[position] * cold_share)

            yield Area(kind, self._steps(seen, cold))
            yield Area(kind, self._steps(seen, used), _USED_NS)
        yield Area("file", self._steps(seen, lambda one: one.shared_bytes), _USED_NS, _OTHERS)

    def _steps(self, seen: Mapping[int, _Seen], size: Callable[[_Seen], int]) -> tuple[tuple[int, int], ...]:
        """(when, bytes) wherever it changes."""
        steps: list[tuple[int, int]] = []
        for number, at_ns in enumerate(self.times_ns):
            bytes_now = size(seen[number]) if number in seen else 0
            if not steps or steps[-1][1] != bytes_now:
                steps.append((at_ns, bytes_now))
        return tuple(steps)


def _zones(moment: Moment, position: int) -> dict[str, _Seen]:
    snapshot = moment.snapshot
    usages = {usage.zone: usage for usage in snapshot.groupings[position].zones}
    number = {zone: n for n, zone in enumerate(usages)}
    group_of = [NO_GROUP] * snapshot.parts.owners
    for member in snapshot.members:
        group_of[member.owner] = number.get(member.zones[position].name, NO_GROUP)
    sums = snapshot.parts.project(group_of, len(number)).sums()
    found = {}
    for zone, n in number.items():
        own = tuple(
            sums[n].exclusive[kind] * snapshot.page_size for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM)
        )
        rss = sum(sums[n].mapped[kind] for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM)) * snapshot.page_size
        found[zone] = _Seen(own, rss - sum(own), usages[zone].process_rss_bytes)
    return found


class _Past(World):
    """A model whose machine, and whose sums of processes' RSS, were recorded."""

    def __init__(
        self,
        zones: Mapping[str, tuple[Area, ...]],
        machines: list[Machine],
        bounds: Mapping[str, tuple[tuple[int, int], ...]],
    ) -> None:
        self._machines, self._bounds = machines, bounds
        super().__init__(zones)

    def bound(self, zone: str) -> Bound | Gone:
        """What was recorded, less what has left."""
        found = super().bound(zone)
        if isinstance(found, Gone):
            return found
        steps = self._bounds[zone]
        position = bisect_right(steps, self.now_ns, key=lambda step: step[0])
        recorded = steps[position - 1][1] if position else 0
        out = self.wanted_bytes(zone) - self.rss_bytes(zone)
        return replace(found, bytes=max(recorded - out, self.rss_bytes(zone)))

    def machine(self) -> Machine:
        """What was recorded, with less memory and swap by what has left into it."""
        position = bisect_right(self._machines, self.now_ns, key=lambda machine: machine.at_ns)
        found, swapped = self._machines[max(position - 1, 0)], self.swapped_bytes()
        return replace(
            found,
            at_ns=self.now_ns,
            used_bytes=max(found.used_bytes - swapped, 0),
            swap_free_bytes=max(found.swap_free_bytes - swapped, 0),
        )
