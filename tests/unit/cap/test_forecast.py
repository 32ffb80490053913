"""What can be had of a zone that is above its cap."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.cap.samples import ARMED, CLASSES, G, M, cap, look, machine

from zonerss.cap.forecast import forecast, goal, obtainable, reclaimable, swap_room, why_not_reclaim, without
from zonerss.cap.records import MAY, ByKind
from zonerss.plain import replace


def test_the_study() -> None:
    """600 MiB, cap 400: 200 hot and 200 cold anon, 50 and 50 file, 100 shared with db."""
    found = forecast(cap(400 * M), look(ARMED), machine(swap_free_bytes=900 * M))
    assert found.rss_bytes == 600 * M
    assert found.excess_bytes == 200 * M
    assert found.goal_bytes == 220 * M
    assert found.painless == ByKind(200 * M, 50 * M, 0)
    assert found.at_most == ByKind(400 * M, 100 * M, 0)
    assert found.working_set_bytes == 350 * M
    assert found.short_bytes == 0
    assert found.reclaimable_bytes == 0


def test_coldness_that_was_not_measured_is_unknown() -> None:
    found = forecast(cap(400 * M), look(CLASSES), machine())
    assert found.painless is None
    assert found.painless_bytes is None
    assert found.short_bytes is None
    assert found.working_set_bytes is None
    assert found.at_most.total_bytes == 500 * M


def test_without_swap_only_files_can_be_had() -> None:
    found = forecast(cap(400 * M), look(ARMED), machine(swap_bytes=0, swap_free_bytes=0))
    assert found.painless == ByKind(0, 50 * M, 0)
    assert found.short_bytes == 150 * M


def test_swap_is_not_filled_to_the_brim() -> None:
    little = machine(swap_bytes=1600 * M, swap_free_bytes=150 * M)
    room = swap_room(None, little)
    assert room == 50 * M
    assert obtainable(cap(0), ByKind(200 * M, 0, 20 * M), room) == ByKind(50 * M, 0, 0)
    assert obtainable(cap(0), ByKind(40 * M, 0, 20 * M), room) == ByKind(40 * M, 0, 10 * M)


def test_a_cgroup_may_have_less_swap_than_there_is() -> None:
    found = look(ARMED, swap_room_bytes=30 * M)
    assert forecast(cap(400 * M), found, machine()).painless == ByKind(30 * M, 50 * M, 0)
    assert swap_room(-1, machine()) == 0


def test_what_the_rule_does_not_allow_cannot_be_had() -> None:
    files = cap(400 * M, may=frozenset({"file"}))
    assert forecast(files, look(ARMED), machine()).painless == ByKind(0, 50 * M, 0)


KNOWN = replace(
    ARMED,
    several_anon_bytes=24 * M,
    cold_several_anon_bytes=20 * M,
    cold_several_file_bytes=0,
    cold_several_shmem_bytes=0,
)


def test_reclaim_is_for_what_several_of_this_zone_map_and_leave_alone() -> None:
    assert reclaimable(cap(400 * M), look(KNOWN), machine(), ByKind()) == 20 * M
    room = machine(swap_bytes=160 * M, swap_free_bytes=60 * M)
    assert reclaimable(cap(400 * M), look(KNOWN), room, ByKind(40 * M, 0, 0)) == 10 * M


@pytest.mark.parametrize(
    ("rule", "seen", "reason"),
    [
        (cap(0, may=MAY - {"reclaim"}), look(KNOWN), "does not allow memory.reclaim"),
        (cap(0, may=MAY - {"anon"}), look(KNOWN), "kinds that the rule does not allow"),
        (cap(0), look(KNOWN, reclaimable=False), "no memory.reclaim"),
        (cap(0), look(KNOWN, billed_here_mapped_elsewhere_bytes=None), "is not known"),
        (cap(0), look(KNOWN, billed_here_mapped_elsewhere_bytes=4096), "other zones use"),
        (cap(0), look(ARMED), "cold is not known"),
    ],
)
def test_reclaim_is_not_used_where_it_may_take_something_else(rule, seen, reason) -> None:  # type: ignore[no-untyped-def]
    assert reason in (why_not_reclaim(rule, seen, machine()) or "")
    assert reclaimable(rule, seen, machine(), ByKind()) == 0


SIZES = st.integers(0, 1 << 40)


@given(SIZES, SIZES, SIZES)
def test_the_goal_is_within_the_excess_and_five_percent_and_above_the_floor(
    cap_bytes: int, floor_bytes: int, rss_bytes: int
) -> None:
    wanted = goal(cap(cap_bytes, floor_bytes=floor_bytes), rss_bytes)
    assert wanted >= 0
    assert wanted <= max(rss_bytes - cap_bytes, 0) + cap_bytes * 5 // 100
    assert wanted == 0 or rss_bytes > cap_bytes
    assert wanted == 0 or rss_bytes - wanted >= floor_bytes


def test_a_floor_above_the_cap_asks_for_nothing_below_it() -> None:
    assert goal(cap(1 * G, floor_bytes=2 * G), 3 * G) == 1 * G
    assert goal(cap(1 * G, floor_bytes=3 * G), 2 * G) == 0


def test_what_was_paged_out_is_of_no_class_any_more() -> None:
    left = ByKind(150 * M, 50 * M, 0)
    found = without(ARMED, left)
    assert found.rss_bytes == ARMED.rss_bytes - 200 * M
    assert (found.cold, found.own) == (ByKind(50 * M, 0, 0), ByKind(250 * M, 50 * M, 0))
    assert found.working_set_bytes == ARMED.working_set_bytes
    assert without(CLASSES, left).cold is None
