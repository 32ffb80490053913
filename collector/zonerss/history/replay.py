"""A moment that was recorded, looked at as now is: snapshots of it, and what can be asked about them.

A moment's owners are the pairs of a zone and a cgroup in it. A grouping that follows from these projects the parts;
from there on all figures are made by what makes those of now. What was not kept is None, or a
:class:`zonerss.errors.NotKept` whose sentence says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from zonerss.census.parts import Parts
from zonerss.census.usage import Member, zones_usage
from zonerss.errors import AmbiguousZone, NotKept, UnknownZone, UsageError
from zonerss.history.moment import GROUPINGS, MOST_FILES, MUCH_BYTES, Moment
from zonerss.history.recording import Recording
from zonerss.history.regroup import Regrouped
from zonerss.kernel.patience import PATIENCE_SECONDS
from zonerss.plain import dataclass, field, replace
from zonerss.records import CONTROLS, Gap, Grouping, Names, ProcessUsage, Task, Usage, Zone
from zonerss.records.files import OpenFiles
from zonerss.snapshot import Asked, Observer, Past, Snapshot
from zonerss.zones.labels import ZONES_OF_NOW, find_names
from zonerss.zones.paths import ancestors, nested
from zonerss.zones.plan import place_tasks
from zonerss.zones.ways import By, parse_by, zoner

if TYPE_CHECKING:
    from zonerss.census.mapcounts import CountedParts
    from zonerss.records.bills import Bill, Billed
    from zonerss.records.files import Holdings
    from zonerss.records.images import Image
    from zonerss.records.machine import Counters, RamPages
    from zonerss.records.shmem import ShmemFound

DERIVED = ("depth", "slice", "session")
"""Ways of grouping that follow from a process's cgroup. Those of a moment itself are kept as they were."""


def can_group(by: str) -> bool:
    """
    Whether a recording can be grouped so.

    :raises UsageError: it is no grouping
    """
    way = parse_by(by)
    return str(way) in GROUPINGS or way.way in DERIVED


class PastSession(Observer):
    """Takes snapshots of one moment of a recording, in the place of a :class:`zonerss.snapshot.Session`."""

    def __init__(
        self,
        recording: Recording,
        when: datetime | None = None,
        file: str = "",
        number: int | None = None,
        lean: bool = False,
    ) -> None:
        """
        :param when: the last moment that began by then; None: the one that was kept last
        :param file: what the recording is called
        :param number: the moment of this number instead, see :meth:`zonerss.history.recording.Recording.before`
        :param lean: of the latter, leave out files and payers
        :raises CannotServe: there is no such moment; says what there is
        """
        self.moment: Moment = (
            recording.at(when or recording.latest()) if number is None else recording.numbered(number, lean)
        )
        kept = self.moment
        self._past = Past(file, kept.host_name, when, kept.holdings is None, kept.capper)

    def look(self, asked: Asked) -> Snapshot:
        """
        The moment. Of the controller there is all that was kept.

        :raises UsageError: it cannot be grouped so, or has another basis
        :raises UnknownZone: there was no zone of that name
        """
        kept = self.moment.snapshot
        if asked.basis != kept.basis or asked.alone or asked.armed:
            raise UsageError(f"a recording has what all processes had {kept.basis}, and nothing else")
        members, group_of, count = self._members(asked.ways)
        names = self._names(asked.names, members, asked.ways[0])
        regrouped = Regrouped(kept.parts, group_of, count)
        groupings, totals = [], []
        for position, way in enumerate(asked.ways):
            chosen = names if position == 0 else ()
            usages, total = self._usages(
                regrouped.parts, members, position, way, chosen, asked.controls is not None
            )
            groupings.append(Grouping(str(way), usages))
            totals.append(total)
        told = all(grouping.by in self._told for grouping in groupings)
        return replace(
            kept,
            by=groupings[0].by,
            total=totals[0],
            zones=groupings[0].zones,
            groupings=tuple(groupings),
            processes=self._processes(members, names) if asked.processes else None,
            parts=regrouped.parts,
            members=members,
            uncertainty=kept.uncertainty if told else None,
            unsettled_bytes=kept.unsettled_bytes if told else 0,
            evidence=Kept(self.moment, regrouped, members),
            past=self._past,
        )

    @property
    def _told(self) -> Mapping[str, Mapping[str, Usage]]:
        """The zones of the groupings that were kept as they were, by their names."""
        groupings = self.moment.snapshot.groupings
        return {grouping.by: {usage.zone: usage for usage in grouping.zones} for grouping in groupings}

    def _members(self, ways: Sequence[By]) -> tuple[tuple[Member, ...], list[int], int]:
        """The members in the order of their zones, with owners as a walk by these ways numbers them."""
        kept = self.moment.snapshot
        columns = [self._zones(way) for way in ways]
        placed = sorted(
            zip(kept.members, zip(*columns, strict=True), strict=True),
            key=lambda one: (one[1][0].name, one[0].task.pid),
        )
        owner_of: dict[tuple[Zone, ...], int] = {}
        group_of = [0] * kept.parts.owners
        members = []
        for member, zones in placed:
            owner = group_of[member.owner] = owner_of.setdefault(zones, len(owner_of))
            members.append(replace(member, zones=zones, owner=owner))
        return tuple(members), group_of, len(owner_of)

    def _zones(self, way: By) -> list[Zone]:
        """The zone of each member."""
        kept = self.moment.snapshot
        known = [grouping.by for grouping in kept.groupings]
        if str(way) in known:
            position = known.index(str(way))
            return [member.zones[position] for member in kept.members]
        if way.way not in DERIVED:
            raise UsageError(
                f"a recording cannot be grouped by {way}: it keeps what the processes of each zone and cgroup map "
                f"together; --by takes {', '.join(known)}, depth=N, slice or session"
            )
        zone_of = zoner(way, _names(self.moment))
        return [zone for _, (zone,) in place_tasks([member.task for member in kept.members], [zone_of])]

    def _names(self, wanted: tuple[str, ...], members: Iterable[Member], way: By) -> tuple[str, ...]:
        there = {member.zones[0].name for member in members}
        try:
            if wanted:
                return find_names(wanted, there)
        except AmbiguousZone:
            raise
        except UnknownZone as err:
            then = f"{self.moment.snapshot.began:%Y-%m-%d %H:%M:%S} UTC"
            sentence = str(err).replace(
                "no process of this host is in", f"at {then} no process of {self.moment.host_name} was in"
            )
            sentence = sentence.replace(
                ZONES_OF_NOW, "zonerss show, with the same --from and --at, lists the zones"
            )
            raise UnknownZone(sentence, err.zone, err.close) from err
        told = self._told.get(str(way), {})
        return tuple(told) if told and there - told.keys() else ()  # only some zones were recorded

    def _usages(
        self,
        parts: Parts,
        members: Sequence[Member],
        position: int,
        way: By,
        names: Collection[str],
        controls: bool,
    ) -> tuple[tuple[Usage, ...], Usage]:
        told = self._told.get(str(way), {})
        below = nested({member.zones[position] for member in members})

        def charge(zone: Zone) -> int | None:
            if zone.name in told:
                return told[zone.name].charged_bytes
            return None if zone.cgroup is None else self._charge(zone.cgroup, below[zone])

        usages, total = zones_usage(parts, members, position, charge, names)
        fields = ("uncertainty_bytes", *(CONTROLS if controls else ()))
        usages = tuple(
            replace(usage, **{field: getattr(told[usage.zone], field) for field in fields})
            if usage.zone in told
            else usage
            for usage in usages
        )
        if told.keys() == {usage.zone for usage in usages}:
            total = replace(total, uncertainty_bytes=self.moment.snapshot.total.uncertainty_bytes)
        return usages, total

    def _charge(self, cgroup: str, below: Iterable[str]) -> int | None:
        """As :func:`zonerss.kernel.cgroupfs.charged_bytes` takes off what is charged to zones below."""
        charges = self.moment.charged
        if cgroup not in charges:
            return None
        return max(charges[cgroup] - sum(charges.get(path, 0) for path in below), 0)

    def _processes(self, members: Iterable[Member], names: Collection[str]) -> tuple[ProcessUsage, ...]:
        zone_of = {member.task.pid: member.zones[0].name for member in members}
        found = self.moment.snapshot.processes or ()
        renamed = (replace(process, zone=zone_of[process.pid]) for process in found)
        return tuple(process for process in renamed if not names or process.zone in names)


def _names(moment: Moment) -> Names:
    """Names as they were then, of what was met then."""
    uids = {member.task.uid for member in moment.snapshot.members} - {None}
    return Names(
        containers=moment.containers,
        rootless={uid: moment.containers for uid in uids if uid is not None},
        pods=moment.containers,
        users=moment.users,
    )


@dataclass(frozen=True, slots=True)
class Kept:
    """What a recording has kept of a moment; see :class:`zonerss.evidence.Evidence`."""

    moment: Moment
    regrouped: Regrouped
    """Its parts as the snapshot has them."""
    members: tuple[Member, ...]
    """Of the snapshot."""
    _below: dict[str, set[int]] = field(default_factory=dict, repr=False, compare=False)
    """The processes of each cgroup and of all below it, once somebody has asked."""

    @property
    def names(self) -> Names:
        """Of what was met."""
        return _names(self.moment)

    @property
    def processors(self) -> int:
        """How many there were."""
        return self.moment.processors

    def payers(self) -> tuple[Billed, ...] | None:
        """None: not kept, or the kernel did not tell."""
        return None if self.moment.billed is None else self.regrouped.billed(self.moment.billed)

    def holdings(
        self, members: Iterable[Member] | None = None, wanted: Collection[int] | None = None
    ) -> tuple[Holdings, tuple[Gap, ...]]:
        """
        Of the wanted sets, as all members showed them then.

        :raises NotKept: it was not recorded
        """
        if self.moment.holdings is None:
            raise NotKept("this recording was made without the files that zones map (record --lean)")
        held = self.regrouped.holdings(self.moment.holdings)
        chosen = held if wanted is None else {number: held[number] for number in wanted if number in held}
        pids = None if members is None else {member.task.pid for member in members}
        return chosen, tuple(gap for gap in self.moment.holding_gaps if pids is None or gap.pid in pids)

    def open_files(self, members: Iterable[Member]) -> OpenFiles:
        """
        Of these processes, as far as much of a file was cached.

        :raises NotKept: they were not looked at this time
        """
        if self.moment.open_files is None:
            raise NotKept("this snapshot was recorded without the files that processes hold open")
        pids = {member.task.pid for member in members}
        chosen = tuple(file for file in self.moment.open_files if file.pid in pids)
        return OpenFiles(chosen, (), self._least_bytes(pids))

    def _least_bytes(self, pids: Collection[int]) -> int | None:
        """Of the files of a zone that holds much page cache the largest are kept; nobody looks at those of others."""
        zone_of = {member.task.pid: member.zones[0].name for member in self.moment.snapshot.members}
        cached: dict[str, list[int]] = {}
        for file in self.moment.open_files or ():
            cached.setdefault(zone_of.get(file.pid, ""), []).append(file.cached_bytes)
        unmapped = {usage.zone: usage.cache_unmapped_bytes for usage in self.moment.snapshot.zones}
        least = [MUCH_BYTES]
        for zone in {zone_of[pid] for pid in pids if pid in zone_of}:
            if zone in cached:
                least += [min(cached[zone])] if len(cached[zone]) >= MOST_FILES else []
            elif (size := unmapped.get(zone)) is None or size >= MUCH_BYTES:
                return None  # none of them had much, or there was no time to look
        return max(least)

    def ram(self, payers: bool = False) -> RamPages:
        """:raises NotKept: always"""
        raise NotKept(
            "a recording does not keep what each frame of the machine was, only those that zones map"
        )

    def counters(self) -> Counters:
        """:raises NotKept: always"""
        raise NotKept("a recording does not keep all that the kernel counts of its memory")

    def shmem(self) -> ShmemFound:
        """:raises NotKept: always"""
        raise NotKept("a recording does not keep shared memory that nobody maps")

    def mapcounts(self) -> CountedParts | None:
        """None: it is not kept."""
        return None

    def bill(self, cgroup: str) -> Bill | None:
        """Of the zones' cgroups and of those that pay."""
        return self.moment.bills.get(cgroup)

    def charged(self, cgroup: str) -> int | None:
        """Of the cgroups that held processes, and those above them."""
        return self.moment.charged.get(cgroup)

    def cgroups(self) -> Mapping[int, str]:
        """Those that there were."""
        return self.moment.cgroups

    def cgroup_processes(self, cgroup: str, without: Collection[str] = ()) -> frozenset[int]:
        """Those that were walked: the moment is one look."""
        if not self._below:
            for member in self.members:
                for path in ancestors(member.task.cgroup):
                    self._below.setdefault(path, set()).add(member.task.pid)
        nobody: set[int] = set()
        return frozenset(self._below.get(cgroup, nobody)).difference(
            *(self._below.get(path, nobody) for path in without)
        )

    def command_lines(
        self, tasks: Iterable[Task], seconds: float = PATIENCE_SECONDS
    ) -> dict[int, tuple[str, ...]]:
        """None of them is kept."""
        return {}

    def ipc_namespace(self, pid: int) -> int | None:
        """As it was."""
        return self.moment.ipc_namespaces.get(pid)

    def images(self) -> Callable[[str, int | None], Image | None]:
        """
        Of the containers that there were.

        :raises NotKept: it was recorded by an older zonerss
        """
        kept = self.moment.images
        if kept is None:
            raise NotKept(
                "this snapshot was recorded by a zonerss that did not keep of which image a container was"
            )
        return lambda id, uid: kept.get(id)
