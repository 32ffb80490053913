"""The pages of a process, counted mapping by mapping. Pure."""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterable

from zonerss.census.kinds import Kind
from zonerss.plain import dataclass, field
from zonerss.records.mappings import PAGE_DEVICE, PAGE_STRUCT, PAGE_ZERO, Vma, VmaPages
from zonerss.units import pages_to_bytes

COUNTED = {
    "anon": Kind.ANON,
    "file": Kind.FILE,
    "shmem": Kind.SHMEM,
    "hugetlb": Kind.HUGETLB,
    "swap": Kind.SWAP,
    "zero": PAGE_ZERO,
    "device": PAGE_DEVICE,
}
"""What is counted, and the kind of its entries."""


@dataclass(slots=True)
class MappingPages:
    """One mapping, counted."""

    vma: Vma
    pages: Counter[str] = field(default_factory=Counter)
    """Pages by the names of COUNTED, and "huge"."""
    mapcounts: Counter[int] = field(default_factory=Counter)
    """How many frames of memory are mapped how often, machine-wide."""
    runs: list[tuple[int, int, int]] = field(default_factory=list)
    """Runs of frames: address, first pfn, pages."""
    pfnmap: bool = False
    """Device or kernel memory by frame number, of which pagemap shows nothing."""

    @property
    def device_pages(self) -> int | None:
        """Pages that are no memory; None: unknown."""
        return None if self.pfnmap else self.pages["device"]


def count_pages(pages: VmaPages, with_runs: bool) -> MappingPages:
    """Count the pages of one mapping, and note runs of frames if asked to."""
    row = MappingPages(pages.vma, pfnmap=pages.pfnmap)
    names = {int(kind): name for name, kind in COUNTED.items()}
    for address, pfn, mapcount, kind, huge in struct.iter_unpack(PAGE_STRUCT, pages.buffer):
        row.pages[names[kind]] += 1
        if kind not in (Kind.SWAP, PAGE_ZERO, PAGE_DEVICE):
            row.pages["huge"] += huge
            row.mapcounts[mapcount] += 1
        if with_runs and kind != Kind.SWAP:
            _extend_runs(row.runs, address, pfn)
    return row


def _extend_runs(runs: list[tuple[int, int, int]], address: int, pfn: int) -> None:
    if runs:
        start, first, count = runs[-1]
        if pfn == first + count and address == start + pages_to_bytes(count):
            runs[-1] = (start, first, count + 1)
            return
    runs.append((address, pfn, 1))


def count_kinds(mappings: Iterable[VmaPages]) -> Counter[int]:
    """Page table entries of several mappings by kind: :class:`Kind`, PAGE_ZERO or PAGE_DEVICE."""
    kinds: Counter[int] = Counter()
    for pages in mappings:
        kinds.update(entry[3] for entry in struct.iter_unpack(PAGE_STRUCT, pages.buffer))
    return kinds
