"""One walk for many threads, with a clock and calls of our own."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from zonerss.errors import CannotServe, UsageError
from zonerss.flight import Flight, Flights


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Walk:
    """A call that lasts until it is let go, and tells how often it was made."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.calls = 0
        self.entered, self.may_end = threading.Semaphore(0), threading.Semaphore(0)
        self.error = error

    def __call__(self) -> int:
        self.calls += 1
        number = self.calls
        self.entered.release()
        assert self.may_end.acquire(timeout=60)
        if self.error:
            raise self.error
        return number


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Caller(threading.Thread):
    """Asks in a thread of its own, and keeps what it got."""

    def __init__(self, ask: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.ask = ask
        self.got: object = None
        self.start()

    def run(self) -> None:
        try:
            self.got = self.ask()
        except BaseException as err:
            self.got = err

    def answer(self) -> object:
        self.join(60)
        assert not self.is_alive()
        return self.got


def waiting(flight: Flight[int], count: int) -> None:
    """Until so many callers wait for the running call."""
    for _ in range(6000):
        if len(flight._changed._waiters) >= count:  # type: ignore[attr-defined]
            return
        threading.Event().wait(0.01)
    raise AssertionError("nobody waits")


def test_callers_share_the_call_that_runs(clock: Clock) -> None:
    flight, walk = Flight[int](clock), Walk()
    callers = [Caller(lambda: flight.get(walk, 5)) for _ in range(8)]
    assert walk.entered.acquire(timeout=60)
    waiting(flight, 7)
    walk.may_end.release()
    assert [caller.answer() for caller in callers] == [1] * 8


def test_a_fresh_answer_is_used_again_and_an_old_one_is_not(clock: Clock) -> None:
    flight, calls = Flight[int](clock), iter(range(9))
    assert flight.get(lambda: next(calls), 5) == 0
    clock.now += 5
    assert flight.get(lambda: next(calls), 5) == 0
    clock.now += 0.001
    assert flight.get(lambda: next(calls), 5) == 1


def test_age_counts_from_the_start_of_the_walk(clock: Clock) -> None:
    flight = Flight[int](clock)

    def slow() -> int:
        clock.now += 7
        return 1

    assert flight.get(slow, 5) == 1
    assert flight.get(lambda: 2, 5) == 2, "it has just ended, but it began 7 seconds ago"
    assert flight.get(lambda: 3, 5) == 2


def test_a_call_that_began_too_early_is_waited_for_but_not_used(clock: Clock) -> None:
    flight, walk = Flight[int](clock), Walk()
    first = Caller(lambda: flight.get(walk, 0))
    assert walk.entered.acquire(timeout=60)
    clock.now += 3
    late = [Caller(lambda: flight.get(walk, 2)) for _ in range(4)]
    patient = Caller(lambda: flight.get(walk, 3))
    waiting(flight, 5)
    walk.may_end.release()
    assert walk.entered.acquire(timeout=60), "one of the four calls again"
    walk.may_end.release()
    assert first.answer() == patient.answer() == 1
    assert [caller.answer() for caller in late] == [2] * 4
    assert walk.calls == 2


def test_a_failure_is_shared_and_not_kept(clock: Clock) -> None:
    flight, walk = Flight[int](clock), Walk(CannotServe("not root"))
    callers = [Caller(lambda: flight.get(walk, 5)) for _ in range(3)]
    assert walk.entered.acquire(timeout=60)
    waiting(flight, 2)
    walk.may_end.release()
    assert [str(caller.answer()) for caller in callers] == ["not root"] * 3
    assert flight.get(lambda: 9, 5) == 9


def test_an_interrupt_of_the_leader_is_not_the_others(clock: Clock) -> None:
    flight, walk = Flight[int](clock), Walk(KeyboardInterrupt())
    leader = Caller(lambda: flight.get(walk, 5))
    assert walk.entered.acquire(timeout=60)
    other = Caller(lambda: flight.get(lambda: 7, 5))
    waiting(flight, 1)
    walk.may_end.release()
    assert isinstance(leader.answer(), KeyboardInterrupt)
    assert other.answer() == 7


def test_ways_of_asking_are_apart_and_the_oldest_forgotten() -> None:
    flights = Flights[str](keep=2)
    for key in "abc":
        assert flights.get(key, lambda key=key: key, 60) == key  # type: ignore[misc]
    assert flights.get("c", lambda: "anew", 60) == "c"
    assert flights.get("b", lambda: "anew", 60) == "b"
    assert flights.get("a", lambda: "anew", 60) == "anew"


@pytest.mark.parametrize("age", [-1, float("nan"), -float("inf")])
def test_an_age_is_no_less_than_0(age: float) -> None:
    with pytest.raises(UsageError, match="from 0 on"):
        Flights[int]().get("a", lambda: 1, age)


def test_a_result_that_nobody_wants_any_more_is_let_go_of() -> None:
    flights: Flights[list[int]] = Flights()
    clock = Clock()
    for key in ("a", "b"):
        flights._flights[key] = Flight(clock)
    flights.get("a", lambda: [1], 5.0)
    clock.now += 4
    flights.get("b", lambda: [2], 5.0)
    assert flights.get("a", lambda: [3], 5.0) == [1]
    clock.now += 2
    flights.get("b", lambda: [4], 5.0)
    assert flights._flights["a"]._latest is None
    assert flights._flights["b"]._latest is not None
