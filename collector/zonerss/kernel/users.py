"""Names of users that no file has: of those that the name service asks a directory for, getpwuid(3).

A directory that is down lets whoever asks wait for minutes, and any user's cgroup may be called after any user.
"""

from __future__ import annotations

import pwd
import time
from collections.abc import Callable

from zonerss.errors import CannotServe
from zonerss.kernel.patience import Busy, patiently

ANSWER_SECONDS = 1.0
"""How long an answer may take. After one that did not come nobody is asked for a while."""
REMEMBERED_SECONDS = 60.0
_MOST_REMEMBERED = 10_000
_NOBODY = 0
"""No process has this pid: the pauses of the name service are under it."""


class NameService:
    """Asks for names, and remembers what it was told, also that there is none."""

    def __init__(
        self,
        ask: Callable[[int], str | None],
        clock: Callable[[], float] = time.monotonic,
        seconds: float = ANSWER_SECONDS,
    ) -> None:
        """
        :param ask: tells the name of a user; None: there is none
        :param clock: seconds, never going back
        :param seconds: how long an answer may take
        """
        self._ask, self._clock, self._seconds = ask, clock, seconds
        self._told: dict[int, tuple[str | None, float]] = {}

    def name(self, uid: int) -> str | None:
        """None: there is none, or nobody tells."""
        told = self._told.get(uid)
        if told is not None and self._clock() < told[1]:
            return told[0]
        try:
            name = patiently(lambda: self._ask(uid), _NOBODY, self._seconds)
        except (Busy, CannotServe):
            return None if told is None else told[0]
        if len(self._told) >= _MOST_REMEMBERED:
            self._told.clear()
        self._told[uid] = name, self._clock() + REMEMBERED_SECONDS
        return name


def _getpwuid(uid: int) -> str | None:
    try:
        return pwd.getpwuid(uid).pw_name or None
    except (KeyError, OverflowError):
        return None


NAME_SERVICE = NameService(_getpwuid)
"""That of this host, for all sessions."""
