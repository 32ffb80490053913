"""Walks at their intervals, in a thread of its own, as seldom as the limit on processor time asks for.

A walk is paid for by the pause behind it: after one that took 0.6 s of processor time, with 1 % of a processor
allowed, the next begins 60 s after it began, though every 30 s was asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from zonerss.answers.paces import stretched

LONGEST_WALK_SECONDS = 600.0
"""A walk that takes longer hangs: then the watchdog is not fed any more."""


class Pace:
    """How long it is from the beginning of one walk to that of the next."""

    def __init__(self, interval_seconds: float, share: float) -> None:
        """
        :param interval_seconds: what was asked for
        :param share: how much of one processor's time may be spent, 0.01 for 1 %
        """
        self.interval_seconds, self.share = interval_seconds, share
        self.stretched_seconds = interval_seconds
        """What it is, by what the latest walk cost."""
        self._lock = threading.Lock()
        self._besides = self._apart = 0.0

    def spend_besides(self, processor_seconds: float) -> None:
        """So much was spent on something else than a walk; it counts with the next one."""
        with self._lock:
            self._besides += processor_seconds

    def spend_apart(self, processor_seconds: float) -> None:
        """So much was spent on what no walk is to wait for; it is told with the cost of the next one."""
        with self._lock:
            self._apart += processor_seconds

    def spend(self, processor_seconds: float) -> float:
        """
        A walk cost so much.

        :return: the same with what was spent besides and apart
        """
        with self._lock:
            cost, apart = processor_seconds + self._besides, self._apart
            self._besides = self._apart = 0.0
        self.stretched_seconds = stretched(self.interval_seconds, cost, self.share)
        return cost + apart


class Ticker:
    """The thread that walks."""

    def __init__(self, *walks: tuple[Callable[[], None], Pace]) -> None:
        """
        :param walks: each walks once, and spends on its pace what that cost; of those that are due the one goes first
            that was due first
        """
        self._walks = walks
        self._stop = threading.Event()
        self._walking_since: float | None = None
        self.error: BaseException | None = None
        """What ended the thread though it was not told to end."""
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin with the first walk."""
        self._thread.start()

    @property
    def lives(self) -> bool:
        """Whether it goes on, and no walk has taken too long."""
        since = self._walking_since
        in_time = since is None or time.monotonic() - since < LONGEST_WALK_SECONDS
        return self._thread.is_alive() and in_time

    @property
    def is_ending(self) -> bool:
        """Whether it was told to end."""
        return self._stop.is_set()

    def stop(self, seconds: float) -> bool:
        """Tell it to end, and wait for that. False: a walk is under way and was not done in time."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        due = [time.monotonic()] * len(self._walks)
        try:
            while not self._stop.is_set():
                now = time.monotonic()
                next_one = due.index(min(due))
                if due[next_one] > now:
                    self._stop.wait(due[next_one] - now)
                    continue
                walk, pace = self._walks[next_one]
                self._walking_since = now
                walk()
                self._walking_since = None
                due[next_one] = now + pace.stretched_seconds
        except BaseException as err:
            self.error = err
