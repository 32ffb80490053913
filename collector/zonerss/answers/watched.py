"""Is it a leak? Some zones, looked at again and again, and a verdict on each, by the latest looks at them. Pure.

What :mod:`zonerss.answers.report` tells of a recording, told while one looks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from zonerss.answers.files import FileUsage
from zonerss.answers.growth import LOOKS as GROWTH_LOOKS
from zonerss.answers.report import Reporter
from zonerss.answers.trend import MATERIAL_BYTES
from zonerss.answers.verdict import Verdict
from zonerss.records.bills import Bill
from zonerss.records.files import OpenFile
from zonerss.snapshot import Snapshot

LOOKS = 60
"""So many of the latest looks are judged, two minutes of `top`. Of twice as many it takes three times as long."""
PAST_LOOKS = GROWTH_LOOKS
"""Of a recording so many: each has to be read, and its growth is told by the same ones."""


class Watched:
    """The latest looks at some zones."""

    def __init__(self, looks: int = LOOKS) -> None:
        """:param looks: how many are judged"""
        self._most = looks
        self._reporter: Reporter | None = None
        self._latest = 0.0
        self._files: dict[str, list[Sequence[FileUsage]]] = {}
        self._cache: dict[str, int] = {}

    def add(
        self, snapshot: Snapshot, zones: Iterable[str], bill: Callable[[str], Bill | None], boot_id: str = ""
    ) -> None:
        """
        A look, with processes and the files of the memory controller. Where the clock was set back it is the first.

        :param zones: which zones of it are watched
        :param bill: of a cgroup
        """
        now = snapshot.began.timestamp()
        if self._reporter is None or now <= self._latest:
            self._reporter = Reporter(snapshot.by, snapshot.ask().processors)
            self._files, self._cache = {}, {}
        self._latest = now
        self._reporter.add(snapshot, boot_id, bill, frozenset(zones))
        self._reporter.forget(self._most)

    def files(self, zone: str, files: Sequence[FileUsage]) -> None:
        """The files that a zone maps, at the look that was added last."""
        seen = self._files.setdefault(zone, [])
        seen[1:] = [files]

    def wants_open_files(self, zone: str, cache_bytes: int | None) -> bool:
        """
        Whether it is worth a look at each open file of a zone: the first time, and where its page cache has grown.

        :param cache_bytes: how much page cache it has that nobody maps; None: unknown
        """
        if cache_bytes is None:
            return False
        first = self._cache.setdefault(zone, cache_bytes)
        return first == cache_bytes or cache_bytes - first >= MATERIAL_BYTES

    def opened(self, zone: str, files: Iterable[OpenFile]) -> None:
        """The files that a zone holds open, at the look that was added last."""
        assert self._reporter is not None
        self._reporter.opened((zone, file) for file in files)

    def verdict(self, zone: str) -> Verdict | None:
        """None: it was in no look."""
        if self._reporter is None:
            return None
        seen: Mapping[str, list[Sequence[FileUsage]]] = self._files
        found = self._reporter.zone(
            zone, lambda name: (seen[name][0], seen[name][-1]) if name in seen else ((), ())
        )
        return None if found is None else found.verdict
