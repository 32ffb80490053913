"""From sums over parts to what is shown: pure arithmetic, no kernel.

The identities that hold, and are tested: rss = anon + file + shmem; exclusive <= rss; the proportional figures of all
zones add up to the total's rss; the total's rss is at most the sum of the zones', and equal if nothing is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypedDict

from zonerss.census.census import NO_GROUP, RSS_KINDS, Kind, Parts, ZoneSum
from zonerss.records import ProcessUsage, Task, Usage, Zone
from zonerss.units import PAGE_BYTES, pages_to_bytes


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the machine, where it belongs, and what the walk found of its address space."""

    task: Task
    mm: int
    """The lowest pid that has its address space."""
    zones: tuple[Zone, ...]
    """Its zone in each grouping."""
    key: int
    """The zone number that the census knew it by."""
    rss_pages: int
    """Page table entries that map memory."""
    size_bytes: int
    """Virtual size."""


def rss_of(pages: Sequence[int]) -> int:
    """Pages that count as rss, of a row indexed by :class:`zonerss.census.census.Kind`."""
    return sum(pages[kind] for kind in RSS_KINDS)


def zones_usage(
    parts: Parts,
    members: Sequence[Member],
    position: int,
    charge: Callable[[Zone], int | None],
    names: Iterable[str] = (),
) -> tuple[tuple[Usage, ...], Usage]:
    """
    What the zones of one grouping use, and all of them together.

    :param position: which grouping
    :param charge: what the kernel charges a zone
    :param names: if any, only these zones, with the same figures as among all
    :return: the zones, largest rss first; and their total, every frame once
    """
    zones = tuple(dict.fromkeys(member.zones[position] for member in members))
    number = {zone: index for index, zone in enumerate(zones)}
    group_of = [NO_GROUP] * parts.zones
    for member in members:
        group_of[member.key] = number[member.zones[position]]
    sums = parts.project(group_of, len(zones)).sums()

    processes, rss_pages = [0] * len(zones), [0] * len(zones)
    for member in members:
        processes[number[member.zones[position]]] += 1
        rss_pages[number[member.zones[position]]] += member.rss_pages
    wanted = set(names)
    chosen = [n for n, zone in enumerate(zones) if not wanted or zone.name in wanted]
    usages = [usage_of(zones[n], processes[n], rss_pages[n], sums[n], charge(zones[n])) for n in chosen]
    proportional_pages = sum(sums[n].proportional[kind] for n in chosen for kind in RSS_KINDS)
    usages.sort(key=lambda usage: (-usage.rss_bytes, usage.zone))
    inside = frozenset(chosen)
    keys = frozenset(key for key, group in enumerate(group_of) if group in inside)
    return tuple(usages), _total(parts, keys, usages, proportional_pages)


def usage_of(zone: Zone, processes: int, rss_pages: int, pages: ZoneSum, charged: int | None) -> Usage:
    """What a zone uses, from pages to bytes; rss_pages: the sum of its processes' own."""
    return Usage(
        zone=zone.name,
        cgroup=zone.cgroup,
        id=zone.id,
        kind=zone.kind,
        processes=processes,
        process_rss_bytes=pages_to_bytes(rss_pages),
        **_in_bytes(pages),
        charged_bytes=charged,
    )


class _Bytes(TypedDict):
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int
    hugetlb_bytes: int
    exclusive_bytes: int
    proportional_bytes: int
    swap_bytes: int


def _in_bytes(pages: ZoneSum) -> _Bytes:
    """The fields that a zone's usage and a process's have in common."""
    return _Bytes(
        anon_bytes=pages_to_bytes(pages.mapped[Kind.ANON]),
        file_bytes=pages_to_bytes(pages.mapped[Kind.FILE]),
        shmem_bytes=pages_to_bytes(pages.mapped[Kind.SHMEM]),
        hugetlb_bytes=pages_to_bytes(pages.mapped[Kind.HUGETLB]),
        exclusive_bytes=pages_to_bytes(rss_of(pages.exclusive)),
        proportional_bytes=_proportional(pages),
        swap_bytes=pages_to_bytes(pages.mapped[Kind.SWAP]),
    )


def _proportional(pages: ZoneSum) -> int:
    return round(sum(pages.proportional[kind] for kind in RSS_KINDS) * PAGE_BYTES)


# Some zones taken as one: what they map, each frame once, and what would go with all of them.
def _total(parts: Parts, keys: frozenset[int], usages: Sequence[Usage], proportional_pages: float) -> Usage:
    together = parts.project([0 if key in keys else 1 for key in range(parts.zones)], 2).sums()[0]
    charges = [usage.charged_bytes for usage in usages]
    known = [charge for charge in charges if charge is not None]
    total = usage_of(
        Zone(name="total", kind="total"),
        sum(usage.processes for usage in usages),
        sum(usage.process_rss_bytes for usage in usages) // PAGE_BYTES,
        together,
        sum(known) if known and len(known) == len(charges) else None,
    )
    return replace(total, proportional_bytes=round(proportional_pages * PAGE_BYTES))


def without_others(usage: Usage) -> Usage:
    """The same usage where the other zones were not walked: what depends on them is unknown."""
    return replace(usage, exclusive_bytes=None, proportional_bytes=None)


def processes_usage(
    parts: Parts, members: Sequence[Member], mm_of_key: Sequence[int], names: Iterable[str] = ()
) -> tuple[ProcessUsage, ...]:
    """
    What each process maps, largest rss first; exclusive and proportional are among address spaces.

    :param mm_of_key: the address space of each zone number of ``parts``
    :param names: if any, only processes of these zones of the first grouping
    """
    mms = {mm: index for index, mm in enumerate(dict.fromkeys(mm_of_key))}
    sums = parts.project([mms[mm] for mm in mm_of_key], len(mms)).sums()
    wanted = set(names)
    usages = [
        _process(member, sums[mms[member.mm]])
        for member in members
        if not wanted or member.zones[0].name in wanted
    ]
    return tuple(sorted(usages, key=lambda usage: (-usage.rss_bytes, usage.pid)))


def _process(member: Member, pages: ZoneSum) -> ProcessUsage:
    return ProcessUsage(
        pid=member.task.pid,
        zone=member.zones[0].name,
        uid=member.task.uid,
        command=member.task.command,
        rss_bytes=pages_to_bytes(member.rss_pages),
        **_in_bytes(pages),
        size_bytes=member.size_bytes,
    )


def zone_names(members: Iterable[Member]) -> dict[int, str]:
    """The zone, of the first grouping, of each owner; an owner whose processes were not seen is missing."""
    return {member.key: member.zones[0].name for member in members}


def one_of_each_mm(members: Iterable[Member]) -> list[Member]:
    """One member for each address space: processes that share one have the same memory."""
    return list({member.mm: member for member in members}.values())
