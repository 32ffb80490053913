"""What a command used, from the looks at it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import BEGAN, KIB, snapshot, usage
from tests.unit.documents import NAMES, holdings, parts

from zonerss.answers.run import FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS, MOST_POINTS, Looks, pause_seconds
from zonerss.answers.trend import LEAST_POINTS
from zonerss.census.usage import Member
from zonerss.plain import replace
from zonerss.records import Gap, Task, Zone
from zonerss.records.files import Holdings
from zonerss.snapshot import Snapshot


def none() -> tuple[Holdings | None, tuple[Gap, ...]]:
    return None, ()


def of(kib: int, zone: str = "web", **fields: object) -> Snapshot:
    """A look that sees so much anonymous memory of a zone."""
    return snapshot(usage(zone, anon_bytes=kib * KIB, file_bytes=0, shmem_bytes=0), usage("db"), **fields)


def seen(kib: Sequence[int], seconds: float = 1.0) -> Looks:
    looks = Looks("web")
    for number, size in enumerate(kib):
        looks.add(number * seconds, of(size), none)
    return looks


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=300))
def test_the_peak_is_the_greatest_that_was_seen_and_the_first_of_its_size(kib: list[int]) -> None:
    looks = seen(kib)
    assert looks.count == len(kib)
    assert looks.peak is not None
    assert looks.peak.usage.rss_bytes == max(kib) * KIB
    assert looks.peak.seconds == kib.index(max(kib))
    assert looks.first is not None
    assert looks.last is not None
    assert (looks.first.usage.rss_bytes, looks.last.usage.rss_bytes) == (kib[0] * KIB, kib[-1] * KIB)


def test_a_look_that_does_not_see_it_is_counted_and_changes_nothing() -> None:
    looks = seen([7])
    assert not looks.add(9, of(8, "other"), none)
    assert (looks.count, looks.missed) == (1, 1)
    assert looks.last is looks.first is looks.peak


def test_no_look_saw_it() -> None:
    looks = Looks("web")
    looks.add(0, of(8, "other"), none)
    assert (looks.count, looks.missed, looks.peak, looks.files_seen, looks.source) == (0, 1, None, None, None)
    assert looks.bytes_per_minute() is None


@pytest.mark.parametrize(
    ("kib", "pace"),
    [
        ([5], None),
        ([5, 6, 7, 8, 9, 10, 11], None),
        ([5] * 9, 0.0),
        ([100 + 100 * n for n in range(20)], 6000.0 * KIB),
        ([5000 - 100 * n for n in range(20)], -6000.0 * KIB),
        ([5, 9, 5, 9, 5, 9, 5, 9, 5], 0.0),
    ],
)
def test_growth_over_the_whole_run(kib: list[int], pace: float | None) -> None:
    assert seen(kib).bytes_per_minute() == (pace if pace is None else pytest.approx(pace))


@given(st.integers(1, 3000))
def test_growth_of_a_long_run_needs_few_points_of_all_of_it(count: int) -> None:
    looks = Looks("web")
    for number in range(count):
        looks.add(number, of(1000 + 256 * number), none)
    points = looks._points
    assert len(points) <= MOST_POINTS
    assert points[0].seconds == 0
    assert points[-1].seconds >= (count - 1) * (1 - 2 / MOST_POINTS) - 1
    gaps = {late.seconds - early.seconds for early, late in pairwise(points)}
    assert len(gaps) <= 1
    if count >= LEAST_POINTS:
        assert looks.bytes_per_minute() == pytest.approx(60 * 256 * KIB)


def test_files_and_sharers_are_those_of_the_peak() -> None:
    asked = []

    def look_up() -> tuple[Holdings, tuple[Gap, ...]]:
        asked.append(len(asked))
        return holdings(), ()

    members = tuple(
        Member(Task(pid, 1, 0, 0, name, f"/{name}", 1, pid), pid, (Zone(name),), owner, 1)
        for pid, (owner, name) in enumerate(NAMES.items(), start=10)
    )
    looks = Looks("web")
    for number, kib in enumerate((100, 50, 103, 106, 90)):
        looks.add(number, of(kib, parts=parts(), members=members), look_up)
    assert len(asked) == 2  # at 100 and 106: 103 is nearly what 100 was
    assert looks.files_seen is looks.peak
    assert looks.peak is not None
    assert looks.peak.seconds == 3
    assert looks.files
    assert all("web" in dict(file.mapped_by) for file in looks.files)
    assert {zone for zone, _ in looks.shared_with} == set(NAMES.values()) - {"web"}


def test_files_that_cannot_be_known_are_not_said_to_be_none() -> None:
    looks = seen([5, 6])
    assert looks.files == []
    assert looks.files_seen is None


@given(st.floats(0, 1e6), st.floats(0, 100))
def test_looks_are_as_far_apart_as_a_20th_of_the_run(ran: float, took: float) -> None:
    pause = pause_seconds(ran, took)
    assert pause >= max(FIRST_PAUSE_SECONDS, took)
    assert pause <= max(LONGEST_PAUSE_SECONDS, took)
    assert pause == pytest.approx(max(ran / 20, FIRST_PAUSE_SECONDS, took)) or pause == max(5.0, took)


def test_a_moment_of_each_look_is_kept() -> None:
    looks = Looks("web")
    later = BEGAN + timedelta(seconds=3)
    looks.add(3.0, replace(of(7), began=later), none)
    assert looks.peak is not None
    assert (looks.peak.seconds, looks.peak.moment) == (3.0, later)
