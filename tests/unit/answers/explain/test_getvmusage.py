"""How memory is mapped beside who maps it; swap reserved; one process three ways."""

from __future__ import annotations

import struct
from collections import Counter

from zonerss.answers.explain.getvmusage import how_mapped
from zonerss.answers.explain.process import count_entries, three_ways
from zonerss.answers.explain.reserved import SmapsRow, reserved_bytes
from zonerss.census.census import Kind, Parts
from zonerss.units import PAGE_BYTES

ZERO, DEVICE = 16, 17
PAGE_STRUCT = "=QQQBB6x"


def test_private_shared_and_both():
    # Two zones 0 and 1; 2 and 3 are the same by shared mappings.
    parts = Parts.of(
        4,
        {
            (0,): (23, 31, 0, 0, 0),
            (0, 1): (0, 11, 0, 0, 0),
            (2,): (0, 0, 7, 0, 0),
            (0, 2): (0, 5, 0, 0, 0),
            (1, 2): (0, 3, 0, 0, 0),
            (1,): (1000, 0, 0, 0, 0),
        },
    )
    found = how_mapped(parts, [0], 66 * PAGE_BYTES, (8, 9), 10)
    assert found.rss_private_bytes == (23 + 31 + 11) * PAGE_BYTES
    assert found.rss_shared_bytes == (7 + 5 + 3) * PAGE_BYTES
    assert found.both_bytes == 5 * PAGE_BYTES
    assert found.shared_with_others_bytes == (11 + 3) * PAGE_BYTES
    assert (found.swap_private_bytes, found.swap_shared_bytes, found.swap_used_bytes) == (8, 9, 10)


def row(start: int, end: int, *flags: str, shared: bool = False, offset: int = 0, inode: int = 0) -> SmapsRow:
    return SmapsRow(start, end, shared, offset, (b"00:01", inode), shared and inode > 0, {}, frozenset(flags))


def test_private_reservations_add_up_and_shared_anon_counts_once():
    one = [row(0, 100, "ac"), row(100, 150), row(200, 260, "sh", shared=True, inode=5)]
    two = [row(0, 100, "ac"), row(300, 340, shared=True, inode=5, offset=40), row(400, 410, shared=True)]
    assert reserved_bytes([one, two]) == (200, 80)
    assert reserved_bytes([]) == (0, 0)


def test_three_ways():
    entries = Counter(
        {Kind.ANON: 23, Kind.FILE: 31, Kind.SHMEM: 7, Kind.HUGETLB: 512, ZERO: 67, DEVICE: 2, Kind.SWAP: 9}
    )
    ways = three_ways(42, 60 * PAGE_BYTES, 61 * PAGE_BYTES, entries, ZERO, DEVICE)
    assert {step.name: step.bytes // PAGE_BYTES for step in ways.steps} == {
        "counter_lag": 1,
        "changed_meanwhile": 0,
        "zero_page": 67,
        "device": 2,
        "hugetlb": 512,
    }
    assert ways.translations_bytes == (61 + 67 + 2 + 512) * PAGE_BYTES


def test_entries_are_counted_by_kind():
    buffers = [
        memoryview(b"".join(struct.pack(PAGE_STRUCT, i, i, 1, kind, 0) for i, kind in enumerate(kinds)))
        for kinds in ((0, 0, 1), (ZERO,), ())
    ]
    assert count_entries(buffers, PAGE_STRUCT) == {0: 2, 1: 1, ZERO: 1}
