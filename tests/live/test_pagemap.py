"""Both ways of reading pagemap, by PAGEMAP_SCAN and by plain reads alone, find the same to the page.

measure_zones() holds every snapshot against the oracle, so each test here proves its way of reading.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import stopped
from tests.live.measure import measure_zones
from tests.oracle import PAGE
from tests.workloads.mem import HUGE
from zonerss.kernel.roots import HOST
from zonerss.plain import replace
from zonerss.walk.host import find_host


@pytest.fixture(params=["scan", "plain"])
def measure(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, make_zone: Callable) -> Callable:
    """measure() is a snapshot by the one way of reading, confirmed by the oracle."""
    if request.param == "scan" and not find_host(HOST).can_scan:
        needs.skip("needs_pagemap_scan")
    if request.param == "plain":
        monkeypatch.setattr(
            "zonerss.snapshot.find_host", lambda *given: replace(find_host(*given), can_scan=False)
        )
    return lambda: measure_zones(make_zone.zones, "pagemap")


def grown(measure: Callable, zone, commands: list[str]) -> dict[str, int]:
    """What the zone has more after the commands, in pages."""
    before = measure()
    for command in commands:
        zone.mems[0].tell(command)
    return measure().pages[zone.name] - before.pages[zone.name]


@pytest.mark.parametrize("pages", [1, 23, 1023, 1024, 4099, 70_001])
def test_dense_mappings_below_at_and_above_what_counts_as_large(measure: Callable, zone, pages: int) -> None:
    more = grown(measure, zone, [f"anon {pages}"])
    assert (more["rss"], more["anon"], more["process_rss"]) == (pages, pages, pages)


def test_a_large_mapping_with_pages_here_and_there(measure: Callable, zone) -> None:
    where = zone.mems[0].map("reserve 1")
    before = measure()
    gib = 1 << 18
    for first, pages in [(0, 7), (5000, 4999), (100_003, 1), (gib // 2, 3), (gib - 1, 1)]:
        zone.mems[0].write(where, first, pages)
    assert (measure().pages[zone.name] - before.pages[zone.name])["rss"] == 7 + 4999 + 1 + 3 + 1


def test_huge_pages_among_small_ones(measure: Callable, zone) -> None:
    where = zone.mems[0].map("thp 4")
    zone.mems[0].advise(where, 0, 4 * HUGE, "nohugepage")  # khugepaged would fill the hole again
    before = measure()
    zone.mems[0].advise(where, HUGE, 13, "dontneed")  # splits the second huge page
    assert (measure().pages[zone.name] - before.pages[zone.name]) == {
        "rss": -13,
        "anon": -13,
        "exclusive": -13,
        "proportional": -13,
        "process_rss": -13,
    }


def test_many_small_mappings_that_are_read_together(measure: Callable, zone) -> None:
    assert grown(measure, zone, ["vmas 1009"])["rss"] == 1009


def test_the_huge_zero_page_and_the_zero_page(measure: Callable, zone) -> None:
    assert grown(measure, zone, ["hugezero 2", "zero 5003"]) == {}


def test_64_tib_of_which_little_is_there(zone, mem, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel has no PAGEMAP_SCAN it is not read word by word, which would take minutes."""
    where = mem.map(f"reserve {64 << 10}")
    mem.write(where, 100_003, 4999)
    found = []
    with stopped([zone.path]):
        for can_scan in {find_host(HOST).can_scan, False}:
            monkeypatch.setattr(
                "zonerss.snapshot.find_host",
                lambda *given, can_scan=can_scan: replace(find_host(*given), can_scan=can_scan),
            )
            snapshot = zonerss.take_snapshot(by=("cgroup",), source="pagemap", zone=zone.name)
            assert not [gap for gap in snapshot.gaps if gap.pid == mem.pid]
            found.append(snapshot.zones[0].rss_bytes)
    assert found[0] > 4999 * PAGE
    assert found == [found[0]] * len(found)
