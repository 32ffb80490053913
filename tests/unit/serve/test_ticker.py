"""The pace of walks, and the thread that makes them."""

from __future__ import annotations

import threading
import time

from hypothesis import given
from hypothesis import strategies as st

from zonerss.serve.ticker import Pace, Ticker


def test_a_walk_is_paid_for_by_the_pause_behind_it() -> None:
    pace = Pace(30.0, 0.01)
    assert pace.stretched_seconds == 30.0
    assert pace.spend(0.6) == 0.6
    assert pace.stretched_seconds == 60.0
    pace.spend(0.2)
    assert pace.stretched_seconds == 30.0


def test_what_was_spent_besides_counts_once() -> None:
    pace = Pace(1.0, 0.5)
    pace.spend_besides(1.5)
    pace.spend_besides(0.5)
    assert pace.spend(1.0) == 3.0
    assert pace.stretched_seconds == 6.0
    assert pace.spend(1.0) == 1.0
    assert pace.stretched_seconds == 2.0


def test_what_was_spent_apart_is_told_and_not_waited_for() -> None:
    pace = Pace(1.0, 0.5)
    pace.spend_apart(9.0)
    assert pace.spend(1.0) == 10.0
    assert pace.stretched_seconds == 2.0
    assert pace.spend(1.0) == 1.0


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.001, 4))
def test_processor_time_stays_within_the_share(costs: list[float], share: float) -> None:
    pace = Pace(0.1, share)
    took = 0.0
    for cost in costs:
        pace.spend(cost)
        took += pace.stretched_seconds
    assert sum(costs) <= took * share * (1 + 1e-9) or took >= 86_400


def test_the_thread_walks_until_it_is_told_to_end() -> None:
    walked, enough = [], threading.Event()

    def walk() -> None:
        walked.append(threading.current_thread().name)
        if len(walked) == 3:
            enough.set()

    ticker = Ticker((walk, Pace(0.001, 1.0)))
    assert not ticker.lives
    ticker.start()
    assert enough.wait(60)
    assert ticker.lives
    assert ticker.stop(60)
    assert not ticker.lives
    assert set(walked) == {"ticker"}
    assert ticker.error is None


def test_a_walk_that_takes_long_is_not_waited_for() -> None:
    walking, end = threading.Event(), threading.Event()

    def walk() -> None:
        walking.set()
        end.wait()

    ticker = Ticker((walk, Pace(0.001, 1.0)))
    ticker.start()
    assert walking.wait(60)
    assert not ticker.stop(0.01)
    end.set()
    assert ticker.stop(60)


def test_an_error_of_ours_ends_it_and_is_kept() -> None:
    ticker = Ticker((lambda: [][0], Pace(0.001, 1.0)))
    ticker.start()
    while ticker.lives:
        pass
    assert isinstance(ticker.error, IndexError)
    assert ticker.stop(60)


def test_one_that_was_never_started_ends_at_once() -> None:
    assert Ticker((lambda: None, Pace(1.0, 1.0))).stop(0)


def test_two_walks_have_a_pace_each() -> None:
    """The seldom one costs the frequent one nothing but its turn."""
    counts, enough = {"often": 0, "seldom": 0}, threading.Event()

    def often() -> None:
        counts["often"] += 1
        if counts["often"] == 5:
            enough.set()

    def seldom() -> None:
        counts["seldom"] += 1

    ticker = Ticker((seldom, Pace(3600, 1.0)), (often, Pace(0.001, 1.0)))
    ticker.start()
    assert enough.wait(60)
    assert ticker.stop(60)
    assert counts["seldom"] == 1


def test_a_walk_that_takes_its_whole_interval_leaves_the_other_its_turn() -> None:
    """Of those that are due, the one that was due first goes first, whatever their order."""
    order, enough = list[str](), threading.Event()

    def walk() -> None:
        order.append("walk")
        began = time.monotonic()
        while time.monotonic() <= began + slow.interval_seconds:
            pass

    def look() -> None:
        order.append("look")
        if order.count("look") == 3:
            enough.set()

    slow = Pace(0.01, 1.0)
    ticker = Ticker((walk, slow), (look, Pace(0.001, 1.0)))
    ticker.start()
    while not (enough.is_set() or order.count("walk") > 50):
        enough.wait(0.001)
    assert ticker.stop(60)
    assert order.count("look") >= 3
