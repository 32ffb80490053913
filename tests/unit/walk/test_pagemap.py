"""Mappings that are mostly holes, read from a /proc by hand where the kernel has no PAGEMAP_SCAN (pagemap.c)."""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.fake_proc import PRESENT, V2, FakeProc, stat

from zonerss.census.census import Census
from zonerss.kernel.proc import read_tasks
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


def map_pages(
    proc: FakeProc, pages: int, there: Mapping[int, int], rss_kilobytes: int | None, more: int = 0
) -> None:
    """A mapping of so many pages, and smaps, if it says anything of it; some pages behind it; those that are there."""
    task = proc.roots.proc / str(PID) / "task" / str(PID)
    end = pages * PAGE_BYTES
    row = f"00000000-{end:08x} rw-p 00000000 00:00 0 \n"
    behind = f"{end:08x}-{end + more * PAGE_BYTES:08x} r--p 00000000 00:00 0 \n" if more else ""
    (task / "maps").write_text(row + behind)
    if rss_kilobytes is not None:
        (task / "smaps").write_text(f"{row}Size: 1 kB\nRss: {rss_kilobytes} kB\nSwap: 0 kB\n")
    with (task / "pagemap").open("wb") as file:
        for page, pfn in there.items():
            os.pwrite(file.fileno(), struct.pack("=Q", PRESENT | pfn), page * 8)
        os.ftruncate(file.fileno(), (pages + more) * 8)


def look(proc: FakeProc, rss_pages: int = 1) -> tuple[Walked, list[Gap]]:
    listed = read_tasks(proc.roots, V2)
    (task,) = listed.tasks
    assigned = [(replace(task, rss_pages=rss_pages), 0)]
    (walked,), gaps = walk(PagemapSource().begin, Census(1), listed, assigned, proc.host())
    return walked, gaps


def test_a_terabyte_of_which_nothing_is_there_is_not_read(proc: FakeProc) -> None:
    map_pages(proc, TIB, {}, 0)
    walked, gaps = look(proc)
    assert (walked.rss_pages, walked.entries, gaps) == (0, 0, [])


def test_it_is_read_until_all_that_is_there_was_met(proc: FakeProc) -> None:
    map_pages(proc, TIB, {3: 101, 70_001: 103, 1 << 20: 107}, 3 * PAGE_BYTES >> 10)
    walked, gaps = look(proc)
    assert (walked.rss_pages, gaps) == (3, [])
    assert 1 << 20 < walked.entries <= (1 << 20) + AT_ONCE


@pytest.mark.parametrize("rss_kilobytes", [None, 2 * PAGE_BYTES >> 10])
def test_what_would_be_read_for_minutes_is_a_gap(proc: FakeProc, rss_kilobytes: int | None) -> None:
    """The last page is a terabyte away, or nobody says whether there is one."""
    map_pages(proc, TIB, {3: 101, TIB - 1: 103}, rss_kilobytes)
    walked, gaps = look(proc)
    assert gaps == [Gap(PID, "pagemap", Cause.BUSY)]
    assert walked.rss_pages == 1
    assert HOLES < walked.entries <= HOLES + 2 * AT_ONCE


@pytest.mark.parametrize("more", [7, 5003])
def test_what_is_mapped_behind_such_a_mapping_counts(proc: FakeProc, more: int) -> None:
    map_pages(proc, TIB, {3: 101} | {TIB + page: 200 + page for page in range(more)}, None, more)
    walked, gaps = look(proc)
    assert gaps == [Gap(PID, "pagemap", Cause.BUSY)]
    assert walked.rss_pages == 1 + more


def test_who_has_much_is_not_asked_for_smaps(proc: FakeProc) -> None:
    """The kernel would keep its mmap lock meanwhile."""
    map_pages(proc, TIB, {3: 101}, 0)
    walked, gaps = look(proc, (1 << 20) + 1)
    assert (walked.rss_pages, gaps) == (1, [Gap(PID, "pagemap", Cause.BUSY)])


@pytest.mark.parametrize("words", ["", "Rss: lots kB\n"])
def test_smaps_that_tells_nothing_of_it_is_as_none(proc: FakeProc, words: str) -> None:
    map_pages(proc, 2 * SPARSE, {3: 101, 2 * SPARSE - 1: 103}, 4)
    smaps = proc.roots.proc / str(PID) / "task" / str(PID) / "smaps"
    smaps.write_text(f"00000000-00400000 rw-p 00000000 00:00 0 \n{words}")
    walked, gaps = look(proc)
    assert (walked.rss_pages, walked.entries, gaps) == (2, 2 * SPARSE, [])


@pytest.mark.parametrize(("pages", "rss_pages"), [(SPARSE, 0), (2 * SPARSE, SPARSE // 4)])
def test_a_process_that_may_have_that_much_is_read_whole(proc: FakeProc, pages: int, rss_pages: int) -> None:
    """Whatever smaps would say."""
    map_pages(proc, pages, {3: 101, pages - 1: 103}, 0)
    walked, gaps = look(proc, rss_pages)
    assert (walked.rss_pages, walked.entries, gaps) == (2, pages, [])
