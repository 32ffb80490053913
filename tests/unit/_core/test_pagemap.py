"""A huge page by one word of pagemap (pagemap.c): who else may mark its frames meanwhile."""

from __future__ import annotations

import pytest
from tests.unit._core.doubles import load

PRESENT = 1 << 63
ALONE = 1 << 56
"""Mapped once on the whole machine (Documentation/admin-guide/mm/pagemap.rst, Linux 4.2)."""
PFN = 1 << 20
HUGE = 512

_, lib = load(
    "pagemap_double.c",
    [
        *("census.c", "foreign.c", "jobs.c", "maps.c", "mapped_files.c", "mounts.c"),
        *("parts.c", "pool.c", "present.c", "queue.c", "tasks.c"),
    ],
    ["-O1", "-pthread"],
    "int double_huge(uint64_t word, uint64_t count, int twice);",
    ["pagemap.c"],
)


@pytest.mark.parametrize(
    ("flags", "twice", "alone"),
    [
        (ALONE, False, True),
        (0, False, False),  # another address space maps it, too
        # One address space of two zones: the kernel counts one mapping, and two threads of ours mark for two zones.
        (ALONE, True, False),
        (0, True, False),
    ],
)
def test_the_frames_are_ours_alone_where_one_address_space_of_one_zone_maps_them(
    flags: int, twice: bool, alone: bool
) -> None:
    assert lib.double_huge(PRESENT | flags | PFN, HUGE, twice) == alone
