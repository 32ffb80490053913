"""What the memory controller says, as records: bills of cgroups, and who pays for which frames. No I/O.

A bill is the kernel's answer to another question than ours: not who maps a page, but who touched it first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from zonerss.zones.ways import ancestors


@dataclass(frozen=True, slots=True)
class Bill:
    """What the kernel says of one cgroup and all below it, or of it less some of those."""

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

    @property
    def mapped_file_bytes(self) -> int | None:
        """Page cache that page tables map (NR_FILE_MAPPED)."""
        return self.stat.get("file_mapped" if self.version == 2 else "mapped_file")


@dataclass(frozen=True, slots=True)
class Billed:
    """Frames that one set of zones maps and one cgroup pays for."""

    keys: tuple[int, ...]
    """The set: zone numbers of the census."""
    inode: int
    """Of the cgroup's directory; 0: nobody is charged."""
    pages: tuple[int, ...]
    """Indexed by :class:`zonerss.census.census.Kind`."""


def less(bill: Bill, inner: Iterable[Bill]) -> Bill:
    """A bill without what it contains of others: those of cgroups below that are zones of their own."""
    for other in inner:
        bill = Bill(
            version=bill.version,
            charged_bytes=_minus(bill.charged_bytes, other.charged_bytes),
            stat={name: value - other.stat.get(name, 0) for name, value in bill.stat.items()},
            own=bill.own,
            kernel_bytes=_minus(bill.kernel_bytes, other.kernel_bytes),
            swap_bytes=_minus(bill.swap_bytes, other.swap_bytes),
            dying=_minus(bill.dying, other.dying),
        )
    return bill


def _minus(value: int | None, other: int | None) -> int | None:
    return None if value is None else value - (other or 0)


def pays(path: str, cgroup: str, without: Iterable[str]) -> bool:
    """Whether what a cgroup is charged for is on the bill of a zone: of its cgroup, less the zones below it."""
    line = ancestors(path)
    return cgroup in line and not any(inner in line for inner in without)
