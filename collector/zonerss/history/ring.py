"""The last looks, in memory of a fixed size: the oldest make room for the newest.

A look is kept packed and deflated, without what can be asked of a later look as well: 7 KB for 150 processes. The
memory is there and locked from the beginning, so that what was seen before the machine ran out of it is not lost when
it does; the ring never takes more.
"""

from __future__ import annotations

import pickle
import zlib
from collections import deque
from collections.abc import Iterator

from zonerss.census.parts import Parts
from zonerss.closing import Closing
from zonerss.errors import CannotServe
from zonerss.history.moment import Moment
from zonerss.kernel.locked import LockedMemory
from zonerss.plain import dataclass, replace

RING_BYTES = 16 << 20
_LEVEL = 1


class RingTooSmall(CannotServe):
    """A look is larger than the ring."""


@dataclass(slots=True)
class _Entry:
    """Where a look is."""

    at: int
    size: int
    boottime_ns: int
    kept: bool = False
    """It is in the recording, too."""


class Ring(Closing):
    """The looks of the last minutes; use it as a context manager."""

    def __init__(self, span_seconds: float, size_bytes: int = RING_BYTES) -> None:
        """
        :param span_seconds: how old a look may be
        :raises CannotServe: there is no memory for it
        """
        self.span_seconds, self._span_ns = span_seconds, round(span_seconds * 1e9)
        self._entries: deque[_Entry] = deque()
        self._head = 0
        self.size_bytes = size_bytes
        try:
            self._held = LockedMemory(size_bytes)
        except OSError as err:
            raise CannotServe(f"there is no memory for a black box of {size_bytes:,} bytes: {err}") from err

    @property
    def why_not_locked(self) -> str | None:
        """Why its memory can be swapped out; None: it cannot be."""
        return self._held.why_not

    @property
    def used_bytes(self) -> int:
        """What the looks take."""
        return sum(entry.size for entry in self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def close(self) -> None:
        """Give the memory back."""
        self._entries.clear()
        self._held.close()

    def add(self, moment: Moment) -> None:
        """
        Take a look in, the newest.

        :raises RingTooSmall: it is larger than the ring
        """
        raw = zlib.compress(_packed(moment), _LEVEL)
        if len(raw) > self.size_bytes:
            raise RingTooSmall(
                f"a look takes {len(raw):,} bytes, and the black box has {self.size_bytes:,}: it is not kept there"
            )
        now_ns = moment.uptime.boottime_ns
        while self._entries and now_ns - self._entries[0].boottime_ns > self._span_ns:
            self._entries.popleft()
        at = self._room(len(raw))
        self._held.memory[at : at + len(raw)] = raw
        self._entries.append(_Entry(at, len(raw), now_ns))
        self._head = at + len(raw)

    def _room(self, size: int) -> int:
        """Where so many bytes are free, once the oldest that are in the way have gone."""
        at = self._head if self._head + size <= self.size_bytes else 0
        if at != self._head:  # those between here and the end are the oldest
            while self._entries and self._entries[0].at >= self._head:
                self._entries.popleft()
        while self._entries and at <= self._entries[0].at < at + size:
            self._entries.popleft()
        return at

    def not_kept(self) -> Iterator[Moment]:
        """The looks that are not in the recording, newest first; each counts as kept once the next one is asked for."""
        for entry in tuple(reversed(self._entries)):
            if not entry.kept:
                yield _unpacked(zlib.decompress(self._held.memory[entry.at : entry.at + entry.size]))
                entry.kept = True


def _packed(moment: Moment) -> bytes:
    """Parts stay in C: what is in them goes by their owners."""
    parts = moment.snapshot.parts
    rows = [(part.owners, part.pages) for part in parts]
    bare = replace(moment, snapshot=replace(moment.snapshot.without_evidence(), parts=None))
    return pickle.dumps((bare, parts.owners, rows), pickle.HIGHEST_PROTOCOL)


def _unpacked(raw: bytes) -> Moment:
    """What this process has packed."""
    bare, owners, rows = pickle.loads(raw)
    moment: Moment = replace(bare, snapshot=replace(bare.snapshot, parts=Parts.of(owners, dict(rows))))
    return moment
