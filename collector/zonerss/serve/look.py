"""One look at the machine, as it is served: a record that all answers between two walks are made from. Pure.

What changes from one request to the next (how old the look is, how many requests there were) is not in it:
:mod:`zonerss.serve.moving` adds that to the metrics, so that the bytes of a look can be encoded once and kept.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping

from zonerss.answers.growth import Growth
from zonerss.answers.share import Pair
from zonerss.cap.status import ZoneStatus
from zonerss.plain import dataclass, field, replace
from zonerss.records import Cause, Gap
from zonerss.snapshot import Snapshot

WALK_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the histogram of walks, in seconds; one bucket more has no bound."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened since the start."""

    walks: int = 0
    """Walks that gave a snapshot."""
    failures: int = 0
    """Walks that could not be done; the look before them is still served."""
    gaps: Mapping[Cause, int] = field(default_factory=dict)
    """Gaps of all snapshots, by cause."""
    walks_by_seconds: tuple[int, ...] = (0,) * (len(WALK_BUCKETS) + 1)
    """Walks by how long they took: those above the bound before, and up to that of WALK_BUCKETS. Not cumulative."""
    walk_seconds: float = 0.0
    """What all walks took together."""
    processor_seconds: float = 0.0
    """Processor time of all threads that walk, encode what walks found, and keep what was before kills."""

    def with_walk(self, seconds: float, processor_seconds: float, gaps: Iterable[Gap]) -> Counts:
        """After one more walk."""
        found = dict(self.gaps)
        for gap in gaps:
            found[gap.cause] = found.get(gap.cause, 0) + 1
        bucket = bisect_left(WALK_BUCKETS, seconds)
        return replace(
            self,
            walks=self.walks + 1,
            gaps=found,
            walks_by_seconds=tuple(n + (at == bucket) for at, n in enumerate(self.walks_by_seconds)),
            walk_seconds=self.walk_seconds + seconds,
            processor_seconds=self.processor_seconds + processor_seconds,
        )

    def with_failure(self, processor_seconds: float) -> Counts:
        """After one more walk that could not be done."""
        return replace(
            self,
            failures=self.failures + 1,
            processor_seconds=self.processor_seconds + processor_seconds,
        )


@dataclass(frozen=True, slots=True)
class Build:
    """What this program is."""

    version: str
    python: str
    kernel: str
    """Release and architecture."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is served from one walk until the next."""

    snapshot: Snapshot
    """Without its frames."""
    walk_seconds: float
    """How long it took from its beginning to its end, by the clock on the wall."""
    ended_monotonic: float
    """When it was done, as time.monotonic() has it."""
    growth: Growth
    """Of its zones, up to this look. Nothing is added to it any more."""
    pairs: tuple[Pair, ...]
    """The zones of the first grouping that share most, two by two; at most as many as --pairs says."""
    counts: Counts
    interval_seconds: float
    """Time between the beginnings of two walks as it was asked for."""
    stretched_seconds: float
    """The same as it is, so that processor time stays within what --max-cpu allows: as long or longer."""
    build: Build
    caps: Mapping[str, ZoneStatus] = field(default_factory=dict)
    """What a capper that runs on this host says of the zones under a cap, by their names."""

    def age_seconds(self, now_monotonic: float) -> float:
        """How long ago the walk was done."""
        return max(now_monotonic - self.ended_monotonic, 0.0)
