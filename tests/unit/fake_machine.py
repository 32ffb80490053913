"""A machine made by hand: processes, the frames that they map, files, cgroups and their charges.

It is looked at as a session looks at a real one, with the same plan and the same sums, by any grouping. Its evidence
answers from the same frames; what changes on a real machine between two looks stays the same here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from tests.unit import builders
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.usage import Member, processes_usage, zones_usage
from zonerss.plain import dataclass, field, replace
from zonerss.records import Gap, Grouping, Names, Task, Usage, Zone
from zonerss.records.bills import Bill, Billed
from zonerss.records.files import Holdings, MappedFile
from zonerss.records.images import Image
from zonerss.snapshot import Asked, Observer, Snapshot
from zonerss.zones.labels import find_names
from zonerss.zones.paths import ancestors, nested
from zonerss.zones.plan import Plan, make_plan, place_tasks
from zonerss.zones.ways import zoner

PAGE = 4096
IMAGE = Image("9a" * 32, "shop:1")
"""Of all containers."""


@dataclass(frozen=True)
class Frame:
    """One page of memory."""

    kind: Kind
    file: MappedFile | None = None
    payer: str | None = None
    """The cgroup that it is charged to."""


@dataclass(frozen=True)
class Process:
    pid: int
    cgroup: str
    frames: frozenset[int]
    """What it maps, by number."""
    mm: int | None = None
    """The pid whose address space it shares; None: its own."""
    uid: int = 0
    ipc_namespace: int | None = None


@dataclass
class Machine(Observer):
    """Takes snapshots; see :class:`zonerss.snapshot.Observer`."""

    frames: Sequence[Frame]
    processes: Sequence[Process]
    bills: Mapping[str, Bill] = field(default_factory=dict)
    names: Names = field(default_factory=Names)
    gaps: tuple[Gap, ...] = ()
    looks: int = 0

    def look(self, asked: Asked) -> Snapshot:
        assert (asked.basis, asked.alone) == ("mapped", False)
        self.looks += 1
        ways, processes, controls = asked.ways, asked.processes, asked.controls
        tasks = [
            Task(p.pid, p.pid * 10, p.uid, p.uid, f"c{p.pid}", p.cgroup, 7, p.pid, len(p.frames) * PAGE)
            for p in self.processes
        ]
        placed = place_tasks(tasks, [zoner(way, self.names) for way in ways])
        names = find_names(asked.names, {z[0].name for _, z in placed})
        plan = make_plan(placed, {p.pid: p.mm or p.pid for p in self.processes}, processes)
        mapped = {p.pid: p.frames for p in self.processes}
        census = Census(len(plan.mms))
        for task, owner in plan.walks:
            numbers = sorted(mapped[task.pid])
            census.mark(owner, numbers, [self.frames[number].kind for number in numbers])
        parts = census.parts()
        members = tuple(
            Member(task, seat.mm, zones, seat.owner, self._rss_pages(mapped[task.pid]))
            for (task, zones), seat in zip(plan.placed, plan.seats, strict=True)
            if mapped[task.pid]
        )
        groupings, totals = [], []
        for position, way in enumerate(ways):
            below = nested({member.zones[position] for member in members})
            chosen = names if position == 0 else ()
            usages, total = zones_usage(
                parts, members, position, lambda z, below=below: self._charge(z, below), chosen
            )
            if controls:
                usages = tuple(map(self._controlled, usages))
            groupings.append(Grouping(str(way), usages))
            totals.append(total)
        return builders.snapshot(
            by=groupings[0].by,
            total=totals[0],
            zones=groupings[0].zones,
            groupings=tuple(groupings),
            processes=processes_usage(parts, members, plan.mms, names) if processes else None,
            gaps=self.gaps,
            parts=parts,
            members=members,
            walk_pages=sum(member.rss_pages for member in members),
            evidence=self._evidence(parts, members, plan, mapped),
        )

    def _rss_pages(self, mapped: Iterable[int]) -> int:
        return sum(
            self.frames[number].kind is not Kind.HUGETLB and self.frames[number].kind is not Kind.SWAP
            for number in mapped
        )

    def _charged(self, cgroup: str) -> int | None:
        bill = self.bills.get(cgroup)
        return None if bill is None else bill.charged_bytes

    def _charge(self, zone: Zone, below: Mapping[Zone, Collection[str]]) -> int | None:
        charged = None if zone.cgroup is None else self._charged(zone.cgroup)
        if charged is None:
            return None
        return max(charged - sum(self._charged(path) or 0 for path in below[zone]), 0)

    def _controlled(self, usage: Usage) -> Usage:
        """Figures of the controller that depend on the cgroup's name only."""
        if usage.cgroup is None:
            return usage
        return replace(
            usage, limit_bytes=len(usage.cgroup) << 30, oom_kills=len(usage.cgroup) % 3, pressure_some=0.25
        )

    def _evidence(
        self, parts: Any, members: Sequence[Member], plan: Plan, mapped: Mapping[int, Collection[int]]
    ) -> Any:
        owners_of: dict[int, set[int]] = {}
        for task, owner in plan.walks:
            for number in mapped[task.pid]:
                owners_of.setdefault(number, set()).add(owner)
        filled = parts.filled()
        number_of = dict(zip(parts.members(filled), filled, strict=True))
        set_of = {frame: number_of[tuple(sorted(owners))] for frame, owners in owners_of.items()}
        inodes = {path: 1000 + n for n, path in enumerate(self.cgroups())}

        def holdings(
            some: Iterable[Member] | None = None, wanted: Collection[int] | None = None
        ) -> tuple[Holdings, tuple[Gap, ...]]:
            seen = {
                number for member in (members if some is None else some) for number in mapped[member.task.pid]
            }
            sums: dict[int, dict[MappedFile | None, list[int]]] = {}
            for frame in sorted(seen):
                if wanted is None or set_of[frame] in wanted:
                    files = sums.setdefault(set_of[frame], {})
                    files.setdefault(self.frames[frame].file, [0] * len(Kind))[self.frames[frame].kind] += 1
            return {
                n: [(file, tuple(pages)) for file, pages in files.items()] for n, files in sums.items()
            }, ()

        def payers() -> tuple[Billed, ...]:
            rows: dict[tuple[int, int], list[int]] = {}
            for frame in sorted(set_of):
                what = self.frames[frame]
                if what.kind is not Kind.SWAP:
                    row = rows.setdefault((set_of[frame], inodes.get(what.payer or "", 0)), [0] * len(Kind))
                    row[what.kind] += 1
            return tuple(
                Billed(parts.owners_of(n), inode, tuple(pages)) for (n, inode), pages in rows.items()
            )

        spaces = {process.pid: process.ipc_namespace for process in self.processes}
        return SimpleNamespace(
            names=self.names,
            processors=3,
            holdings=holdings,
            payers=payers,
            mapcounts=lambda: None,
            bill=self.bills.get,
            charged=self._charged,
            cgroups=lambda: {inode: path for path, inode in inodes.items()},
            cgroup_processes=lambda path, without=(): frozenset(
                member.task.pid
                for member in members
                if path in (line := ancestors(member.task.cgroup)) and not set(line).intersection(without)
            ),
            command_lines=lambda tasks, seconds=0.0: {task.pid: ("x", str(task.pid)) for task in tasks},
            ipc_namespace=spaces.get,
            images=lambda: lambda id, uid: IMAGE,
        )

    def cgroups(self) -> list[str]:
        """All that there are."""
        return sorted(
            {path for process in self.processes for path in ancestors(process.cgroup)} | set(self.bills)
        )
