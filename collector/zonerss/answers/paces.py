"""How long to rest for what a look cost, so that a share of a processor's time is not exceeded. Pure."""

from __future__ import annotations

from zonerss.plain import dataclass

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


@dataclass(slots=True)
class Allowance:
    """Processor time that may be spent at once without a pause behind it. It comes back slowly."""

    most_seconds: float
    """That it holds, at the beginning, too."""
    share: float
    """What comes back, as a part of the time that passes."""
    since: float
    """When it was last taken from, by a clock that does not go back."""
    spent_seconds: float = 0.0

    def take(self, seconds: float, now: float) -> float:
        """So much was spent; how much of it is within the allowance."""
        self.spent_seconds = max(self.spent_seconds - (now - self.since) * self.share, 0.0)
        self.since = now
        within = min(seconds, self.most_seconds - self.spent_seconds)
        self.spent_seconds += within
        return within
