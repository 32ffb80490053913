"""One walk for many threads: a running one is shared, a fresh one is used again.

The rule of getvmusage(), with one difference: there an answer counts as fresh from the moment that its calculation
ended, so it could be older than was asked for by as long as the calculation took. Here its age counts from the
start of the walk: a caller who asks for at most max_age never gets a frame that was seen earlier than that.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Any, Generic, TypeVar

from zonerss.errors import UsageError
from zonerss.plain import dataclass

T = TypeVar("T")


@dataclass(slots=True)
class _Run(Generic[T]):
    began: float
    done: bool = False
    result: T | None = None
    error: BaseException | None = None


class Flight(Generic[T]):
    """At most one call of a function at a time, whose result all callers share that it is fresh enough for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """:param clock: seconds, never going back"""
        self._clock = clock
        self._changed = threading.Condition()
        self._running: _Run[T] | None = None
        self._latest: _Run[T] | None = None
        self._oldest_wanted = 0.0
        """The greatest max_age that was asked for."""

    @property
    def idle(self) -> bool:
        """Whether no call is under way."""
        return self._running is None

    def get(self, call: Callable[[], T], max_age: float) -> T:
        """
        What call() says, said by a call that began at most max_age seconds ago, or begins now.

        A caller for whom the running call began too early waits until it has ended, and then begins the next one or
        shares it. A call that fails fails for all who share it; the next caller tries anew.

        :raises Exception: what call() raises
        """
        oldest = self._clock() - max_age
        with self._changed:
            self._oldest_wanted = max(self._oldest_wanted, max_age)
            while True:
                if self._latest and self._latest.began >= oldest:
                    return self._latest.result  # type: ignore[return-value]
                run = self._running
                if run is None:
                    break
                while not run.done:
                    self._changed.wait()
                if run.began >= oldest and run.error is None:
                    return run.result  # type: ignore[return-value]
                # What ended the leader's thread (Ctrl-C) was not meant for us: then we try ourselves.
                if run.began >= oldest and isinstance(run.error, Exception):
                    raise run.error
            run = self._running = _Run(self._clock())
        return self._lead(run, call)

    def forget_old(self) -> None:
        """Let go of a result that is older than whoever has asked here wants."""
        with self._changed:
            if self._latest and self._latest.began < self._clock() - self._oldest_wanted:
                self._latest = None

    def _lead(self, run: _Run[T], call: Callable[[], T]) -> T:
        try:
            result = run.result = call()
        except BaseException as err:
            run.error = err
            raise
        finally:
            with self._changed:
                run.done = True
                self._running = None
                if run.error is None:
                    self._latest = run
                self._changed.notify_all()
        return result


class Flights(Generic[T]):
    """A :class:`Flight` for each way of asking; the ways asked for longest ago are forgotten."""

    def __init__(self, keep: int = 8) -> None:
        """:param keep: how many ways to remember the latest result of"""
        self._keep = keep
        self._lock = threading.Lock()
        self._flights: OrderedDict[Hashable, Flight[T]] = OrderedDict()

    def get(self, key: Hashable, call: Callable[[], T], max_age: float) -> T:
        """
        As :meth:`Flight.get`, among those who ask with an equal key.

        :raises UsageError: max_age is no number of seconds from 0 on
        """
        if not max_age >= 0:
            raise UsageError(f"an age is a number of seconds from 0 on, not {max_age!r}")
        with self._lock:
            flight = self._flights.setdefault(key, Flight())
            self._flights.move_to_end(key)
            idle = [old for old, other in self._flights.items() if other is not flight and other.idle]
            for old in idle[: max(len(self._flights) - self._keep, 0)]:
                del self._flights[old]
            others = [other for other in self._flights.values() if other is not flight]
        for other in others:
            other.forget_old()
        return flight.get(call, max_age)


SNAPSHOTS: Flights[Any] = Flights()
"""Those of :func:`zonerss.take_snapshot` with a max_age, by how they were asked for."""
