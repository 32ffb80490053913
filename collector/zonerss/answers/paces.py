"""How long to rest for what a look cost, so that a share of a processor's time is not exceeded. Pure."""

from __future__ import annotations

LONGEST_PAUSE_SECONDS = 86_400.0


def stretched(interval_seconds: float, cost_seconds: float, share: float | None) -> float:
    """
    How long it is from the beginning of one look to that of the next: a look is paid for by the pause behind it.

    :param interval_seconds: what was asked for; it is never shorter
    :param cost_seconds: processor time that the look took
    :param share: of one processor's time that looks may take, 0.01 for 1 %; None: as much as they need
    :return: a day at the most, or what was asked for where that is more
    """
    if share is None:
        return interval_seconds
    return max(interval_seconds, min(cost_seconds / share, LONGEST_PAUSE_SECONDS))
