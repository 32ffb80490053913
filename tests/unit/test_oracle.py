"""The oracle itself: the definition by hand-made cases, and the words of the kernel that it reads."""

from __future__ import annotations

import os
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.oracle import (
    FILE_OR_SHARED,
    HUGETLB,
    KINDS,
    NO_PAGE,
    PRESENT,
    SOFT_DIRTY,
    SWAP_BACKED,
    SWAPPED,
    ZERO_PAGE,
    Kernel,
    Vma,
    distinct,
    parse_maps,
    partition,
    read_words,
    usage,
)

marks = st.lists(
    st.tuples(st.sampled_from("abcd"), st.integers(0, 20)).map(
        lambda mark: (*mark, KINDS[mark[1] % len(KINDS)]),
    )
)


def pages(**kinds: int) -> dict[str, int]:
    return {kind: kinds.get(kind, 0) for kind in KINDS}


def test_a_page_counts_once_in_a_zone_however_often_it_is_mapped():
    assert partition([("a", 7, "anon")] * 5) == {frozenset("a"): pages(anon=1)}


def test_a_page_is_charged_in_full_to_every_zone_that_maps_it():
    zones = usage(partition([("a", 7, "file"), ("b", 7, "file"), ("b", 8, "anon")]))
    assert (zones["a"].rss, zones["b"].rss) == (1, 2)
    assert (zones["a"].exclusive, zones["b"].exclusive) == (0, 1)
    assert (zones["a"].shared, zones["b"].shared) == (1, 1)
    assert zones["b"].proportional == Fraction(3, 2)


def test_hugetlb_and_swap_stand_beside_rss():
    parts = partition([("a", 1, "hugetlb"), ("a", 2, "swap"), ("a", 3, "shmem")])
    assert usage(parts)["a"].rss == 1
    assert distinct(parts) == pages(hugetlb=1, swap=1, shmem=1)


def test_a_slot_of_swap_is_no_frame_of_the_same_number():
    assert partition([("a", 7, "anon"), ("a", 7, "swap")]) == {frozenset("a"): pages(anon=1, swap=1)}


@given(marks)
def test_identities_of_the_sums(seen):
    parts = partition(seen)
    zones = usage(parts)
    total = sum(count for kind, count in distinct(parts).items() if kind not in ("hugetlb", "swap"))
    assert sum(zone.proportional for zone in zones.values()) == total
    assert sum(zone.rss for zone in zones.values()) >= total
    assert distinct(parts) == {
        kind: len({number for _zone, number, other in seen if other == kind}) for kind in KINDS
    }


@given(marks, st.randoms(use_true_random=False))
def test_the_order_of_marks_is_of_no_account(seen, random):
    shuffled = random.sample(seen, len(seen))
    assert partition(shuffled) == partition(seen)


def test_rows_of_maps():
    text = (
        b"00400000-00402000 r-xp 00001000 fe:00 1234                       /usr/bin/with space\n"
        b"7ffc0000-7ffc3000 rw-p 00000000 00:00 0 \n"
    )
    assert parse_maps(text) == [
        Vma(0x400000, 0x402000, b"/usr/bin/with space"),
        Vma(0x7FFC0000, 0x7FFC3000, b""),
    ]


@pytest.mark.parametrize("hole", [0, SOFT_DIRTY])
def test_words_of_pages_that_are_there_with_their_address(tmp_path, hole):
    file = tmp_path / "pagemap"
    words = [hole] * 170_001
    words[3], words[40_000], words[170_000] = PRESENT | 11, SWAPPED | hole | 13, PRESENT | hole | 17
    file.write_bytes(b"".join(word.to_bytes(8, "little") for word in words))
    with file.open("rb") as pagemap:
        found = list(read_words(pagemap.fileno(), Vma(0, 170_001 * 4096, b"")))
    assert found == [(page * 4096, words[page]) for page in (3, 40_000, 170_000)]


class RecordedKernel(Kernel):
    def __init__(self, flags: dict[int, int]):
        self._file, self._counts = (os.open("/dev/null", os.O_RDONLY) for _ in range(2))
        self._flags = flags


def test_what_a_word_tells():
    kernel = RecordedKernel({1: 0, 2: SWAP_BACKED, 3: HUGETLB, 4: ZERO_PAGE, 5: NO_PAGE, 6: SWAP_BACKED})
    shared = PRESENT | FILE_OR_SHARED
    words = [PRESENT | 6, shared | 1, shared | 2, shared | 3, PRESENT | 4, shared | 5]
    assert [kernel.kind(word) for word in words] == ["anon", "file", "shmem", "hugetlb", None, None]
    guard_marker, migration = SWAPPED | 31, SWAPPED | 28
    words = [SWAPPED | 33, guard_marker, migration, 0]
    assert [kernel.kind(word) for word in words] == ["swap", None, "moving", None]
    kernel.close()
