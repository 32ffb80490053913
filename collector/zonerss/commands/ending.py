"""Ending in order when a signal asks for it: at once where we wait or walk, after what must be whole elsewhere."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Leave(BaseException):
    """We were asked to end. No Exception: nobody on the way is to take it for an error."""


class Ending:
    """
    Notes SIGINT, SIGTERM and SIGHUP; use it as a context manager, in the main thread.

    A second signal ends the process as it does by default. One that was ignored when we were started stays ignored.
    """

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None
        """That asked for it; None: none did."""
        self._before: dict[signal.Signals, Any] = {}
        self._may_raise = False

    def __enter__(self) -> Ending:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._asked)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """
        What may be broken off anywhere.

        :raises Leave: we were asked to end, meanwhile or before
        """
        self._may_raise = True
        try:
            if self.signal is not None:
                raise Leave
            yield
        finally:
            self._may_raise = False

    def _asked(self, number: int, frame: object) -> None:
        self.signal = signal.Signals(number)
        for other in self._before:
            signal.signal(other, signal.SIG_DFL)
        if self._may_raise:
            self._may_raise = False
            raise Leave
