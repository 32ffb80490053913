"""Pages of mappings, counted."""

from __future__ import annotations

import struct
from collections import Counter

from zonerss.answers.frames import count_kinds, count_pages
from zonerss.census.kinds import Kind
from zonerss.records.mappings import MAPCOUNT_UNKNOWN, PAGE_DEVICE, PAGE_STRUCT, PAGE_ZERO, Vma, VmaPages

START = 0x400000


def pages(*entries: tuple[int, int, int, int], name: str = "/bin/x") -> VmaPages:
    """Entries of (pfn, mapcount, kind, huge), one page after the other."""
    raw = b"".join(
        struct.pack(PAGE_STRUCT, START + 4096 * i, pfn, mapcount, kind, huge)
        for i, (pfn, mapcount, kind, huge) in enumerate(entries)
    )
    return VmaPages(Vma(START, START + (16 << 12), "rw-p", 0, (8, 1), 7, name), len(entries), memoryview(raw))


EVERYTHING = pages(
    (100, 1, Kind.ANON, 0),
    (101, 3, Kind.ANON, 1),
    (102, 900, Kind.FILE, 0),
    (50, MAPCOUNT_UNKNOWN, Kind.SHMEM, 0),
    (1, 5, PAGE_ZERO, 0),
    (9, MAPCOUNT_UNKNOWN, PAGE_DEVICE, 0),
    (77, MAPCOUNT_UNKNOWN, Kind.SWAP, 0),
)


def test_counts() -> None:
    row = count_pages(EVERYTHING, with_runs=True)
    assert row.pages == Counter(anon=2, file=1, shmem=1, zero=1, device=1, swap=1, huge=1)
    assert row.mapcounts == Counter({1: 1, 3: 1, 900: 1, MAPCOUNT_UNKNOWN: 1})
    assert row.runs == [
        (START, 100, 3),
        (START + 0x3000, 50, 1),
        (START + 0x4000, 1, 1),
        (START + 0x5000, 9, 1),
    ]


def test_entries_are_counted_by_kind() -> None:
    kinds = count_kinds([EVERYTHING, pages((7, 1, Kind.FILE, 0))])
    assert kinds == Counter(
        {Kind.ANON: 2, Kind.FILE: 2, Kind.SHMEM: 1, PAGE_ZERO: 1, PAGE_DEVICE: 1, Kind.SWAP: 1}
    )
