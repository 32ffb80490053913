"""How far a zone's rss can be from its value at any one moment of the walk. Pure; derived in docs/motion.md.

A walk meets each page table entry at a moment of its own. Let O be the frames that it met in a zone, M(t) those that
the zone maps at a moment t of the walk. A frame that is in one of the two and not in the other has an entry that
changed during the walk, and each change of an entry accounts for one frame on either side. So | |O| - |M(t)| | is
at most the number of entries that changed, which the kernel's tracepoints count:

    came, went      entries that began or ceased to map a page (kmem:rss_stat)
    copied          entries whose frame may have been exchanged while RSS stayed (copy-on-write, KSM, khugepaged)
    moved           entries that may have wandered past the walk (mremap)
    hidden          entries that are still there and that no walk can meet: munmap takes a mapping away first
    its whole rss   where a process ended, replaced its memory or changed its zone: all its entries at once

fork needs no count: what the child's entries map, the parent's map; where they do not, that was a change of theirs.

A page that comes and goes again and again counts each time. So a second bound: M(t) is never less than nothing, and
never more than the entries that the zone's processes had at any moment (:func:`ceilings`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import NamedTuple

from zonerss.plain import dataclass, field
from zonerss.units import PAGE_BYTES

PAGES_OF_A_TABLE = PAGE_BYTES // 8
"""
The kernel changes a counter once for each page table, so an event is about this many pages at most: a table is a page
of entries of 8 bytes at most, and a huge page has no more pages than a table has entries.
"""

RSS_KINDS = ("anon", "file", "shmem")


@dataclass(frozen=True, slots=True)
class Churn:
    """What changed in the page tables of one process during a window, in pages."""

    came_pages: int = 0
    went_pages: int = 0
    forked_pages: int = 0
    """Entries that a child got from it by fork."""
    copied_pages: int = 0
    """Faults and the like that may have exchanged a frame."""
    moved_pages: int = 0
    """What it asked mremap to move."""
    raced: int = 0
    """Events of which another processor's may have hidden a page each way."""
    held_pages: int = 0
    """What its threads had not yet added to its RSS when the window began (before Linux 6.2)."""
    first_pages: Mapping[str, int] = field(default_factory=dict)
    """By kind: how many pages it had after the first change of the window, which is not in came or went."""
    most_pages: Mapping[str, int] = field(default_factory=dict)
    """By kind: how many pages it had after any change of the window, at most; empty: unknown."""
    replaced: bool = False
    """It ended, or replaced its memory by exec."""


@dataclass(frozen=True, slots=True)
class Move:
    """A process was put into a cgroup."""

    pid: int
    hierarchy: int
    path: str


@dataclass(frozen=True, slots=True)
class Window:
    """What changed on the machine between two moments."""

    churn: Mapping[int, Churn]
    """By process."""
    parents: Mapping[int, int]
    """Of each process that was forked meanwhile, who forked it."""
    moves: tuple[Move, ...]
    exchanged_pages: int
    """Further entries of pages that were migrated to other frames, nobody knows whose."""
    complete: bool
    """False: something was lost, and nothing can be said."""
    slack_pages: int = 0
    """How far what was read of a process's RSS beforehand can be from the truth, by kind."""
    unread: frozenset[int] = frozenset()
    """Processes of which nothing can be said."""
    unsettled_pages: int = 0
    """Entries that may have changed at an end of the window without being counted; nobody knows whose."""
    rss_is_all: bool = True
    """Whether RSS has all entries. Before Linux 6.2 threads hold some back."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """A process as it was listed."""

    identity: Hashable
    """Another one: another process, or other memory."""
    mm: int
    """Equal for processes that share an address space."""
    zone: Hashable
    rss_pages: Mapping[str, int]
    """By kind; empty where it could not be read."""
    rss_estimate: int
    """Where it could not: the listing's own figure, in pages."""
    walked_pages: int | None = None
    """How many entries the walk met; None: it was not walked."""

    @property
    def rss(self) -> int:
        """In pages, all kinds."""
        return sum(self.rss_pages.values()) if self.rss_pages else self.rss_estimate


def bounds(
    window: Window,
    before: Mapping[int, Sighting],
    after: Mapping[int, Sighting],
    moved_to: Mapping[int, Collection[Hashable]],
) -> dict[Hashable, int]:
    """
    For each zone, in pages, how far its rss can be from what the walk found; zones of which it is unknown are left out.

    :param before: who was listed before the walk, by pid; listed while the window was open
    :param after: likewise after the walk
    :param moved_to: the zones that a process was put into meanwhile
    """
    zones_of_mm = _zones_of_mm(before)
    anybodys = window.exchanged_pages + window.unsettled_pages
    total = dict.fromkeys((sighting.zone for sighting in before.values()), anybodys)
    hidden = {pid: pages for pid, own in before.items() if (pages := _hidden(window, pid, own))}
    for one in _doings(window, before, after, moved_to, hidden.keys()):
        changes = one.changes + hidden.get(one.pid, 0)
        all_at_once = _whole(one.churn, one.own, window.slack_pages) if one.own else 0
        gone = one.own is not None and (one.churn.replaced or _is_other(one.own, after.get(one.pid)))
        for zone in one.home:
            total[zone] = total.get(zone, 0) + changes + (all_at_once if gone or one.elsewhere else 0)
        for zone in one.elsewhere:
            total[zone] = total.get(zone, anybodys) + changes + (all_at_once or one.inherited)
    unknown = {zone for pid in window.unread for zone in zones_of_mm[before[pid].mm]}
    return {zone: pages for zone, pages in total.items() if zone not in unknown}


def ceilings(
    window: Window,
    before: Mapping[int, Sighting],
    after: Mapping[int, Sighting],
    moved_to: Mapping[int, Collection[Hashable]],
) -> dict[Hashable, int]:
    """
    For each zone, in pages, what it mapped at any moment of the walk, at most; unknown ones are left out.

    Parameters as of :func:`bounds`. The sum of what its processes had. A process that was not listed has what its
    parent had; a page that it alone maps was a change of it, or of one that it descends from.
    """
    if not window.rss_is_all:
        return {}
    zones_of_mm = _zones_of_mm(before)
    total: dict[Hashable, int] = defaultdict(lambda: window.unsettled_pages)
    changes_in: dict[Hashable, int] = defaultdict(int)
    grown: set[Hashable] = set()
    unknown: set[Hashable] = set()
    for pid, listed in before.items():
        if (most := _most(window, listed, after.get(pid), pid)) is None:
            unknown |= zones_of_mm[listed.mm]
        for zone in zones_of_mm[listed.mm]:
            total[zone] += most or 0
    for one in _doings(window, before, after, moved_to):
        for zone in one.home:
            changes_in[zone] += one.changes
        if one.own is None:
            grown |= one.home
            most = one.changes + one.inherited
        else:
            most = _most(window, one.own, after.get(one.pid), one.pid)
        for zone in one.elsewhere:
            total[zone] += most or 0
            unknown |= {zone} if most is None else set()
    return {
        zone: pages + (changes_in[zone] if zone in grown else 0)
        for zone, pages in total.items()
        if zone not in unknown
    }


def _most(window: Window, own: Sighting, later: Sighting | None, pid: int) -> int | None:
    """Entries that a process had at any moment of the walk, at most. None: unknown."""
    if not own.rss_pages:
        return None
    churn = window.churn.get(pid, Churn())
    begin = {kind: own.rss_pages.get(kind, 0) + window.slack_pages for kind in RSS_KINDS}
    first = sum(abs(pages - own.rss_pages.get(kind, 0)) for kind, pages in churn.first_pages.items())
    most = sum(begin.values()) + first + churn.came_pages + 2 * churn.raced
    if churn.most_pages and not churn.replaced and not _is_other(own, later):
        # Between an event and the next, nothing changes; two processors at once can hide a page table each.
        peaks = sum(max(pages, churn.most_pages[kind]) for kind, pages in begin.items())
        most = min(most, peaks + PAGES_OF_A_TABLE * churn.raced)
    return max(most, own.walked_pages or 0)


def clamped(changes: int, found: int, ceiling: int | None) -> int:
    """How far a figure can be off: by what changed, but it is not less than nothing and not more than its ceiling."""
    return changes if ceiling is None else min(changes, max(found, ceiling - found))


class _Doing(NamedTuple):
    """What one process did during the window, and where it counts."""

    pid: int
    own: Sighting | None
    """As it was listed before the walk; None: it was not."""
    churn: Churn
    changes: int
    """Entries that changed, at most."""
    home: set[Hashable]
    """The zones of its address space before the walk, or of the first that it descends from."""
    elsewhere: set[Hashable]
    """Zones that it came into meanwhile."""
    inherited: int
    """Entries that it and its line got by fork."""


def _doings(
    window: Window,
    before: Mapping[int, Sighting],
    after: Mapping[int, Sighting],
    moved_to: Mapping[int, Collection[Hashable]],
    besides: Collection[int] = (),
) -> Iterator[_Doing]:
    """Of each process that did anything at all, and of those besides."""
    zones_of_mm = _zones_of_mm(before)
    for pid in {*besides, *_restless(window, before, after, moved_to)}:
        line = tuple(_ancestry(pid, window.parents, before))
        own, churn = before.get(pid), window.churn.get(pid, Churn())
        home = set(zones_of_mm[before[line[-1]].mm]) if line[-1] in before else set()
        yield _Doing(
            pid=pid,
            own=own,
            churn=churn,
            changes=_changes(churn, own, window.slack_pages),
            home=home,
            elsewhere={*moved_to.get(pid, ()), *({after[pid].zone} if pid in after else ())} - home,
            inherited=sum(window.churn[one].forked_pages for one in line if one in window.churn),
        )


def _zones_of_mm(before: Mapping[int, Sighting]) -> dict[int, set[Hashable]]:
    """The zones of each address space."""
    zones: dict[int, set[Hashable]] = defaultdict(set)
    for sighting in before.values():
        zones[sighting.mm].add(sighting.zone)
    return zones


def _restless(
    window: Window,
    before: Mapping[int, Sighting],
    after: Mapping[int, Sighting],
    moved_to: Mapping[int, Collection[Hashable]],
) -> set[int]:
    """The processes that did anything at all."""
    changed = {
        pid for pid, own in before.items() if _is_other(own, after.get(pid)) or after[pid].zone != own.zone
    }
    return {*window.churn, *window.parents, *moved_to, *changed, *(after.keys() - before.keys())}


def _hidden(window: Window, pid: int, own: Sighting) -> int:
    """
    Entries of a process that the walk did not meet although they were there and stayed.

    munmap makes a mapping unknown and zaps its entries afterwards, with the lock held for reading only (mm/vma.c,
    vms_complete_munmap_vmas): meanwhile its pages are mapped, and no walk comes by.
    """
    if own.walked_pages is None or not own.rss_pages:
        return 0
    churn = window.churn.get(pid, Churn())
    missing = own.rss + churn.held_pages - churn.went_pages - own.walked_pages
    slack = window.slack_pages * len(RSS_KINDS)
    if pid not in window.churn and missing <= slack:
        return 0  # it did nothing: what is missing was read inexactly
    return max(0, missing + slack)


def _is_other(own: Sighting, later: Sighting | None) -> bool:
    return later is None or later.identity != own.identity


def _ancestry(pid: int, parents: Mapping[int, int], before: Mapping[int, Sighting]) -> Iterator[int]:
    """It, its parent and so on, up to the first that was listed."""
    seen = {pid}
    yield pid
    while pid not in before and (pid := parents.get(pid, pid)) not in seen:
        seen.add(pid)
        yield pid


def _changes(churn: Churn, own: Sighting | None, slack_pages: int) -> int:
    """Entries of one process that changed, at most."""
    first = 0
    for kind, pages in churn.first_pages.items():
        if own is None or kind not in own.rss_pages:
            first += PAGES_OF_A_TABLE
        else:
            first += abs(pages - own.rss_pages[kind]) + slack_pages
    known = churn.came_pages + churn.went_pages + churn.copied_pages + 2 * churn.raced + first
    most = churn.moved_pages if own is None else min(churn.moved_pages, _whole(churn, own, slack_pages))
    return known + most


def _whole(churn: Churn, own: Sighting, slack_pages: int) -> int:
    """All that a process mapped at any moment of the window, at most."""
    begin = max(own.rss + churn.held_pages, own.walked_pages or 0)
    return begin + slack_pages * len(RSS_KINDS) + churn.came_pages


def differences(before: Mapping[int, Sighting], after: Mapping[int, Sighting]) -> Window:
    """
    The weaker answer, where nothing can be traced: what each process has more or less after the walk than before.

    What came and went again in between, copy-on-write, and processes that lived in between only, are missing from it.
    Nothing can be said of who was there all the time and could not be read at first.
    """
    churn = {}
    for pid, later in after.items():
        own = before.get(pid)
        earlier = {} if own is None or _is_other(own, later) else own.rss_pages
        change = [later.rss_pages.get(kind, 0) - earlier.get(kind, 0) for kind in RSS_KINDS]
        came, went = sum(c for c in change if c > 0), -sum(c for c in change if c < 0)
        if came or went:
            churn[pid] = Churn(came_pages=came, went_pages=went)
    unread = frozenset(
        pid for pid, own in before.items() if not own.rss_pages and not _is_other(own, after.get(pid))
    )
    return Window(churn=churn, parents={}, moves=(), exchanged_pages=0, complete=True, unread=unread)
