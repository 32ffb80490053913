"""Pages of mappings, counted."""

from __future__ import annotations

from collections import Counter

from tests.unit.builders import ONE_OF_EACH, mapping

from zonerss.answers.frames import count_kinds, count_pages
from zonerss.census.kinds import Kind
from zonerss.records.mappings import MAPCOUNT_UNKNOWN, PAGE_DEVICE, PAGE_ZERO

START = 0x400000
EVERYTHING = mapping(START, "/bin/x", *ONE_OF_EACH, size_pages=16)


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
    kinds = count_kinds([EVERYTHING, mapping(START, "", (7, 1, Kind.FILE, 0))])
    assert kinds == Counter(
        {Kind.ANON: 2, Kind.FILE: 2, Kind.SHMEM: 1, PAGE_ZERO: 1, PAGE_DEVICE: 1, Kind.SWAP: 1}
    )
