"""Mapping counts of processes and zones."""

from __future__ import annotations

from tests.unit.builders import members, process

from zonerss.answers.mapcounts import with_mapcounts, zones_mapcounts
from zonerss.census.mapcounts import CountedParts
from zonerss.census.parts import Parts
from zonerss.census.usage import Member
from zonerss.records import Mapcounts, Task, Zone
from zonerss.units import pages_to_bytes

# Owners 0 and 1 are web's and db's; 2 is of a process that was not seen.
COUNTED = CountedParts(
    Parts.of(
        3, {(0,): (5, 0, 0, 0, 0), (0, 1): (0, 7, 0, 0, 0), (1,): (0, 0, 2, 512, 9), (0, 2): (1, 0, 0, 0, 0)}
    ),
    Parts.of(
        3,
        {(0,): (4, 0, 0, 0, 0), (0, 1): (0, 6, 1, 0, 0), (1,): (0, 0, 0, 0, 2), (0, 2): (0, 1, 0, 0, 0)},
    ),
)


def told(unknown: int, *pages: int) -> Mapcounts:
    return Mapcounts(tuple(map(pages_to_bytes, pages)), pages_to_bytes(unknown))


def test_of_zones() -> None:
    assert zones_mapcounts(COUNTED, members("web", "db")) == {
        "web": told(1, 4, 7, 1, 0, 0),
        "db": told(0, 0, 6, 1, 0, 2),
    }


def test_of_two_owners_in_one_zone() -> None:
    assert zones_mapcounts(COUNTED, members("web", "web")) == {"web": told(1, 4, 7, 1, 0, 2)}


def test_of_processes() -> None:
    found = with_mapcounts([process(2), process(1)], COUNTED, members("web", "db"))
    assert [(one.pid, one.mapcounts) for one in found] == [
        (2, told(0, 0, 6, 1, 0, 2)),
        (1, told(1, 4, 7, 1, 0, 0)),
    ]


def test_processes_of_one_address_space_have_the_same() -> None:
    """Walked once for each owner; each frame counts once."""
    two = [Member(Task(pid, 0, 0, 0, "x", "/", 0, pid), 1, (Zone("web"),), pid - 1, 0) for pid in (1, 2)]
    first, second = with_mapcounts([process(1), process(2)], COUNTED, two)
    assert first.mapcounts == second.mapcounts == told(1, 4, 7, 1, 0, 2)


def test_where_the_kernel_does_not_say() -> None:
    assert with_mapcounts([process(1)], None, members("web")) == (process(1),)
