"""Growth between looks: over the latest minute, and nothing where there was one look."""

from __future__ import annotations

from datetime import timedelta

from tests.unit.builders import BEGAN, KIB, MIB, snapshot, usage

from zonerss.answers.growth import Growth, is_steady


def looked(growth: Growth, seconds: float, **sizes: int) -> None:
    usages = [usage(zone, anon_bytes=size, file_bytes=0, shmem_bytes=0) for zone, size in sizes.items()]
    growth.add(snapshot(*usages, began=BEGAN + timedelta(seconds=seconds)))


def test_one_look_tells_nothing() -> None:
    growth = Growth()
    looked(growth, 0, web=MIB)
    assert growth.bytes_per_minute("web") is None


def test_since_the_first_look_then_over_a_minute() -> None:
    growth = Growth(60)
    looked(growth, 0, web=MIB)
    looked(growth, 10, web=2 * MIB)
    assert growth.bytes_per_minute("web") == 6 * MIB
    looked(growth, 60, web=4 * MIB)
    assert growth.bytes_per_minute("web") == 3 * MIB
    looked(growth, 120, web=4 * MIB)
    assert growth.bytes_per_minute("web") == 0
    looked(growth, 140, web=2 * MIB)
    assert growth.bytes_per_minute("web") == -2 * MIB * 60 / 80


def test_a_zone_that_came_later_or_is_gone() -> None:
    growth = Growth()
    looked(growth, 0, web=MIB)
    looked(growth, 30, web=MIB, db=MIB)
    assert growth.bytes_per_minute("db") is None
    looked(growth, 60, db=2 * MIB)
    assert growth.bytes_per_minute("db") == 2 * MIB
    assert growth.bytes_per_minute("web") is None
    assert growth.bytes_per_minute("never") is None


def test_long_gaps_between_looks_are_told_too() -> None:
    growth = Growth(60)
    looked(growth, 0, web=0)
    looked(growth, 600, web=10 * MIB)
    assert growth.bytes_per_minute("web") == MIB


def test_what_is_steady() -> None:
    assert is_steady(-255 * KIB, MIB)
    assert not is_steady(-257 * KIB, MIB)
    assert is_steady(9 * MIB, 1000 * MIB)
    assert not is_steady(11 * MIB, 1000 * MIB)
