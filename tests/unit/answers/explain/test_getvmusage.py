"""How memory is mapped beside who maps it; swap that is reserved."""

from __future__ import annotations

from zonerss.answers.explain.getvmusage import how_mapped, reserved_bytes
from zonerss.census.parts import Parts
from zonerss.records.mappings import SmapsRow
from zonerss.units import PAGE_BYTES


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
