"""The policy by itself: one decision at a time, and whatever may be observed."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cap.samples import ARMED, CLASSES, SECOND, M, cap, classes, look, machine

from zonerss.cap.policy import (
    HYSTERESIS,
    LONGEST_PAUSE_NS,
    RECLAIM_BYTES,
    STEP_BYTES,
    after,
    allowances,
    decide,
    excess,
    next_step,
)
from zonerss.cap.records import (
    KINDS,
    MAY,
    Action,
    Arm,
    Armed,
    Back,
    Bound,
    ByKind,
    Cap,
    CheckBack,
    Classes,
    Failed,
    Given,
    Gone,
    Look,
    LookCold,
    Machine,
    Measure,
    Observation,
    PageOut,
    Pause,
    Phase,
    Ran,
    Reclaim,
    RunCommand,
    Settings,
    Step,
    Wait,
    ZoneState,
)
from zonerss.cap.words import NO_SWAP
from zonerss.plain import replace

ACTS = Settings(enforce=True)


def at(now: float, rule: Cap | None = None, **fields: Any) -> Given:
    """Given a time in seconds."""
    found = {"settings": ACTS, "cap": rule or cap(400 * M), "machine": machine(), "now_ns": int(now * SECOND)}
    return Given(**(found | fields))


def bound(size_bytes: int, now: float = 0) -> Bound:
    return Bound("web", int(now * SECOND), size_bytes, 3)


def step(left: ByKind, now: float, **fields: Any) -> Step:
    found = {
        "zone": "web",
        "what": "page-out",
        "at_ns": int(now * SECOND),
        "took_ns": SECOND,
        "asked_bytes": left.total_bytes,
        "tried": left,
        "left": left,
    }
    return Step(**(found | fields))


FRESH = ZoneState("web", bound=bound(700 * M))


def over(rule: Cap | None = None) -> ZoneState:
    """At 0 s: 600 of 400 MiB."""
    return after(at(0, rule), FRESH, look(CLASSES))


def taking(found: Classes = ARMED, rule: Cap | None = None, **fields: Any) -> ZoneState:
    """At 3 s: 600 MiB, and what is cold of it is known."""
    armed = after(at(0, rule), after(at(0, rule), FRESH, look(CLASSES)), Armed("web", 0))
    return after(at(3, rule, **fields), armed, look(found, at_ns=3 * SECOND))


def taken(left_bytes: int = 220 * M) -> ZoneState:
    """At 4 s: that much has left."""
    return after(at(4), taking(), step(ByKind(left_bytes, 0, 0), 4))


# ---- the round -------------------------------------------------------------------------------------------


def test_below_the_bound_nothing_is_walked() -> None:
    """The sum of RSS cannot be below rss."""
    action = decide(at(5), replace(FRESH, bound=bound(300 * M)))
    assert isinstance(action, Wait)
    assert "adds up to at most 300M of 400M" in action.why


@pytest.mark.parametrize(("size", "seconds"), [(100, 10), (200, 10), (300, 5), (360, 2), (399, 1), (400, 1)])
def test_the_bound_is_read_more_often_the_nearer_it_is(size: int, seconds: int) -> None:
    action = decide(at(5), replace(FRESH, bound=bound(size * M)))
    assert isinstance(action, Wait)
    assert action.until_ns == (5 + seconds) * SECOND


def test_a_zone_is_walked_where_the_bound_does_not_tell() -> None:
    assert isinstance(decide(at(0), FRESH), Measure)


@pytest.mark.parametrize(("rss", "seconds"), [(300, 60), (350, 30), (375, 10), (399, 5)])
def test_walks_are_more_often_the_nearer_rss_is(rss: int, seconds: int) -> None:
    state = after(at(0), FRESH, look(classes(own_anon_bytes=rss * M)))
    for now in (1, seconds - 1):
        assert isinstance(decide(at(now), state), Wait)
    assert isinstance(decide(at(seconds), state), Measure)


def test_what_could_not_be_read_may_be_what_is_above_the_cap() -> None:
    """Neither the walk nor the bound tells: that is said, and an episode does not end by it."""
    part = look(classes(own_anon_bytes=2 * M), at_ns=SECOND, problem="1 process could not be read")
    state = after(at(1), over(), part)
    assert (state.phase, state.pause, state.over) == (Phase.PAUSED, Pause.PROBLEM, True)
    assert state.last_action == (
        "whether it is over is not known: 1 process could not be read; "
        "RSS is at least 2.0M and at most 700M, of 400M"
    )
    assert isinstance(decide(at(2), state), Wait)
    assert isinstance(decide(at(21), state), Measure)
    state = after(at(1), replace(over(), bound=bound(390 * M, 1)), part)  # the bound tells
    assert (state.phase, state.over) == (Phase.UNDER, False)


def test_a_zone_that_grows_is_walked_sooner() -> None:
    state = after(at(0), FRESH, look(classes(own_anon_bytes=350 * M)))
    state = after(at(1), state, bound(700 * M, 1))
    assert isinstance(decide(at(2), after(at(2), state, bound(750 * M, 2))), Wait)
    assert isinstance(decide(at(2), after(at(2), state, bound(751 * M, 2))), Measure)


def test_walks_take_a_twentieth_of_the_time() -> None:
    state = after(at(0), FRESH, look(classes(own_anon_bytes=399 * M), took_ns=SECOND))
    state = after(at(6), state, bound(900 * M, 6))
    action = decide(at(6), state)
    assert isinstance(action, Wait)
    assert action.why == "the last walk took 1 s: the next is due in 14 s"
    assert isinstance(decide(at(20), state), Measure)


def test_a_zone_that_is_over_is_armed_then_looked_at_then_paged_out() -> None:
    state = over()
    assert (state.over, state.nover, state.phase) == (True, 1, Phase.OVER)
    assert isinstance(decide(at(0), state), Arm)
    state = after(at(0), state, Armed("web", 0))
    assert isinstance(decide(at(2.9), state), Wait)
    assert isinstance(decide(at(3), state), LookCold)
    action = decide(at(3), taking())
    assert isinstance(action, PageOut)
    assert action.bytes_by_kind == ByKind(14 * M, 50 * M, 0)
    says = "paging out 50M file and 14M anon, cold and its own; 220M to go"
    assert action.why == f"over by 200M (RSS 600M of 400M): {says}"


def test_a_round_ends_when_the_goal_is_reached_and_is_verified() -> None:
    state = taken()
    assert (state.phase, state.pout_bytes) == (Phase.SETTLING, 220 * M)
    assert isinstance(decide(at(8.9), state), Wait)
    assert isinstance(decide(at(9), state), CheckBack)
    state = after(at(9), state, Back("web", 9 * SECOND, 220 * M, 10 * M))
    assert (state.phase, state.refault_bytes, state.pause_ns) == (Phase.UNDER, 10 * M, 0)
    assert state.last_action == "paged out 220M, and 10M of it came back within seconds"


def test_a_round_goes_on_where_it_left_off() -> None:
    first = next_step(at(3), taking())
    assert isinstance(first, PageOut)
    state = after(at(4), taking(), step(first.bytes_by_kind, 4))
    second = next_step(at(4), state)
    assert isinstance(second, PageOut)
    assert second.bytes_by_kind == ByKind(64 * M, 0, 0)


def test_what_is_left_out_does_not_end_a_round_and_is_named_at_its_end() -> None:
    state = taking()
    busy = {"left_out": ("process 7: its memory was locked for too long",), "large_bytes": 1 * M}
    while (action := next_step(at(4), state)) is not None:
        assert isinstance(action, PageOut)
        state = after(at(4), state, step(action.bytes_by_kind, 4, **busy))
    assert (state.phase, state.left.total_bytes) == (Phase.SETTLING, 220 * M)
    assert state.last_action == (
        "paged out 170M anon and 50M file; left out: process 7: its memory was locked for too long, "
        "4.0M in large folios of which other pages are in use"
    )
    state = after(at(9), state, Back("web", 9 * SECOND, 220 * M, 0))
    assert state.phase is Phase.UNDER


def huge_steps(state: ZoneState, rule: Cap | None = None) -> tuple[ZoneState, list[int]]:
    """All that is cold lies in huge pages of 2 MiB: steps to the end, and what each has taken."""
    taken: list[int] = []
    while (action := next_step(at(4, rule), state)) is not None:
        assert isinstance(action, PageOut)
        asked = action.bytes_by_kind.total_bytes
        goes = asked // (2 * M) * 2 * M
        taken.append(goes)
        fits = {"asked_bytes": asked, "huge_bytes": 2 * M if goes < asked else 0}
        state = after(at(4, rule), state, step(ByKind(goes, 0, 0), 4, **fits))
    return state, taken


HUGE = replace(ARMED, cold_anon_bytes=300 * M, cold_file_bytes=0)


def test_huge_pages_that_do_not_fit_into_a_step_are_not_used_up() -> None:
    rule = cap(400 * M + 4096)
    state, taken = huge_steps(taking(HUGE, rule), rule)
    assert sum(taken) == 218 * M  # of 219.99, and it is under its cap
    assert state.phase is Phase.SETTLING


def test_one_huge_page_more_is_taken_where_less_is_to_go() -> None:
    rule = cap(20 * M + M // 2)
    found = classes(
        own_anon_bytes=21 * M, cold_anon_bytes=20 * M, cold_file_bytes=0, cold_shmem_bytes=0, cold_seconds=3.0
    )
    state, taken = huge_steps(taking(found, rule), rule)
    assert taken == [0, 2 * M]  # the goal is 1.5 MiB
    assert state.phase is Phase.SETTLING


def test_a_huge_page_that_would_go_below_the_floor_is_left_and_named() -> None:
    rule = cap(599 * M, floor_bytes=599 * M)
    state, taken = huge_steps(taking(HUGE, rule), rule)
    assert taken == [0, 0]
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.NOTHING)
    assert state.last_action == (
        "what else is cold is in huge pages of 2.0M, each of which is more than may go"
    )


def test_a_dry_run_measures_and_does_nothing_else() -> None:
    dry = Settings()
    state = after(at(0, settings=dry), FRESH, look(CLASSES))
    assert isinstance(decide(at(1, settings=dry), state), Wait)
    assert isinstance(decide(at(10, settings=dry), state), Measure)
    for phase in (replace(taking()), replace(taking(), phase=Phase.ARMED)):
        assert isinstance(decide(at(3, settings=dry), phase), (Wait, Measure))


# ---- what is not done ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "state", [FRESH, over(), taking(), taken()], ids=["fresh", "over", "taking", "taken"]
)
def test_idle_while_the_whole_machine_reclaims(state: ZoneState) -> None:
    action = decide(at(9, machine=machine(reclaiming=True)), state)
    assert isinstance(action, Wait)
    assert "reclaiming" in action.why


def test_reclaim_clears_bits_so_what_was_armed_is_armed_again() -> None:
    armed = after(at(0), over(), Armed("web", 0))
    state = after(at(2, machine=machine(reclaiming=True)), armed, bound(700 * M, 2))
    assert (state.phase, state.pause, state.pause_ns) == (Phase.PAUSED, Pause.PROBLEM, 10 * SECOND)
    assert isinstance(decide(at(3), state), Wait)
    assert isinstance(decide(at(12), state), Measure)
    begun = after(at(4), taking(), step(ByKind(1 * M, 0, 0), 4))
    state = after(at(4, machine=machine(reclaiming=True)), begun, bound(700 * M, 4))
    assert state.phase is Phase.SETTLING


def test_a_cgroup_that_may_not_swap_is_not_tried() -> None:
    """MADV_PAGEOUT would split its huge pages for nothing."""
    found = look(ARMED, at_ns=3 * SECOND, swap_room_bytes=20 * M)
    armed = after(at(0), over(), Armed("web", 0))
    state, asked = after(at(3), armed, found), ByKind()
    while (action := next_step(at(3), state)) is not None:
        assert isinstance(action, PageOut)
        asked = asked.plus(action.bytes_by_kind)
        state = after(at(3), state, step(action.bytes_by_kind, 3))
    assert asked == ByKind(20 * M, 50 * M, 0)


def test_idle_below_the_threshold() -> None:
    low = at(0, settings=replace(ACTS, threshold=0.8), allowance_bytes=0)
    action = decide(low, over())
    assert isinstance(action, Wait)
    assert "50 % of the machine's memory is in use: nothing is done up to 80 %" in action.why


def test_the_threshold_bounds_the_goal() -> None:
    action = next_step(at(3, allowance_bytes=10 * M), taking(allowance_bytes=10 * M))
    assert isinstance(action, PageOut)
    assert action.bytes_by_kind.total_bytes == 10 * M


def test_nothing_is_armed_where_nothing_could_be_had() -> None:
    state = after(at(0), FRESH, look(classes(shared_bytes=500 * M, shared_with=(("db", 500 * M),))))
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.NOTHING)
    assert state.last_action.endswith("and nothing can be had: 500M is shared with db")


def test_too_little_that_is_cold_is_told_before_acting() -> None:
    state = taking(rule=cap(300 * M))
    assert state.last_action.endswith(
        "only 200M anon and 50M file can go without pain, and goes; "
        "50M above the cap remains, for the working set is 350M"
    )
    state = after(at(4, cap(300 * M)), state, step(ByKind(200 * M, 50 * M, 0), 4))
    assert state.phase is Phase.SETTLING
    state = after(at(9, cap(300 * M)), state, Back("web", 9 * SECOND, 250 * M, 0))
    assert (state.phase, state.pause, state.pause_ns) == (Phase.PAUSED, Pause.SHORT, 10 * SECOND)


def test_without_swap_anon_is_left_alone_and_that_is_said_once() -> None:
    none = machine(swap_bytes=0, swap_free_bytes=0)
    state = taking(machine=none)
    action = next_step(at(3, machine=none), state)
    assert isinstance(action, PageOut)
    assert action.bytes_by_kind == ByKind(0, 50 * M, 0)
    assert state.said == (NO_SWAP,)
    again = after(at(40, machine=none), replace(state, phase=Phase.ARMED), look(ARMED, at_ns=40 * SECOND))
    assert again.said == (NO_SWAP,)


def test_swap_that_fills_up_in_the_middle_ends_the_round() -> None:
    first = next_step(at(3), taking())
    assert isinstance(first, PageOut)
    full = machine(swap_free_bytes=0)
    state = after(at(4, machine=full), taking(), step(first.bytes_by_kind, 4))
    assert state.phase is Phase.SETTLING
    assert isinstance(decide(at(9, machine=full), state), CheckBack)


def test_pages_that_do_not_leave_end_the_round() -> None:
    tried = ByKind(14 * M, 50 * M, 0)
    state = after(at(4), taking(), step(ByKind(), 4, asked_bytes=64 * M, tried=tried))
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.NOTHING)
    assert "64M of cold pages did not leave" in state.last_action
    state = after(at(4), taking(), step(ByKind(1 * M, 0, 0), 4, asked_bytes=64 * M, tried=tried))
    assert (state.phase, isinstance(decide(at(4), state), PageOut)) == (Phase.TAKING, True)
    state = after(at(5), state, step(ByKind(), 5, asked_bytes=64 * M, tried=ByKind(64 * M)))
    state = after(at(10), state, Back("web", 10 * SECOND, 1 * M, 0))
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.NOTHING)
    assert "127M of cold pages did not leave" in state.last_action


def test_what_is_used_up_is_not_asked_for_again() -> None:
    state = after(at(4), taking(), step(ByKind(1 * M, 0, 0), 4, asked_bytes=64 * M))
    assert next_step(at(4), state) is None
    assert state.phase is Phase.SETTLING


@pytest.mark.parametrize("phase", [Phase.OVER, Phase.ARMED, Phase.TAKING])
def test_a_zone_that_shrinks_by_itself_is_let_go(phase: Phase) -> None:
    state = after(at(3), replace(taking(), phase=phase), bound(390 * M, 3))
    assert state.phase is Phase.UNDER
    assert isinstance(decide(at(3), state), Wait)


def test_a_round_goes_on_to_its_goal_though_the_bound_is_below_the_cap() -> None:
    """Else a zone that shares nothing would end each round at its cap, and be over again at once."""
    state = after(at(4), replace(taking(), highest_bytes=600 * M), step(ByKind(200 * M, 0, 0), 4))
    state = after(at(4), state, bound(400 * M, 4))
    action = decide(at(4), state)
    assert isinstance(action, PageOut)
    assert action.bytes_by_kind.total_bytes == 20 * M
    assert "has to have some room" in action.why


def test_what_the_zone_gave_back_by_itself_is_not_asked_for() -> None:
    state = after(at(3.5), taking(), bound(500 * M, 3.5))
    action = next_step(at(3.5), state)
    assert isinstance(action, PageOut)
    assert action.bytes_by_kind.total_bytes == 20 * M


# ---- hysteresis, pauses ----------------------------------------------------------------------------------


def test_an_episode_ends_below_the_cap_by_its_128th_part() -> None:
    limit = 400 * M
    just = after(
        at(9), over(), look(classes(own_anon_bytes=limit - limit // HYSTERESIS + 1), at_ns=9 * SECOND)
    )
    assert (just.phase, just.over) == (Phase.UNDER, True)
    again = after(at(20), just, look(CLASSES, at_ns=20 * SECOND))
    assert again.nover == 1
    ended = after(at(9), over(), look(classes(own_anon_bytes=limit - limit // HYSTERESIS), at_ns=9 * SECOND))
    assert not ended.over
    assert after(at(20), ended, look(CLASSES, at_ns=20 * SECOND)).nover == 2


def test_half_of_it_back_is_too_much_and_each_time_twice_as_long() -> None:
    state, pauses = taken(), []
    for _ in range(8):
        state = after(at(9), replace(state, phase=Phase.SETTLING), Back("web", 0, 220 * M, 110 * M))
        pauses.append(state.pause_ns // SECOND)
    assert pauses == [10, 20, 40, 80, 160, 300, 300, 300]
    assert state.pause is Pause.REFAULTS
    assert state.last_action.endswith(
        "110M of it came back within seconds: it is in use, and nothing is taken for 5 min"
    )
    fine = after(at(9), replace(state, phase=Phase.SETTLING), Back("web", 0, 220 * M, 109 * M))
    assert (fine.phase, fine.pause_ns) == (Phase.UNDER, 300 * SECOND)


def test_what_comes_back_after_the_check_is_found_before_the_next_round() -> None:
    """Else a zone that uses all of it each 12 s would swap for ever."""
    state = after(at(9), taken(), Back("web", 9 * SECOND, 220 * M, 0))
    state = replace(after(at(40), state, look(CLASSES, at_ns=40 * SECOND)), pause_ns=80 * SECOND)
    assert isinstance(decide(at(40), state), CheckBack)
    back = after(at(40), state, Back("web", 40 * SECOND, 220 * M, 200 * M))
    assert (back.phase, back.pause, back.pause_ns) == (Phase.PAUSED, Pause.REFAULTS, 160 * SECOND)
    assert back.last_action == (
        "200M of the 220M that were paged out 36 s ago are back: they are in use, and nothing is taken for 3 min"
    )
    fine = after(at(40), state, Back("web", 40 * SECOND, 220 * M, 20 * M))
    assert (fine.phase, fine.pause_ns) == (Phase.OVER, 40 * SECOND)
    assert isinstance(decide(at(40), fine), Arm)
    late = after(at(400), replace(state, until_ns=500 * SECOND), Back("web", 400 * SECOND, 220 * M, 220 * M))
    assert late.phase is Phase.OVER


def test_a_pause_for_refaults_is_kept_whatever_grows() -> None:
    state = after(at(9), taken(), Back("web", 9 * SECOND, 220 * M, 220 * M))
    state = after(at(10), state, bound(2000 * M, 10))
    assert isinstance(decide(at(18), state), Wait)
    assert isinstance(decide(at(19), state), Measure)


def test_a_pause_for_want_of_cold_pages_ends_where_the_zone_grows() -> None:
    state = after(at(3), taking(), look(classes(shared_bytes=500 * M), at_ns=3 * SECOND))
    state = after(
        at(4),
        replace(state, phase=Phase.PAUSED, pause=Pause.NOTHING, until_ns=60 * SECOND),
        bound(700 * M, 4),
    )
    assert isinstance(decide(at(6), after(at(6), state, bound(720 * M, 6))), Wait)
    assert isinstance(decide(at(6), after(at(6), state, bound(721 * M, 6))), Measure)


def test_another_cap_ends_a_pause() -> None:
    state = after(at(9), taken(), Back("web", 9 * SECOND, 220 * M, 220 * M))
    assert isinstance(decide(at(10), state), Wait)
    assert isinstance(decide(at(10, cap(399 * M)), state), Measure)
    assert isinstance(decide(at(10, cap(400 * M, origin="caps.toml:7")), state), Wait)
    assert isinstance(decide(at(10, cap(701 * M)), state), Wait)


def test_what_is_cold_after_minutes_is_looked_at_after_minutes() -> None:
    long = replace(ACTS, cold_ns=900 * SECOND)
    state = after(at(0, settings=long), over(), Armed("web", 0))
    for now in (0, 400, 899):
        assert isinstance(decide(at(now, settings=long), state), Wait)
    assert isinstance(decide(at(900, settings=long), state), LookCold)


def test_long_walks_take_a_twentieth_of_the_time_too() -> None:
    state = after(at(0), FRESH, look(classes(own_anon_bytes=399 * M), took_ns=40 * SECOND))
    state = after(at(41), state, bound(900 * M, 41))
    for now in (60, 400, 799):
        assert isinstance(decide(at(now), state), Wait)
    assert isinstance(decide(at(800), state), Measure)


def test_pages_that_had_too_little_time_to_be_touched_are_not_cold() -> None:
    armed = after(at(0), over(), Armed("web", 0))
    state = after(at(90), armed, look(replace(ARMED, cold_seconds=1.0), at_ns=90 * SECOND))
    assert (state.phase, state.until_ns) == (Phase.ARMED, 92 * SECOND)


# ---- the rest --------------------------------------------------------------------------------------------


def test_the_command_is_run_before_anything_is_taken_and_not_too_often() -> None:
    rule = cap(400 * M, command=("/usr/local/bin/page-me", "web"))
    state = over(rule)
    action = decide(at(0, rule), state)
    assert isinstance(action, RunCommand)
    assert action.command == rule.command
    state = after(at(0, rule), state, Ran("web", 0))
    assert isinstance(decide(at(1, rule), state), Arm)
    assert isinstance(decide(at(299, rule), replace(state, until_ns=400 * SECOND)), Arm)
    assert isinstance(decide(at(300, rule), replace(state, until_ns=400 * SECOND)), RunCommand)


@pytest.mark.parametrize(
    ("found", "may"),
    [
        (classes(shared_bytes=600 * M, shared_with=(("db", 600 * M),)), MAY),
        (CLASSES, frozenset[str]()),
    ],
)
def test_the_command_is_run_where_nothing_can_be_had(found: Classes, may: frozenset[str]) -> None:
    rule = cap(400 * M, command=("/usr/local/bin/page-me",), may=may)
    state = after(at(0, rule), FRESH, look(found))
    assert isinstance(decide(at(0, rule), state), RunCommand)
    state = after(at(0, rule), state, Ran("web", 0))
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.NOTHING)
    assert state.last_action.startswith("ran /usr/local/bin/page-me; ")
    state = after(at(20, rule), state, look(found, at_ns=20 * SECOND))  # not once more so soon
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.NOTHING)
    state = after(at(320, rule), state, look(found, at_ns=320 * SECOND))
    assert isinstance(decide(at(320, rule), state), RunCommand)


def test_a_command_that_cannot_be_run_is_said_and_holds_up_nothing() -> None:
    rule = cap(400 * M, command=("/nowhere",))
    state = after(at(0, rule), over(rule), Ran("web", 0, "no such file"))
    assert state.last_action == "could not run /nowhere: no such file"
    assert isinstance(decide(at(1, rule), state), Arm)


def test_what_fails_is_tried_again_after_a_pause() -> None:
    state = after(at(0), over(), Armed("web", 0, "may not call process_madvise"))
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.PROBLEM)
    assert "may not call process_madvise" in state.last_action
    state = after(at(0), FRESH, Failed("web", 0, "walk", "no page tables"))
    assert state.last_action == "walk failed: no page tables"
    assert isinstance(decide(at(9), state), Wait)
    assert isinstance(decide(at(10), state), Measure)


def test_a_step_that_ends_early_ends_the_round() -> None:
    state = after(
        at(4), taking(), step(ByKind(1 * M, 0, 0), 4, problem="process 7 does not let go of its mmap lock")
    )
    assert state.phase is Phase.SETTLING
    assert (
        state.last_action
        == "paged out 1.0M anon; page-out ended early: process 7 does not let go of its mmap lock"
    )
    state = after(at(9), state, Back("web", 9 * SECOND, 1 * M, 0))
    assert (state.phase, state.pause) == (Phase.PAUSED, Pause.PROBLEM)


def test_a_zone_that_ends_keeps_its_counts_and_nothing_else() -> None:
    state = after(at(9), taken(), Gone("web", 9 * SECOND))
    assert (state.phase, state.look, state.over) == (Phase.UNDER, None, False)
    assert (state.nover, state.pout_bytes) == (1, 220 * M)
    late = after(at(9), state, step(ByKind(1 * M, 0, 0), 9))
    assert late.pout_bytes == 221 * M
    late = after(at(14), late, Back("web", 14 * SECOND, 1 * M, 1 * M))
    assert late.refault_bytes == 1 * M


KNOWN = replace(
    ARMED,
    several_anon_bytes=100 * M,
    own_anon_bytes=300 * M,
    cold_anon_bytes=100 * M,
    cold_several_anon_bytes=60 * M,
    cold_several_file_bytes=0,
    cold_several_shmem_bytes=0,
)


def test_reclaim_comes_last_in_small_steps_and_stops_in_vain() -> None:
    state = after(at(4), taking(KNOWN), step(ByKind(100 * M, 50 * M, 0), 4, asked_bytes=150 * M))
    asked = 0
    for _ in range(100):
        action = next_step(at(4), state)
        if action is None:
            break
        assert isinstance(action, Reclaim)
        assert action.bytes <= RECLAIM_BYTES
        asked += action.bytes
        left = ByKind(action.bytes, 0, 0)
        state = after(at(4), state, step(left, 4, what="reclaim", tried=ByKind(), asked_bytes=action.bytes))
    assert asked == 50 * M  # down to the cap, and not beyond: what is cold would have done for 60
    state = after(at(4), taking(KNOWN), step(ByKind(100 * M, 50 * M, 0), 4, asked_bytes=150 * M))
    state = after(
        at(4), state, step(ByKind(3 * M, 0, 0), 4, what="reclaim", tried=ByKind(), asked_bytes=8 * M)
    )
    assert next_step(at(4), state) is None


def test_reclaim_is_not_asked_for_what_is_not_known_to_be_cold() -> None:
    found = replace(KNOWN, cold_several_anon_bytes=None)
    state = after(at(4), taking(found), step(ByKind(100 * M, 50 * M, 0), 4, asked_bytes=150 * M))
    assert next_step(at(4), state) is None


# ---- several zones ---------------------------------------------------------------------------------------


def test_without_a_threshold_each_zone_answers_for_itself() -> None:
    assert allowances(0.0, machine(), {"a": 1, "b": 2}) == {"a": None, "b": None}


SIZES = st.integers(0, 1 << 40)


@given(st.floats(0.01, 0.99), st.dictionaries(st.text(max_size=2), SIZES, max_size=5), SIZES, SIZES)
def test_goals_are_in_proportion(threshold: float, excesses: dict[str, int], memory: int, used: int) -> None:
    found = allowances(threshold, machine(memory_bytes=memory, used_bytes=used), excesses)
    shares = {zone: share or 0 for zone, share in found.items()}
    over_bytes = max(used - int(threshold * memory), 0)
    total = sum(excesses.values())
    assert sum(shares.values()) <= min(over_bytes, total)
    assert sum(shares.values()) > min(over_bytes, total) - max(len(excesses), 1)
    for zone, share in shares.items():
        assert share <= excesses[zone]
        if total:
            assert abs(share - min(over_bytes, total) * excesses[zone] / total) <= 1 + share * 1e-9


def test_excess_is_what_is_known() -> None:
    assert excess(cap(400 * M), FRESH) == 0
    assert excess(cap(400 * M), over()) == 200 * M
    assert excess(cap(400 * M), taken()) == 0


# ---- whatever is observed --------------------------------------------------------------------------------


class Lies:
    """Whatever may be said of a zone, mostly what fits what was asked, from one seed."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.zone = "web"

    def size(self, most: int = 1 << 28) -> int:
        return self.draw.choice((0, 1, 4096, self.draw.randint(0, most), self.draw.randint(0, most)))

    def by_kind(self, most: ByKind | None = None) -> ByKind:
        return ByKind(
            *(self.size() if most is None else self.draw.randint(0, most.of(kind)) for kind in KINDS)
        )

    def rule(self) -> Cap:
        may = frozenset(what for what in sorted(MAY) if self.draw.random() < 0.9)
        return cap(
            self.size(1 << 30),
            floor_bytes=self.size(1 << 29),
            may=may,
            command=self.draw.choice([(), ("x",)]),
        )

    def machine(self) -> Machine:
        return machine(
            used_bytes=self.draw.randint(0, 8 << 30),
            swap_bytes=self.draw.choice([0, 1 << 28, 1 << 32]),
            swap_free_bytes=self.size(1 << 32),
            reclaiming=self.draw.random() < 0.02,
        )

    def classes(self) -> Classes:
        own, several, shared = self.by_kind(ByKind(*[1 << 28] * 3)), self.by_kind(), self.size()
        fields: dict[str, Any] = {f"own_{kind}_bytes": own.of(kind) for kind in KINDS}
        fields |= {f"several_{kind}_bytes": several.of(kind) for kind in KINDS}
        if self.draw.random() < 0.9:
            cold = self.by_kind(
                self.draw.choice([own, ByKind(1 << 16, 0, 0)]) if own.anon_bytes >= 1 << 16 else own
            )
            fields |= {f"cold_{kind}_bytes": cold.of(kind) for kind in KINDS}
            fields |= {"unknown_bytes": 0, "cold_seconds": self.draw.choice([0.0, 3.0, 3.0, 3.0, 50.0])}
        if self.draw.random() < 0.5:
            cold = self.by_kind(several)
            fields |= {f"cold_several_{kind}_bytes": cold.of(kind) for kind in KINDS}
        return classes(**fields, shared_bytes=shared, shared_with=(("db", shared),), locked_bytes=self.size())

    def seen(self, now_ns: int, action: Action) -> Observation:
        problem = self.draw.choice([None, None, None, "it broke"])
        if isinstance(action, PageOut) and self.draw.random() < 0.7:
            tried = self.draw.choice([action.bytes_by_kind, self.by_kind(action.bytes_by_kind)])
            left, asked = self.by_kind(tried), action.bytes_by_kind.total_bytes
            huge = self.draw.choice([0, 0, 1 << 21])
            return Step("web", "page-out", now_ns, 1, asked, tried, left, problem, huge_bytes=huge)
        if isinstance(action, Reclaim) and self.draw.random() < 0.7:
            left = self.draw.choice([ByKind(action.bytes, 0, 0), self.by_kind(ByKind(1 << 24, 1 << 24, 0))])
            return Step("web", "reclaim", now_ns, 1, action.bytes, ByKind(), left, problem)
        fits: Observation = {
            Measure: self.look(now_ns),
            LookCold: self.look(now_ns),
            Arm: Armed("web", now_ns, problem),
            CheckBack: Back("web", now_ns, self.size() - 1, self.size() - 1),
        }.get(type(action), self.bound(now_ns))
        if self.draw.random() < 0.85:
            return fits
        any_step = Step("web", "page-out", now_ns, 1, self.size(), self.by_kind(), self.by_kind(), problem)
        others: list[Observation] = [
            *(fits, self.look(now_ns), Armed("web", now_ns), any_step, replace(any_step, what="reclaim")),
            *(self.bound(now_ns), Back("web", now_ns, self.size(), self.size())),
            *(Ran("web", now_ns, problem), Failed("web", now_ns, "walk", "it broke"), Gone("web", now_ns)),
        ]
        return self.draw.choice(others)

    def bound(self, now_ns: int) -> Bound:
        return Bound("web", now_ns, self.size(1 << 31) + self.draw.choice([0, 1 << 31, 1 << 31, 1 << 31]), 1)

    def look(self, now_ns: int) -> Look:
        return look(
            self.classes(),
            at_ns=now_ns,
            took_ns=self.draw.choice([0, SECOND // 10, 10 * SECOND]),
            billed_here_mapped_elsewhere_bytes=self.draw.choice([None, 0, 0, 0, 4096]),
            swap_room_bytes=self.draw.choice([None, None, self.size()]),
            reclaimable=self.draw.random() < 0.8,
        )

    def later(self, now_ns: int, action: Action) -> int:
        """Mostly what was waited for; it may be much later."""
        if isinstance(action, Wait) and self.draw.random() < 0.8:
            return action.until_ns
        jump = self.draw.choice([0, 1, SECOND, 6 * SECOND, 60 * SECOND, 1000 * SECOND])
        return now_ns + jump


def allowed(action: Action, state: ZoneState, situation: Given, asked: int) -> None:
    """What no action may break, given what was asked for since the last look."""
    rule, now_ns = situation.cap, situation.now_ns
    if isinstance(action, Wait):
        assert now_ns < action.until_ns <= now_ns + LONGEST_PAUSE_NS
    else:
        assert not situation.machine.reclaiming
    if isinstance(action, (Arm, LookCold, PageOut, Reclaim, RunCommand)):
        assert situation.settings.enforce
    if isinstance(action, (PageOut, Reclaim)):
        seen = state.look
        assert seen is not None
        wants = action.bytes_by_kind.total_bytes if isinstance(action, PageOut) else action.bytes
        assert wants > 0
        assert asked + wants <= seen.rss_bytes - rule.cap_bytes + rule.cap_bytes // 20 + state.huge_bytes
        assert asked + wants <= seen.rss_bytes - rule.floor_bytes
        if situation.allowance_bytes is not None:
            assert wants <= max(situation.allowance_bytes, state.huge_bytes)
    if isinstance(action, PageOut):
        cold = state.look.classes.cold if state.look else None
        assert cold is not None
        pages = action.bytes_by_kind
        assert pages.total_bytes <= STEP_BYTES
        assert pages.swap_backed_bytes <= situation.machine.swap_free_bytes
        for kind in KINDS:
            assert pages.of(kind) <= cold.of(kind)
            assert not pages.of(kind) or kind in rule.may
    if isinstance(action, Reclaim):
        assert action.bytes <= RECLAIM_BYTES
        assert state.look is not None
        assert state.look.reclaimable
        assert state.look.billed_here_mapped_elsewhere_bytes == 0
        assert state.look.classes.cold_several is not None
        assert state.reclaim_bytes + action.bytes <= state.look.classes.cold_several.total_bytes
        assert "reclaim" in rule.may


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 1 << 64))
def test_whatever_is_observed_nothing_is_asked_for_that_may_not_be(seed: int) -> None:
    """Zones that lie, times that jump ahead, rules that change, swap that fills: any observation at any time."""
    lies = Lies(seed)
    rule, state, now_ns, asked = lies.rule(), ZoneState("web"), 0, 0
    setting = Settings(enforce=lies.draw.random() < 0.9)
    allowance = lies.draw.choice([None, None, None, 0, 1 << 22])
    for _ in range(60):
        rule = lies.rule() if lies.draw.random() < 0.03 else rule
        situation = Given(setting, rule, lies.machine(), now_ns, allowance)
        action = decide(situation, state)
        assert action.why
        allowed(action, state, situation, asked)
        seen = lies.seen(now_ns, action)
        if isinstance(seen, Step) and seen.what == "page-out":
            asked += seen.tried.total_bytes
        elif isinstance(seen, Step):
            asked += seen.asked_bytes
        elif isinstance(seen, (Look, Gone)):
            asked = 0
        before, state = state, after(situation, state, seen)
        assert state.nover - before.nover in (0, 1)
        assert state.pout_bytes >= before.pout_bytes
        assert state.refault_bytes >= before.refault_bytes
        assert 0 <= state.pause_ns <= LONGEST_PAUSE_NS
        now_ns = lies.later(now_ns, action)


def test_the_lies_reach_everything() -> None:
    """What no lie leads to is not tested by them."""
    met: set[type[Action]] = set()
    phases: set[Phase] = set()
    for seed in range(80):
        lies, state, now_ns = Lies(seed), ZoneState("web"), 0
        rule = lies.rule()
        for _ in range(60):
            situation = Given(ACTS, rule, lies.machine(), now_ns)
            action = decide(situation, state)
            met.add(type(action))
            phases.add(state.phase)
            state = after(situation, state, lies.seen(now_ns, action))
            now_ns = lies.later(now_ns, action)
    assert met == {Wait, Measure, Arm, LookCold, PageOut, Reclaim, CheckBack, RunCommand}
    assert phases == set(Phase)


def test_the_machine_is_not_needed_to_be_large() -> None:
    tiny = Machine(0, 0, 0, 0, 0, reclaiming=False)
    assert isinstance(decide(at(0, machine=tiny), over()), Arm)
