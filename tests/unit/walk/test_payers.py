"""Payers from a recorded kpagecgroup."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest

from zonerss.census.census import Census
from zonerss.kernel.roots import Roots
from zonerss.records.bills import Billed
from zonerss.walk.payers import read_payers


def kpagecgroup(root: Path, inodes: dict[int, int], frames: int) -> Roots:
    words = struct.pack(f"={frames}Q", *(inodes.get(pfn, 0) for pfn in range(frames)))
    (root / "kpagecgroup").write_bytes(words)
    return Roots(proc=root)


def test_frames_by_set_and_payer(tmp_path):
    census = Census(2)
    census.mark(0, [1, 2, 3, 4095, 4096, 9000], [0, 0, 1, 1, 2, 0])
    census.mark(1, [3, 4, 9000], [1, 1, 0])
    roots = kpagecgroup(tmp_path, {1: 7, 2: 7, 3: 8, 4: 8, 4095: 8, 4096: 7}, 5000)
    found = read_payers(census, census.parts(), roots)
    assert set(found) == {
        Billed((0,), 7, (2, 0, 1, 0, 0)),
        Billed((0,), 8, (0, 1, 0, 0, 0)),
        Billed((0, 1), 8, (0, 1, 0, 0, 0)),
        Billed((1,), 8, (0, 1, 0, 0, 0)),
        Billed((0, 1), 0, (1, 0, 0, 0, 0)),  # beyond the file: nobody's
    }
    assert len(found) == 5


def test_swap_slots_have_no_payer(tmp_path):
    census = Census(1)
    census.mark(0, [1, 1], [0, 4])
    found = read_payers(census, census.parts(), kpagecgroup(tmp_path, {1: 7}, 10))
    assert found == (Billed((0,), 7, (1, 0, 0, 0, 0)),)


def test_frames_of_an_earlier_census_are_forgotten(tmp_path):
    census = Census(1)
    census.mark(0, [1, 2], [0, 0])
    census.restart(1)
    census.mark(0, [2], [0])
    found = read_payers(census, census.parts(), kpagecgroup(tmp_path, {1: 7, 2: 7}, 10))
    assert found == (Billed((0,), 7, (1, 0, 0, 0, 0)),)


HEAD, TAIL = 1 << 15, 1 << 16


def kpageflags(root: Path, flags: dict[int, int], frames: int) -> None:
    words = struct.pack(f"={frames}Q", *(flags.get(pfn, 0) for pfn in range(frames)))
    (root / "kpageflags").write_bytes(words)


def test_of_a_tail_the_head_is_asked(tmp_path):
    """Linux before 6.4: the word of a huge page is at its head alone, perhaps in another block, not marked."""
    census = Census(1)
    huge = [*range(4000, 4512), *range(4608, 4624)]
    marked = [2, 3, *range(4090, 4110), *range(4500, 4512), *range(4609, 4624)]
    census.mark(0, marked, [0] * len(marked))
    flags = {pfn: TAIL for pfn in huge} | {4000: HEAD, 4608: HEAD}
    kpageflags(tmp_path, flags | {3: TAIL, 2: 0}, 5000)
    roots = kpagecgroup(tmp_path, {2: 9, 4000: 7, 4608: 8}, 5000)
    found = read_payers(census, census.parts(), roots)
    assert {(row.inode, row.pages[0]) for row in found} == {
        (9, 1),
        (0, 1),  # a tail whose head was split meanwhile
        (7, 20 + 12),
        (8, 15),
    }


@pytest.mark.parametrize("name", ["kpagecgroup", "kpageflags"])
def test_what_cannot_be_read_is_an_error_and_not_charged_to_nobody(name: str, tmp_path):
    """A word of kpageflags that could not be read made the tails of a huge page nobody's."""
    census = Census(1)
    census.mark(0, [5], [0])
    kpageflags(tmp_path, {4: HEAD, 5: TAIL}, 10)
    roots = kpagecgroup(tmp_path, {4: 7}, 10)
    assert read_payers(census, census.parts(), roots) == (Billed((0,), 7, (1, 0, 0, 0, 0)),)
    (tmp_path / name).unlink()
    (tmp_path / name).mkdir()  # can be opened, and not read
    with pytest.raises(OSError, match="reading who pays for each frame"):
        read_payers(census, census.parts(), roots)


def test_two_huge_pages_side_by_side(tmp_path):
    census = Census(1)
    marked = [*range(512, 1024), *range(1025, 1536)]
    census.mark(0, marked, [0] * len(marked))
    kpageflags(tmp_path, {pfn: TAIL for pfn in range(512, 1536)} | {512: HEAD, 1024: HEAD}, 2000)
    found = read_payers(census, census.parts(), kpagecgroup(tmp_path, {512: 7, 1024: 8}, 2000))
    assert {(row.inode, row.pages[0]) for row in found} == {(7, 512), (8, 511)}


def test_many_payers(tmp_path):
    """More than the table begins with."""
    census = Census(1)
    census.mark(0, range(5000), [0] * 5000)
    found = read_payers(
        census, census.parts(), kpagecgroup(tmp_path, {pfn: pfn + 1 for pfn in range(5000)}, 5000)
    )
    assert {(row.inode, row.pages[0]) for row in found} == {(inode, 1) for inode in range(1, 5001)}


def test_no_kpagecgroup(tmp_path):
    census = Census(1)
    assert read_payers(census, census.parts(), Roots(proc=tmp_path)) is None


@pytest.mark.parametrize("seed", range(4))
def test_frames_with_gaps_of_any_length_between_them(tmp_path, seed):
    """What is between frames of the census is read or not, and counts in neither case."""
    chance, at, met = random.Random(seed), 0, {}
    while (at := at + chance.choice((1, 1, 1, 2, 15, 16, 17, 18, 33, 700))) < 13_000:
        met[at] = chance.randrange(3)
    inodes = {pfn: chance.choice((0, 7, 8)) for pfn in range(13_000)}
    heads = set(range(0, 13_000, 64))
    kpageflags(tmp_path, {pfn: HEAD if pfn in heads else TAIL for pfn in range(13_000)}, 13_000)
    census = Census(1)
    census.mark(0, list(met), list(met.values()))
    found = read_payers(census, census.parts(), kpagecgroup(tmp_path, inodes, 13_000))
    expected: dict[int, list[int]] = {}
    for pfn, kind in met.items():
        payer = inodes[pfn] or inodes[pfn - pfn % 64]
        expected.setdefault(payer, [0] * 5)[kind] += 1
    assert {row.inode: list(row.pages) for row in found} == expected
