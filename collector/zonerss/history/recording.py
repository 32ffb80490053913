"""The reader of a recording (docs/history.md)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from zonerss.history.moment import Moment


class Recording:
    """Reads a recording, also while it is written; use it as a context manager. Never blocks the writer."""

    def __init__(self, path: str | Path) -> None:
        """
        :raises CannotServe: it is not there, no recording, of a newer zonerss, or damaged
        """
        raise NotImplementedError

    schema_version: int
    host_name: str
    """Of the host that was recorded last."""
    damaged: list[str]
    """Sentences about snapshots that could not be read, so far."""

    def span(self) -> tuple[datetime, datetime]:
        """
        When the first and the last moment began.

        :raises CannotServe: there is none
        """
        raise NotImplementedError

    def times(self) -> Sequence[datetime]:
        """When each moment began, in the order of time. UTC."""
        raise NotImplementedError

    def at(self, when: datetime) -> Moment:
        """
        The last moment that began at or before this time.

        :raises CannotServe: there is none, or it is damaged; says what there is
        """
        raise NotImplementedError

    def moments(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[Moment]:
        """Those that began from start to end, both included, in the order of time. Damaged ones are skipped."""
        raise NotImplementedError

    def close(self) -> None:
        """Give the file back."""

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
