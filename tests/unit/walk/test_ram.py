"""What each frame is, from words of kpageflags and kpagecount written by hand."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.errors import CannotServe
from zonerss.kernel.roots import Roots
from zonerss.records.machine import RamCharge, RamPages
from zonerss.units import PAGE_BYTES
from zonerss.walk.ram import read_ram_pages

UPTODATE, DIRTY, LRU, ACTIVE, SLAB, WRITEBACK = (1 << bit for bit in (3, 4, 5, 6, 7, 8))
BUDDY, MMAP, ANON, SWAPCACHE, SWAPBACKED, HEAD, TAIL, HUGE = (1 << bit for bit in range(10, 18))
POISON, NOPAGE, OFFLINE, ZERO, PGTABLE, RESERVED = (1 << bit for bit in (19, 20, 23, 24, 26, 32))
NONE = RamPages((0,) * 4, (0,) * 4, (0,) * 4, *(0,) * 10)


def write(root: Path, flags: list[int], *ranges: tuple[int, int]) -> None:
    """kpageflags, and an iomem by which all of these frames are memory, or these ranges."""
    (root / "kpageflags").write_bytes(struct.pack(f"={len(flags)}Q", *flags))
    lines = [
        f"{first * PAGE_BYTES:08x}-{(first + count) * PAGE_BYTES - 1:08x} : System RAM\n"
        for first, count in ranges or ((0, len(flags)),)
    ]
    (root / "iomem").write_text("".join(lines))


def ram(
    root: Path, flags: list[int], counts: list[int] | None = None, zones: dict[int, Kind] | None = None
) -> RamPages:
    write(root, flags)
    if counts is not None:
        (root / "kpagecount").write_bytes(struct.pack(f"={len(counts)}Q", *counts))
    census = Census(1)
    for pfn, kind in (zones or {}).items():
        census.mark(0, [pfn], [kind])
    return read_ram_pages(census, Roots(proc=root))


def named(found: RamPages) -> dict[str, object]:
    """The fields that are not zero."""
    return {
        name: getattr(found, name)
        for name in RamPages.__slots__
        if getattr(found, name) != getattr(NONE, name)
    }


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (BUDDY, "free"),
        (BUDDY | UPTODATE, "free"),  # PG_reported is the same bit
        (SLAB, "slab"),
        (SLAB | ANON, "slab"),
        (PGTABLE, "page_tables"),
        (OFFLINE, "offline"),
        (POISON | BUDDY, "poisoned"),
        (RESERVED, "reserved"),
        (ZERO, "zero"),
        (RESERVED | ZERO, "reserved"),  # the small zero page is of the kernel's image
        (0, "kernel"),
        (HEAD, "kernel"),
        (MMAP, "kernel"),  # of a process that was not walked
    ],
)
def test_what_is_nobodys(tmp_path: Path, flags: int, name: str) -> None:
    assert named(ram(tmp_path, [flags])) == {name: 1}


def test_no_struct_page_is_nothing(tmp_path: Path) -> None:
    assert ram(tmp_path, [NOPAGE] * 5000) == NONE


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        (ANON | SWAPBACKED | LRU, Kind.ANON),
        (SWAPBACKED | SWAPCACHE | LRU, Kind.ANON),  # read from swap, not mapped yet
        (LRU, Kind.FILE),
        (UPTODATE, Kind.FILE),  # on its way to a list
        (SWAPBACKED | UPTODATE, Kind.SHMEM),
        (HUGE, Kind.HUGETLB),
    ],
)
def test_kinds_of_zones_of_others_and_of_nobody(tmp_path: Path, flags: int, kind: Kind) -> None:
    one = tuple(int(kind == other) for other in (Kind.ANON, Kind.FILE, Kind.SHMEM, Kind.HUGETLB))
    assert named(ram(tmp_path, [flags])) == {"bare": one}
    assert named(ram(tmp_path, [flags | MMAP], [3])) == {"others": one}
    assert named(ram(tmp_path, [flags | MMAP], [0])) == {"bare": one}  # the rest of a huge page
    assert named(ram(tmp_path, [flags | MMAP], [3], {0: kind})) == {"zones": one}


def test_the_census_says_of_which_kind_a_zones_frame_is(tmp_path: Path) -> None:
    assert named(ram(tmp_path, [LRU | MMAP], [1], {0: Kind.SHMEM})) == {"zones": (0, 0, 1, 0)}


def test_what_zones_map_of_the_kernel(tmp_path: Path) -> None:
    assert named(ram(tmp_path, [MMAP], [1], {0: Kind.FILE})) == {"zones_kernel": 1}
    assert named(ram(tmp_path, [MMAP | RESERVED], [1], {0: Kind.FILE})) == {"zones_reserved": 1}


@pytest.mark.parametrize(
    ("flags", "name"), [(BUDDY, "free"), (0, "kernel"), (SLAB, "slab"), (PGTABLE, "page_tables")]
)
def test_what_a_zone_has_given_back_since(tmp_path: Path, flags: int, name: str) -> None:
    assert named(ram(tmp_path, [flags], [0], {0: Kind.ANON})) == {name: 1}


def test_tails_are_what_their_head_is(tmp_path: Path) -> None:
    flags = [HEAD | LRU | SWAPBACKED | UPTODATE, TAIL, TAIL, 0, TAIL, HEAD | SLAB, TAIL, HEAD, TAIL]
    assert named(ram(tmp_path, flags)) == {"bare": (0, 0, 3, 0), "slab": 2, "kernel": 4}


def test_a_huge_page_across_blocks_and_frames_of_many_chunks(tmp_path: Path) -> None:
    flags = [HEAD | LRU, *[TAIL] * 9000, BUDDY]
    found = ram(tmp_path, flags, zones={4095: Kind.FILE, 4096: Kind.FILE, 9001: Kind.FILE})
    assert named(found) == {"zones": (0, 2, 0, 0), "bare": (0, 8999, 0, 0), "free": 1}


def test_holes_between_memory_are_none(tmp_path: Path) -> None:
    write(tmp_path, [0, BUDDY, BUDDY, 0, *[BUDDY] * 5000, LRU], (1, 2), (4, 4900))
    census = Census(1)
    census.mark(0, [3, 5003], [Kind.FILE, Kind.FILE])
    assert named(read_ram_pages(census, Roots(proc=tmp_path))) == {"free": 4902}


def test_more_memory_than_flags_ends_there(tmp_path: Path) -> None:
    write(tmp_path, [BUDDY] * 3, (1, 10**6))
    assert named(read_ram_pages(Census(1), Roots(proc=tmp_path))) == {"free": 2}


@pytest.mark.parametrize("threads", [1, 2, 3, 64])
def test_several_threads_find_the_same(tmp_path: Path, threads: int) -> None:
    gib = 1 << 18
    flags = [BUDDY] * (3 * gib - 7)
    flags[gib - 1 : gib + 2] = [HEAD | LRU, HEAD | LRU | SWAPBACKED, TAIL]
    flags[2 * gib + 9] = ANON
    write(tmp_path, flags, (5, gib), (gib + 5, 2 * gib - 12))
    (tmp_path / "kpagecgroup").write_bytes(struct.pack("=Q", 7) * len(flags))
    found = read_ram_pages(Census(1), Roots(proc=tmp_path), payers=True, threads=threads)
    charges = (RamCharge(7, False, (1, 1, 2, 0)),)
    assert named(found) == {"bare": (1, 1, 2, 0), "free": 3 * gib - 7 - 5 - 4, "charges": charges}


def test_mapcounts_may_be_missing(tmp_path: Path) -> None:
    assert named(ram(tmp_path, [LRU | MMAP, LRU | MMAP], [1])) == {
        "bare": (0, 1, 0, 0),
        "others": (0, 1, 0, 0),
    }
    (tmp_path / "kpagecount").unlink()
    assert named(ram(tmp_path, [LRU | MMAP])) == {"bare": (0, 1, 0, 0)}


def test_who_is_charged(tmp_path: Path) -> None:
    flags = [SWAPBACKED, HEAD | LRU | SWAPBACKED, TAIL, TAIL, BUDDY, ANON | MMAP, SWAPBACKED | MMAP]
    (tmp_path / "kpagecgroup").write_bytes(struct.pack("=7Q", 7, 7, 0, 0, 9, 8, 7))
    write(tmp_path, flags)
    (tmp_path / "kpagecount").write_bytes(struct.pack("=7Q", 0, 0, 0, 0, 0, 1, 1))
    census = Census(1)
    census.mark(0, [6], [Kind.SHMEM])
    found = read_ram_pages(census, Roots(proc=tmp_path), payers=True)
    assert sorted(found.charges or (), key=lambda charge: (charge.inode, charge.mapped)) == [
        RamCharge(7, False, (0, 0, 4, 0)),  # until Linux 6.3 tails say nothing
        RamCharge(7, True, (0, 0, 1, 0)),
        RamCharge(8, True, (1, 0, 0, 0)),
    ]
    assert read_ram_pages(census, Roots(proc=tmp_path)).charges is None
    (tmp_path / "kpagecgroup").unlink()
    assert read_ram_pages(census, Roots(proc=tmp_path), payers=True).charges is None


def test_without_flags_it_cannot_be_told(tmp_path: Path) -> None:
    write(tmp_path, [0])
    (tmp_path / "kpageflags").unlink()
    with pytest.raises(CannotServe, match="CONFIG_PROC_PAGE_MONITOR"):
        read_ram_pages(Census(1), Roots(proc=tmp_path))
