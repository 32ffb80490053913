"""The robust slope: what moves it, what does not, and when it is sure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import KIB, MIB

from zonerss.answers.slopes import Point, Slope, slope_of


def line(*sizes: int, every: float = 2.0, off: int = 0) -> list[Point]:
    return [Point(number * every, size, off) for number, size in enumerate(sizes)]


def test_a_leak_is_its_slope_whatever_one_point_says() -> None:
    leak = [148 * MIB + number * 512 * KIB for number in range(15)]
    found = slope_of(line(*leak))
    assert found == Slope(256 * KIB, 256 * KIB, 256 * KIB)
    leak[7] = 900 * MIB
    odd = slope_of(line(*leak))
    assert odd is not None
    assert odd.least > 0
    assert odd.bytes_per_second == pytest.approx(256 * KIB, rel=0.01)


def test_what_shrinks_is_negative() -> None:
    found = slope_of(line(*range(100, 0, -10)))
    assert found is not None
    assert found.most < 0
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
    found = slope_of(line(*sizes))
    assert found is not None
    assert found.least <= 0 <= found.most


def test_without_time_there_is_no_slope() -> None:
    assert slope_of([]) is None
    assert slope_of([Point(1.0, size) for size in range(9)]) is None


def test_less_than_the_points_own_uncertainty_is_not_sure() -> None:
    rising = tuple(range(0, 1000, 100))
    sure, unsure = slope_of(line(*rising)), slope_of(line(*rising, off=500))
    assert sure is not None
    assert sure.least > 0
    assert unsure is not None
    assert unsure.least <= 0 <= unsure.most


@given(st.lists(st.integers(0, 1 << 40), min_size=2, max_size=12), st.integers(0, 1 << 30))
def test_the_slope_is_within_its_bounds_and_mirrors(sizes: list[int], off: int) -> None:
    found = slope_of(line(*sizes, off=off))
    fallen = slope_of(line(*(-size for size in sizes), off=off))
    assert found is not None
    assert fallen is not None
    assert found.least <= found.bytes_per_second <= found.most
    assert (fallen.least, fallen.most) == (-found.most, -found.least)
