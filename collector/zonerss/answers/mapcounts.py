"""How often the pages of a process or a zone are mapped on the whole machine. Pure arithmetic over the parts."""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.census.mapcounts import CountedParts
from zonerss.census.parts import NO_GROUP
from zonerss.census.usage import Member
from zonerss.plain import replace
from zonerss.records import Mapcounts, ProcessUsage


def with_mapcounts(
    processes: Sequence[ProcessUsage], counted: CountedParts | None, members: Sequence[Member]
) -> tuple[ProcessUsage, ...]:
    """
    The same processes, each with its mapping counts; as they are where the kernel tells none.

    :param counted: from :meth:`zonerss.snapshot.Snapshot.mapcounts` of a snapshot with processes
    :param members: of the same snapshot
    """
    if counted is None:
        return tuple(processes)
    numbers = {mm: number for number, mm in enumerate(dict.fromkeys(member.mm for member in members))}
    mm_of = {member.task.pid: numbers[member.mm] for member in members}
    found = counted.of_groups(
        _groups(counted, {member.owner: numbers[member.mm] for member in members}), len(numbers)
    )
    return tuple(replace(process, mapcounts=found[mm_of[process.pid]]) for process in processes)


def zones_mapcounts(
    counted: CountedParts, members: Sequence[Member], position: int = 0
) -> dict[str, Mapcounts]:
    """
    The mapping counts of each zone, by its name.

    :param members: of the same snapshot
    :param position: which grouping
    """
    zones = {zone: number for number, zone in enumerate(dict.fromkeys(m.zones[position] for m in members))}
    group_of = _groups(counted, {member.owner: zones[member.zones[position]] for member in members})
    found = counted.of_groups(group_of, len(zones))
    return {zone.name: found[number] for zone, number in zones.items()}


def _groups(counted: CountedParts, group_of: dict[int, int]) -> list[int]:
    return [group_of.get(owner, NO_GROUP) for owner in range(counted.by_kind.owners)]
