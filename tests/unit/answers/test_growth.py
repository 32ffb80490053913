"""Whether zones grow over the latest looks, and what is kept of zones that come and go."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.builders import BEGAN, KIB, MIB, snapshot, usage

from zonerss.answers.growth import LOOKS, Growth
from zonerss.answers.trend import LEAST_POINTS


def looked(growth: Growth, seconds: float, **sizes: int) -> None:
    usages = [usage(zone, anon_bytes=size, file_bytes=0, shmem_bytes=0) for zone, size in sizes.items()]
    growth.add(snapshot(*usages, began=BEGAN + timedelta(seconds=seconds)))


def lately(*sizes: int, every: float = 2.0) -> Growth:
    growth = Growth()
    for number, size in enumerate(sizes):
        looked(growth, number * every, web=size)
    return growth


# ---- zones over several looks ----


def test_growth_is_unknown_then_told() -> None:
    assert lately().bytes_per_minute("web") is None
    assert lately(*range(0, (LEAST_POINTS - 1) * MIB, MIB)).bytes_per_minute("web") is None
    assert lately(*range(0, LEAST_POINTS * MIB, MIB)).bytes_per_minute("web") == 30 * MIB
    assert lately(*range(LEAST_POINTS * MIB, 0, -MIB)).bytes_per_minute("web") == -30 * MIB


@pytest.mark.parametrize(
    "sizes",
    [
        (7,) * 10,
        (5, 4, 6, 5, 4, 6, 5, 4, 6),
        (79 * MIB, 264 * MIB) * 5,
        (100 * MIB,) * 8 + (150 * MIB,),
        (100 * MIB,) * 15 + (150 * MIB,) * 15,
        tuple((100 + 20 * (n % 10)) * MIB for n in range(30)),
        tuple(20 * KIB * n for n in range(LEAST_POINTS)),
    ],
    ids=["still", "jitter", "swing", "a step at the end", "a step", "a saw", "less than what is material"],
)
def test_what_is_no_growth(sizes: tuple[int, ...]) -> None:
    assert lately(*sizes).bytes_per_minute("web") == 0


def test_growth_is_over_what_is_kept_only() -> None:
    growth = lately(1000 * MIB, *(MIB + number * 64 * KIB for number in range(LOOKS)))
    assert growth.bytes_per_minute("web") == 30 * 64 * KIB
    assert growth.sizes("web", 2) == [MIB + (LOOKS - 2) * 64 * KIB, MIB + (LOOKS - 1) * 64 * KIB]


def test_a_zone_that_came_later_or_is_gone() -> None:
    growth = lately(1, 2, 3, 4, 5)
    looked(growth, 10, web=6, db=1)
    assert growth.bytes_per_minute("db") is None
    assert growth.churn("db") is None
    looked(growth, 12, db=2)
    assert growth.bytes_per_minute("web") is None
    assert growth.sizes("web", 9) == []
    assert growth.bytes_per_minute("never") is None


def test_a_clock_that_is_set_back_begins_anew() -> None:
    growth = lately(1, 2, 3, 4, 5)
    looked(growth, -3600, web=6)
    assert growth.bytes_per_minute("web") is None
    assert growth.churn("web") is None


def test_churn_of_a_steady_leak_is_steady() -> None:
    """It was what changed during the walk, a rate from a few milliseconds: 0K, 1598K, 2168K for 256K/s."""
    growth = Growth()
    for number in range(5):
        looked(growth, 2 * number, web=148 * MIB + number * 512 * KIB)
        assert growth.churn("web") == (256 * KIB if number else None)


def test_churn_is_up_and_down() -> None:
    assert lately(10, 30, 10).churn("web") == 10


def test_a_copy_is_not_added_to() -> None:
    growth = lately(1 * MIB, 2 * MIB, 3 * MIB, 4 * MIB)
    before = growth.copy()
    looked(growth, 100, web=5 * MIB)
    assert before.sizes("web", 9) == [1 * MIB, 2 * MIB, 3 * MIB, 4 * MIB]
    assert before.bytes_per_minute("web") is None
    assert growth.sizes("web", 9)[-1] == 5 * MIB
