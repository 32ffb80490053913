"""Who shares what with whom: sums over the parts. Pure.

For a part P with the set of zones S, what zones y and z share is the sum of pages(P) where y and z are in S.

The identities that hold, and are tested: the parts add up to the total's rss; the matrix of pairs is symmetric and its
diagonal is each zone's rss.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zonerss.census.kinds import Kind, rss_of
from zonerss.census.parts import Parts
from zonerss.records import Gap
from zonerss.records.files import Holdings
from zonerss.snapshot import Snapshot
from zonerss.units import pages_to_bytes


class SharedPart(NamedTuple):
    """Some zones, and what these and no others map. A tuple, because there may be very many."""

    number: int
    """Of the set in the parts."""
    owners: tuple[int, ...]
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


@dataclass(frozen=True, slots=True)
class Sharing:
    """What the machine's zones share."""

    snapshot: Snapshot
    parts: Sequence[SharedPart]
    """Largest first."""
    pairs: Sequence[Pair]
    """Most first, as many as were asked for."""
    pair_count: int
    """How many there are."""
    holdings: Holdings
    """What the largest of the parts hold."""
    gaps: tuple[Gap, ...]


def shared_parts(parts: Parts, names: Mapping[int, str]) -> list[SharedPart]:
    """The parts that hold rss, largest first."""
    sizes = {number: (rss_of(pages), pages) for number, pages in parts.filled().items()}
    order = sorted((number for number in sizes if sizes[number][0]), key=lambda n: (-sizes[n][0], n))
    return [
        SharedPart(
            number,
            owners,
            tuple(map(names.__getitem__, owners)),
            *(pages_to_bytes(sizes[number][1][kind]) for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM)),
        )
        for number, owners in zip(order, parts.members(order), strict=True)
    ]


def pairs(parts: Parts, names: Mapping[int, str], limit: int | None = None) -> tuple[list[Pair], int]:
    """
    What each two zones both map, if anything, most first; each pair once, its names in order.

    :param limit: at most so many
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
    Which zones to walk again to find what parts hold: one zone of a part is enough, since each maps all of it.

    :param parts: number and zone numbers of each, the most important first
    :param cost_of: pages to be walked for each zone number
    :param surely: the first so many parts are named at any cost
    :param budget: further parts are named as long as all walks together cost at most so many pages
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
