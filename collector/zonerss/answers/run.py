"""What a command used while it ran, from the looks that were taken meanwhile. Pure.

The peak of its RSS is the greatest that a look saw: what it had between two looks nobody saw. The kernel's figures
bound it from the other side: the peak of its bill, and the greatest RSS of one process.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from zonerss.answers.files import FileUsage, files_usage
from zonerss.answers.slopes import Point
from zonerss.answers.trend import trend_of
from zonerss.answers.zone import shared_with
from zonerss.census.usage import zone_names
from zonerss.plain import dataclass
from zonerss.records import Gap, Usage
from zonerss.records.files import Holdings
from zonerss.snapshot import Snapshot

MOST_POINTS = 64
"""Growth is told over so many looks, spread over the whole run."""
_WORTH_FILES = 1.05
"""By how much a new peak must exceed the one whose files are known, for them to be looked up again."""
FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 5.0
_PART = 20


def pause_seconds(ran: float, took: float) -> float:
    """
    How long after a look the next one begins, where nobody has said: a 20th of how long the command has run, so that
    short commands are seen often enough, and long ones not too often; and at least as long as the look took.

    :param ran: seconds since it began
    :param took: seconds that the last look took
    """
    return max(FIRST_PAUSE_SECONDS, min(ran / _PART, LONGEST_PAUSE_SECONDS), took)


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look saw of the command."""

    seconds: float
    """After its beginning."""
    moment: datetime
    usage: Usage


@dataclass(frozen=True, slots=True)
class Run:
    """What a command used, and how it ended."""

    command: tuple[str, ...]
    zone: str
    cgroup: str
    has_bill: bool
    """Whether the kernel charged its cgroup for its memory."""
    began: datetime
    ended: datetime
    wall_seconds: float
    user_seconds: float
    system_seconds: float
    status: int
    """As a shell has it."""
    signal: int | None
    """That ended it."""
    peak_charged_bytes: int | None
    """The kernel's own peak of its bill. None: it had none of its own, or the kernel does not tell."""
    largest_process_bytes: int | None
    """The greatest RSS of one of its processes (ru_maxrss). None: not known."""
    oom_kills: int | None
    left: tuple[int, ...]
    """Processes that it left behind."""
    seen: Looks


class Looks:
    """The looks that were taken while a command ran."""

    def __init__(self, zone: str) -> None:
        """:param zone: its name"""
        self.zone = zone
        self.count = 0
        """Looks that saw it."""
        self.missed = 0
        """Looks that did not: it had ended, or could not be read."""
        self.kept: int | None = None
        """Snapshots that were kept. None: none were to be."""
        self.not_kept: int | None = None
        """Those that could not be kept."""
        self.first: Seen | None = None
        self.last: Seen | None = None
        self.peak: Seen | None = None
        self.shared_with: list[tuple[str, int]] = []
        """At the peak: each zone that maps some of the same frames, and how many bytes; most first."""
        self.gaps: tuple[Gap, ...] = ()
        """Of the look at the peak."""
        self.files: list[FileUsage] = []
        """Largest first; exclusive_bytes is its own."""
        self.files_seen: Seen | None = None
        """When they were looked up: at the peak, or shortly before it. None: they were not."""
        self.source: str | None = None
        self._points: list[Point] = []
        self._step, self._skipped = 1, 0

    def add(
        self,
        seconds: float,
        snapshot: Snapshot,
        holdings: Callable[[], tuple[Holdings | None, tuple[Gap, ...]]],
    ) -> bool:
        """
        Note a look.

        :param seconds: after the command's beginning
        :param snapshot: by zone, of all zones
        :param holdings: looks up what its parts hold; None: it cannot be known
        :return: whether it saw the command
        """
        usage = next((usage for usage in snapshot.zones if usage.zone == self.zone), None)
        if usage is None:
            self.missed += 1
            return False
        self.count += 1
        self.source = snapshot.source
        seen = Seen(seconds, snapshot.began, usage)
        self.first = self.first or seen
        self.last = seen
        self._note(Point(seconds, usage.rss_bytes))
        if self.peak is None or usage.rss_bytes > self.peak.usage.rss_bytes:
            self.peak = seen
            self.shared_with = shared_with(snapshot, self.zone)
            self.gaps = snapshot.gaps
            self._look_up(seen, snapshot, holdings)
        return True

    def note_kept(self, is_kept: bool) -> None:
        """Count a snapshot that was to be kept."""
        self.kept = (self.kept or 0) + is_kept
        self.not_kept = (self.not_kept or 0) + (not is_kept)

    def _look_up(
        self,
        seen: Seen,
        snapshot: Snapshot,
        holdings: Callable[[], tuple[Holdings | None, tuple[Gap, ...]]],
    ) -> None:
        known = self.files_seen.usage.rss_bytes if self.files_seen else 0
        if known and seen.usage.rss_bytes < known * _WORTH_FILES:
            return
        held, _ = holdings()
        if held is not None:
            self.files = files_usage(snapshot.parts, zone_names(snapshot.members), held, self.zone)
            self.files_seen = seen

    def _note(self, point: Point) -> None:
        """Of many looks every second one is kept, then every fourth, and so on."""
        self._skipped += 1
        if self._skipped < self._step:
            return
        self._skipped = 0
        self._points.append(point)
        if len(self._points) > MOST_POINTS:
            del self._points[1::2]
            self._step *= 2

    def bytes_per_minute(self) -> float | None:
        """By how much its rss grew over the whole run; 0 where that is not sure; None: there were too few looks."""
        found = trend_of(self._points)
        pace = None if found is None else found.bytes_per_second
        return None if pace is None else pace * 60
