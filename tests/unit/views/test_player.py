"""Where a recording is being played."""

from __future__ import annotations

from datetime import timedelta

import pytest
from tests.unit.builders import BEGAN

from zonerss.views.player import LEAST_SECONDS, LONGEST_SECONDS, SPEEDS, Player
from zonerss.views.text import cells


def player(at: int = 0, *seconds: float) -> Player:
    return Player([BEGAN + timedelta(seconds=second) for second in seconds or (0, 10, 20, 86_400)], at)


def test_it_stays_within_the_recording() -> None:
    played = player(1)
    played.step(-5)
    assert (played.at, played.time) == (0, BEGAN)
    played.step(9)
    assert played.at == 3
    assert played.is_at_end


def test_what_is_damaged_is_skipped_in_the_way_that_it_went() -> None:
    played = player(0, 0, 1, 2, 3, 4)
    played.step(1)
    assert (played.skip(), played.at) == (True, 2)
    assert (played.skip(), played.at) == (True, 3)
    played.step(-1)
    assert (played.skip(), played.at) == (True, 0)
    played.edge(-1)
    assert (played.skip(), played.at) == (True, 3)
    assert (played.skip(), played.at) == (True, 0)  # back, for there is none further on
    assert (played.skip(), played.at) == (False, 0)


def test_it_pauses_after_the_last_one_and_then_begins_anew() -> None:
    played = player(2)
    played.toggle()
    assert (played.at, played.is_playing) == (2, True)
    played.advance()
    assert (played.at, played.is_playing) == (3, False)
    played.toggle()
    assert (played.at, played.is_playing) == (0, True)
    played.advance()
    assert (played.at, played.is_playing) == (1, True)
    played.toggle()
    assert (played.at, played.is_playing) == (1, False)


def test_speed_is_to_time_as_it_was_within_bounds() -> None:
    played = player()
    played.speed = 4.0
    assert played.wait_seconds == 2.5
    played.change_speed(1)
    assert (played.speed, played.wait_seconds) == (8.0, 1.25)
    played.at = 2
    assert played.wait_seconds == LONGEST_SECONDS  # a night without snapshots
    played.change_speed(99)
    played.at = 0
    assert (played.speed, played.wait_seconds) == (SPEEDS[-1], LEAST_SECONDS)
    played.change_speed(-99)
    assert played.speed == SPEEDS[0]
    assert player(3).wait_seconds == LEAST_SECONDS


@pytest.mark.parametrize("width", [12, 30, 50, 80])
def test_its_line_fits(width: int) -> None:
    played = player(1)
    line = played.line("h" * 50, width)
    assert cells(line) <= width
    assert ("2 of 4" in line) == (width >= 50)
    if width >= 50:
        assert line.endswith("PAUSED  8x")
        played.toggle()
        assert played.line("", width).endswith("2 of 4  ▶ 8x")
