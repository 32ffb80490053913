"""Page table entries of arm64 (entry.h) on any machine, by hand after arch/arm64/include/asm/pgtable*.h."""

from __future__ import annotations

import pytest
from tests.unit._core.doubles import load

_, lib = load(
    "entry_double.c",
    [],
    [],
    """
    bool arm64_set(uint32_t page_shift, uint64_t last_frame);
    bool arm64_protnone(uint64_t entry);
    bool arm64_maps(uint64_t entry);
    uint64_t arm64_pfn(uint64_t entry);
    uint64_t arm64_swap_type(uint64_t entry);
    uint64_t arm64_swap_offset(uint64_t entry);
    uint32_t arm64_block(void);
    """,
)
SHIFTS = (12, 14, 16)
PAGE = 3 | 1 << 6 | 3 << 8 | 1 << 10 | 1 << 11 | 1 << 52 | 1 << 54 | 1 << 55
"""Present, of user space, inner shareable (bits 8 and 9), accessed, not global, contiguous, not executable, dirty."""
FRAME = 0x12345
LAYOUTS = {
    "to 6.9": (1 << 58, 3, 8),
    "since 6.10": (1 << 11, 6, 12),
}
"""What says that it may not be touched, and where the type and the offset of what is in swap are."""


def bit(number: int) -> int:
    return 1 << number


@pytest.mark.parametrize("shift", SHIFTS)
def test_an_address_is_neither_its_attributes_nor_its_shareability(shift: int) -> None:
    assert lib.arm64_set(shift, FRAME)
    assert lib.arm64_pfn(FRAME << shift | PAGE) == FRAME


@pytest.mark.parametrize(("shift", "bits"), [(12, 50), (14, 50), (16, 48)])
def test_memory_that_entries_write_in_another_way_is_refused(shift: int, bits: int) -> None:
    """Above, with LPA2 or with pages of 64 KiB, the highest bits of the address are lower down."""
    assert lib.arm64_set(shift, bit(bits - shift) - 1)
    assert not lib.arm64_set(shift, bit(bits - shift))


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("shift", SHIFTS)
def test_a_page_that_may_not_be_touched_tells_how_swap_is_written(
    shift: int, layout: tuple[int, int, int]
) -> None:
    none, type_shift, offset_shift = layout
    lib.arm64_set(shift, FRAME)
    entry = FRAME << shift | (PAGE & ~(1 | 1 << 11)) | none
    assert lib.arm64_protnone(entry)
    assert lib.arm64_maps(entry)
    assert lib.arm64_pfn(entry) == FRAME
    swapped = 9 << type_shift | 0x3_4567_89AB << offset_shift | 1 << 2
    assert not lib.arm64_maps(swapped)
    assert (lib.arm64_swap_type(swapped), lib.arm64_swap_offset(swapped)) == (9, 0x3_4567_89AB)


def test_a_huge_page_that_is_being_split_is_there() -> None:
    """Before 6.10 by a bit of its own."""
    lib.arm64_set(12, FRAME)
    lib.arm64_protnone(bit(58))
    assert lib.arm64_maps(FRAME << 12 | bit(59))


def test_an_entry_that_says_neither_is_not_known() -> None:
    lib.arm64_set(12, FRAME)
    assert not lib.arm64_protnone(FRAME << 12 | bit(6) | bit(10))


@pytest.mark.parametrize(("shift", "entries"), [(12, 16), (14, 128), (16, 32)])
def test_how_many_entries_are_written_together(shift: int, entries: int) -> None:
    lib.arm64_set(shift, FRAME)
    assert lib.arm64_block() == entries
