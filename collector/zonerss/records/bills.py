"""What the memory controller says of a cgroup, and which cgroup is charged for which frames: records.

A charge answers another question than rss: not which zones map a page, but which cgroup touched it first.
"""

from __future__ import annotations

from collections.abc import Mapping

from zonerss.plain import dataclass


@dataclass(frozen=True, slots=True)
class Bill:
    """The figures of one cgroup and all below it, or less some of those below."""

    version: int
    """Of the cgroup hierarchy: 1 or 2. The names in ``stat`` depend on it."""
    charged_bytes: int | None
    """memory.current, or memory.usage_in_bytes on version 1."""
    stat: Mapping[str, int]
    """memory.stat, in bytes but for counts of events; on version 1 the total_ figures, without that prefix."""
    own: Mapping[str, int] | None
    """Version 1: the figures of the cgroup alone, without those below it; version 2 does not tell them."""
    kernel_bytes: int | None
    """All kernel memory: memory.stat's kernel (since Linux 5.18), or memory.kmem.usage_in_bytes on version 1."""
    swap_bytes: int | None
    """memory.swap.current; on version 1 memsw less usage."""
    dying: int | None
    """Version 2: cgroups below it that were removed and still hold charges or are otherwise referred to."""

    @property
    def anon_bytes(self) -> int | None:
        """Anonymous memory that page tables map (NR_ANON_MAPPED): anon, or rss on version 1."""
        return self.stat.get("anon" if self.version == 2 else "rss")

    @property
    def cache_bytes(self) -> int | None:
        """Page cache, tmpfs and shared memory included, mapped or not (NR_FILE_PAGES)."""
        return self.stat.get("file" if self.version == 2 else "cache")


@dataclass(frozen=True, slots=True)
class Billed:
    """Frames that one set maps and one cgroup is charged for."""

    owners: tuple[int, ...]
    """The set, ascending."""
    inode: int
    """Of the cgroup's directory; 0: charged to no cgroup."""
    pages: tuple[int, ...]
    """Indexed by :class:`zonerss.census.kinds.Kind`."""
