"""What a walk has to do: the zones of each process, the owners that frames are marked for. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

from zonerss.plain import dataclass
from zonerss.records import Task, Zone
from zonerss.zones.labels import label

Placed = tuple[Task, tuple[Zone, ...]]
"""A task and its zone in each grouping; names are unique within a grouping."""


class Seat(NamedTuple):
    """What a process is to the census."""

    mm: int
    """The lowest pid that has its address space."""
    owner: int
    """What its frames are marked for."""
    walk: int
    """Index of the walk that reads its address space."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be walked."""

    placed: tuple[Placed, ...]
    """Every process, by the name of its first zone."""
    seats: tuple[Seat, ...]
    """One for each of them."""
    mms: tuple[int, ...]
    """The address space of each owner, where owners tell address spaces apart."""
    walks: tuple[tuple[Task, int], ...]
    """The task whose address space is walked, and for which owner: once per owner, however many share it."""
    twice: frozenset[int]
    """Of these the pids whose address space is walked for another owner, too (CLONE_VM across zones)."""

    def owners_of(self, zones: Collection[str]) -> set[int]:
        """What frames of some zones of the first grouping are marked for."""
        seated = zip(self.placed, self.seats, strict=True)
        return {seat.owner for (_, places), seat in seated if places[0].name in zones}


def place_tasks(tasks: Sequence[Task], zoners: Iterable[Callable[[Task], Zone]]) -> list[Placed]:
    """Each process with its zone in each grouping."""
    columns = []
    for zone_of in zoners:
        zones = [zone_of(task) for task in tasks]
        distinct = tuple(dict.fromkeys(zones))
        labelled = dict(zip(distinct, label(distinct), strict=True))
        columns.append([labelled[zone] for zone in zones])
    return list(zip(tasks, zip(*columns, strict=True), strict=True))


def make_plan(placed: Iterable[Placed], mm_of: Mapping[int, int], by_mm: bool) -> Plan:
    """
    Number what the census distinguishes: combinations of zones (one in each grouping), and address spaces if by_mm.

    Every grouping is coarser than this, so one walk serves all groupings. The walks of one zone follow each other.

    :param mm_of: pid -> the lowest pid that has its address space
    """
    ordered = tuple(sorted(placed, key=lambda one: one[1][0].name))
    owners: dict[tuple[int, tuple[Zone, ...]], int] = {}
    walk_of: dict[tuple[int, int], int] = {}
    seats: list[Seat] = []
    walks: list[tuple[Task, int]] = []
    for task, zones in ordered:
        mm = mm_of[task.pid]
        owner = owners.setdefault((mm if by_mm else 0, zones), len(owners))
        if (mm, owner) not in walk_of:
            walk_of[mm, owner] = len(walks)
            walks.append((task, owner))
        seats.append(Seat(mm, owner, walk_of[mm, owner]))
    walked = Counter(mm for mm, _ in walk_of)
    twice = frozenset(walks[walk][0].pid for (mm, _), walk in walk_of.items() if walked[mm] > 1)
    return Plan(ordered, tuple(seats), tuple(mm for mm, _ in owners), tuple(walks), twice)
