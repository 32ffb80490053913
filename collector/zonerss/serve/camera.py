"""From a walk to a look: what is counted, which zones share most, how they grow."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from zonerss.answers.growth import Growth
from zonerss.answers.share import zone_pairs
from zonerss.cap.status import Status, ZoneStatus, by_zone
from zonerss.errors import ZonerssError
from zonerss.plain import replace
from zonerss.serve.look import Build, Counts, Look
from zonerss.serve.ticker import Pace
from zonerss.snapshot import Snapshot


class Camera:
    """Walks, and publishes what it found."""

    def __init__(
        self,
        take: Callable[[], Snapshot],
        pace: Pace,
        pairs: int,
        build: Build,
        publish: Callable[[Look], None],
        failed: Callable[[str], None],
        clock: Callable[[], float],
        capped: Callable[[], Status | None] = lambda: None,
        no_caps: Callable[[str], None] = lambda why: None,
    ) -> None:
        """
        :param take: walks once
        :param pairs: how many pairs of zones that share most are in a look
        :param publish: takes each look, in the thread that walks
        :param failed: likewise takes the sentence of a walk that could not be done
        :param clock: processor time that walks have spent, in seconds
        :param capped: what a capper that runs on this host says of itself
        :param no_caps: takes, at each walk, the sentence of why that could not be read; empty: it could
        """
        self._take, self._pace, self._pairs, self._build = take, pace, pairs, build
        self._publish, self._failed, self._clock = publish, failed, clock
        self._capped, self._no_caps = capped, no_caps
        self._counts = Counts()
        self._growth = Growth()
        self._look: Look | None = None

    def walk(self) -> None:
        """
        Walk once and publish the look.

        After a walk that could not be done, the look before it is published with that walk counted.
        """
        before, began = self._clock(), time.monotonic()
        try:
            snapshot = self._take()
            ended = time.monotonic()
            pairs = tuple(zone_pairs(snapshot, self._pairs)) if self._pairs else ()
        except (ZonerssError, OSError, MemoryError) as err:
            self._counts = self._counts.with_failure(self._pace.spend(self._clock() - before))
            self._failed(str(err) or "there is not enough memory")
            if self._look is not None:
                self._show(replace(self._look, counts=self._counts))
            return
        self._growth.add(snapshot)
        growth = self._growth.copy()
        cost = self._pace.spend(self._clock() - before)
        self._counts = self._counts.with_walk(ended - began, cost, snapshot.gaps)
        self._show(
            Look(
                snapshot=snapshot,
                walk_seconds=ended - began,
                ended_monotonic=ended,
                growth=growth,
                pairs=pairs,
                counts=self._counts,
                interval_seconds=self._pace.interval_seconds,
                stretched_seconds=self._pace.stretched_seconds,
                build=self._build,
                caps=self._caps(snapshot),
            )
        )

    def _caps(self, snapshot: Snapshot) -> Mapping[str, ZoneStatus]:
        """None of a capper whose zones are others, nor where what it says cannot be read."""
        try:
            status = self._capped()
        except ZonerssError as err:
            self._no_caps(str(err))
            return {}
        self._no_caps("")
        return by_zone(status, snapshot.by)

    def _show(self, look: Look) -> None:
        self._look = replace(look, stretched_seconds=self._pace.stretched_seconds)
        self._publish(self._look)
