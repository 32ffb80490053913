"""The uncertainty of a snapshot: a window around its walk, and what changed in it (docs/motion.md).

Kept by a :class:`zonerss.snapshot.Session` between snapshots. The tracer of :mod:`zonerss.motion.tracer` counts what
changes; where it cannot serve, each process's RSS is read before and after the walk, which says less.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from enum import StrEnum

from zonerss.errors import CannotServe
from zonerss.kernel.cgroupfs import MemoryHierarchy, hierarchy_id
from zonerss.kernel.proc import TaskList, read_rss
from zonerss.kernel.roots import Roots
from zonerss.motion.bound import Sighting, Window, bounds, ceilings, clamped, differences
from zonerss.motion.tracer import ChurnTracer
from zonerss.plain import dataclass, replace
from zonerss.records import Task, Usage, Zone
from zonerss.units import PAGE_BYTES, pages_to_bytes

ZoneOf = Callable[[Task], Zone]
"""Which zone a task is in, before names are made unique."""


class Method(StrEnum):
    """How the uncertainty was found."""

    TRACED = "traced"
    """Every change was counted: a bound."""
    NET = "net"
    """RSS after the walk less RSS before it: what came and went again in between is missing."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What came of one grouping, in pages, by zone; what is unknown is left out."""

    changes: Mapping[Hashable, int]
    ceilings: Mapping[Hashable, int]


class Windows:
    """Opens a window around each walk and says what changed in it; a context for each, from before the listing on."""

    def __init__(self, roots: Roots, trace: bool = True) -> None:
        """:param trace: count changes by bcc where that can be had"""
        self._roots = roots
        self._tracer: ChurnTracer | None = None
        self.why_not = ""
        """Why changes cannot be counted here; empty if they can."""
        if trace:
            try:
                self._tracer = ChurnTracer(roots)
            except CannotServe as err:
                self.why_not = str(err)
        self.method = Method.TRACED if self._tracer else Method.NET
        self._before: dict[int, Mapping[str, int]] = {}
        self._ways: Sequence[ZoneOf] = ()
        self._found: list[_Found | None] = []
        self.unsettled_bytes = 0
        """By how much each bound of the last window is wider, because the kernel did not come to rest in time."""

    def close(self) -> None:
        """Detach and unload."""
        if self._tracer:
            self._tracer.close()

    def __enter__(self) -> Windows:
        self._found = []
        if self._tracer:
            self._tracer.begin()
        return self

    def __exit__(self, *_: object) -> None:
        if self._tracer:
            self._tracer.abandon()

    def listed(self, tasks: TaskList) -> None:
        """Between listing and walking: see what each process has."""
        self._before = {task.pid: read_rss(self._roots, task) for task in tasks.tasks}

    def walked(
        self,
        before: TaskList,
        after: TaskList,
        mm_of: Mapping[int, int],
        met_pages: Mapping[int, int],
        hierarchy: MemoryHierarchy,
        ways: Sequence[ZoneOf],
    ) -> None:
        """
        At the end of the walk: see what has changed.

        :param before: the listing of the walk
        :param after: one that was made since the walk
        :param mm_of: for each pid the lowest one that has the same address space
        :param met_pages: how many entries the walk met, for each pid that it came to
        :param ways: one for each grouping
        """
        window = self._tracer.end() if self._tracer else None
        later = {} if window else {task.pid: read_rss(self._roots, task) for task in after.tasks}
        self.unsettled_bytes = pages_to_bytes(window.unsettled_pages) if window else 0
        moves = self._moves(window, hierarchy)
        self._ways = ways
        self._found = [
            self._bounds(zone_of, before, after, mm_of, met_pages, window, later, moves) for zone_of in ways
        ]

    def tell(
        self,
        usages: Iterable[Usage],
        total: Usage,
        position: int,
        placed: Iterable[tuple[Task, tuple[Zone, ...]]],
    ) -> tuple[tuple[Usage, ...], Usage]:
        """The same usages of a grouping with their uncertainty, where it is known."""
        found, zone_of = self._found[position], self._ways[position]
        if found is None:
            return tuple(usages), total
        zones_of: dict[str, set[Hashable]] = defaultdict(set)
        for task, zones in placed:
            zones_of[zones[position].name].add(zone_of(task))
        told, apart, ceiling = [], [], []
        for usage in usages:
            keys = zones_of[usage.zone]
            changes = _sum(map(found.changes.get, keys))
            most = _sum(map(found.ceilings.get, keys))
            rss = usage.rss_bytes // PAGE_BYTES
            sure = None if changes is None else clamped(changes, rss, most)
            told.append(replace(usage, uncertainty_bytes=None if sure is None else pages_to_bytes(sure)))
            # A page that comes or goes in a zone changes the total by one page at most, whichever page it is.
            apart.append(changes if changes is None or most is None else min(changes, max(rss, most)))
            ceiling.append(most)
        changes = _sum(apart)
        if changes is not None:
            rss = total.rss_bytes // PAGE_BYTES
            changes = pages_to_bytes(clamped(changes, rss, _sum(ceiling)))
        return tuple(told), replace(total, uncertainty_bytes=changes)

    def _bounds(
        self,
        zone_of: ZoneOf,
        before: TaskList,
        after: TaskList,
        mm_of: Mapping[int, int],
        met_pages: Mapping[int, int],
        window: Window | None,
        later: Mapping[int, Mapping[str, int]],
        moves: Sequence[tuple[int, str]],
    ) -> _Found | None:
        first = {task.pid: _sighting(task, mm_of, zone_of, self._before, met_pages) for task in before.tasks}
        last = {task.pid: _sighting(task, {}, zone_of, later, {}) for task in after.tasks}
        window = window or differences(first, last)
        if not window.complete:
            return None
        known = {task.pid: task for task in (*after.tasks, *before.tasks)}
        moved_to: dict[int, set[Hashable]] = defaultdict(set)
        for pid, path in moves:
            if pid in known:
                moved_to[pid].add(zone_of(replace(known[pid], cgroup=path)))
        asked = (window, first, last, moved_to)
        return _Found(bounds(*asked), ceilings(*asked))

    def _moves(self, window: Window | None, hierarchy: MemoryHierarchy) -> list[tuple[int, str]]:
        if not window or not window.moves:
            return []
        number = hierarchy_id(self._roots, hierarchy)
        return [(move.pid, move.path) for move in window.moves if move.hierarchy == number]


def _sum(sizes: Iterable[int | None]) -> int | None:
    """All of them together; unknown where one is."""
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def _sighting(
    task: Task,
    mm_of: Mapping[int, int],
    zone_of: ZoneOf,
    rss: Mapping[int, Mapping[str, int]],
    met_pages: Mapping[int, int],
) -> Sighting:
    return Sighting(
        identity=(task.start_ticks, task.stack_start),
        mm=mm_of.get(task.pid, task.pid),
        zone=zone_of(task),
        rss_pages=rss.get(task.pid, {}),
        rss_estimate=task.rss_pages,
        walked_pages=met_pages.get(task.pid),
    )
