"""The pause behind a look: never shorter than was asked for, and long enough for its share, up to a day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.answers.paces import LONGEST_PAUSE_SECONDS, Allowance, stretched


def test_a_look_is_paid_for_by_the_pause_behind_it() -> None:
    assert stretched(30.0, 0.6, 0.01) == 60.0
    assert stretched(30.0, 0.2, 0.01) == 30.0
    assert stretched(30.0, 9.0, None) == 30.0
    assert stretched(1.0, 3600.0, 0.001) == LONGEST_PAUSE_SECONDS
    assert stretched(2 * LONGEST_PAUSE_SECONDS, 3600.0, 0.001) == 2 * LONGEST_PAUSE_SECONDS


@given(st.floats(0.1, 1e6), st.floats(0, 1e4), st.floats(0.001, 4))
def test_the_share_holds(interval: float, cost: float, share: float) -> None:
    found = stretched(interval, cost, share)
    assert found >= interval
    assert cost <= found * share * (1 + 1e-9) or found >= LONGEST_PAUSE_SECONDS


def test_an_allowance_comes_back_slowly() -> None:
    allowance = Allowance(30.0, 0.05, since=100.0)
    assert allowance.take(20.0, 100.0) == 20.0
    assert allowance.take(20.0, 100.0) == 10.0
    assert allowance.take(1.0, 100.0) == 0.0
    assert allowance.take(1.0, 110.0) == 0.5
    assert allowance.take(50.0, 1e6) == 30.0


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 100)), min_size=1))
def test_no_more_is_spent_of_it_than_comes_back(taken: list[tuple[float, float]]) -> None:
    allowance, now, within = Allowance(30.0, 0.05, since=0.0), 0.0, 0.0
    for seconds, passed in taken:
        now += passed
        within += allowance.take(seconds, now)
    assert within <= 30.0 + 0.05 * now + 1e-6
