"""Which source of frames serves: the one that was named, or the one that will be done soonest."""

from __future__ import annotations

from zonerss.errors import CannotServe
from zonerss.walk.choices import demand_source
from zonerss.walk.host import Host
from zonerss.walk.jobs import Source
from zonerss.walk.pagemap import PagemapSource
from zonerss.walk.pagetable import PageTableSource, worth_loading


class Sources:
    """The sources of this host. The page table source is loaded when it is first chosen, and kept until close()."""

    def __init__(self, host: Host, lasting: bool = False) -> None:
        """:param lasting: more snapshots will follow, so that loading pays in the end"""
        self._host, self._lasting = host, lasting
        self._pagemap = PagemapSource()
        self._pagetable: PageTableSource | None = None
        self._refused = False

    def choose(self, name: str, expected_pages: int) -> Source:
        """
        The source of a name, ready to walk.

        :param name: one of :data:`zonerss.walk.choices.SOURCES`; auto takes what should be done soonest of those that
            can serve here
        :param expected_pages: how many pages are about to be walked
        :raises UsageError: an unknown name
        :raises CannotServe: a source that was named cannot serve here
        """
        demand_source(name)
        if name == "pagetable":
            return self._loaded()
        resident = self._lasting or self._pagetable is not None
        if name == "pagemap" or self._refused or not worth_loading(expected_pages, resident):
            return self._pagemap
        try:
            return self._loaded()
        except CannotServe:
            self._refused = True  # `zonerss check` tells why; not tried again at each snapshot
            return self._pagemap

    def _loaded(self) -> PageTableSource:
        if self._pagetable is None:
            self._pagetable = PageTableSource(self._host.roots, self._host.threads)
        return self._pagetable

    def close(self) -> None:
        """Give back what the sources hold."""
        if self._pagetable is not None:
            self._pagetable.close()
            self._pagetable = None
