"""What the course of a size is: it stays, it grows, or it rises and falls again. Pure.

A slope alone (:mod:`zonerss.answers.slopes`) takes the rise of a saw's tooth for growth. So the course is cut where it
turns: where it goes back by more than its noise, and by a good part of all that it moved.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from enum import StrEnum
from itertools import pairwise

from zonerss.answers.slopes import Point, Slope, median, slope_of
from zonerss.plain import dataclass

LEAST_POINTS = 8
"""With fewer, nothing is said: eight even points are in rising order by chance in one case of 40,320."""
MOST_POINTS = 120
"""So many are looked at, at even distances in time: the pairs of all would take too long."""
_EARLY_PART = 0.25
"""By so much of the distance one may come early: nothing comes at the very moment."""
MATERIAL_BYTES = 256 << 10
_MATERIAL_PART = 0.002
_TURN_PART = 0.35
"""It has turned where it went back by so much of all that it moved."""
_NOISES = 6.0
"""And by so many standard deviations of its noise."""
_ABOUT = 3
"""Distances on each side that one is compared with; with fewer in all nothing is said."""
_HOLE_PART = 2.5
"""Where the next snapshot is so many times as far away as is usual, one or more are missing."""
_TAIL_PART = 0.75
"""So much of the course must lie after the last fall for its rise to count as growth."""
_FALLING_PART = 0.05
"""What falls by no more than this part of what it rises never fell."""
_EVEN_PART = 0.1
"""What grows does so from each third of the time to the next, by this part of all or more."""
_BLOCKS = 6
_TROUGHS = 5
"""So many troughs, each above the one before, are growth."""
_RISES = 4
_STEP_PART = 0.5
"""What never fell grows if it rose at least four times, and no one rise is more than this part of all."""
_TOOTH_POINTS = 3.0
"""A tooth of fewer points is not seen."""
_STRAIGHT_PART = 0.6
"""A tooth rises: what it gains is this part of all its steps, at the least. What wanders has no teeth."""


class Shape(StrEnum):
    """What a course is."""

    STEADY = "steady"
    GROWS = "grows"
    SAW_TOOTH = "saw-tooth"


@dataclass(frozen=True, slots=True)
class Trend:
    """The course of a size."""

    first: Point
    last: Point
    peak: Point
    count: int
    """Points, before they were thinned."""
    slope: Slope | None
    """None: all points are of one time."""
    shape: Shape | None
    """None: there are too few points to tell."""
    why: str = ""
    """In a clause, for people."""
    grown_bytes: int = 0
    """Where it grows: from its floor in the beginning to its floor in the end, or since it fell."""
    since_seconds: float | None = None
    """Where it grows since it fell: when that was, by the clock of the points."""
    period_seconds: float | None = None
    """Of a saw: from one peak to the next. None: there was one fall only."""
    amplitude_bytes: int = 0
    """Of a saw: how far it falls, the median."""
    least_bytes: int = MATERIAL_BYTES
    """Less is not taken for a change: what is material, and its noise."""

    @property
    def bytes_per_second(self) -> float | None:
        """How fast it grows, or shrinks where it is negative; 0 where neither is sure. None: too few points to tell."""
        if self.shape is None or self.slope is None:
            return None
        fallen = self.first.size_bytes - self.last.size_bytes
        shrinks = self.shape is Shape.STEADY and self.slope.most < 0 and fallen >= self.least_bytes
        return self.slope.bytes_per_second if shrinks or self.shape is Shape.GROWS else 0.0


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> Sequence[Point]:
    """The first, the last, and others at even distances in time; no more than ``most``."""
    return [points[number] for number in evenly([point.seconds for point in points], most)]


def evenly(seconds: Sequence[float], most: int) -> list[int]:
    """
    The numbers of the first time, of the last one, and of others at even distances; no more than ``most``.

    Of times that are closer together than such a distance only one is chosen, also where there are few in all: many
    within a moment weigh no more than one.

    :param seconds: in order
    """
    span = seconds[-1] - seconds[0] if seconds else 0.0
    if span <= 0:
        return list(range(len(seconds)))[:: max(len(seconds) - 1, 1)]
    chosen, place = [0], 0
    for number, when in enumerate(seconds[1:], 1):
        here = min(int((when - seconds[0]) / span * (most - 1) + _EARLY_PART), most - 1)
        if here > place:
            chosen.append(number)
            place = here
    last = len(seconds) - 1
    if chosen[-1] != last:
        chosen[-1 if place == most - 1 else len(chosen) :] = [last]
    return chosen


def holes(seconds: Sequence[float]) -> list[int]:
    """
    Where snapshots are missing: the numbers of the times after which the next one comes much too late.

    A distance is compared with the distances about it: the interval may change, and many may be of one moment.

    :param seconds: in order
    """
    apart = [late - early for early, late in pairwise(seconds)]
    found = []
    for number, distance in enumerate(apart):
        about = [*apart[max(number - _ABOUT, 0) : number], *apart[number + 1 : number + 1 + _ABOUT]]
        if len(about) >= _ABOUT and distance > _HOLE_PART * median(sorted(about)):
            found.append(number)
    return found


def trend_of(points: Sequence[Point], doubt_bytes: int = 0) -> Trend | None:
    """
    The course of some points, the oldest first.

    :param doubt_bytes: a change of no more than this is none, as by what the kernel counts in batches
    :return: None where there is no point
    """
    if not points:
        return None
    peak = max(points, key=lambda point: point.size_bytes)
    ends = points[0], points[-1], peak, len(points)
    few = thinned(points)
    whole = slope_of(few)
    if len(few) < LEAST_POINTS or whole is None:
        close = " so close together" if len(points) >= LEAST_POINTS else ""
        return Trend(*ends, whole, None, f"{len(points)} snapshots{close} are too few to tell")
    course = _Course(few, doubt_bytes)
    if course.range_bytes < course.material_bytes:
        return Trend(*ends, whole, Shape.STEADY, "it hardly moved", least_bytes=course.least_bytes)
    return _judged(course, whole, ends)


class _Course:
    """Points, how noisy they are, and where they turn."""

    def __init__(self, points: Sequence[Point], doubt_bytes: int) -> None:
        self.points = points
        self.sizes = [point.size_bytes for point in points]
        self.range_bytes = max(self.sizes) - min(self.sizes)
        ordered = sorted(self.sizes)
        doubt_bytes += 2 * round(median(sorted(point.uncertainty_bytes for point in points)))
        self.material_bytes = max(MATERIAL_BYTES, doubt_bytes, median(ordered) * _MATERIAL_PART)
        self.noise_bytes = _noise(self.sizes)
        self.turns = _turns(
            self.sizes, max(self.material_bytes, self.range_bytes * _TURN_PART, self.noise_bytes * _NOISES)
        )

    @property
    def least_bytes(self) -> int:
        """What is taken for a change, at the least."""
        return round(max(self.material_bytes, self.noise_bytes))

    @property
    def falls(self) -> list[tuple[int, int]]:
        """Where it fell: the numbers of the peak and of the trough after it."""
        return [(start, end) for start, end in pairwise(self.turns) if self.sizes[end] < self.sizes[start]]

    @property
    def is_toothed(self) -> bool:
        """Whether what lies between its turns are the teeth of a saw: long enough to be seen, and rising straight."""
        rises = [self.sizes[a : b + 1] for a, b in pairwise(self.turns) if self.sizes[b] > self.sizes[a]]
        straight = sorted(
            (rise[-1] - rise[0]) / sum(abs(late - early) for early, late in pairwise(rise)) for rise in rises
        )
        is_long = len(self.points) >= _TOOTH_POINTS * len(self.falls)
        return bool(straight) and is_long and median(straight) >= _STRAIGHT_PART


def _noise(sizes: Sequence[int]) -> float:
    """The standard deviation of what is neither trend nor tooth, by how far points are off between their neighbours."""
    off = sorted(abs(b - (a + c) / 2) for a, b, c in zip(sizes, sizes[1:], sizes[2:], strict=False))
    return 1.4826 / math.sqrt(1.5) * median(off) if off else 0.0


def _turns(sizes: Sequence[int], least: float) -> list[int]:
    """The numbers of the points at which it turned by ``least`` or more, the first one, and where it got to last."""
    turns = [0]
    way = low = high = far = 0
    for number, size in enumerate(sizes):
        if way == 0:
            low, high = (number if size < sizes[low] else low), (number if size > sizes[high] else high)
            if sizes[high] - sizes[low] >= least:
                way, far = (1, high) if low < high else (-1, low)
                turns += [high] if way < 0 and high else []  # what it fell by before the first rise is noise
        elif (size - sizes[far]) * way >= 0:
            far = number
        elif (sizes[far] - size) * way >= least:
            turns.append(far)
            way, far = -way, number
    end = far if way else len(sizes) - 1
    return turns if end == turns[-1] else [*turns, end]


def _judged(course: _Course, whole: Slope, ends: tuple[Point, Point, Point, int]) -> Trend:
    falls, sizes, points = course.falls, course.sizes, course.points
    begin = falls[-1][1] if falls else 0
    span = points[-1].seconds - points[0].seconds
    if (
        len(points) - begin >= LEAST_POINTS
        and points[-1].seconds - points[begin].seconds >= _TAIL_PART * span
    ):
        tail = points[begin:] if begin else points
        slope = (whole if begin == 0 else slope_of(tail)) or whole
        why, grown = _grown(tail, slope, whole, course)
        if why:
            since = points[begin].seconds if begin else None
            if not all(_cut(tail, 3)):
                return Trend(*ends, slope, None, "a third of the time has no snapshot")
            return Trend(*ends, slope, Shape.GROWS, why, grown, since)
    if len(falls) >= 2 and course.is_toothed:
        amplitude = round(median(sorted(sizes[start] - sizes[end] for start, end in falls)))
        troughs = [sizes[end] for _, end in falls]
        climbed = troughs[-1] - troughs[0]
        if (
            len(falls) >= _TROUGHS
            and climbed >= max(course.material_bytes, amplitude * _EVEN_PART)
            and all(early < late for early, late in pairwise(troughs))
        ):
            why = f"it rises and falls, and each of its {len(falls)} troughs is above the one before"
            return Trend(*ends, whole, Shape.GROWS, why, climbed)
        peaks = [points[start].seconds for start, _ in falls]
        period = median(sorted(late - early for early, late in pairwise(peaks)))
        why = f"it rose and fell {len(falls)} times"
        return Trend(*ends, whole, Shape.SAW_TOOTH, why, period_seconds=period, amplitude_bytes=amplitude)
    if len(falls) == 1 and course.turns[-1] > falls[0][1] and falls[0][0] > 0 and course.is_toothed:
        start, end = falls[0]
        why = "it rose, fell once, and rose again"
        return Trend(*ends, whole, Shape.SAW_TOOTH, why, amplitude_bytes=sizes[start] - sizes[end])
    return Trend(*ends, whole, Shape.STEADY, _steady(course), least_bytes=course.least_bytes)


def _grown(points: Sequence[Point], slope: Slope, whole: Slope, course: _Course) -> tuple[str, int]:
    """Why it grows, and by how much its floor rose; an empty text: it is not sure that it does."""
    sizes = [point.size_bytes for point in points]
    floors = [min(part) for part in _cut(points, 3) if part]
    grown = floors[-1] - floors[0]
    total = sizes[-1] - sizes[0]
    if max(grown, total) < course.least_bytes or any(
        late - early < _EVEN_PART * max(grown, 1) for early, late in pairwise(floors)
    ):
        return "", 0
    steps = [b - a for a, b in pairwise(sizes)]
    ups, downs = sum(step for step in steps if step > 0), -sum(step for step in steps if step < 0)
    rises = sum(step > 0 for step in steps)
    if downs <= _FALLING_PART * ups and rises >= _RISES and max(steps) <= _STEP_PART * ups:
        return "it rose again and again and never fell", max(total, grown)
    if slope.least > 0 and whole.least > 0:  # what begins where it was least has a slope by that alone
        return "its slope is above 0 in 999 of 1,000 cases", max(total, grown)
    blocks = _cut(points, _BLOCKS)
    if all(blocks) and all(min(a) < min(b) and max(a) < max(b) for a, b in pairwise(blocks)):
        return "each sixth of the time lies above the one before", max(total, grown)
    return "", 0


def _cut(points: Sequence[Point], parts: int) -> list[list[int]]:
    """The sizes in each of so many parts of the time; a part may have none."""
    first, span = points[0].seconds, points[-1].seconds - points[0].seconds
    seconds = [point.seconds for point in points]
    ends = [bisect_left(seconds, first + span * number / parts) for number in range(1, parts)]
    return [[point.size_bytes for point in points[a:b]] for a, b in pairwise([0, *ends, len(points)])]


def _steady(course: _Course) -> str:
    sizes, falls = course.sizes, course.falls
    if len(falls) == 1:
        start, _ = falls[0]
        return "it rose once and came back" if start > 0 else "it fell and stayed there"
    early = max(_cut(course.points, 2)[0])
    if early - sizes[0] >= course.material_bytes and max(sizes) - early < course.material_bytes:
        return "it rose in the beginning and not since"
    return "it moved up and down and is not sure to grow"
