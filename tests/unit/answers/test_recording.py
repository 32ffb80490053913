"""When rounds begin, that a clock was set, and what is told of a recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import BEGAN, MIB, snapshot, usage

from zonerss.answers.recording import ClockWatch, Pace, Recorded, Refusals
from zonerss.errors import StoreFull, StoreTooLarge
from zonerss.plain import replace
from zonerss.records import Cause, Gap

NOW = datetime(2026, 5, 31, 21, 0, tzinfo=UTC)


@given(st.sampled_from([0.1, 0.5, 1, 10, 300]), st.lists(st.floats(0, 50), min_size=1, max_size=50))
def test_rounds_begin_at_multiples_of_the_interval_and_none_is_queued(
    seconds: float, took: list[float]
) -> None:
    pace, now, skipped = Pace(seconds, 1000.0), 1000.0, 0
    for number, one in enumerate(took, start=1):
        now = max(pace.due, now) + one * seconds
        skipped += pace.done(now)
        assert pace.due == pytest.approx(1000 + seconds * (number + skipped))
        assert now < pace.due + 1e-6
        assert pace.due <= now + seconds + 1e-6


@pytest.mark.parametrize(("took", "skipped"), [(0, 0), (9.9, 0), (10, 1), (10.1, 1), (35, 3)])
def test_a_round_that_takes_too_long_skips_those_that_are_past(took: float, skipped: int) -> None:
    assert Pace(10, 0).done(took) == skipped


@pytest.mark.parametrize(
    ("passed", "shown", "jump"),
    [
        (10, 10, None),
        (10, 10.9, None),
        (10, 3610, 3600),
        (10, -50, -60),
        (86_400, 86_443, None),  # a clock that is being slewed
        (86_400, 86_500, 100),
        (7200, 7200, None),  # it was suspended meanwhile
    ],
)
def test_a_clock_that_was_set_is_noticed(passed: float, shown: float, jump: float | None) -> None:
    clock = ClockWatch()
    assert clock.look(NOW, 500.0) is None
    found = clock.look(NOW + timedelta(seconds=shown), 500.0 + passed)
    assert found == (None if jump is None else timedelta(seconds=jump))
    assert clock.look(NOW + timedelta(seconds=shown + 5), 505.0 + passed) is None


def recorded(**fields: object) -> Recorded:
    return replace(Recorded("/x.zrec", "vm", 10.0, BEGAN), **fields)


def test_how_fast_the_file_grows_is_told_by_all_snapshots_but_the_first() -> None:
    found = recorded()
    assert found.bytes_an_hour() is None
    found.note(snapshot(), 90_000)
    assert found.bytes_an_hour() is None
    for size in (1000, 2000, 3000):
        found.note(snapshot(), size)
    assert found.bytes_an_hour() == 2000 * 360
    assert found.added_bytes == 96_000


def test_snapshots_with_gaps_are_counted() -> None:
    found = recorded()
    found.note(snapshot(gaps=(Gap(1, "maps", Cause.REFUSED), Gap(2, "maps", Cause.EXITED))), 1)
    found.note(snapshot(), 1)
    assert (found.snapshots, found.with_gaps) == (2, 1)


def grown(*sizes: tuple[int, ...]) -> Recorded:
    """Looks at zones a, b, ... of so many MiB, a minute apart."""
    found = recorded()
    for number, row in enumerate(sizes):
        zones = [usage(name, anon_bytes=size * MIB) for name, size in zip("abc", row, strict=False)]
        found.seen(replace(snapshot(*zones), began=BEGAN + timedelta(minutes=number)))
    return found


def test_the_zone_that_grows_most_is_named() -> None:
    found = grown(*((100, 10 + n, 50 + 3 * n) for n in range(8))).grows_most()
    assert found is not None
    assert found[0].zone == "c"
    assert found[1] == pytest.approx(3 * MIB)


def test_where_none_surely_grows_it_is_the_largest() -> None:
    found = grown(*((10, 100 - n, 50) for n in range(8))).grows_most()
    assert found is not None
    assert (found[0].zone, found[1]) == ("b", 0.0)


def test_of_very_many_zones_few_slopes_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    found, asked = recorded(), []
    for number in range(8):
        zones = [
            usage(f"z{zone}", anon_bytes=(100 + (number * zone if zone < 300 else 0)) * MIB)
            for zone in range(400)
        ]
        found.seen(replace(snapshot(*zones), began=BEGAN + timedelta(minutes=number)))
    slope = found.growth.bytes_per_minute
    monkeypatch.setattr(found.growth, "bytes_per_minute", lambda zone: asked.append(zone) or slope(zone))
    most = found.grows_most()
    assert most is not None
    assert (most[0].zone, most[1]) == ("z299", pytest.approx(299 * MIB))
    assert len(asked) < 10


def test_without_zones_there_is_none() -> None:
    assert recorded().grows_most() is None


FULL, HELD = StoreFull("the disk is full"), StoreFull("somebody reads it")
LARGE, LARGER = StoreTooLarge("it takes 5 bytes"), StoreTooLarge("it takes 6 bytes")
ROOM, KEPT = "there is room again, and snapshots are kept", "snapshots are kept again"


@pytest.mark.parametrize(
    ("errors", "told", "over"),
    [
        ([], [], None),
        ([FULL, FULL], [True, False], ROOM),
        ([LARGE, LARGER, LARGE], [True, False, False], KEPT),
        ([FULL, HELD, HELD], [True, True, False], ROOM),
        ([LARGE, FULL], [True, True], ROOM),
        ([FULL, LARGE], [True, True], KEPT),
        ([ValueError("broken")], [True], KEPT),
    ],
)
def test_a_refusal_is_told_once_and_so_is_its_end(
    errors: list[Exception], told: list[bool], over: str | None
) -> None:
    refusals = Refusals()
    for _ in range(2):
        assert [refusals.refused(err) for err in errors] == told
        assert refusals.kept() == over
        assert refusals.kept() is None
