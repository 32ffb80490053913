"""Who shares what with whom, and what would come back: more sums over the parts. Pure, no kernel.

For a part P with the set of zones S:

    shared by y and z           pages(P) where y and z are in S
    a file's, mapped by z       pages(P) of the file where z is in S
    gone with the zones K       pages(P) where S is a subset of K; what becomes of them is the file's matter
    kept by others              pages(P) where S meets K and goes beyond it

The identities that hold, and are tested: the parts add up to the total's rss; the matrix is symmetric and its
diagonal is each zone's rss; freed + reclaimable + stays + kept is the rss of K as one, and without K = all zones
nothing is kept.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from zonerss.census.census import Kind, Parts
from zonerss.census.usage import Member, rss_of
from zonerss.records import FileKind, MappedFile
from zonerss.units import pages_to_bytes

Holding = tuple[MappedFile | None, tuple[int, ...]]
"""Pages of a part by :class:`Kind`, and their file; None: private memory, or a file that was not found."""
Holdings = Mapping[int, Sequence[Holding]]
"""What is in each part, by the number of its set."""


class SharedPart(NamedTuple):
    """Some zones, and what these and no others map. A tuple, because there may be very many."""

    number: int
    """Of the set in the parts."""
    keys: tuple[int, ...]
    """The zone numbers, ascending."""
    zones: tuple[str, ...]
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int

    @property
    def bytes(self) -> int:
        """All of it: anon, file and shmem."""
        return self.anon_bytes + self.file_bytes + self.shmem_bytes


class Pair(NamedTuple):
    """What two zones both map."""

    zones: tuple[str, str]
    bytes: int


def zone_names(members: Iterable[Member]) -> dict[int, str]:
    """The zone, of the first grouping, of each zone number of the census."""
    return {member.key: member.zones[0].name for member in members}


def shared_parts(parts: Parts, names: Mapping[int, str]) -> list[SharedPart]:
    """The parts that hold rss, largest first."""
    sizes = {number: (rss_of(pages), pages) for number, pages in parts.filled().items()}
    order = sorted((number for number in sizes if sizes[number][0]), key=lambda n: (-sizes[n][0], n))
    return [
        SharedPart(
            number,
            keys,
            tuple(map(names.__getitem__, keys)),
            *(pages_to_bytes(sizes[number][1][kind]) for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM)),
        )
        for number, keys in zip(order, parts.members(order), strict=True)
    ]


def pairs(parts: Parts, names: Mapping[int, str], limit: int | None = None) -> tuple[list[Pair], int]:
    """
    What each two zones both map, if anything, most first; each pair once, its names in order.

    :param limit: only so many
    :return: the pairs, and how many there are without the limit
    """
    shared, bits = parts.pairs(), 32
    mask = (1 << bits) - 1
    # Most pages first, then by number, in one integer each: there may be very many, and integers sort fast.
    found = [
        (-pages << 2 * bits) + (one << bits) + other
        for one, row in enumerate(shared)
        for other, pages in enumerate(row[one + 1 :], one + 1)
        if pages
    ]
    chosen = sorted(found) if limit is None else heapq.nsmallest(limit, found)
    ascending = all(names[a] < names[b] for a, b in itertools.pairwise(sorted(names)))
    both = [(names[row >> bits & mask], names[row & mask]) for row in chosen]
    if not ascending:
        both = [(a, b) if a < b else (b, a) for a, b in both]
    return list(map(Pair, both, (pages_to_bytes(-(row >> 2 * bits)) for row in chosen))), len(found)


def cover(
    parts: Sequence[tuple[int, Sequence[int]]], cost_of: Mapping[int, int], surely: int, budget: int
) -> tuple[set[int], list[int]]:
    """
    Whom to walk again to name what parts hold: one zone of a part is enough, for each of them maps all of it.

    :param parts: number and zone numbers of each, the most important first
    :param cost_of: pages to be walked for each zone number
    :param surely: so many parts are named at any cost
    :param budget: the others as far as all together costs no more pages than this
    :return: the zone numbers, and the numbers of the parts that they name
    """
    chosen: set[int] = set()
    named, spent = [], 0
    for position, (number, zones) in enumerate(parts):
        if chosen.isdisjoint(zones):
            cheapest = min(zones, key=lambda zone: (cost_of.get(zone, 0), zone))
            if position >= surely and spent + cost_of.get(cheapest, 0) > budget:
                continue
            spent += cost_of.get(cheapest, 0)
            chosen.add(cheapest)
        named.append(number)
    return chosen, named


# ---- files ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class FileUsage:
    """What is mapped of one file, by one zone or by all."""

    file: MappedFile | None
    """None: files that could not be found again."""
    bytes: int
    exclusive_bytes: int
    """Of it what only one zone maps."""
    mapped_by: tuple[tuple[str, int], ...]
    """Each zone that maps the file, and how much of it; most first."""


@dataclass(slots=True)
class _Tally:
    pages: int = 0
    exclusive: int = 0
    by_zone: dict[str, int] = field(default_factory=dict)


def files_usage(
    parts: Parts, names: Mapping[int, str], holdings: Holdings, zone: str | None = None
) -> list[FileUsage]:
    """
    The mapped files, most bytes first.

    :param zone: bytes and exclusive_bytes are this zone's, and only files that it maps are told; None: all zones'
    """
    tallies: dict[MappedFile | None, _Tally] = {}
    for number, held in holdings.items():
        zones = [names[key] for key in parts.zones_of(number)]
        ours = zone is None or zone in zones
        for file, pages in held:
            count = pages[Kind.FILE] + pages[Kind.SHMEM] + pages[Kind.HUGETLB]
            if not count:
                continue
            tally = tallies.setdefault(file, _Tally())
            for name in zones:
                tally.by_zone[name] = tally.by_zone.get(name, 0) + count
            tally.pages += count if ours else 0
            tally.exclusive += count if ours and len(zones) == 1 else 0
    found = [
        FileUsage(
            file,
            pages_to_bytes(tally.pages),
            pages_to_bytes(tally.exclusive),
            tuple(
                (name, pages_to_bytes(count))
                for name, count in sorted(tally.by_zone.items(), key=lambda one: (-one[1], one[0]))
            ),
        )
        for file, tally in tallies.items()
        if tally.pages
    ]
    return sorted(found, key=lambda usage: (-usage.bytes, usage.file.name if usage.file else ""))


# ---- what if -------------------------------------------------------------------------------------------


class Fate(StrEnum):
    """What becomes of pages that nobody maps any more."""

    FREED = "freed"
    """Free at once."""
    RECLAIMABLE = "reclaimable"
    """Page cache: the kernel takes it when it needs memory."""
    STAYS = "stays"
    """The only copy of something that can still be opened."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the machine would get back if some zones ended. In bytes."""

    without: tuple[str, ...]
    freed_bytes: int
    reclaimable_bytes: int
    stays_bytes: int
    kept_bytes: int
    kept_by: tuple[tuple[str, int], ...]
    """Who maps what is kept, and how much of it; most first. The sum may be more than what is kept."""
    swap_bytes: int
    """Swap slots that would be free, beside the memory."""
    hugetlb_bytes: int
    """Huge pages that would go back to their pool or stay in a hugetlbfs file, beside the memory."""
    left: tuple[tuple[Fate, str, FileKind | None, int], ...]
    """What would become of which file: fate, name, kind and bytes; most first."""

    @property
    def rss_bytes(self) -> int:
        """The rss of the zones taken as one."""
        return self.freed_bytes + self.reclaimable_bytes + self.stays_bytes + self.kept_bytes


def fate(kind: Kind, file: MappedFile | None, ending_ipc: Collection[int] = ()) -> Fate:
    """
    What becomes of a page when its last mapping goes.

    :param file: None: private memory; or a file that was not found, which is then taken to last
    :param ending_ipc: IPC namespaces that go at the same time, and their System V segments with them
    """
    if kind is Kind.ANON:
        return Fate.FREED
    if file is None:
        return Fate.RECLAIMABLE if kind is Kind.FILE else Fate.STAYS
    if not file.lasts or (file.kind is FileKind.SYSV and file.ipc_namespace in ending_ipc):
        return Fate.FREED
    if kind is Kind.SHMEM or file.kind in (FileKind.TMPFS, FileKind.KERNEL):
        return Fate.STAYS
    return Fate.RECLAIMABLE


def sets_within(parts: Parts, zones: Collection[int]) -> list[int]:
    """The numbers of the parts that only these zones map."""
    inside, filled = frozenset(zones), list(parts.filled())
    return [
        number for number, keys in zip(filled, parts.members(filled), strict=True) if inside.issuperset(keys)
    ]


def whatif(
    parts: Parts,
    names: Mapping[int, str],
    without: Sequence[str],
    holdings: Holdings,
    ending_ipc: Collection[int] = (),
) -> WhatIf:
    """
    What would come back if some zones ended.

    :param without: the zones
    :param holdings: of the parts that only these zones map; a part that is missing has no files
    :param ending_ipc: see :func:`fate`
    """
    ending = frozenset(without)
    pages_of = dict.fromkeys(Fate, 0)
    files: dict[tuple[Fate, str, FileKind | None], int] = {}
    kept = swap = hugetlb = 0
    kept_by: dict[str, int] = {}
    filled = parts.filled()
    for (number, pages), keys in zip(filled.items(), parts.members(filled), strict=True):
        zones = frozenset(names[key] for key in keys)
        if zones.isdisjoint(ending):
            continue
        if others := zones - ending:
            kept += rss_of(pages)
            for name in others:
                kept_by[name] = kept_by.get(name, 0) + rss_of(pages)
            continue
        swap += pages[Kind.SWAP]
        hugetlb += pages[Kind.HUGETLB]
        for file, held in holdings.get(number, [(None, pages)]):
            for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM):
                if held[kind]:
                    end = fate(kind, file, ending_ipc)
                    pages_of[end] += held[kind]
                    named = (end, file.name, file.kind) if file else (end, kind.name.lower(), None)
                    files[named] = files.get(named, 0) + held[kind]
    left = sorted(files.items(), key=lambda one: (-one[1], one[0][:2]))
    return WhatIf(
        without=tuple(without),
        freed_bytes=pages_to_bytes(pages_of[Fate.FREED]),
        reclaimable_bytes=pages_to_bytes(pages_of[Fate.RECLAIMABLE]),
        stays_bytes=pages_to_bytes(pages_of[Fate.STAYS]),
        kept_bytes=pages_to_bytes(kept),
        kept_by=tuple(
            (name, pages_to_bytes(count))
            for name, count in sorted(kept_by.items(), key=lambda one: (-one[1], one[0]))
            if count
        ),
        swap_bytes=pages_to_bytes(swap),
        hugetlb_bytes=pages_to_bytes(hugetlb),
        left=tuple((*named, pages_to_bytes(count)) for named, count in left),
    )
