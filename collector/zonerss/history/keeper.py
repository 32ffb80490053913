"""The writer of a recording: moments into one SQLite file (docs/history.md)."""

from __future__ import annotations

from pathlib import Path

from zonerss.history.moment import Moment


class Keeper:
    """Writes moments into a recording; use it as a context manager. One at a time for each file."""

    def __init__(
        self, path: str | Path, keep_seconds: float | None = None, max_bytes: int | None = None
    ) -> None:
        """
        Make a recording, or continue one.

        :param keep_seconds: forget moments that are older; None: keep all
        :param max_bytes: forget the oldest moments so that the file and what SQLite keeps beside it are not larger
        :raises CannotServe: the file cannot be made or continued: it is no recording, of a newer zonerss, or another
            writes to it
        """
        raise NotImplementedError

    def add(self, moment: Moment) -> int:
        """
        Keep a moment. It is on the disk when this returns.

        :return: how many bytes it took, those of names and of other identities that are new included
        :raises StoreFull: there is no room; the file is as it was, and the next may fit again
        :raises CannotServe: the file cannot be written
        """
        raise NotImplementedError

    def close(self) -> None:
        """Give the file back. What was added stays."""

    def __enter__(self) -> Keeper:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
