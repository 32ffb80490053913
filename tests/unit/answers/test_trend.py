"""Courses of sizes: what is told of them by hand, by laws, and by simulation."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.answers.slopes import Point
from zonerss.answers.trend import LEAST_POINTS, MOST_POINTS, Shape, evenly, holes, thinned, trend_of

KIB = 1 << 10
MIB = 1 << 20
RUNS = 50
Course = Callable[[int], float]


def points(sizes: Sequence[float], doubt: int = 0) -> list[Point]:
    return [Point(float(n), max(int(size), 0) // 4096 * 4096, doubt) for n, size in enumerate(sizes)]


def shapes(course: Callable[[random.Random], Course], count: int = 60) -> dict[Shape | None, int]:
    """What is told of so many runs of a course."""
    found: Counter[Shape | None] = Counter()
    for seed in range(RUNS):
        size = course(random.Random(seed))
        trend = trend_of(points([size(n) for n in range(count)]))
        assert trend
        found[trend.shape] += 1
    return dict(found)


def leak(rng: random.Random) -> Course:
    base, noise = rng.uniform(5, 100) * MIB, rng.uniform(0, 300) * KIB
    return lambda n: base + n * 64 * KIB + rng.gauss(0, noise)


def stairs(rng: random.Random) -> Course:
    base, width = rng.uniform(5, 100) * MIB, rng.randint(3, 10)
    return lambda n: base + n // width * MIB


def leak_below_teeth(rng: random.Random) -> Course:
    period = rng.randint(4, 12)
    return lambda n: 50 * MIB + 10 * MIB * (n % period) / period + n * MIB / 2


def leak_after_start(rng: random.Random) -> Course:
    return lambda n: 200 * MIB if n < 3 else 100 * MIB + n * 300 * KIB


def saw(rng: random.Random) -> Course:
    base, period, height = rng.uniform(5, 50) * MIB, rng.randint(5, 24), rng.uniform(2, 20) * MIB
    phase = rng.randint(0, period)
    return lambda n: base + height * ((n + phase) % period) / period + rng.gauss(0, height * 0.01)


def noise(rng: random.Random) -> Course:
    base = rng.uniform(5, 500) * MIB
    spread = rng.uniform(0, 0.1) * base
    return lambda n: base + rng.gauss(0, spread)


def drifting_noise(rng: random.Random) -> Course:
    """Each point is near the one before it, and all about one level."""
    base, state = rng.uniform(5, 500) * MIB, [0.0]
    spread, memory = rng.uniform(0, 0.05) * base, rng.uniform(0.3, 0.9)

    def size(n: int) -> float:
        state[0] = memory * state[0] + rng.gauss(0, spread)
        return base + state[0]

    return size


def warming(rng: random.Random) -> Course:
    slowness = rng.uniform(2, 8)
    return lambda n: 50 * MIB - 30 * MIB * math.exp(-n / slowness) + rng.gauss(0, 50 * KIB)


def step(rng: random.Random) -> Course:
    when = rng.randint(2, 57)
    return lambda n: 50 * MIB + (10 * MIB if n >= when else 0) + rng.gauss(0, 20 * KIB)


def hump(rng: random.Random) -> Course:
    begin = rng.randint(2, 30)
    end = begin + rng.randint(3, 20)
    return lambda n: 50 * MIB + (30 * MIB if begin <= n < end else 0)


def leak_below_noise(rng: random.Random) -> Course:
    """Before it has risen by much, it goes up and down by a good part of that."""
    return lambda n: 50 * MIB + 20 * MIB * n / 59 + rng.gauss(0, 2000 * KIB)


@pytest.mark.parametrize("course", [leak, stairs, leak_below_teeth, leak_after_start, leak_below_noise])
def test_what_grows_is_found_every_time(course: Callable[[random.Random], Course]):
    assert shapes(course) == {Shape.GROWS: RUNS}


@pytest.mark.parametrize("seed", [8, 9, 17, 30])
def test_noise_before_the_first_rise_is_no_fall(seed: int):
    """In these the least of all is far behind the first point, and a fall so late would begin another course."""
    rng = random.Random(seed)
    trend = trend_of(
        points([50 * MIB + 20 * MIB * (n / 59) ** 2 + rng.gauss(0, 2000 * KIB) for n in range(60)])
    )
    assert trend
    assert trend.shape is Shape.GROWS


def test_teeth_are_found_every_time():
    assert shapes(saw) == {Shape.SAW_TOOTH: RUNS}


@pytest.mark.parametrize("course", [noise, drifting_noise])
def test_noise_never_grows(course: Callable[[random.Random], Course]):
    assert Shape.GROWS not in shapes(course)


@pytest.mark.parametrize("course", [warming, step, hump])
def test_what_rose_and_stays_is_steady(course: Callable[[random.Random], Course]):
    assert shapes(course) == {Shape.STEADY: RUNS}


def test_the_slope_is_that_of_the_leak_and_within_its_bounds():
    for seed in range(RUNS):
        size = leak(random.Random(seed))
        trend = trend_of(points([size(n) for n in range(60)]))
        assert trend
        assert trend.slope
        assert trend.slope.least <= 64 * KIB <= trend.slope.most
        assert trend.slope.bytes_per_second == pytest.approx(64 * KIB, rel=0.2)


def test_a_saw_has_its_period_and_its_height():
    trend = trend_of(points([20 * MIB + 5 * MIB * (n % 10) / 10 for n in range(60)]))
    assert trend
    assert (trend.shape, trend.period_seconds) == (Shape.SAW_TOOTH, 10.0)
    assert trend.amplitude_bytes == pytest.approx(4.5 * MIB, rel=0.01)


def test_one_fall_has_no_period():
    trend = trend_of(points([20 * MIB + MIB * (n % 24) for n in range(40)]))
    assert trend
    assert (trend.shape, trend.period_seconds) == (Shape.SAW_TOOTH, None)


def test_growth_since_a_fall_says_since_when():
    trend = trend_of(points([leak_after_start(random.Random(0))(n) for n in range(60)]))
    assert trend
    assert (trend.shape, trend.since_seconds) == (Shape.GROWS, 3.0)


def test_too_few_points_tell_nothing():
    for count in range(1, LEAST_POINTS):
        trend = trend_of(points([n * MIB for n in range(count)]))
        assert trend
        assert trend.shape is None
        assert trend.why == f"{count} snapshots are too few to tell"
    assert trend_of([]) is None
    assert trend_of([Point(1.0, n) for n in range(20)]).shape is None  # type: ignore[union-attr]


def test_less_than_can_be_doubted_is_no_change():
    sizes = [50 * MIB + n * 64 * KIB for n in range(60)]
    assert trend_of(points(sizes), doubt_bytes=5 * MIB).shape is Shape.STEADY  # type: ignore[union-attr]
    assert trend_of(points(sizes, doubt=3 * MIB)).shape is Shape.STEADY  # type: ignore[union-attr]


def told_at(seconds: Sequence[float], size: Course) -> Shape | None:
    trend = trend_of([Point(when, int(size(when)) // 4096 * 4096) for when in seconds])
    assert trend
    return trend.shape


def with_burst(begin: float) -> list[float]:
    """Ten minutes, a look every 10 s, and of one minute one every half second."""
    return sorted({*(float(n) for n in range(0, 600, 10)), *(begin + n / 2 for n in range(120))})


@pytest.mark.parametrize("begin", [30.0, 280.0, 530.0])
def test_many_looks_of_one_minute_do_not_hide_a_leak(begin: float):
    """The leak pauses for that minute."""
    assert (
        told_at(with_burst(begin), lambda when: 50 * MIB + 64 * KIB * (when - min(max(when - begin, 0), 60)))
        is Shape.GROWS
    )


def test_what_rose_while_looks_were_close_together_and_stays_is_steady():
    """A command is looked at often in the beginning, and seldom later."""
    seconds = [0.1 * 1.15**n for n in range(60)]
    assert told_at(seconds, lambda when: 20 * MIB + 30 * MIB * min(when / 60, 1)) is Shape.STEADY
    assert told_at(seconds, lambda when: 20 * MIB + 100 * KIB * when) is Shape.GROWS


def test_growth_from_before_a_gap_to_after_it_is_not_sure():
    seconds = [*(float(n) for n in range(30)), *(float(n) for n in range(1000, 1030))]
    assert told_at(seconds, lambda when: 20 * MIB + 100 * KIB * when) is None


def test_looks_of_one_moment_are_too_few():
    trend = trend_of([Point(n / 1000, n * MIB) for n in range(20)] + [Point(60.0, 20 * MIB)])
    assert trend
    assert (trend.shape, trend.why) == (None, "21 snapshots so close together are too few to tell")


sizes = st.lists(st.integers(0, 1 << 34), min_size=1, max_size=300)


@given(sizes)
@settings(deadline=None)
def test_first_last_and_peak_are_those_of_all_points(found: list[int]):
    trend = trend_of([Point(float(n), size) for n, size in enumerate(found)])
    assert trend
    assert (trend.first.size_bytes, trend.last.size_bytes) == (found[0], found[-1])
    assert trend.peak.size_bytes == max(found)
    assert trend.count == len(found)
    if trend.slope:
        assert trend.slope.least <= trend.slope.bytes_per_second <= trend.slope.most


@given(sizes)
@settings(deadline=None)
def test_what_only_falls_never_grows(found: list[int]):
    trend = trend_of([Point(float(n), size) for n, size in enumerate(sorted(found, reverse=True))])
    assert trend
    assert trend.shape in (None, Shape.STEADY)


@given(sizes, st.integers(1, 1 << 30))
@settings(deadline=None, max_examples=50)
def test_a_level_below_it_all_changes_little(found: list[int], level: int):
    """The slope is that of the changes alone."""
    first = trend_of([Point(float(n), size) for n, size in enumerate(found)])
    other = trend_of([Point(float(n), size + level) for n, size in enumerate(found)])
    assert first
    assert other
    if first.slope:
        assert other.slope
        assert other.slope.bytes_per_second == pytest.approx(first.slope.bytes_per_second, rel=1e-6, abs=1e-3)


@given(st.integers(2, 2000))
def test_thinning_keeps_both_ends_and_the_order(count: int):
    found = thinned([Point(float(n), n) for n in range(count)])
    assert (found[0].size_bytes, found[-1].size_bytes) == (0, count - 1)
    assert len(found) == min(count, MOST_POINTS)
    assert [point.size_bytes for point in found] == sorted({point.size_bytes for point in found})


@given(st.lists(st.floats(-1e6, 1e9), max_size=300), st.integers(2, 40))
def test_chosen_times_are_even_whatever_they_are(seconds: list[float], most: int):
    chosen = evenly(seconds, most)
    assert chosen == sorted(set(chosen))
    assert len(chosen) <= most
    assert (chosen[:1], chosen[-1:]) == ([0], [len(seconds) - 1]) if seconds else chosen == []


def test_after_a_gap_times_are_as_far_apart_as_before():
    seconds = [*range(100), *range(10_000, 10_100)]
    assert [seconds[n] for n in evenly(seconds, 102)] == [0, 75, 10_000, 10_099]


# ---- where snapshots are missing ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (range(0, 600, 10), []),
        ([*range(0, 300, 10), *range(400, 600, 10)], [29]),
        ([*range(0, 300, 10), *range(310, 600, 10)], []),  # one is missing, which is no more than a delay
        ([*range(0, 60, 10), *range(36_000, 36_060, 10)], [5]),  # most of the time has none
        (sorted([*range(0, 3600, 60), *range(1800, 1860, 2)]), []),  # a black box kept many of one minute
        ([0, 10, 500], []),
        ([], []),
        ([3, 3, 3, 3, 3], []),
    ],
)
def test_holes_are_where_snapshots_are_missing(seconds: Sequence[float], expected: list[int]) -> None:
    assert holes(list(seconds)) == expected


@given(
    st.lists(st.floats(0, 0.2), min_size=5, max_size=60), st.integers(1, 3600), st.integers(1, 40), st.data()
)
def test_a_hole_is_found_whatever_the_distance(
    late: list[float], step: int, count: int, chosen: st.DataObject
) -> None:
    at = chosen.draw(st.integers(0, len(late) - 2))
    seconds = [step * (n + late[n]) + (step * (count + 3) if n > at else 0) for n in range(len(late))]
    assert holes(seconds) == [at]
