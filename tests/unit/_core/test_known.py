"""Known tables (known.c): their hash against plain sums of products, what tells tables apart, and what has no room."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from tests.unit._core.doubles import CORE, declarations, load

ENTRIES = 512
WORD = 1 << 64
FRAME_BITS = 0x000FFFFFFFFFF000
MASK = FRAME_BITS | 1 | 1 << 9
"""The address, and that it is present, and special."""

ffi, lib = load(
    "known_double.c",
    ["known.c"],
    [],
    declarations(CORE / "known.h")
    .replace("TABLE_ENTRIES", str(ENTRIES))
    .replace("_Atomic(uint64_t)", "uint64_t"),
)
Key = Sequence[Sequence[int]]
HASHES = {"widest": lib.known_hash, "plain": lib.known_hash_plain}
words = st.integers(0, WORD - 1)


def carryless(a: int, b: int) -> int:
    """The product of two polynomials over GF(2)."""
    return xor(a << bit for bit in range(64) if b >> bit & 1)


def xor(numbers: Iterator[int]) -> int:
    result = 0
    for number in numbers:
        result ^= number
    return result


def products(key: Sequence[int], entries: Sequence[int]) -> Iterator[tuple[int, int, int, int]]:
    """Each pair of words, and the words of the key that belong to it."""
    padded = [*(entry & MASK for entry in entries), 0, 0, 0]
    for at in range(0, len(entries), 2):
        yield padded[at], padded[at + 1], key[at], key[at + 1]


def sum_plain(key: Sequence[int], entries: Sequence[int]) -> int:
    return sum((a + k) % WORD * ((b + m) % WORD) for a, b, k, m in products(key, entries)) % WORD**2


def sum_carryless(key: Sequence[int], entries: Sequence[int]) -> int:
    """The words after the last entry are hashed as empty entries, up to a multiple of four."""
    whole = [*entries, *[0] * (-len(entries) % 4)]
    return xor(carryless(a ^ k, b ^ m) for a, b, k, m in products(key, whole))


def c_key(key: Key) -> Any:
    return ffi.new("struct known_key *", {"words": [list(half) for half in key]})


def random_key(seed: object = None) -> Key:
    source = random.Random(seed) if seed is not None else random.SystemRandom()
    return [[source.getrandbits(64) for _ in range(ENTRIES)] for _ in range(2)]


def hashed(function: Any, key: Any, entries: Sequence[int], mask: int = MASK) -> tuple[int, int]:
    found = function(key, ffi.new("uint64_t[]", list(entries)), len(entries), mask)
    return found.words[0] | found.words[1] << 64, found.words[2] | found.words[3] << 64


KEY = random_key("any")
C_KEY = c_key(KEY)


# ---- the hash ------------------------------------------------------------------------------------------------


def has_carryless() -> bool:
    return bool({"vpclmulqdq", "avx2"} <= set(open("/proc/cpuinfo").read().split()))


@given(st.lists(words, min_size=1, max_size=ENTRIES))
def test_it_is_a_sum_of_products_under_two_keys(entries: list[int]) -> None:
    assert hashed(lib.known_hash_plain, C_KEY, entries) == tuple(sum_plain(half, entries) for half in KEY)
    model = sum_carryless if has_carryless() else sum_plain
    assert hashed(lib.known_hash, C_KEY, entries) == tuple(model(half, entries) for half in KEY)


@pytest.mark.parametrize("function", HASHES)
@given(st.lists(words, min_size=1, max_size=ENTRIES), st.data())
def test_what_tells_two_tables_apart(function: str, entries: list[int], data: st.DataObject) -> None:
    """One bit of one entry that is in the mask; the others tell nothing."""
    at = data.draw(st.integers(0, len(entries) - 1))
    bit = 1 << data.draw(st.integers(0, 63))
    other = [*entries]
    other[at] ^= bit
    same = hashed(HASHES[function], C_KEY, entries) == hashed(HASHES[function], C_KEY, other)
    assert same == (not bit & MASK)


def colliding(function: str, key: Key) -> tuple[list[int], list[int]]:
    """
    Two tables that whoever knows the key can fill: a factor that is 0 hides what it is multiplied by.

    The key is one that lets entries be such a factor: its words have no bit that an entry has not.
    """
    entries = [FRAME_BITS & 0x123456789000 | 1] * ENTRIES
    for half in key:
        assert half[0] == key[0][0]
    entries[0] = key[0][0] if function == "widest" and has_carryless() else -key[0][0] % WORD
    assert entries[0] & MASK == entries[0]
    other = [*entries]
    other[1] = FRAME_BITS & 0x987654321000 | 1
    return entries, other


@pytest.mark.parametrize("function", HASHES)
def test_who_knows_the_key_can_fill_tables_that_collide_and_nobody_else(function: str) -> None:
    weak = [list(half) for half in random_key("weak")]
    factor = 0x5555555555000 & FRAME_BITS
    weak[0][0] = weak[1][0] = factor if function == "widest" and has_carryless() else -factor % WORD
    one, other = colliding(function, weak)
    assert one != other
    assert hashed(HASHES[function], c_key(weak), one) == hashed(HASHES[function], c_key(weak), other)
    for _ in range(100):
        drawn = c_key(random_key())
        assert hashed(HASHES[function], drawn, one) != hashed(HASHES[function], drawn, other)


# ---- the rows ------------------------------------------------------------------------------------------------


@pytest.fixture
def make_known() -> Iterator[Callable[[int], Any]]:
    made = []

    def make(tables: int) -> Any:
        known = ffi.new("struct known_tables *")
        assert lib.known_create(known, tables) == 0
        lib.known_restart(known, tables)
        made.append(known)
        return known

    yield make
    for known in made:
        lib.known_destroy(known)


def table(
    known: Any,
    entries: Sequence[int],
    owner: int = 7,
    traits: int = 3,
    rss_pages: int = 0,
    zero_pages: int = 0,
) -> Any:
    ret = ffi.new("struct known_table *")
    ret.hash = lib.known_hash(ffi.addressof(known.key), ffi.new("uint64_t[]", entries), len(entries), MASK)
    ret.owner, ret.traits, ret.entries = owner, traits, len(entries)
    ret.rss_pages, ret.zero_pages = rss_pages, zero_pages
    return ret


def present(*frames: int) -> list[int]:
    return [frame << 12 | 0x67 for frame in frames]


def test_what_was_met_is_found_with_its_counts(make_known) -> None:
    known = make_known(1)
    entries = present(*range(100, 612))
    assert not lib.known_find(known, table(known, entries))
    lib.known_add(known, table(known, entries, rss_pages=512, zero_pages=0))
    found = table(known, entries)
    assert lib.known_find(known, found)
    assert (found.rss_pages, found.zero_pages) == (512, 0)
    clean = table(known, [entry & ~0x60 for entry in entries])  # neither accessed nor dirty
    assert lib.known_find(known, clean)


@pytest.mark.parametrize("how", ["frame", "special", "gone", "zone", "traits", "shorter", "moved"])
def test_what_differs_is_not_known(make_known, how: str) -> None:
    known = make_known(1)
    entries = present(*range(100, 612))
    lib.known_add(known, table(known, entries, rss_pages=512))
    other = [*entries]
    if how == "frame":
        other[300] ^= 1 << 12
    if how == "special":
        other[300] ^= 1 << 9
    if how == "gone":
        other[300] = 0
    if how == "shorter":
        other.pop()
    if how == "moved":
        other = [*entries[1:], entries[0]]
    owner, traits = 8 if how == "zone" else 7, 2 if how == "traits" else 3
    assert not lib.known_find(known, table(known, other, owner, traits))


def test_a_table_with_an_end_that_is_empty_is_not_one_that_is_shorter(make_known) -> None:
    known = make_known(1)
    lib.known_add(known, table(known, [*present(*range(100, 200)), 0], rss_pages=100))
    assert not lib.known_find(known, table(known, present(*range(100, 200))))


def test_a_new_walk_knows_nothing(make_known) -> None:
    known = make_known(1000)
    entries = present(*range(100, 612))
    for _ in range(3):
        assert not lib.known_find(known, table(known, entries))
        lib.known_add(known, table(known, entries))
        assert lib.known_find(known, table(known, entries))
        lib.known_restart(known, 1000)


def test_tables_of_frames_in_order_are_spread_over_the_rows(make_known) -> None:
    """All of them have the same low bits, and so have their sums."""
    known = make_known(4096)
    all_of_them = [present(*range(first, first + 512)) for first in range(0, 512 * 2048, 512)]
    for entries in all_of_them:
        lib.known_add(known, table(known, entries))
    found = sum(lib.known_find(known, table(known, entries)) for entries in all_of_them)
    assert found > 0.98 * len(all_of_them)


def test_what_has_no_room_stays_unknown(make_known) -> None:
    known = make_known(1)
    rows = known.mask + 1
    all_of_them = [present(*range(first, first + 64)) for first in range(0, 64 * 10 * rows, 64)]
    for number, entries in enumerate(all_of_them):
        lib.known_add(known, table(known, entries, rss_pages=number % 512))
    found = 0
    for number, entries in enumerate(all_of_them):
        asked = table(known, entries)
        if lib.known_find(known, asked):
            found += 1
            assert asked.rss_pages == number % 512
    assert rows / 2 < found <= rows


def test_threads_add_and_find_at_once(make_known) -> None:
    known = make_known(4096)
    all_of_them = [
        table(known, present(*range(first, first + 32)), rss_pages=first % 512) for first in range(2000)
    ]
    wrong: list[int] = []

    def work(seed: int) -> None:
        order = [*range(len(all_of_them))]
        random.Random(seed).shuffle(order)
        for number in order:
            asked = ffi.new("struct known_table *", all_of_them[number][0])
            asked.rss_pages = 511
            if not lib.known_find(known, asked):
                lib.known_add(known, all_of_them[number])
            elif asked.rss_pages != number % 512:
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert sum(lib.known_find(known, one) for one in all_of_them) > 1900
