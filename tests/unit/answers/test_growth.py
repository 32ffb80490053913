"""The robust slope: what moves it, what does not, when it is sure; and what is kept of zones that come and go."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import BEGAN, KIB, MIB, snapshot, usage

from zonerss.answers.growth import LEAST_POINTS, LOOKS, Growth, Point, Slope, slope


def line(*sizes: int, every: float = 2.0, off: int = 0) -> list[Point]:
    return [Point(number * every, size, off) for number, size in enumerate(sizes)]


def looked(growth: Growth, seconds: float, **sizes: int) -> None:
    usages = [usage(zone, anon_bytes=size, file_bytes=0, shmem_bytes=0) for zone, size in sizes.items()]
    growth.add(snapshot(*usages, began=BEGAN + timedelta(seconds=seconds)))


def lately(*sizes: int, every: float = 2.0) -> Growth:
    growth = Growth()
    for number, size in enumerate(sizes):
        looked(growth, number * every, web=size)
    return growth


# ---- the slope ----


def test_a_leak_is_its_slope_whatever_one_point_says() -> None:
    leak = [148 * MIB + number * 512 * KIB for number in range(15)]
    found = slope(line(*leak))
    assert found == Slope(256 * KIB, 256 * KIB, 256 * KIB)
    leak[7] = 900 * MIB
    odd = slope(line(*leak))
    assert odd is not None
    assert odd.is_sure
    assert odd.bytes_per_second == pytest.approx(256 * KIB, rel=0.01)


def test_what_shrinks_is_negative() -> None:
    found = slope(line(50, 40, 30, 20, 10))
    assert found is not None
    assert found.is_sure
    assert found.bytes_per_second == -5


@pytest.mark.parametrize(
    "sizes",
    [
        (7,) * 10,
        (79, 264, 79, 264, 79, 264, 79, 264, 79, 264),
        (100, 100, 100, 100, 100, 150),
        (100,) * 15 + (150,) * 15,
        (5, 4, 6, 5, 4, 6, 5),
    ],
    ids=["still", "swing", "a step at the end", "a step", "jitter"],
)
def test_what_is_no_growth_is_not_sure(sizes: tuple[int, ...]) -> None:
    found = slope(line(*sizes))
    assert found is not None
    assert not found.is_sure


def test_too_few_points_or_no_time_is_unknown() -> None:
    assert slope(line(*range(LEAST_POINTS - 1))) is None
    assert slope([Point(1.0, size) for size in range(9)]) is None
    assert slope(line(*range(LEAST_POINTS))) is not None


def test_less_than_the_points_own_uncertainty_is_not_sure() -> None:
    rising = tuple(range(0, 1000, 100))
    sure, unsure = slope(line(*rising)), slope(line(*rising, off=500))
    assert sure is not None
    assert sure.is_sure
    assert unsure is not None
    assert not unsure.is_sure


@given(st.lists(st.integers(0, 1 << 40), min_size=LEAST_POINTS, max_size=12), st.integers(0, 1 << 30))
def test_the_slope_is_within_its_bounds_and_mirrors(sizes: list[int], off: int) -> None:
    found = slope(line(*sizes, off=off))
    fallen = slope(line(*(-size for size in sizes), off=off))
    assert found is not None
    assert fallen is not None
    assert found.least <= found.bytes_per_second <= found.most
    assert (fallen.least, fallen.most) == (-found.most, -found.least)


# ---- zones over several looks ----


def test_growth_is_unknown_then_told() -> None:
    assert lately().bytes_per_minute("web") is None
    assert lately(1, 2, 3).bytes_per_minute("web") is None
    assert lately(0, MIB, 2 * MIB, 3 * MIB).bytes_per_minute("web") == 30 * MIB
    assert lately(3, 2, 1, 0).bytes_per_minute("web") == -30
    assert lately(5, 4, 6, 5, 4, 6, 5).bytes_per_minute("web") == 0


def test_growth_is_over_what_is_kept_only() -> None:
    growth = lately(1000 * MIB, *(MIB + number * KIB for number in range(LOOKS)))
    assert growth.slope("web") == Slope(KIB / 2, KIB / 2, KIB / 2)
    assert growth.sizes("web", 2) == [MIB + (LOOKS - 2) * KIB, MIB + (LOOKS - 1) * KIB]


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
    assert before.slope("web") == lately(1 * MIB, 2 * MIB, 3 * MIB, 4 * MIB).slope("web")
    assert growth.sizes("web", 9)[-1] == 5 * MIB
