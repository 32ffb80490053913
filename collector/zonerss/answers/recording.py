"""When a recording takes its snapshots, and what is to be told of it. Pure: the clocks are read by whoever asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from zonerss.answers.growth import LOOKS, Growth
from zonerss.errors import StoreFull, StoreTooLarge
from zonerss.plain import dataclass, field
from zonerss.records import Usage
from zonerss.records.kills import BoxTally
from zonerss.snapshot import Snapshot

_CANDIDATES = 5
_LEAST_JUMP_SECONDS = 1.0
_MOST_SLEW = 0.001
"""A clock that is being corrected may run faster or slower by 0.05 % (adjtimex(2)): that is no jump."""


class Pace:
    """Rounds that begin at equal distances. What is late is skipped, not queued."""

    def __init__(self, seconds: float, now: float) -> None:
        """
        :param seconds: from one round to the next
        :param now: when the first one begins, by a clock that does not go back
        """
        self._seconds = seconds
        self.due = now

    def done(self, now: float) -> int:
        """A round has ended: ``due`` is when the next one begins; how many are skipped, because they are past."""
        late = max(int((now - self.due) // self._seconds), 0)
        self.due += self._seconds * (late + 1)
        return late


class ClockWatch:
    """Notices that the time of day was set."""

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None

    def look(self, now: datetime, boot_seconds: float) -> timedelta | None:
        """
        By how much it was set since the last look, back where it is negative; None: it was not.

        :param now: the time of day
        :param boot_seconds: since boot, those that the machine was suspended for included
        """
        before, self._last = self._last, (now, boot_seconds)
        if before is None:
            return None
        passed = boot_seconds - before[1]
        jump = (now - before[0]).total_seconds() - passed
        return timedelta(seconds=jump) if abs(jump) > max(_LEAST_JUMP_SECONDS, passed * _MOST_SLEW) else None


class Refusals:
    """What is to be said of snapshots that are not kept: that it begins, and why, once; and that it is over."""

    def __init__(self) -> None:
        self._last: Exception | None = None

    def refused(self, err: Exception) -> bool:
        """One was not kept; whether that is to be said, because it is not as with the one before."""
        before, self._last = self._last, err
        if isinstance(err, StoreTooLarge):  # the sentence has its size
            return not isinstance(before, StoreTooLarge)
        return str(before) != str(err)

    def kept(self) -> str | None:
        """One was kept; what is to be said of that."""
        before, self._last = self._last, None
        if before is None:
            return None
        is_room = isinstance(before, StoreFull) and not isinstance(before, StoreTooLarge)
        return "there is room again, and snapshots are kept" if is_room else "snapshots are kept again"


@dataclass(slots=True)
class Recorded:
    """A recording so far."""

    file: str
    host_name: str
    interval_seconds: float
    began: datetime
    ended: datetime | None = None
    ended_by: str = ""
    """Why: the name of a signal, for, until."""
    snapshots: int = 0
    """That were kept."""
    not_kept: int = 0
    """Snapshots for which there was no room, or that were too large."""
    skipped: int = 0
    """Rounds that were skipped, because the one before took too long."""
    failed: int = 0
    """Rounds in which nothing could be looked at, for want of memory or files."""
    zones_missing: int = 0
    """Rounds in which no zone of --zone was there."""
    with_gaps: int = 0
    """Snapshots with gaps."""
    clock_jumps: int = 0
    added_bytes: int = 0
    """What all snapshots took together."""
    first_bytes: int = 0
    """What the first one took, which has all names in it."""
    file_bytes: int = 0
    """How large the file is."""
    processor_seconds: float = 0.0
    """Of all of it."""
    wall_seconds: float = 0.0
    latest: Snapshot | None = None
    """Without its frames."""
    growth: Growth = field(default_factory=Growth)
    box: BoxTally | None = None
    """Of --black-box."""

    def note(self, snapshot: Snapshot, took_bytes: int) -> None:
        """A snapshot was kept."""
        self.snapshots += 1
        self.with_gaps += bool(snapshot.gaps)
        self.added_bytes += took_bytes
        if self.snapshots == 1:
            self.first_bytes = took_bytes
        self.seen(snapshot)

    def seen(self, snapshot: Snapshot) -> None:
        """A snapshot was taken, and maybe not kept."""
        self.latest = snapshot
        self.growth.add(snapshot)

    def bytes_an_hour(self) -> float | None:
        """How fast the file grows, by all snapshots but the first; None: there was no other."""
        if self.snapshots < 2:
            return None
        each = (self.added_bytes - self.first_bytes) / (self.snapshots - 1)
        return each * 3600 / self.interval_seconds

    def grows_most(self) -> tuple[Usage, float] | None:
        """
        The zone that grows most, and by how many bytes a minute; the largest one and 0 where none surely grows.

        None: there is no zone.
        """
        zones: Sequence[Usage] = self.latest.zones if self.latest else ()
        if not zones:
            return None
        # A slope takes long, and of a thousand zones few are worth one: those that gained most.
        gained = sorted(zones, key=lambda usage: self._gained(usage), reverse=True)[:_CANDIDATES]
        paces = [(self.growth.bytes_per_minute(usage.zone) or 0.0, usage) for usage in gained]
        pace, usage = max(paces, key=lambda one: (one[0], one[1].rss_bytes))
        return (usage, pace) if pace > 0 else (max(zones, key=lambda usage: usage.rss_bytes), 0.0)

    def _gained(self, usage: Usage) -> int:
        """Bytes, since the first of the latest looks."""
        seen = self.growth.sizes(usage.zone, LOOKS)
        return seen[-1] - seen[0] if seen else 0
