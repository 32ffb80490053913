"""What was before a kill, on looks made by hand."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit import builders
from tests.unit.history.moments import Host, Process, moment

from zonerss.answers.autopsy import Autopsy, LastLook, autopsy, choose, grown, grown_processes
from zonerss.history.moment import Moment
from zonerss.plain import replace
from zonerss.records import Zone
from zonerss.records.bills import Bill
from zonerss.records.kills import Kill, ToldBy
from zonerss.units import PAGE_BYTES

WEB, DB = Zone("web", "/pod/web"), Zone("db", "/pod/db")


def kill(second: float = 10, **fields: Any) -> Kill:
    at = builders.BEGAN + timedelta(seconds=second)
    told = Kill(at, 2, "hog", "web", "/pod/web", "/pod", 900, "CONSTRAINT_MEMCG", ToldBy.TRACEPOINT)
    return replace(told, **fields)


def process(pid: int, zone: Zone, anon: int, own: int) -> Process:
    return Process(pid, zone, zone.cgroup or "/", "hog", (anon, anon, 0, 0, 0, own, own, 0))


def look(second: float, hog: int) -> Moment:
    """web has the hog and another process, db one; both map 7 pages of a file, and a process outside maps 5 of it."""
    outside = Zone("other", "/other")
    processes = [
        process(1, DB, 50, 50),
        process(4, outside, 11, 11),
        process(2, WEB, hog, hog - 3),
        process(3, WEB, 20, 20),
    ]
    parts = {(0,): (50, 0, 0, 0, 0), (1,): (11, 0, 0, 0, 0), (2,): (hog + 20, 0, 4, 0, 0)}
    parts |= {(0, 2): (0, 2, 0, 0, 0), (0, 1, 2): (0, 5, 0, 0, 0)}
    stat = {"file": 100 * PAGE_BYTES, "file_mapped": 11 * PAGE_BYTES}
    bills = {"/pod": Bill(2, 1, stat, None, 13 * PAGE_BYTES, None, None)}
    return moment(processes, parts, seconds=second, bills=bills, charged={"/pod": 880 * PAGE_BYTES})


def opened(*moments: Moment, **fields: Any) -> Autopsy:
    last = moments[-1]
    kept = LastLook(last.snapshot, last.holdings, last.charged, last.bills)
    return autopsy(kill(**fields), [one.snapshot for one in moments], kept)


def test_a_look_that_was_under_way_at_the_kill_is_not_before_it() -> None:
    begun = look(10, 900).snapshot
    under_way = replace(look(10, 900), snapshot=replace(begun, ended=begun.began + timedelta(seconds=1)))
    assert [one.began for one in opened(look(8, 700), second=10.5).looks] == [look(8, 700).snapshot.began]
    found = autopsy(
        kill(10.5),
        [look(8, 700).snapshot, under_way.snapshot],
        LastLook(look(8, 700).snapshot, None, {}, {}),
    )
    assert len(found.looks) == 1
    assert found.victim is not None
    assert found.victim.anon_bytes == 700 * PAGE_BYTES


def test_who_grew_from_what_to_what() -> None:
    found = opened(look(0, 100), look(4, 300), look(8, 700))
    first, last = look(0, 100).snapshot, look(8, 700).snapshot
    by_zone = {one.zone: one for one in found.grown}
    assert found.grown[0] is by_zone["web"]
    assert by_zone["web"].bytes == 600 * PAGE_BYTES
    assert by_zone["db"].bytes == by_zone["other"].bytes == 0
    assert by_zone["web"].last == next(usage for usage in last.zones if usage.zone == "web")
    assert by_zone["web"].first == next(usage for usage in first.zones if usage.zone == "web")
    assert [(one.pid, one.bytes) for one in found.processes] == [(2, 600 * PAGE_BYTES)]
    assert found.victim is not None
    assert found.victim.pid == 2
    assert len(found.looks) == 3
    assert found.seconds_before == pytest.approx(1.983)


def test_what_was_on_the_bill() -> None:
    """The victim's own: private, and mapped by nobody else. The rest of what /pod maps, each frame once."""
    account = opened(look(8, 700)).account
    assert account is not None
    assert (account.cgroup, account.charged_bytes) == ("/pod", 880 * PAGE_BYTES)
    assert account.victim_bytes == 697 * PAGE_BYTES
    assert account.others_bytes == (50 + 700 + 20 + 4 + 2 + 5 - 697) * PAGE_BYTES
    assert account.cache_unmapped_bytes == 89 * PAGE_BYTES
    assert account.kernel_bytes == 13 * PAGE_BYTES


def test_files_that_only_the_victim_maps_are_not_its_private_memory() -> None:
    """50 of its private pages another zone maps, too, and of a file it alone maps 40: so 50 are its own, and not 90."""
    processes = [Process(2, WEB, "/pod/web", "hog", (140, 100, 40, 0, 0, 90, 115, 0)), process(1, DB, 50, 0)]
    parts = {(1,): (50, 40, 0, 0, 0), (0, 1): (50, 0, 0, 0, 0)}
    account = opened(moment(processes, parts, seconds=8)).account
    assert account is not None
    assert account.victim_bytes == 50 * PAGE_BYTES


def test_what_ending_each_zone_would_have_given() -> None:
    found = opened(look(8, 700))
    ended = dict(found.ended)
    assert [zone for zone, _ in found.ended] == ["web", "db", "other"]
    assert ended["web"].freed_bytes == 720 * PAGE_BYTES
    assert ended["web"].stays_bytes == 4 * PAGE_BYTES
    assert ended["web"].kept_bytes == 7 * PAGE_BYTES
    assert ended["db"].freed_bytes == 50 * PAGE_BYTES


def test_a_kill_for_want_of_the_machines_memory_has_no_bill() -> None:
    found = opened(look(8, 700), limit_cgroup=None, limit_bytes=None, constraint="CONSTRAINT_NONE")
    assert found.account is None
    assert found.grown


def test_what_is_not_known_is_none() -> None:
    found = opened(look(8, 700), pid=None, limit_cgroup="/elsewhere")
    assert found.victim is None
    account = found.account
    assert account is not None
    assert (account.charged_bytes, account.victim_bytes, account.others_bytes) == (None, None, 0)
    assert (account.cache_unmapped_bytes, account.kernel_bytes) == (None, None)


def test_without_looks_there_is_the_kill() -> None:
    found = autopsy(kill(), [], None)
    assert (found.looks, found.grown, found.ended, found.seconds_before) == ((), (), (), None)


@pytest.mark.parametrize("lean", [True, False])
def test_it_is_told_whether_files_are_known(lean: bool) -> None:
    assert opened(Host(2, 2).moment(8, lean=lean)).knows_files is not lean


def test_zones_and_processes_that_came_and_went() -> None:
    came, went = builders.usage("new"), builders.usage("old")
    found = {one.zone: one for one in grown((went,), (came,))}
    assert found["new"].bytes == came.rss_bytes == -found["old"].bytes
    one, other = builders.process(7, command="a"), builders.process(7, command="b")
    assert {(p.command, p.bytes) for p in grown_processes((one,), (other,))} == {
        ("a", -one.rss_bytes),
        ("b", other.rss_bytes),
    }


@given(
    st.lists(st.integers(0, 1000), max_size=20).map(sorted),
    st.none() | st.integers(0, 1000),
    st.integers(1, 300),
)
def test_the_last_kill_by_a_time_and_those_before_it(times: list[int], at: int | None, seconds: int) -> None:
    kills = [kill(second) for second in times]
    when = None if at is None else builders.BEGAN + timedelta(seconds=at)
    found = choose(kills, when, seconds)
    by_then = [second for second in times if at is None or second <= at]
    assert [one.time for one in found] == [
        kill(second).time for second in by_then if by_then[-1] - second <= seconds
    ]
