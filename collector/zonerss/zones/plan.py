"""Who is walked for whom: each process with its zones, and the numbers that the census knows them by. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from zonerss.records import Task, Zone
from zonerss.zones.labels import label


class Place(NamedTuple):
    """A process and where it belongs."""

    task: Task
    zones: tuple[Zone, ...]
    """Its zone in each grouping, under a name that no other zone of the grouping has."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A process, and what was numbered for it."""

    place: Place
    mm: int
    """The lowest pid that has its address space."""
    key: int
    """The zone number that the census knows it by."""
    walk: int
    """Which walk read its address space."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be walked."""

    seats: tuple[Seat, ...]
    """Every process."""
    mms: tuple[int, ...]
    """The address space of each key, where keys tell address spaces apart."""
    walks: tuple[tuple[Task, int], ...]
    """Whose address space is walked for which key: once for a key, however many processes share it."""


def place_tasks(tasks: Sequence[Task], zoners: Iterable[Callable[[Task], Zone]]) -> list[Place]:
    """Each process with its zone in each grouping."""
    columns = []
    for zone_of in zoners:
        zones = [zone_of(task) for task in tasks]
        distinct = tuple(dict.fromkeys(zones))
        labelled = dict(zip(distinct, label(distinct), strict=True))
        columns.append([labelled[zone] for zone in zones])
    return list(map(Place, tasks, zip(*columns, strict=True)))


def make_plan(places: Iterable[Place], mm_of: Mapping[int, int], by_mm: bool) -> Plan:
    """
    Number what the census tells apart: combinations of zones, one in each grouping, and address spaces if by_mm.

    Every grouping is coarser than this, so one walk serves them all. Zones come one after the other.

    :param mm_of: pid -> the lowest pid that has its address space
    """
    keys: dict[tuple[int, tuple[Zone, ...]], int] = {}
    walk_of: dict[tuple[int, int], int] = {}
    seats: list[Seat] = []
    walks: list[tuple[Task, int]] = []
    for place in sorted(places, key=lambda place: place.zones[0].name):
        mm = mm_of[place.task.pid]
        key = keys.setdefault((mm if by_mm else 0, place.zones), len(keys))
        if (mm, key) not in walk_of:
            walk_of[mm, key] = len(walks)
            walks.append((place.task, key))
        seats.append(Seat(place, mm, key, walk_of[mm, key]))
    return Plan(tuple(seats), tuple(mm for mm, _ in keys), tuple(walks))
