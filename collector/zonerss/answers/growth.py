"""How fast zones grow, and how sure that is, from the latest snapshots of them. Pure.

The slope is the median of the slopes of all pairs of points (Theil and Sen), which a single odd point cannot move. Its
bounds are those of Sen's confidence interval: the slopes whose ranks are as far from the middle as Kendall's test
allows by chance in one case of twenty, points in an order of chance.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

from zonerss.snapshot import Snapshot

LOOKS = 30
"""Growth is told over so many of the latest snapshots: a minute of `top`."""
LEAST_POINTS = 4
"""With fewer even points in a row rise by chance in more than one case of twenty."""
_NORMAL_95 = 1.96


class Point(NamedTuple):
    """What was seen of a zone at one moment."""

    seconds: float
    """On any clock that does not go back."""
    size_bytes: int
    uncertainty_bytes: int = 0
    """How far the size can be off."""


@dataclass(frozen=True, slots=True)
class Slope:
    """A slope and its bounds, in bytes a second; negative where it shrinks."""

    bytes_per_second: float
    least: float
    most: float

    @property
    def is_sure(self) -> bool:
        """Whether it grows, or whether it shrinks: 0 is not within the bounds."""
        return self.least > 0 or self.most < 0


def slope(points: Sequence[Point]) -> Slope | None:
    """
    The slope over some points, the oldest first.

    The points' own uncertainty widens the bounds: by twice its median over the time that they span.

    :return: None where there are fewer than LEAST_POINTS, or no two at different times
    """
    if len(points) < LEAST_POINTS:
        return None
    span = points[-1].seconds - points[0].seconds
    if span <= 0:
        return None
    doubt = 2 * median(sorted(point.uncertainty_bytes for point in points)) / span
    slopes = slopes_of(points)
    aside = ranks_aside(len(points), len(slopes))
    return Slope(median(slopes), slopes[aside] - doubt, slopes[-1 - aside] + doubt)


def slopes_of(points: Sequence[Point]) -> Sequence[float]:
    """The slopes of all pairs of points of different times, in order; of points of one size only one 0 for all."""
    if len({point.size_bytes for point in points}) == 1:
        return [0.0] if points[-1].seconds > points[0].seconds else []
    seen = [(point.seconds, point.size_bytes) for point in points]
    return sorted(
        [
            (late - early) / (then - before)
            for place, (before, early) in enumerate(seen, 1)
            for then, late in seen[place:]
            if then > before
        ]
    )


def median(ordered: Sequence[float]) -> float:
    """Without the module statistics, whose import takes long."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def ranks_aside(points: int, slopes: int, deviations: float = _NORMAL_95) -> int:
    """
    How many of the slopes lie below the lower bound, and above the upper one.

    :param deviations: how many standard deviations of Kendall's statistic are allowed by chance
    """
    spread = deviations * math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    return max(0, math.floor((slopes - spread) / 2))


class Growth:
    """What was seen of each zone in the latest snapshots."""

    def __init__(self, looks: int = LOOKS) -> None:
        """:param looks: how many snapshots"""
        self._looks = looks
        self._points: dict[str, deque[Point]] = {}
        self._slopes: dict[str, Slope | None] = {}
        self._latest = 0.0

    def add(self, snapshot: Snapshot) -> None:
        """Note a snapshot; zones that are no more are forgotten, and all of them where the clock was set back."""
        now = snapshot.began.timestamp()
        before = self._points if now > self._latest else {}
        self._points, self._slopes, self._latest = {}, {}, now
        for usage in snapshot.zones:
            points = before.get(usage.zone, deque(maxlen=self._looks))
            points.append(Point(now, usage.rss_bytes, usage.uncertainty_bytes or 0))
            self._points[usage.zone] = points

    def copy(self) -> Growth:
        """What was seen so far, to which nothing is added any more when something is added to this one."""
        other = Growth(self._looks)
        other._points = {zone: points.copy() for zone, points in self._points.items()}
        other._latest = self._latest
        return other

    def sizes(self, zone: str, count: int) -> list[int]:
        """Its rss in the latest snapshots, the oldest first, at most so many; in bytes."""
        return [point.size_bytes for point in self._points.get(zone, ())][-count:]

    def slope(self, zone: str) -> Slope | None:
        """See :func:`slope`."""
        if zone not in self._slopes:
            self._slopes[zone] = slope(tuple(self._points.get(zone, ())))
        return self._slopes[zone]

    def bytes_per_minute(self, zone: str) -> float | None:
        """By how much its rss grows a minute, 0 where it is not sure that it does; None: too few looks to tell."""
        found = self.slope(zone)
        if found is None:
            return None
        return found.bytes_per_second * 60 if found.is_sure else 0.0

    def churn(self, zone: str) -> float | None:
        """How much its rss moved, up and down taken together, in bytes a second. None: there is one look only."""
        points = tuple(self._points.get(zone, ()))
        if len(points) < 2:
            return None
        moved = sum(abs(late.size_bytes - early.size_bytes) for early, late in pairwise(points))
        return moved / (points[-1].seconds - points[0].seconds)
