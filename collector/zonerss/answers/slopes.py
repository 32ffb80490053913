"""How fast a size changes, and how sure that is. Pure.

The slope is that of Theil and Sen, the median of the slopes of all pairs of points, which a few odd points cannot move.
Its bounds are those of Sen's confidence interval, the slopes of the ranks that Kendall's test allows by chance in one
case of a thousand. Memory has a memory: a point is near the one before it, so there is less to be learnt from each.
What is left when the slope is taken off tells how near (its correlation with itself, one point later), and the bounds
are widened by as much.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from zonerss.plain import dataclass

_NORMAL_999 = 3.29
_MOST_CORRELATION = 0.9


class Point(NamedTuple):
    """What was seen of a size at one moment."""

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


def slope_of(points: Sequence[Point]) -> Slope | None:
    """
    The slope over some points, the oldest first, with bounds in which it is in 999 of 1,000 cases.

    The points' own uncertainty widens the bounds: by twice its median over the time that they span.

    :return: None where there are no two points of different times
    """
    slopes = _slopes(points)
    if not slopes:
        return None
    span = points[-1].seconds - points[0].seconds
    doubt = 2 * median(sorted(point.uncertainty_bytes for point in points)) / span if span > 0 else 0.0
    middle = median(slopes)
    aside = _ranks_aside(len(points), len(slopes), _NORMAL_999 * _widened(points, middle))
    return Slope(middle, slopes[aside] - doubt, slopes[-1 - aside] + doubt)


def median(ordered: Sequence[float]) -> float:
    """Without the module statistics, whose import takes long."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2


def _slopes(points: Sequence[Point]) -> Sequence[float]:
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


def _ranks_aside(points: int, slopes: int, deviations: float) -> int:
    """
    How many of the slopes lie below the lower bound, and above the upper one.

    :param deviations: how many standard deviations of Kendall's statistic are allowed by chance
    """
    spread = deviations * math.sqrt(points * (points - 1) * (2 * points + 5) / 18)
    return max(0, math.floor((slopes - spread) / 2))


def _widened(points: Sequence[Point], bytes_per_second: float) -> float:
    """By how much bounds are wider because a point is near the one before it."""
    rest = [point.size_bytes - bytes_per_second * (point.seconds - points[0].seconds) for point in points]
    mean = sum(rest) / len(rest)
    rest = [one - mean for one in rest]
    square = sum(one * one for one in rest)
    if square <= len(rest):  # less than a byte: rounding
        return 1.0
    correlation = sum(one * other for one, other in pairwise(rest)) / square
    correlation = min(max(correlation, 0.0), _MOST_CORRELATION)
    return math.sqrt((1 + correlation) / (1 - correlation))
