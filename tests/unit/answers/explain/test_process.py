"""One process three ways."""

from __future__ import annotations

from collections import Counter

from zonerss.answers.explain.process import three_ways
from zonerss.census.kinds import Kind
from zonerss.records.mappings import PAGE_DEVICE, PAGE_ZERO
from zonerss.units import PAGE_BYTES


def test_three_ways():
    entries = Counter(
        {
            Kind.ANON: 23,
            Kind.FILE: 31,
            Kind.SHMEM: 7,
            Kind.HUGETLB: 512,
            PAGE_ZERO: 67,
            PAGE_DEVICE: 2,
            Kind.SWAP: 9,
        }
    )
    ways = three_ways(42, 60 * PAGE_BYTES, 61 * PAGE_BYTES, entries, 4 * PAGE_BYTES)
    assert {step.name: step.bytes // PAGE_BYTES for step in ways.steps} == {
        "counter_lag": 1,
        "changed_meanwhile": 0,
        "zero_page": 67,
        "device": 2,
        "hugetlb": 512,
    }
    assert ways.translations_bytes == (61 + 67 + 2 + 512) * PAGE_BYTES
    assert ways.pfnmap_bytes == 4 * PAGE_BYTES
