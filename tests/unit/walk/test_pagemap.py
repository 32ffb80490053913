"""Mappings that are mostly holes, read from a /proc by hand where the kernel has no PAGEMAP_SCAN (pagemap.c)."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_proc import PRESENT, V2, FakeProc, stat

from zonerss.census.census import Census
from zonerss.kernel.proc import read_tasks
from zonerss.kernel.roots import Roots
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.units import PAGE_BYTES
from zonerss.walk.jobs import Walked, walk
from zonerss.walk.pagemap import PagemapSource

PID = 42
TIB = (1 << 40) // PAGE_BYTES
SPARSE, HOLES, AT_ONCE = 2_000_000, 1 << 24, 1 << 16  # as in pagemap.c


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    made = FakeProc(tmp_path)
    made.process(PID, stat())
    return made


def map_rows(proc: FakeProc, rows: list[tuple[int, int | None]], there: Mapping[int, int]) -> None:
    """
    Mappings, one behind the other.

    :param rows: of each how many pages it is of, and how many smaps tells of; None: it tells nothing
    :param there: frames, by page
    """
    task = proc.roots.proc / str(PID) / "task" / str(PID)
    at, maps, smaps = 0, "", ""
    for number, (pages, told) in enumerate(rows):
        span = f"{at * PAGE_BYTES:08x}-{(at + pages) * PAGE_BYTES:08x}"
        row = f"{span} r{'-w'[number % 2]}-p 00000000 00:00 0 \n"
        maps += row
        if told is not None:
            smaps += f"{row}Size: 1 kB\nRss: {told * PAGE_BYTES >> 10} kB\nSwap: 0 kB\n"
        at += pages
    (task / "maps").write_text(maps)
    if smaps:
        (task / "smaps").write_text(smaps)
    with (task / "pagemap").open("wb") as file:
        for page, pfn in there.items():
            os.pwrite(file.fileno(), struct.pack("=Q", PRESENT | pfn), page * 8)
        os.ftruncate(file.fileno(), at * 8)


def look(proc: FakeProc, rss_pages: int = 1, **fields: Any) -> tuple[Walked, list[Gap]]:
    """:param fields: of the host"""
    listed = read_tasks(proc.roots, V2)
    (task,) = listed.tasks
    assigned = [(replace(task, rss_pages=rss_pages), 0)]
    host = replace(proc.host(), **fields)
    (walked,), gaps = walk(PagemapSource().begin, Census(1), listed, assigned, host)
    return walked, gaps


BUSY = [Gap(PID, "pagemap", Cause.BUSY)]


def test_a_terabyte_of_which_nothing_is_there_is_not_read(proc: FakeProc) -> None:
    map_rows(proc, [(TIB, 0)], {})
    walked, gaps = look(proc)
    assert (walked.rss_pages, walked.entries, gaps) == (0, 0, [])


def test_it_is_read_until_all_that_is_there_was_met(proc: FakeProc) -> None:
    map_rows(proc, [(TIB, 3)], {3: 101, 70_001: 103, 1 << 20: 107})
    walked, gaps = look(proc)
    assert (walked.rss_pages, gaps) == (3, [])
    assert 1 << 20 < walked.entries <= (1 << 20) + AT_ONCE


def test_where_more_is_met_than_smaps_has_told_it_is_of_another_moment(proc: FakeProc) -> None:
    map_rows(proc, [(2 * SPARSE, 2)], {3: 101, 5: 103, 7: 107, 2 * SPARSE - 1: 109})
    walked, gaps = look(proc)
    assert (walked.rss_pages, walked.entries, gaps) == (4, 2 * SPARSE, [])


@pytest.mark.parametrize("told", [None, 2])
def test_what_would_be_read_for_minutes_is_a_gap(proc: FakeProc, told: int | None) -> None:
    """The last page is a terabyte away, or nobody says whether there is one."""
    map_rows(proc, [(TIB, told)], {3: 101, TIB - 1: 103})
    walked, gaps = look(proc)
    assert gaps == BUSY
    assert walked.rss_pages == 1
    assert HOLES < walked.entries <= HOLES + 2 * AT_ONCE


def test_who_has_more_may_have_more_holes(proc: FakeProc) -> None:
    map_rows(proc, [(TIB, None)], {})
    assert HOLES + 8 * 100_000 < look(proc, 100_000)[0].entries <= HOLES + 8 * 100_000 + 2 * AT_ONCE


@pytest.mark.parametrize("more", [7, 5003])
def test_what_is_mapped_behind_such_a_mapping_counts(proc: FakeProc, more: int) -> None:
    map_rows(proc, [(TIB, None), (more, None)], {3: 101} | {TIB + page: 200 + page for page in range(more)})
    walked, gaps = look(proc)
    assert gaps == BUSY
    assert walked.rss_pages == 1 + more


def test_what_is_full_counts_whatever_holes_are_before_it(proc: FakeProc) -> None:
    """Two mappings whose holes are more than may be read, and one that has none."""
    hollow = HOLES - 10_007
    there = {hollow - 1: 101, 2 * hollow - 1: 103} | {2 * hollow + page: 200 + page for page in range(5003)}
    map_rows(proc, [(hollow, 1), (hollow, 1), (5003, 5003)], there)
    walked, gaps = look(proc)
    assert gaps == BUSY
    assert walked.rss_pages == 1 + 5003


def test_who_has_much_is_not_asked_for_smaps(proc: FakeProc) -> None:
    """The kernel would keep its mmap lock meanwhile."""
    map_rows(proc, [(TIB, 0)], {3: 101})
    walked, gaps = look(proc, (1 << 20) + 1)
    assert (walked.rss_pages, gaps) == (1, BUSY)


@pytest.mark.parametrize("words", ["", "Rss: lots kB\n"])
def test_smaps_that_tells_nothing_of_it_is_as_none(proc: FakeProc, words: str) -> None:
    map_rows(proc, [(2 * SPARSE, None)], {3: 101, 2 * SPARSE - 1: 103})
    smaps = proc.roots.proc / str(PID) / "task" / str(PID) / "smaps"
    smaps.write_text(f"00000000-00400000 rw-p 00000000 00:00 0 \n{words}")
    walked, gaps = look(proc)
    assert (walked.rss_pages, walked.entries, gaps) == (2, 2 * SPARSE, [])


@pytest.mark.parametrize(("pages", "rss_pages"), [(SPARSE, 0), (2 * SPARSE, SPARSE // 4)])
def test_a_process_that_may_have_that_much_is_read_whole(proc: FakeProc, pages: int, rss_pages: int) -> None:
    """Whatever smaps would say."""
    map_rows(proc, [(pages, 0)], {3: 101, pages - 1: 103})
    walked, gaps = look(proc, rss_pages)
    assert (walked.rss_pages, walked.entries, gaps) == (2, pages, [])


# ---- hugetlb, of which the kernel looks at each page that could be, also by PAGEMAP_SCAN ----------------------

HUGE_BYTES = 1 << 21


@pytest.mark.parametrize(
    ("pool", "huge_pages", "read", "busy"),
    [
        (0, 1, False, False),  # there is none that could be mapped
        (0, 1 << 25, False, False),
        (1, 7, True, False),
        (1, 2_000_003, False, True),
        (1_000, 2_000_003, True, False),
    ],
)
def test_hugetlb_is_read_as_far_as_there_is_any(
    proc: FakeProc, tmp_path: Path, pool: int, huge_pages: int, read: bool, busy: bool
) -> None:
    sizes = tmp_path / "sys/kernel/mm/hugepages" / f"hugepages-{HUGE_BYTES // 1024}kB"
    sizes.mkdir(parents=True)
    (sizes / "nr_hugepages").write_text(f"{pool}\n")
    proc.roots = Roots(proc=proc.roots.proc, sys=tmp_path / "sys")
    pages = huge_pages * HUGE_BYTES // PAGE_BYTES
    map_rows(proc, [(pages, None)], {3: 101})
    maps = proc.roots.proc / str(PID) / "task" / str(PID) / "maps"
    maps.write_text(maps.read_text().replace("00:00 0 ", "00:0f 7 /anon_hugepage (deleted)"))
    walked, gaps = look(proc, hugetlb_devices=((0, 15),), hugetlb_pages=HUGE_BYTES // PAGE_BYTES)
    assert bool(walked.entries) == read
    # Here no PAGEMAP_SCAN passes over what is not there.
    assert gaps == (BUSY if busy or (read and pages > HOLES) else [])
