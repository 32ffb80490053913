"""Mappings of a process and their pages: records."""

from __future__ import annotations

from zonerss._core import lib
from zonerss.plain import dataclass

PAGE_STRUCT = "=QQQBB6x"
"""One entry of :class:`VmaPages`: address, pfn, mapcount, kind, huge; 32 bytes, native order (struct's notation)."""

PAGE_ZERO: int = lib.PAGE_ZERO
"""Kind of an entry that maps the zero page or the huge zero page."""
PAGE_DEVICE: int = lib.PAGE_DEVICE
"""Kind of an entry whose frame is no page of memory that counts: device memory, kernel data."""
MAPCOUNT_UNKNOWN = 0xFFFFFFFFFFFFFFFF


@dataclass(frozen=True, slots=True)
class Vma:
    """One row of /proc/PID/maps: addresses [start, end) in bytes."""

    start: int
    end: int
    permissions: str
    """As maps prints it: rwxp or s."""
    offset: int
    device: tuple[int, int]
    inode: int
    name: str
    """The path or [name], as the kernel escaped it; empty for plain anonymous memory."""


@dataclass(frozen=True, slots=True)
class VmaPages:
    """A mapping and its pages."""

    vma: Vma
    count: int
    """How many pages there are."""
    buffer: memoryview
    """Shape (32 * count,), bytes: entries of PAGE_STRUCT in order of address. kind is a
    :class:`zonerss.census.kinds.Kind`, PAGE_ZERO or PAGE_DEVICE; pfn is a swap slot where kind is SWAP; mapcount is
    MAPCOUNT_UNKNOWN where the kernel does not say; huge is 1 where a PMD or greater maps the page (known only
    with PAGEMAP_SCAN, Linux 6.7)."""
    pfnmap: bool = False
    """Device or kernel memory that is mapped by frame number (VM_PFNMAP). No page of it is in pagemap, so what is
    there is unknown."""


@dataclass(frozen=True, slots=True)
class SmapsRow:
    """One mapping of /proc/PID/smaps."""

    start: int
    end: int
    shared: bool
    """MAP_SHARED."""
    offset: int
    """In bytes, of the file."""
    file: tuple[bytes, int]
    """Device and name, and inode, as maps prints them. The inode of a System V segment is its id: any file's."""
    is_shared_anon: bool
    """Shared memory without a file of its own: MAP_SHARED | MAP_ANONYMOUS, System V, memfd."""
    sizes: dict[str, int]
    """Rss, Pss, Private_Hugetlb and so on, in bytes."""
    flags: frozenset[str]
    """VmFlags: two letters each; ac: the mapping reserves swap (VM_ACCOUNT)."""
