"""What zonerss says beside what the kernel bills: memory.current, memory.reclaim, memory.high of cgroup version 2."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

import zonerss
from tests.live.cgroups import stopped
from tests.live.measure import grown, shared
from tests.oracle import PAGE

MOST_STRAY_PAGES = 64 + 64 * os.cpu_count()
"""Of the kernel's own memory (page tables, slabs) in a zone's bill, and what each processor charges ahead."""


def charged(zone) -> int:
    return int((zone.path / "memory.current").read_text())


def usage_of(zone, source: str):
    snapshot = zonerss.take_snapshot(by=("cgroup",), source=source)
    (usage,) = (usage for usage in snapshot.groupings[0].zones if usage.zone == zone.name)
    return usage


def test_charged_is_memory_current(zone, mem, source):
    mem.map("anon 1009")
    with stopped([zone.path]):
        before = charged(zone)
        usage = usage_of(zone, source)
        after = charged(zone)
    assert min(before, after) <= usage.charged_bytes <= max(before, after)
    assert usage.charged_bytes >= usage.anon_bytes >= 1009 * PAGE


def test_the_first_to_touch_pays_for_all_and_both_zones_use_it(make_zone, measure, disk_directory: Path):
    """Why memory.current answers another question: two zones use the same pages, one of them gets the bill."""
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    shm = first.map("memfd 2003")
    before, bill = measure(), charged(b)
    second.map(f"file {shm.path} 2003 shared read")
    after = measure()
    assert grown(before, after, b) == shared(2003, "shmem", zones=2)
    assert charged(b) - bill < MOST_STRAY_PAGES * PAGE
    assert charged(a) > 2003 * PAGE


@pytest.mark.usefixtures("zram")
def test_what_memory_reclaim_pushes_out_is_swap_of_the_zone(zone, mem, measure):
    where = mem.map("anon 1511")
    before, bill = measure(), charged(zone)
    # The kernel fails the write when it could not get all of what was asked for.
    subprocess.run(["sh", "-c", f"echo {1200 * PAGE} >{zone.path}/memory.reclaim"], check=False)
    change = grown(before, measure(), zone)
    assert change["swap"] >= 1000
    # What went out of memory is in swap: nothing is lost, and nothing counts twice.
    assert change["anon"] == -change["swap"]
    assert bill - charged(zone) >= 1000 * PAGE
    mem.write(where, 0, 1511)
    assert "swap" not in grown(before, measure(), zone)


@pytest.mark.usefixtures("zram")
def test_memory_high_keeps_the_zone_below_it(zone, mem, measure):
    before = measure()
    (zone.path / "memory.high").write_text(str(charged(zone) + 500 * PAGE))
    mem.map("anon 1709")
    for _ in range(100):
        change = grown(before, measure(), zone)
        if change["anon"] <= 500 + MOST_STRAY_PAGES:
            break
        time.sleep(0.1)
    assert change["anon"] <= 500 + MOST_STRAY_PAGES
    assert change["anon"] + change["swap"] == 1709
