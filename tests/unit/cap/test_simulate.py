"""The policy and a machine made of figures: what comes of it over time."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.cap.samples import SECOND, G, M

from zonerss.cap.model import WALK_NS, Area, World
from zonerss.cap.policy import WALK_SHARE
from zonerss.cap.records import (
    KINDS,
    Action,
    Cap,
    CheckBack,
    Look,
    LookCold,
    Measure,
    Observation,
    PageOut,
    Reclaim,
    Settings,
    Step,
)
from zonerss.cap.simulate import Simulated, simulate
from zonerss.plain import replace

HOT = SECOND // 10


def area(size: int, kind: str = "anon", period: int | None = None, **fields: object) -> Area:
    return Area(kind, ((0, size * M),), period, **fields)  # type: ignore[arg-type]


STUDY = (
    *(area(200, "anon", HOT), area(200, "anon"), area(50, "file", HOT), area(50, "file")),
    area(100, "shmem", HOT, shared_with="db"),
)


class Watched(World):
    """Checks each thing done against the zone as it really is."""

    def watch(self, caps: Mapping[str, Cap]) -> Watched:
        self.caps = caps
        self.asked = dict.fromkeys(caps, 0)
        self.seen: dict[str, Look] = {}
        self.done: list[tuple[int, Action]] = []
        return self

    def perform(self, action: Action) -> Observation:
        zone, rule = action.zone, self.caps[action.zone]
        assert not self.machine().reclaiming
        self.done.append((self.now_ns, action))
        if isinstance(action, PageOut):
            self._may_be_paged_out(action, rule)
        if isinstance(action, Reclaim):
            self._may_be_reclaimed(action, rule)
        rss = self.rss_bytes(zone)
        found = super().perform(action)
        if isinstance(found, Look):
            self.asked[zone], self.seen[zone] = 0, found
        if isinstance(found, Step):
            assert rss - found.left_bytes >= min(rule.floor_bytes, rss)
        return found

    def _may_be_reclaimed(self, action: Reclaim, rule: Cap) -> None:
        looked = self.seen[action.zone]
        self.asked[action.zone] += action.bytes
        assert 0 < action.bytes <= 8 * M
        assert looked.classes.shared_bytes == 0
        assert looked.classes.cold_several is not None
        assert self.rss_bytes(action.zone) - action.bytes >= max(rule.cap_bytes, rule.floor_bytes)

    def _may_be_paged_out(self, action: PageOut, rule: Cap) -> None:
        zone, wants = action.zone, action.bytes_by_kind
        looked, rss = self.seen[zone], self.rss_bytes(zone)
        self.asked[zone] += wants.total_bytes
        assert self.asked[zone] <= looked.rss_bytes - rule.cap_bytes + rule.cap_bytes // 20
        assert rss - wants.total_bytes >= rule.cap_bytes - rule.cap_bytes // 20 - 1
        assert rss - wants.total_bytes >= rule.floor_bytes
        assert wants.swap_backed_bytes <= self.machine().swap_free_bytes
        assert looked.classes.cold is not None
        for kind in KINDS:
            assert wants.of(kind) <= looked.classes.cold.of(kind)


def run(
    areas: Mapping[str, tuple[Area, ...]], caps: Mapping[str, Cap], seconds: int, **world: int
) -> tuple[Watched, Simulated]:
    watched = Watched(areas, **world).watch(caps)  # type: ignore[arg-type]
    return watched, simulate(caps, watched, seconds * SECOND)


def capped(areas: tuple[Area, ...], cap_mib: int, seconds: int, **world: int) -> tuple[Watched, Simulated]:
    return run({"web": areas}, {"web": Cap("web", cap_mib * M)}, seconds, **world)


# ---- the study's zone ------------------------------------------------------------------------------------


def test_the_study() -> None:
    """Table C: 600 MiB under 400; 212 asked there, 220 here, for the goal is the excess and 5 % of the cap."""
    world, found = capped(STUDY, 400, 120)
    state = found.states["web"]
    assert world.rss_bytes("web") == 380 * M
    assert (state.pout_bytes, state.refault_bytes, state.nover, state.over) == (220 * M, 0, 1, False)
    assert found.walks["web"] == 2
    under = next(point.at_ns for point in found.points["web"] if point.rss_bytes <= 400 * M)
    assert under < 7 * SECOND  # of the model: its walk, arming and page-out take what the study's took


def test_a_working_set_above_the_cap_is_not_thrashed() -> None:
    world, found = capped(STUDY, 300, 3600)
    assert world.rss_bytes("web") == 350 * M
    assert (found.states["web"].pout_bytes, found.states["web"].refault_bytes) == (250 * M, 0)
    assert any(
        "50M above the cap remains, for the working set is 350M" in event.text for event in found.events
    )


def test_a_zone_that_uses_all_every_few_seconds_is_soon_left_alone() -> None:
    world, found = capped((area(500, period=6 * SECOND),), 400, 3600)
    state = found.states["web"]
    assert 0.8 * state.pout_bytes < state.refault_bytes <= state.pout_bytes
    rounds = sum(isinstance(action, CheckBack) for _, action in world.done)
    assert rounds <= 2 * (5 + 3600 // 300)


@pytest.mark.parametrize("seconds", [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 20, 30, 60, 120, 240])
def test_whatever_the_period_nothing_goes_to_and_fro_for_long(seconds: int) -> None:
    """
    All of a zone is used every so often: too seldom to be seen hot, so that each round takes what is used again.

    After a few rounds there is one in five minutes at most, however long after the check the pages come back.
    """
    world, _ = capped((area(500, period=seconds * SECOND),), 400, 7200)
    rounds = [at for at, action in world.done if isinstance(action, LookCold)]
    late = [at for at in rounds if at > 1800 * SECOND]
    assert len(late) <= 5400 // 300 + 1


def test_all_that_is_over_is_shared() -> None:
    world, found = capped((area(500, period=HOT, shared_with="db"),), 400, 600)
    assert found.asked_bytes["web"] == 0
    assert {type(action) for _, action in world.done} == {Measure}
    assert found.events[-1].text.endswith("and nothing can be had: 500M is shared with db")


def test_idle_when_idle() -> None:
    """No walk, nothing."""
    world, found = capped((area(399),), 400, 86400)
    assert not world.done
    assert not found.events


def test_a_zone_that_only_seems_to_be_over_is_walked_rarely() -> None:
    """Ten processes map the same 200 MiB: the bound is 2,000, rss is 200."""
    world, _ = capped((area(200, processes=10),), 400, 3600)
    assert len(world.done) == 60


def test_a_dry_run_does_nothing_but_walk() -> None:
    caps = {"web": Cap("web", 400 * M)}
    world = Watched({"web": STUDY}).watch(caps)
    found = simulate(caps, world, 600 * SECOND, Settings())
    assert {type(action) for _, action in world.done} == {Measure}
    assert found.states["web"].nover == 1


# ---- memory.reclaim --------------------------------------------------------------------------------------

PREFORKED = (area(200, "anon", HOT, processes=8), area(200, "anon", processes=8), area(100, "anon"))


def reclaimed(world: Watched) -> list[int]:
    """What was asked of it, step by step."""
    return [action.bytes for _, action in world.done if isinstance(action, Reclaim)]


def test_what_several_processes_map_is_reclaimed_where_it_is_known_to_be_cold() -> None:
    world, found = capped(PREFORKED, 300, 600, knows_several=True)
    assert world.rss_bytes("web") == 300 * M
    assert sum(reclaimed(world)) == 100 * M
    assert max(reclaimed(world)) == 8 * M
    assert found.states["web"].refault_bytes == 0
    assert found.states["web"].pout_bytes == 200 * M


def test_it_is_not_used_where_nothing_is_known() -> None:
    world, found = capped(PREFORKED, 300, 600)
    assert not reclaimed(world)
    assert found.states["web"].pout_bytes == 100 * M
    text = "400M is mapped by several of its processes (its cgroup has no memory.reclaim of its own)"
    assert text in found.events[-1].text


def test_it_is_not_used_where_another_zone_would_pay() -> None:
    world, _ = capped((*PREFORKED, area(50, "file", HOT, shared_with="db")), 300, 600, knows_several=True)
    assert not reclaimed(world)


def test_it_stops_where_it_takes_something_else() -> None:
    """100 MiB of page cache that nobody maps come first: one step of 8 MiB is lost on it each round, no more."""
    world, _ = capped(PREFORKED, 300, 600, knows_several=True, cache_bytes=100 * M)
    rounds = sum(isinstance(action, LookCold) for _, action in world.done)
    assert 0 < len(reclaimed(world)) <= rounds


# ---- properties ------------------------------------------------------------------------------------------

PERIODS = st.sampled_from([None, None, HOT, 2 * SECOND, 6 * SECOND, 30 * SECOND])
TIMES = st.integers(0, 300).map(lambda second: second * SECOND)


@st.composite
def any_area(draw: st.DrawFn) -> Area:
    times = sorted(draw(st.sets(TIMES, min_size=1, max_size=5)))
    return Area(
        draw(st.sampled_from(KINDS)),
        tuple((at, draw(st.integers(0, 300)) * M) for at in times),
        draw(PERIODS),
        draw(st.sampled_from([None, None, None, "db"])),
        draw(st.sampled_from([1, 1, 1, 5])),
        draw(st.sampled_from([False, False, False, True])),
    )


AREAS = st.lists(any_area(), min_size=1, max_size=5).map(tuple)
SPANS = st.lists(st.tuples(TIMES, TIMES).map(sorted).map(tuple), max_size=2).map(tuple)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(AREAS, min_size=1, max_size=3),
    st.integers(1, 500),
    st.integers(0, 400),
    st.sampled_from([0, 64 * M, 4 * G]),
    SPANS,
    st.booleans(),
)
def test_no_zone_is_taken_more_of_than_may_be(
    zones: list[tuple[Area, ...]],
    cap_mib: int,
    floor_mib: int,
    swap: int,
    spans: tuple[tuple[int, int], ...],
    knows_several: bool,
) -> None:
    """Whatever zones do: within excess + 5 %, above the floor, cold and own only, idle while the machine reclaims."""
    named = {f"zone{number}": areas for number, areas in enumerate(zones)}
    caps = {zone: Cap(zone, cap_mib * M, floor_bytes=min(floor_mib, cap_mib) * M) for zone in named}
    world = Watched(named, swap_bytes=swap, reclaiming=spans, knows_several=knows_several).watch(caps)
    found = simulate(caps, world, 600 * SECOND)
    for zone in named:
        walked = [
            at for at, action in world.done if action.zone == zone and isinstance(action, (Measure, LookCold))
        ]
        spaced = [at for at, action in world.done if action.zone == zone and isinstance(action, Measure)]
        assert all(late - early >= WALK_NS * WALK_SHARE for early, late in pairwise(spaced))
        assert len(walked) <= 3 * len(spaced) + 3
        assert found.states[zone].refault_bytes <= found.states[zone].pout_bytes


@st.composite
def growing(draw: st.DrawFn) -> tuple[Area, ...]:
    """Zones that only grow, and of which more is cold than is above the cap: 200 MiB at most are in use."""
    found = []
    for period, most in ((None, 400), (HOT, 100)):
        for _ in range(draw(st.integers(1, 2))):
            at = sorted(draw(st.sets(TIMES, min_size=1, max_size=6)))
            sizes = sorted(draw(st.lists(st.integers(1, most), min_size=len(at), max_size=len(at))))
            steps = tuple((when, size * M) for when, size in zip(at, sizes, strict=True))
            found.append(Area(draw(st.sampled_from(KINDS)), steps, period))
    return tuple(found)


@settings(max_examples=60, deadline=None)
@given(growing(), st.integers(201, 600))
def test_a_zone_that_has_stopped_growing_gets_under_its_cap(areas: tuple[Area, ...], cap_mib: int) -> None:
    world, found = capped(areas, cap_mib, 720, swap_bytes=4 * G)
    assert world.rss_bytes("web") <= cap_mib * M
    assert found.states["web"].refault_bytes == 0


@given(st.integers(0, 300), st.integers(0, 300), st.integers(1, 300))
@settings(max_examples=50, deadline=None)
def test_two_zones_that_share_do_not_push_pages_at_each_other(shared: int, own: int, cap_mib: int) -> None:
    """What both map is asked of neither, so neither pages out what the other brings back."""
    both = {
        "web": (area(shared, period=HOT, shared_with="db"), area(own)),
        "db": (area(shared, period=HOT, shared_with="web"), area(own)),
    }
    caps = {zone: Cap(zone, cap_mib * M) for zone in both}
    _, found = run(both, caps, 900, swap_bytes=4 * G)
    for zone in both:
        state = found.states[zone]
        assert state.refault_bytes == 0
        assert state.pout_bytes <= own * M


def test_a_cap_that_changes_is_kept_from_then_on() -> None:
    caps = [{"web": Cap("web", 400 * M)}, {"web": Cap("web", 360 * M)}]
    world = World({"web": STUDY})
    found = simulate(lambda now_ns: caps[now_ns > 60 * SECOND], world, 200 * SECOND)
    assert world.rss_bytes("web") <= 360 * M
    assert found.states["web"].refault_bytes == 0


def test_a_zone_that_goes_and_comes_again() -> None:
    sizes = ((0, 600 * M), (5 * SECOND, 0), (100 * SECOND, 600 * M))
    world, found = capped((Area("anon", sizes),), 400, 200)
    assert world.rss_bytes("web") == 380 * M
    assert found.states["web"].nover == 2
    assert any(event.text == "it has no process any more" for event in found.events)


def test_swap_that_others_fill_is_not_overfilled() -> None:
    world, found = capped(STUDY, 300, 600, swap_bytes=64 * M)
    assert found.states["web"].pout_bytes == 50 * M + 60 * M
    assert world.machine().swap_free_bytes == 4 * M


def test_zones_over_a_threshold_get_goals_in_proportion() -> None:
    """8 GiB, 80 %: 6,553 MiB. Both zones have 2 GiB above their caps in the ratio 3 to 1; 400 MiB are to go."""
    zones = {"web": (area(2500),), "db": (area(1500),)}
    caps = {"web": Cap("web", 1000 * M), "db": Cap("db", 1000 * M)}
    used_elsewhere = int(0.8 * 8 * G) + 400 * M - 4000 * M
    world = Watched(zones, swap_bytes=8 * G, used_elsewhere_bytes=used_elsewhere).watch(caps)
    found = simulate(caps, world, 600 * SECOND, Settings(enforce=True, threshold=0.8))
    web, db = (found.states[zone].pout_bytes for zone in ("web", "db"))
    assert web + db == pytest.approx(400 * M, abs=2 * M)
    assert web > db


def test_below_the_threshold_nothing_is_done() -> None:
    caps = {"web": Cap("web", 400 * M)}
    world = Watched({"web": STUDY}).watch(caps)
    found = simulate(caps, world, 600 * SECOND, Settings(enforce=True, threshold=0.8))
    assert found.asked_bytes["web"] == 0
    assert replace(found.states["web"]).nover == 1
