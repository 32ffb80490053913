"""How fast zones grow, from the snapshots of a watch. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from zonerss.snapshot import Snapshot

SECONDS = 60.0
"""Growth is told over the latest minute, or since the first look."""
_STEADY_BYTES = 256 << 10
_STEADY_SHARE = 0.01


class Growth:
    """The rss of each zone in the latest snapshots."""

    def __init__(self, seconds: float = SECONDS) -> None:
        """:param seconds: how far back it reaches"""
        self._seconds = seconds
        self._looks: deque[tuple[float, Mapping[str, int]]] = deque()

    def add(self, snapshot: Snapshot) -> None:
        """Note a snapshot; those that are not needed any more are forgotten."""
        now = snapshot.began.timestamp()
        self._looks.append((now, {usage.zone: usage.rss_bytes for usage in snapshot.zones}))
        while len(self._looks) > 2 and self._looks[1][0] <= now - self._seconds:
            self._looks.popleft()

    def bytes_per_minute(self, zone: str) -> float | None:
        """By how much its rss grew a minute, since the oldest look at it that is kept; None: there was one."""
        now, latest = self._looks[-1]
        first = next((look for look in self._looks if zone in look[1]), None)
        if first is None or zone not in latest or first[0] >= now:
            return None
        return (latest[zone] - first[1][zone]) / (now - first[0]) * 60


def is_steady(bytes_per_minute: float, rss_bytes: int) -> bool:
    """Whether a growth is too little to be told: below 1 % of rss a minute, or 256 KiB."""
    return abs(bytes_per_minute) < max(_STEADY_BYTES, _STEADY_SHARE * rss_bytes)
