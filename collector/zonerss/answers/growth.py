"""How fast zones grow, from the latest snapshots of them. Pure.

The judgement is that of :mod:`zonerss.answers.trend`, on rss: what rises and falls again does not grow.
"""

from __future__ import annotations

from collections import deque
from itertools import pairwise

from zonerss.answers.slopes import Point
from zonerss.answers.trend import LEAST_POINTS, MATERIAL_BYTES, trend_of
from zonerss.snapshot import Snapshot

LOOKS = 30
"""Growth is told over so many of the latest snapshots: a minute of `top`."""


class Growth:
    """What was seen of each zone in the latest snapshots."""

    def __init__(self, looks: int = LOOKS) -> None:
        """:param looks: how many snapshots"""
        self._looks = looks
        self._points: dict[str, deque[Point]] = {}
        self._paces: dict[str, float | None] = {}
        self._latest = 0.0

    def add(self, snapshot: Snapshot) -> None:
        """Note a snapshot; zones that are no more are forgotten, and all of them where the clock was set back."""
        now = snapshot.began.timestamp()
        before = self._points if now > self._latest else {}
        self._points, self._paces, self._latest = {}, {}, now
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

    def bytes_per_minute(self, zone: str) -> float | None:
        """
        By how much its rss grows a minute, negative where it shrinks; 0 where neither is sure.

        None: there were too few looks to tell.
        """
        if zone not in self._paces:
            self._paces[zone] = _pace(tuple(self._points.get(zone, ())))
        return self._paces[zone]

    def churn(self, zone: str) -> float | None:
        """How much its rss moved, up and down taken together, in bytes a second. None: there is one look only."""
        points = tuple(self._points.get(zone, ()))
        if len(points) < 2:
            return None
        moved = sum(abs(late.size_bytes - early.size_bytes) for early, late in pairwise(points))
        return moved / (points[-1].seconds - points[0].seconds)


def _pace(points: tuple[Point, ...]) -> float | None:
    """Bytes a minute. Most zones hardly move: then no slope is asked for."""
    if len(points) >= LEAST_POINTS and _spread(points) < MATERIAL_BYTES:
        return 0.0
    found = trend_of(points)
    pace = None if found is None else found.bytes_per_second
    return None if pace is None else pace * 60


def _spread(points: tuple[Point, ...]) -> int:
    sizes = [point.size_bytes for point in points]
    return max(sizes) - min(sizes)
