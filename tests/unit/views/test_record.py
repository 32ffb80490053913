"""What is said of a recording."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tests.unit.builders import BEGAN, MIB, snapshot, usage
from tests.unit.documents import nothing_recorded, recorded

from zonerss.answers.recording import Recorded
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.views.record import closing_lines, event_line, first_line, interval_text, jump_text, live_line


def of(seconds: float, *sizes: int, interval: float = 10.0) -> Recorded:
    """A recording whose zones a and b were of so many MiB in its looks."""
    found = Recorded("/x.zrec", "vm", interval, BEGAN)
    for number, size in enumerate(sizes):
        zones = (usage("a", anon_bytes=size * MIB, file_bytes=0, shmem_bytes=0), usage("b"))
        began = BEGAN + timedelta(seconds=10 * number)
        found.note(
            snapshot(*zones, began=began, gaps=(Gap(1, "maps", Cause.REFUSED),)), 10_000 if number else 90_000
        )
    found.wall_seconds = seconds
    return found


def test_the_first_line_has_the_rate_once_it_is_known() -> None:
    assert first_line(of(0, 5)) == (
        "recording 2 zones every 10 s into /x.zrec; Ctrl-C ends it, the file stays whole"
    )
    assert "every 10 s into /x.zrec (about 3.4M an hour); Ctrl-C" in first_line(of(10, 5, 5))


def test_the_live_line() -> None:
    assert live_line(of(730, *range(100, 108))) == "12 m 10 s   8 snapshots   1 gap   a 107M (+6.0M/min)"
    assert live_line(of(3.4, 7)) == "3 s   1 snapshot   1 gap   a 7.0M"
    assert live_line(replace(of(3, 7), not_kept=2, skipped=1)) == (
        "3 s   1 snapshot   2 not kept   1 skipped   1 gap   a 7.0M"
    )


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.1, "0.1 s"), (10, "10 s"), (60, "1 m"), (90, "90 s"), (3600, "60 m")]
)
def test_how_often(seconds: float, text: str) -> None:
    assert interval_text(seconds) == text


def test_an_event_has_the_local_time_and_one_line() -> None:
    now = datetime(2026, 5, 31, 21, 0, tzinfo=UTC)
    assert event_line(now, "full\x1b\n") == f"{now.astimezone():%H:%M:%S} full\\x1b\\x0a"


def test_a_clock_that_was_set() -> None:
    assert jump_text(timedelta(hours=1)) == "the clock was set forward by 1 h 0 m"
    assert jump_text(timedelta(seconds=-2.5)) == "the clock was set back by 2.5 s"


def test_what_is_said_in_the_end() -> None:
    lines = closing_lines(recorded())
    assert lines[0].startswith("kept 4 snapshots of 1 m 13 s in /var/lib/zonerss/")
    assert lines[0].endswith(".zrec: 3376 bytes each, 48K in all")
    assert lines[1] == "cost 0.125 processor seconds a snapshot, 1.0% of a processor"
    assert lines[2:] == [
        "2 snapshots not kept: there was no room",
        "1 round skipped: the one before was not done in time",
        "1 round without a snapshot: it could not be taken",
        "3 rounds without any of the zones that were asked for",
        "4 snapshots with gaps: some process could not be read",
        "the clock was set 1 time",
    ]
    assert closing_lines(nothing_recorded()) == ["no snapshot was kept in /x.zrec"]
