"""From sums over parts to what is shown: pure arithmetic, no kernel.

The identities that hold, and are tested: rss = anon + file + shmem; exclusive <= rss; the proportional figures of all
zones add up to the total's rss; the total's rss is at most the sum of the zones', and equal if nothing is shared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypedDict

from zonerss.census.kinds import RSS_KINDS, Kind, rss_of
from zonerss.census.parts import NO_GROUP, OwnerSum, Parts
from zonerss.plain import dataclass, replace
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
    owner: int
    """What its frames were marked for in the census."""
    rss_pages: int
    """Page table entries that map memory."""


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
    group_of = [NO_GROUP] * parts.owners
    processes, rss_pages = [0] * len(zones), [0] * len(zones)
    for member in members:
        group = group_of[member.owner] = number[member.zones[position]]
        processes[group] += 1
        rss_pages[group] += member.rss_pages
    grouped = parts.project(group_of, len(zones))
    sums, wanted = grouped.sums(), set(names)
    chosen = [n for n, zone in enumerate(zones) if not wanted or zone.name in wanted]
    usages = [usage_of(zones[n], processes[n], rss_pages[n], sums[n], charge(zones[n])) for n in chosen]
    shares = sum(sums[n].proportional[kind] for n in chosen for kind in RSS_KINDS)
    total = _total(grouped.together(chosen), usages, shares)
    usages.sort(key=lambda usage: (-usage.rss_bytes, usage.zone))
    return tuple(usages), total


def usage_of(zone: Zone, processes: int, rss_pages: int, pages: OwnerSum, charged: int | None) -> Usage:
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


def _in_bytes(pages: OwnerSum) -> _Bytes:
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


def _proportional(pages: OwnerSum) -> int:
    return round(sum(pages.proportional[kind] for kind in RSS_KINDS) * PAGE_BYTES)


# Some zones taken as one: what they map, each frame once, and what would go with all of them.
def _total(together: OwnerSum, usages: Sequence[Usage], proportional_pages: float) -> Usage:
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


def rss_together(parts: Parts, members: Iterable[Member], position: int, names: Iterable[str]) -> int:
    """
    What some zones of one grouping map, each frame once, in bytes.

    :param position: which grouping
    """
    wanted = set(names)
    owners = {member.owner for member in members if member.zones[position].name in wanted}
    return pages_to_bytes(rss_of(parts.together(owners).mapped))


def without_others(usage: Usage) -> Usage:
    """The same usage where the other zones were not walked: what depends on them is unknown."""
    return replace(usage, exclusive_bytes=None, proportional_bytes=None)


def processes_usage(
    parts: Parts, members: Sequence[Member], mm_of_owner: Sequence[int], names: Iterable[str] = ()
) -> tuple[ProcessUsage, ...]:
    """
    What each process maps, largest rss first; exclusive and proportional are among address spaces.

    :param mm_of_owner: the address space of each owner
    :param names: if any, only processes of these zones of the first grouping
    """
    mms = {mm: index for index, mm in enumerate(dict.fromkeys(mm_of_owner))}
    sums = parts.project([mms[mm] for mm in mm_of_owner], len(mms)).sums()
    wanted = set(names)
    usages = [
        _process(member, sums[mms[member.mm]])
        for member in members
        if not wanted or member.zones[0].name in wanted
    ]
    return tuple(sorted(usages, key=lambda usage: (-usage.rss_bytes, usage.pid)))


def _process(member: Member, pages: OwnerSum) -> ProcessUsage:
    return ProcessUsage(
        pid=member.task.pid,
        zone=member.zones[0].name,
        uid=member.task.uid,
        command=member.task.command,
        rss_bytes=pages_to_bytes(member.rss_pages),
        **_in_bytes(pages),
        size_bytes=member.task.size_bytes,
    )


def zone_names(members: Iterable[Member]) -> dict[int, str]:
    """The zone, of the first grouping, of each owner; an owner whose processes were not seen is missing."""
    return {member.owner: member.zones[0].name for member in members}


def one_of_each_mm(members: Iterable[Member]) -> list[Member]:
    """One member for each address space: processes that share one have the same memory."""
    return list({member.mm: member for member in members}.values())
