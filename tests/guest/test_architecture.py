"""What may differ between processors: known amounts of each kind of memory, by both sources, to the page.

`vm/guest test --arch arm64` runs this and nothing else, because all of it is emulated. Sizes of pages, of huge pages
and of hugetlb pages are asked of the kernel.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.measure import grown, shared
from tests.live.test_known_answers import (  # noqa: F401  fixtures among them
    swap,
    test_a_file_mapped_privately_and_partly_written,
    test_a_huge_page_split_by_unmapping_part_of_it,
    test_fork_shares_until_written,
    test_pages_that_may_not_be_touched_any_more_are_still_there,
    test_pages_that_were_swapped_out,
    test_private_anonymous_pages,
    test_the_huge_zero_page_is_nobodys_memory,
    test_the_zero_page_is_nobodys_memory,
    test_transparent_huge_pages,
    test_two_mappings_of_one_frame_in_one_process,
)
from tests.live.test_pagetable import test_both_sources_agree_on_every_kind_of_memory  # noqa: F401
from zonerss.kernel.hugepages import hugetlb_sizes
from zonerss.units import PAGE_BYTES
from zonerss.walk.pagetable import PageTableSource


def test_the_page_tables_are_read_here():
    """Else the tests below would be those of pagemap alone."""
    with PageTableSource() as source:
        assert source.name == "pagetable"


@pytest.fixture(params=hugetlb_sizes(), ids=lambda size: f"{size // 1024}kB")
def hugetlb_size(request, only_one):
    """Each size that this kernel knows, with two pages of it in the pool.

    Not those that would take more than half of the memory that is free: what the kernel could get of them would be
    missing wherever else the test needs memory.
    """
    size = request.param
    meminfo = Path("/proc/meminfo").read_text()
    available = int(meminfo.partition("MemAvailable:")[2].split()[0]) * 1024
    if 2 * size > available // 2:
        needs.skip("needs_memory", f"two pages of {size // 1024} kB, {available // 1024} kB are available")
    pool = Path(f"/sys/kernel/mm/hugepages/hugepages-{size // 1024}kB/nr_hugepages")
    before = int(pool.read_text())
    try:
        with suppress(OSError):
            pool.write_text(str(before + 2))
        if int(pool.read_text()) < before + 2:
            needs.skip("needs_hugetlb", f"two pages of {size // 1024} kB: memory is too fragmented")
        yield size
    finally:
        pool.write_text(str(before))


def test_hugetlb_pages_of_each_size(hugetlb_size, make_zone, measure):
    """64 KiB on arm64, too: entries of the last level, and huge all the same."""
    zone = make_zone("a")
    mem = zone.spawn()
    before = measure()
    mem.map(f"hugetlb 2 {hugetlb_size}")
    assert grown(before, measure(), zone) == {"hugetlb": 2 * hugetlb_size // PAGE_BYTES}


def test_a_run_of_pages_of_one_folio(make_zone, measure, disk_directory):
    """What arm64 maps by entries that are marked as contiguous: a file that is read ahead, whole and with a hole."""
    file = disk_directory / "file"
    file.write_bytes(os.urandom(512 * PAGE_BYTES))
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    before = measure()
    first.map(f"file {file} 512 shared read")
    where = second.map(f"file {file} 512 shared read")
    after = measure()
    assert grown(before, after, a) == grown(before, after, b) == shared(512, "file", zones=2)
    second.unmap(where, 100, 13)
    assert grown(before, measure(), b)["rss"] == 512 - 13
