"""Who shares what with whom: sums over the parts. Pure.

For a part P with the set of zones S, what zones y and z share is the sum of pages(P) where y and z are in S.

The identities that hold, and are tested: the parts add up to the total's rss; what a pair shares is the sum of the
parts that have both zones.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from zonerss.census.kinds import Kind, rss_of
from zonerss.census.parts import NO_GROUP, Parts
from zonerss.plain import dataclass
from zonerss.records import Gap, Usage
from zonerss.records.files import FileKind, Holding, Holdings, MappedFile, file_order
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
    heat: Sequence[Pair] = ()
    """All pairs of the largest zones, where a heat map is wanted."""
    own: Sequence[Own] = ()
    """Of each zone that was asked for, in that order; the parts and pairs are then those with one of them."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What one zone has in common with another."""

    zone: str
    """The other one."""
    bytes: int
    holds: Sequence[Holding] | None
    """What it is, most first; None: not all of it was looked up."""


@dataclass(frozen=True, slots=True)
class Own:
    """What one zone shares."""

    usage: Usage
    neighbours: Sequence[Neighbour]
    """Most first."""


def shared_parts(parts: Parts, names: Mapping[int, str]) -> list[SharedPart]:
    """The parts that hold rss, largest first."""
    filled = {number: pages for number, pages in parts.filled().items() if rss_of(pages)}
    rows = zip(filled.items(), parts.members(filled), strict=True)
    # equal ones in the order of their zones: numbers of sets depend on which frame was met first
    order = sorted((-rss_of(pages), owners, number) for (number, pages), owners in rows)
    return [
        SharedPart(
            number,
            owners,
            tuple(map(names.__getitem__, owners)),
            *(pages_to_bytes(filled[number][kind]) for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM)),
        )
        for _, owners, number in order
    ]


def pairs(parts: Parts, names: Mapping[int, str], limit: int | None = None) -> tuple[list[Pair], int]:
    """
    What each two zones both map, if anything, most first; each pair once, its names in order.

    :param limit: at most so many
    :return: the pairs, and how many there are without the limit
    """
    found, count = parts.pairs(limit)
    return [
        Pair((names[one], names[other]) if names[one] < names[other] else (names[other], names[one]), size)
        for one, other, size in ((one, other, pages_to_bytes(pages)) for one, other, pages in found)
    ], count


def zone_pairs(snapshot: Snapshot, limit: int | None = None) -> list[Pair]:
    """
    What each two zones of the first grouping both map, most first, whatever else the snapshot tells apart.

    :param limit: at most so many
    """
    number: dict[str, int] = {}
    group_of = [NO_GROUP] * snapshot.parts.owners
    for member in snapshot.members:
        group_of[member.owner] = number.setdefault(member.zones[0].name, len(number))
    names = {group: name for name, group in number.items()}
    return pairs(snapshot.parts.project(group_of, len(number)), names, limit)[0]


def pairs_among(parts: Parts, names: Mapping[int, str], chosen: Sequence[str]) -> list[Pair]:
    """The same for some zones only, without their pairs with others."""
    numbers = [number for number, name in names.items() if name in set(chosen)]
    group_of = [NO_GROUP] * parts.owners
    for group, number in enumerate(numbers):
        group_of[number] = group
    among = {group: names[number] for group, number in enumerate(numbers)}
    return pairs(parts.project(group_of, len(numbers)), among)[0]


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


def with_any(parts: Sequence[SharedPart], zones: Collection[str]) -> list[SharedPart]:
    """The parts that one of the zones maps."""
    wanted = set(zones)
    return [part for part in parts if not wanted.isdisjoint(part.zones)]


def neighbours(parts: Sequence[SharedPart], holdings: Holdings, zone: str) -> list[Neighbour]:
    """What a zone has in common with each other one, most first."""
    common: dict[str, list[SharedPart]] = {}
    for part in with_any(parts, (zone,)):
        for other in part.zones:
            if other != zone:
                common.setdefault(other, []).append(part)
    found = [
        Neighbour(other, sum(part.bytes for part in both), held_together(both, holdings))
        for other, both in common.items()
    ]
    return sorted(found, key=lambda neighbour: (-neighbour.bytes, neighbour.zone))


def held_together(parts: Iterable[SharedPart], holdings: Holdings) -> list[Holding] | None:
    """What some parts hold, taken as one, most first; None: not all of them were looked up."""
    pages_of: dict[MappedFile | None, tuple[int, ...]] = {}
    for part in parts:
        held = holdings.get(part.number, _private(part))
        if held is None:
            return None
        for file, pages in held:
            known = pages_of.get(file)
            pages_of[file] = pages if known is None else tuple(map(sum, zip(known, pages, strict=True)))
    return sorted(pages_of.items(), key=lambda one: (-rss_of(one[1]), file_order(one[0])))


def _private(part: SharedPart) -> list[Holding] | None:
    """What a part holds that has nothing but private memory, which nobody has to look up."""
    if part.anon_bytes < part.bytes:
        return None
    pages = [0] * len(Kind)
    pages[Kind.ANON] = part.anon_bytes // pages_to_bytes(1)
    return [(None, tuple(pages))]


def is_kernels(held: Sequence[Holding] | None) -> bool:
    """Whether something holds nothing but the kernel's own pages, as the vdso, which every process maps."""
    return bool(held) and all(file is not None and file.kind is FileKind.KERNEL for file, _ in held or ())


def kernel_bytes(held: Sequence[Holding] | None) -> int:
    """How much of what something holds is the kernel's own pages, as far as that is known."""
    return pages_to_bytes(
        sum(rss_of(pages) for file, pages in held or () if file is not None and file.kind is FileKind.KERNEL)
    )
