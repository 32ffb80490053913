"""What was touched, by sets of owners that are told apart; compared with a count page by page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.census.census import Census
from zonerss.census.kinds import RSS_KINDS, Kind, rss_of
from zonerss.census.parts import NO_GROUP, Parts
from zonerss.census.touched import Apart, State, TouchedPages, Touches

ZONES = 3
SET, IDLE, KEPT = range(3)
APART = Apart(ZONES)


@st.composite
def pages(draw: st.DrawFn) -> list[tuple[Kind, bool, dict[int, set[int]]]]:
    """Of each page its kind, whether it is mapped more than once, and in which states each zone has it."""
    page = st.tuples(
        st.sampled_from(RSS_KINDS),
        st.booleans(),
        st.dictionaries(st.integers(0, ZONES - 1), st.sets(st.integers(0, 2), min_size=1), min_size=1),
    )
    return draw(st.lists(page, max_size=40))


def census_of(found: list[tuple[Kind, bool, dict[int, set[int]]]]) -> Census:
    census = Census(APART.count)
    owner_of = (lambda zone: zone, APART.idle_owner, APART.kept_owner)
    for pfn, (kind, several, zones) in enumerate(found, start=1):
        for zone, states in zones.items():
            for state in states:
                census.mark(owner_of[state](zone), [pfn], [kind])
        if several:
            census.mark(APART.several, [pfn], [kind])
    return census


def pages_of(parts: Parts) -> dict[tuple[int, ...], tuple[int, ...]]:
    return {part.owners: part.pages for part in parts}


def state_of(states: set[int], several: bool) -> State:
    if SET in states:
        return State.UNKNOWN if several else State.TOUCHED
    return State.UNKNOWN if KEPT in states else State.IDLE


@given(pages(), st.booleans())
def test_each_page_counts_once_a_zone_in_the_state_that_its_entries_tell(found, sees_several) -> None:
    touches = Touches(census_of(found).parts(), APART, sees_several)
    sums = touches.by_group(range(ZONES), ZONES)
    for zone in range(ZONES):
        expected = TouchedPages()
        for kind, several, zones in found:
            if zone in zones:
                one = [0] * len(Kind)
                one[kind] = 1
                expected.add(state_of(zones[zone], several and not sees_several), one)
        assert sums[zone] == expected


@given(pages())
def test_all_zones_together_count_each_page_once(found) -> None:
    (together,) = Touches(census_of(found).parts(), APART, True).by_group([0] * ZONES, 1)
    assert rss_of(together.mapped) == len(found)
    touched = sum(any(SET in states for states in zones.values()) for _, _, zones in found)
    assert rss_of(together.touched) == touched


@given(pages())
def test_without_the_states_it_is_an_ordinary_walk(found) -> None:
    plain = Census(ZONES)
    for pfn, (kind, _, zones) in enumerate(found, start=1):
        for zone in zones:
            plain.mark(zone, [pfn], [kind])
    assert pages_of(APART.without(census_of(found).parts())) == pages_of(plain.parts())


def test_who_is_left_out_counts_nowhere() -> None:
    touches = Touches(census_of([(Kind.ANON, False, {0: {SET}, 1: {IDLE}})]).parts(), APART, False)
    assert touches.states([0, 1 + ZONES], [NO_GROUP, 0, NO_GROUP]) == {0: State.IDLE}
