"""Whether this place can test at all. Runs first, so that no run is green for having run nothing."""

from __future__ import annotations

import os

import pytest

from tests.live import needs
from tests.live.conftest import cannot_serve
from tests.oracle import PFN, PRESENT, SWAP_BACKED, Kernel, parse_maps, read_file, read_words


@pytest.fixture(autouse=True)
def only_where_required() -> None:
    if not needs.is_required() and os.geteuid() != 0:
        needs.skip("needs_root")


def test_we_are_root():
    assert os.geteuid() == 0, "live tests need root: run them as root, or without ZONERSS_LIVE=require"


def words_of_own_stack() -> list[int]:
    (row,) = (row for row in parse_maps(read_file("/proc/self/maps")) if row.name == b"[stack]")
    pagemap = os.open("/proc/self/pagemap", os.O_RDONLY)
    words = [word for _address, word in read_words(pagemap, row) if word & PRESENT]
    os.close(pagemap)
    return words


def test_frame_numbers_are_visible():
    words = words_of_own_stack()
    assert words
    assert all(word & PFN for word in words), "frame numbers read as 0: CAP_SYS_ADMIN is missing"


def test_flags_of_frames_are_visible():
    kernel = Kernel()
    assert all(kernel.flags(word & PFN) & SWAP_BACKED for word in words_of_own_stack())
    kernel.close()


def test_other_processes_are_visible():
    assert read_file("/proc/2/comm") == b"kthreadd\n", (
        "this pid namespace is not the host's: zones would be missing"
    )


def test_cgroups_can_be_made(cgroups):
    path = cgroups.make("environment")
    assert (path / "cgroup.procs").read_text() == ""
    cgroups.remove(path)
    assert not path.exists()


def test_pagemap_serves():
    assert not cannot_serve("pagemap")


def test_every_allowed_cause_is_one_of_the_table():
    assert needs.is_allowed("Skipped: needs_hugetlb: huge pages cannot be reserved (17)")
    assert not needs.is_allowed("Skipped: needs_root: run it as root")
    assert not needs.is_allowed("Skipped: whatever")
