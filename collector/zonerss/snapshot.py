"""The main path: one look at the machine, from its processes to what each zone uses.

The rule, from SmartOS's getvmusage(): a page counts once in a zone however many of the zone's processes map it, and
it is charged in full to every zone that maps it. In steps, which are the functions below:

    list the processes                        read_tasks()
    say for each which zones it is in         place_tasks()
    for each page table entry of each:
      mark its frame for the process's zones  walk(), in C
    count the frames by set of zones          Census.parts()
    every figure is a sum over these parts    zonerss.census.usage

A walk is an interval, not an instant: ``began`` and ``ended`` say when. What could not be seen is a gap, listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from zonerss.census.census import Census, CensusPool
from zonerss.census.parts import Parts
from zonerss.census.touched import Apart, Touches
from zonerss.census.usage import Member, processes_usage, without_others, zones_usage
from zonerss.closing import Closing
from zonerss.errors import CannotServe, NoThread, UsageError
from zonerss.evidence import Evidence, Live
from zonerss.kernel.cgroupfs import MemoryHierarchy, cgroup_caveats, charged_bytes, find_memory_hierarchy
from zonerss.kernel.clearing import STALL_SECONDS
from zonerss.kernel.controls import Controls, any_killed
from zonerss.kernel.kills_below import KillsBelow
from zonerss.kernel.meminfo import read_machine
from zonerss.kernel.names import host_names, unread_sentence
from zonerss.kernel.patience import PATIENCE_SECONDS
from zonerss.kernel.proc import TaskList, read_tasks, shared_mm_leaders
from zonerss.kernel.roots import HOST, Roots
from zonerss.kernel.roster import WORTH_ITERATING, Roster
from zonerss.plain import dataclass, field, replace
from zonerss.records import Caveat, Gap, Grouping, Names, ProcessUsage, Task, Usage, Wanted, Zone
from zonerss.records.machine import Machine
from zonerss.units import PAGE_BYTES
from zonerss.walk.choices import demand_basis
from zonerss.walk.host import Host, find_host
from zonerss.walk.jobs import Source, Walked, walk
from zonerss.walk.sources import Sources
from zonerss.zones.labels import find_names
from zonerss.zones.paths import nested
from zonerss.zones.plan import Placed, Plan, make_plan, place_tasks
from zonerss.zones.rules import Rule
from zonerss.zones.ways import WAYS, By, parse_by, zoner

if TYPE_CHECKING:
    from zonerss.motion.window import Windows
    from zonerss.walk.arming import Armed
    from zonerss.walk.cold import ColdRanges


@dataclass(frozen=True, slots=True)
class Past:
    """Where a snapshot comes from that was not taken now."""

    file: str
    """The recording."""
    host_name: str
    """Of the machine that was recorded."""
    asked: datetime | None = None
    """The time that was asked for; None: the last moment of the recording."""
    is_lean: bool = False
    """It was recorded without the files that are mapped and without who is charged for frames."""
    capper: str | None = None
    """What the capper that ran then said of itself, for :func:`zonerss.cap.status.caps_of`. None: none ran, or it is
    not known."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one look at the machine found. The fields are those of the JSON (docs/json.md)."""

    began: datetime
    ended: datetime
    source: str
    """Where frames came from: pagetable or pagemap."""
    basis: str
    """What counts: mapped, what page tables map; incore, cached pages of mapped file ranges besides."""
    by: str
    """The first grouping, whose zones these are."""
    page_size: int
    """In bytes."""
    total: Usage
    """All zones shown taken together, every frame once."""
    zones: tuple[Usage, ...]
    """Largest rss first."""
    groupings: tuple[Grouping, ...]
    """One for each --by, in the order asked for; the first one's zones are ``zones``."""
    processes: tuple[ProcessUsage, ...] | None
    """Where they were asked for, largest rss first."""
    gaps: tuple[Gap, ...]
    walk_ns: int
    """How long the page tables were being read."""
    walk_pages: int
    """Page table entries that map memory, of all address spaces walked."""
    parts: Parts = field(repr=False, compare=False)
    """The parts of the census; their owners are the members'."""
    members: tuple[Member, ...] = field(repr=False, compare=False)
    """The processes that were walked."""
    uncertainty: str | None = None
    """How the uncertainty was found: traced (a bound), net (less than one); None: it was not asked for."""
    unsettled_bytes: int = 0
    """How much of each zone's uncertainty is there only because processors did not come to rest in time."""
    by_mapping: Parts | None = field(repr=False, compare=False, default=None)
    """Basis incore: the parts with each owner twice, as o what it maps privately, as o + parts.owners what shared."""
    evidence: Evidence | None = field(repr=False, compare=False, default=None)
    """What else can be asked about it; of now it holds the frames. None: not kept."""
    touches: Touches | None = field(repr=False, compare=False, default=None)
    """Of processes that were armed (:meth:`Session.arm`): the parts, told apart by what was touched since."""
    armed: Armed | None = field(repr=False, compare=False, default=None)
    """Likewise: how they were armed."""
    touch_seconds: float | None = None
    """Likewise: how long before the walk."""
    warnings: tuple[Caveat, ...] = ()
    """What holds for all of it."""
    machine: Machine | None = None
    """The memory of all of it by the kernel's counters, read after the walk; None: /proc/meminfo was not there."""
    past: Past | None = field(compare=False, default=None)
    """None: it is of now."""

    @property
    def names(self) -> Names:
        """Names of users and containers; none where its evidence was not kept."""
        return Names() if self.evidence is None else self.evidence.names

    def ask(self) -> Evidence:
        """
        What else can be asked about it: its files, its payers, bills, names.

        :raises CannotServe: this snapshot has not kept its evidence
        """
        if self.evidence is None:
            raise CannotServe("this snapshot has not kept its frames: take one of now to ask whose they are")
        return self.evidence

    def without_evidence(self) -> Snapshot:
        """The same for showing, without the memory of its frames: ask() then cannot serve."""
        return replace(self, evidence=None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of one look; see :func:`take_snapshot`."""

    ways: tuple[By, ...]
    """How to group processes into zones, one at the least."""
    basis: str
    names: tuple[str, ...]
    """Zones of the first grouping, as they were spelled; none: all."""
    alone: bool
    processes: bool
    controls: Wanted | None
    armed: Armed | None
    """Tell what these processes have touched since; by the page tables."""

    @property
    def want_users(self) -> bool:
        """Whether the processes' user ids must be read."""
        return self.processes or any(way.needs_uids for way in self.ways)


class Observer:
    """What takes snapshots: a :class:`Session` of now, or another one of the past."""

    def take(
        self,
        by: str | Sequence[str] = ("zone",),
        basis: str = "mapped",
        zone: str | Sequence[str] | None = None,
        *,
        alone: bool = False,
        processes: bool = False,
        controls: bool | Wanted = False,
        armed: Armed | None = None,
    ) -> Snapshot:
        """
        Look once; see :func:`take_snapshot`.

        :param armed: tell what these processes have touched since; by the page tables
        :raises UsageError: an unknown by or basis
        :raises UnknownZone: there is no zone of that name
        """
        ways = tuple(parse_by(text) for text in ((by,) if isinstance(by, str) else by))
        if not ways:
            raise UsageError(f"group by what? say one of {', '.join(WAYS)}")
        demand_basis(basis)
        names = (zone,) if isinstance(zone, str) else tuple(zone or ())
        wanted = (Wanted() if controls else None) if isinstance(controls, bool) else controls
        return self.look(Asked(ways, basis, names, alone, processes, wanted, armed))

    def look(self, asked: Asked) -> Snapshot:
        """The same, of what is spelled out."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class _Walk:
    """What came of walking the page tables."""

    source: str
    frames: Census
    found: Sequence[Walked]
    """One for each walk of the plan."""
    gaps: Sequence[Gap]
    took_ns: int
    began_ns: int
    apart: Apart | None


class Session(Observer, Closing):
    """Takes snapshots, and keeps between them what makes the next one cheaper; use it as a context manager.

    It holds the source of frames and the memory of its snapshots' frames, which is used again once a snapshot is
    given up; not for several threads at once.
    """

    def __init__(
        self,
        source: str = "auto",
        rules: Sequence[Rule] = (),
        roots: Roots = HOST,
        threads: int | None = None,
        *,
        lasting: bool = True,
        patience: float = PATIENCE_SECONDS,
        uncertainty: bool = False,
        follow: bool = False,
    ) -> None:
        """
        :param source: where frames come from: auto, pagemap or pagetable
        :param rules: names for cgroups of the user's own
        :param threads: how many processes to walk side by side; None: as many as there are processors for us
        :param lasting: many snapshots will be taken, so that auto may take a source that costs more to load
        :param patience: seconds that a process may make us wait in the kernel, beyond what its size explains
        :param uncertainty: tell how far each figure can be trusted (docs/motion.md); loading that takes 0.3 s
        :param follow: let the kernel's events tell who came, rather than list /proc each time
        :raises CannotServe: not root, or the kernel lacks what every source needs
        """
        self._source, self._rules, self._roots = source, rules, roots
        self._host = find_host(roots, threads, patience)
        self._censuses = CensusPool()
        self._is_closed = False
        self._kills_below = KillsBelow()
        with ExitStack() as stack:
            self._sources = Sources(self._host, lasting)
            stack.callback(self._sources.close)
            self._roster = Roster(roots, follow, _iterate_from(source), lasting)
            stack.callback(self._roster.close)
            self._windows = _load_windows(roots, stack) if uncertainty else None
            self._open = stack.pop_all()

    def close(self) -> None:
        """Give back what is held; it can be asked for nothing more."""
        self._is_closed = True
        self._open.close()

    def _demand_open(self) -> None:
        if self._is_closed:
            raise CannotServe("this session is closed: open another one")

    def load(self) -> None:
        """
        Load now what the first walk of many would load.

        :raises CannotServe: a source that was named cannot serve here, or the session is closed
        """
        self._demand_open()
        self._sources.choose(self._source, 0)

    def go_on(self, uncertainty: bool = False) -> None:
        """
        Many more looks will follow: from now on, hear the kernel's events, and tell how far figures can be trusted.

        As with ``follow`` and ``uncertainty``, but the first look has not waited for what that loads (0.1 and 0.3 s).
        """
        if uncertainty and self._windows is None:
            self._windows = _load_windows(self._roots, self._open)
        self._roster.follow()

    def use_rules(self, rules: Sequence[Rule]) -> None:
        """From the next walk on, these are the names for cgroups of the user's own."""
        self._rules = rules

    def look(self, asked: Asked) -> Snapshot:
        """Look at the machine now."""
        with self._windows or nullcontext():
            return self._look(asked)

    def place(self, by: str = "zone") -> tuple[TaskList, list[Placed]]:
        """
        List the processes, and say which zone each is in.

        :raises UsageError: an unknown by
        """
        self._demand_open()
        way = parse_by(by)
        listed = self._roster.read(find_memory_hierarchy(self._roots), way.needs_uids)
        return listed, place_tasks(listed.tasks, [zoner(way, host_names(self._roots), self._rules)])

    def movement(self, by: str) -> Callable[[Task], bool]:
        """
        What tells whether a process that was listed is in another zone by now. One that is gone is not.

        Hierarchy and names are those of this moment.

        :raises UsageError: an unknown by
        """
        way, hierarchy = parse_by(by), find_memory_hierarchy(self._roots)
        zone_of = zoner(way, host_names(self._roots), self._rules)

        def has_moved(task: Task) -> bool:
            now = read_tasks(self._roots, hierarchy, way.needs_uids, {task.pid})
            return any(
                one.start_ticks == task.start_ticks and zone_of(one) != zone_of(task) for one in now.tasks
            )

        return has_moved

    def arm(
        self,
        by: str = "zone",
        zone: Sequence[str] = (),
        method: str = "cold",
        stall: float = STALL_SECONDS,
        rest: int = 1,
    ) -> Armed:
        """
        Clear the accessed bits of the processes of some zones, so that a later :meth:`take` tells what they touched.

        :param zone: names of zones; none: all
        :param method: cold or clear_refs (:mod:`zonerss.kernel.clearing`)
        :param stall: for how many seconds clear_refs may hold up a process, as far as can be told before
        :param rest: cold: how often as long as it works it sleeps
        :raises UnknownZone: there is no zone of that name
        :raises CannotServe: this host cannot tell what is touched; the sentence says why
        """
        from zonerss.walk.arming import arm, require_bits

        require_bits(self._source)
        listed, placed = self.place(by)
        names = find_names(tuple(zone), {zones[0].name for _, zones in placed})
        wanted = [task for task, zones in placed if not names or zones[0].name in names]
        return arm(
            self._sources.choose("pagetable", 0),
            self._host,
            listed.tasks,
            wanted,
            shared_mm_leaders(listed, self._host.our_pids),
            method,
            stall,
            rest,
        )

    def find_cold(self, snapshot: Snapshot, zone: Collection[str]) -> ColdRanges:
        """
        Where the pages are that a snapshot has found to be cold, mapped once, and what may be paged out.

        :param snapshot: of this session, of processes that were armed for their classes
        :param zone: names of its zones whose pages are wanted
        """
        from zonerss.walk.cold import find_cold

        if snapshot.touches is None or not isinstance(snapshot.evidence, Live):
            raise ValueError("the processes of this snapshot were not armed, or it has not kept its frames")
        members = [member for member in snapshot.members if member.zones[0].name in zone]
        return find_cold(
            self._sources.choose("pagetable", 0),
            self._host,
            snapshot.evidence.frames,
            members,
            snapshot.touches.apart,
        )

    def _look(self, asked: Asked) -> Snapshot:
        self._demand_open()
        began = datetime.now(UTC)
        hierarchy = find_memory_hierarchy(self._roots)
        listed = self._roster.read(hierarchy, asked.want_users)
        called = host_names(self._roots)
        zoners = [zoner(way, called, self._rules) for way in asked.ways]
        placed = place_tasks(listed.tasks, zoners)
        names = find_names(asked.names, {zones[0].name for _, zones in placed})
        everywhere = placed
        if asked.alone and names:
            placed = [one for one in placed if one[1][0].name in names]
        plan = make_plan(
            placed, mm_of := shared_mm_leaders(listed, self._host.our_pids), by_mm=asked.processes
        )

        if self._windows:
            self._windows.listed(listed)
        walked = self._walk(listed, plan, asked.armed)
        members = _members(plan, walked.found)
        if self._windows:
            met_pages = {member.task.pid: member.rss_pages for member in members}
            after = self._roster.again(hierarchy, asked.want_users)
            self._windows.walked(listed, after, mm_of, met_pages, hierarchy, zoners)
        parts, by_mapping, cache_gaps = self._parts(asked, walked.frames, listed, plan)
        touches = None
        if asked.armed and walked.apart:
            touches = Touches(parts, walked.apart, asked.armed.sees_several)
            parts = walked.apart.without(parts)
        walked_pids = {task.pid for task, _ in plan.walks}
        changed = _new_gaps(self._roster.changed(hierarchy, listed, walked_pids), walked.gaps)

        tell = self._windows.tell if self._windows and asked.basis == "mapped" else None
        controls = _controls(hierarchy, asked.controls, self._roots, self._kills_below)
        groupings, totals = [], []
        for position, way in enumerate(asked.ways):
            # Of all zones: what is charged to one below is not this one's, whether or not it is shown, or was walked.
            below = nested({zones[position] for _, zones in everywhere})
            charge = _charger(hierarchy, below)
            chosen = names if position == 0 else ()
            usages, total = zones_usage(parts, members, position, charge, chosen)
            if tell:
                usages, total = tell(usages, total, position, placed)
            if controls:
                inner = {zone.cgroup: paths for zone, paths in below.items()}
                usages = tuple(
                    controls.tell(usage, inner.get(usage.cgroup, ()), str(way)) for usage in usages
                )
            if asked.alone:
                usages, total = tuple(map(without_others, usages)), without_others(total)
            groupings.append(Grouping(str(way), usages))
            totals.append(total)
        return Snapshot(
            began=began,
            ended=datetime.now(UTC),
            source=walked.source,
            basis=asked.basis,
            by=groupings[0].by,
            page_size=PAGE_BYTES,
            total=totals[0],
            zones=groupings[0].zones,
            groupings=tuple(groupings),
            processes=processes_usage(parts, members, plan.mms, names) if asked.processes else None,
            gaps=tuple(dict.fromkeys((*listed.gaps, *walked.gaps, *cache_gaps, *changed))),
            walk_ns=walked.took_ns,
            walk_pages=sum(found.rss_pages + found.hugetlb_pages for found in walked.found),
            parts=parts,
            members=members,
            uncertainty=str(self._windows.method) if self._windows and tell else None,
            unsettled_bytes=self._windows.unsettled_bytes if self._windows and tell else 0,
            by_mapping=by_mapping,
            evidence=Live(walked.frames, parts, members, self._host, hierarchy, called),
            touches=touches,
            armed=asked.armed,
            touch_seconds=asked.armed.seconds(walked.began_ns) if asked.armed else None,
            warnings=(
                *_warnings(self._host, hierarchy, called),
                *(asked.armed.caveats(self._roots) if asked.armed else ()),
            ),
            machine=read_machine(self._roots),
        )

    def _walk(self, listed: TaskList, plan: Plan, armed: Armed | None) -> _Walk:
        """Mark the frames of every address space of the plan in a census; armed: apart by their accessed bits."""
        apart = armed.apart(len(plan.mms), listed.tasks) if armed else None
        name = "pagetable" if apart else self._source
        source = self._sources.choose(name, sum(task.rss_pages for task, _ in plan.walks))
        began_ns = time.monotonic_ns()
        try:
            frames, found, gaps = self._walk_by(source, listed, plan, apart)
        except NoThread:
            # Each that waits for a stuck process keeps one of the few places of the page table source.
            if name != "auto" or source.name == "pagemap":
                raise
            source = self._sources.choose("pagemap", 0)
            frames, found, gaps = self._walk_by(source, listed, plan, apart)
        took_ns = time.monotonic_ns() - began_ns
        if armed and apart and not armed.sees_several:
            from zonerss.walk.mapcounts import mark_several

            wanted = None if armed.zones is None else apart.bits_of(plan.owners_of(armed.zones))
            mark_several(frames, apart.several, self._roots, wanted)
        return _Walk(source.name, frames, found, gaps, took_ns, began_ns, apart)

    def _walk_by(
        self, source: Source, listed: TaskList, plan: Plan, apart: Apart | None
    ) -> tuple[Census, list[Walked], list[Gap]]:
        frames = self._censuses.lend(apart.count if apart else len(plan.mms))
        found, gaps = walk(
            source.begin,
            frames,
            listed,
            plan.walks,
            self._host,
            plan.twice,
            source.again,
            apart,
            divides=source.divides,
        )
        return frames, found, gaps

    def _parts(
        self, asked: Asked, frames: Census, listed: TaskList, plan: Plan
    ) -> tuple[Parts, Parts | None, Sequence[Gap]]:
        """What the census found. Basis incore: files count where they are cached, mapped by a page table or not."""
        parts = frames.parts()
        if asked.basis == "mapped":
            return parts, None, ()
        from zonerss.walk.incore import incore_parts

        by_mapping, gaps = incore_parts(parts, listed, plan.walks, self._host)
        return by_mapping.project([*range(parts.owners)] * 2, parts.owners), by_mapping, gaps


def take_snapshot(
    by: str | Sequence[str] = ("zone",),
    source: str = "auto",
    basis: str = "mapped",
    zone: str | Sequence[str] | None = None,
    *,
    alone: bool = False,
    processes: bool = False,
    controls: bool | Wanted = False,
    rules: Sequence[Rule] = (),
    roots: Roots = HOST,
    threads: int | None = None,
    max_age: float | None = None,
) -> Snapshot:
    """
    Look at the machine once. Who looks again and again is better served by a :class:`Session`.

    :param by: how to group processes into zones (:func:`zonerss.zones.ways.parse_by`); several share one walk
    :param source: where frames come from: auto, pagemap or pagetable
    :param basis: what counts: mapped or incore
    :param zone: names of zones of the first grouping: only these are in it, with the same figures as among all.
        For what is exclusive to them all processes are walked
    :param alone: walk only the processes of ``zone``; what depends on the others (exclusive, proportional) is None
    :param processes: tell what each process maps, too
    :param controls: tell what else the memory controller says of each zone (limit_bytes to dying_cgroups): some more
        files to read for each; or which of it is wanted
    :param rules: names for cgroups of the user's own
    :param threads: how many processes to walk side by side; None: as many as there are processors for us
    :param max_age: a snapshot of the same kind will do whose walk began at most so many seconds ago, be it done or
        under way in another thread; None: take one of our own (:mod:`zonerss.flight`)
    :raises UsageError: an unknown by, source or basis
    :raises UnknownZone: there is no zone of that name
    :raises CannotServe: not root, or a source that this host cannot serve
    """

    def take() -> Snapshot:
        with Session(source, rules, roots, threads, lasting=False) as session:
            return session.take(by, basis, zone, alone=alone, processes=processes, controls=controls)

    if max_age is None:
        return take()
    by, zone = (by,) if isinstance(by, str) else tuple(by), (zone,) if isinstance(zone, str) else zone
    kind = (by, source, basis, zone and tuple(zone), alone, processes, controls, tuple(rules), roots, threads)
    from zonerss.flight import SNAPSHOTS

    shared: Snapshot = SNAPSHOTS.get(kind, take, max_age)
    return shared


def _iterate_from(source: str) -> int | None:
    """How many processes must be there to let the kernel's iterator list them: whoever names pagemap wants no BPF."""
    return None if source == "pagemap" else WORTH_ITERATING


def _new_gaps(changed: Iterable[Gap], walked: Iterable[Gap]) -> tuple[Gap, ...]:
    """Those of the processes of whom the walk has not told one."""
    told = {gap.pid for gap in walked}
    return tuple(gap for gap in changed if gap.pid not in told)


def _controls(
    hierarchy: MemoryHierarchy, wanted: Wanted | None, roots: Roots, kills_below: KillsBelow
) -> Controls | None:
    if wanted is None:
        return None
    return Controls(hierarchy, wanted, "oom_kills" in wanted.fields and any_killed(roots), kills_below)


def _warnings(host: Host, hierarchy: MemoryHierarchy, called: Names) -> tuple[Caveat, ...]:
    """What the whole snapshot is to be read with."""
    unread = unread_sentence(called)
    return (
        *host.caveats,
        *cgroup_caveats(hierarchy),
        *([Caveat("names", unread)] if unread else []),
    )


def _load_windows(roots: Roots, stack: ExitStack) -> Windows:
    from zonerss.motion.window import Windows

    windows = Windows(roots)
    stack.callback(windows.close)
    return windows


def _members(plan: Plan, walked: Sequence[Walked]) -> tuple[Member, ...]:
    """The processes of which something was seen; the others are gaps, not processes without memory."""
    return tuple(
        Member(task, seat.mm, zones, seat.owner, walked[seat.walk].rss_pages)
        for (task, zones), seat in zip(plan.placed, plan.seats, strict=True)
        if walked[seat.walk].vmas
    )


def _charger(
    hierarchy: MemoryHierarchy, below: Mapping[Zone, Collection[str]]
) -> Callable[[Zone], int | None]:
    """What the kernel charges a zone, less what it charges other zones that lie below its cgroup."""

    def charge(zone: Zone) -> int | None:
        return None if zone.cgroup is None else charged_bytes(hierarchy, zone.cgroup, below[zone])

    return charge
