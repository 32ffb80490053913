"""The C core against the oracle that counts with real sets, and the identities that its sums must keep."""

from __future__ import annotations

import tracemalloc
from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import oracle

from zonerss.census.census import Census
from zonerss.census.kinds import RSS_KINDS, Kind
from zonerss.census.parts import NO_GROUP, Parts, PartsBuilder

ZONES = 6

# Few frames, so that they are shared; some far apart, so that there are holes between.
frames = st.one_of(
    st.integers(0, 40), st.integers((1 << 19) - 3, (1 << 19) + 3), st.integers((1 << 40) - 5, (1 << 40) - 1)
)
marks = st.lists(st.tuples(st.integers(0, ZONES - 1), frames, st.sampled_from(list(Kind))), max_size=120)


def census_of(marks: list[tuple[int, int, Kind]], zones: int = ZONES) -> Census:
    census = Census(zones)
    for zone, pfn, kind in marks:
        census.mark(zone, [pfn], [kind])
    return census


def expected(marks: list[tuple[int, int, Kind]]) -> dict[frozenset[int], tuple[int, ...]]:
    parts = oracle.partition((zone, pfn, kind.name.lower()) for zone, pfn, kind in marks)
    return {zones: tuple(pages[kind.name.lower()] for kind in Kind) for zones, pages in parts.items()}


def found(parts: Parts) -> dict[frozenset[int], tuple[int, ...]]:
    result: dict[frozenset[int], tuple[int, ...]] = {}
    for part in parts:
        zones = frozenset(part.owners)
        assert zones not in result, "a set of zones appears once"
        assert len(zones) == len(part.owners), "a zone appears once in a set"
        result[zones] = part.pages
    return result


@given(marks)
def test_parts_are_those_of_the_oracle(marks: list[tuple[int, int, Kind]]) -> None:
    assert found(census_of(marks).parts()) == expected(marks)


@given(marks, marks)
def test_a_restarted_census_has_forgotten(
    before: list[tuple[int, int, Kind]], after: list[tuple[int, int, Kind]]
) -> None:
    census = census_of(before)
    census.restart(ZONES)
    for zone, pfn, kind in after:
        census.mark(zone, [pfn], [kind])
    assert found(census.parts()) == expected(after)


@given(marks)
def test_sums_are_sums_over_parts(marks: list[tuple[int, int, Kind]]) -> None:
    parts = census_of(marks).parts()
    sums = parts.sums()
    for zone in range(ZONES):
        for kind in Kind:
            with_zone = {s: pages[kind] for s, pages in expected(marks).items() if zone in s}
            assert sums[zone].mapped[kind] == sum(with_zone.values())
            assert sums[zone].exclusive[kind] == with_zone.get(frozenset({zone}), 0)
            shares = sum(pages / len(s) for s, pages in with_zone.items())
            assert sums[zone].proportional[kind] == pytest.approx(shares)
    assert parts.total() == tuple(sum(pages[kind] for pages in expected(marks).values()) for kind in Kind)


@given(marks, st.lists(st.sampled_from([0, 1, 2, NO_GROUP]), min_size=ZONES, max_size=ZONES))
def test_projection_is_the_census_of_coarser_zones(
    marks: list[tuple[int, int, Kind]], group_of: list[int]
) -> None:
    coarser: dict[frozenset[int], list[int]] = defaultdict(lambda: [0] * len(Kind))
    for zones, pages in expected(marks).items():
        groups = frozenset(group_of[zone] for zone in zones) - {NO_GROUP}
        if groups:
            for kind in Kind:
                coarser[groups][kind] += pages[kind]
    projected = census_of(marks).parts().project(group_of, 3)
    assert found(projected) == {groups: tuple(pages) for groups, pages in coarser.items()}


@given(marks, st.one_of(st.none(), st.integers(0, ZONES * ZONES)))
def test_pairs_are_sums_over_parts_the_largest_first(
    marks: list[tuple[int, int, Kind]], limit: int | None
) -> None:
    wanted = []
    for one in range(ZONES):
        for other in range(one + 1, ZONES):
            both = [pages for zones, pages in expected(marks).items() if {one, other} <= zones]
            if pages := sum(pages[kind] for pages in both for kind in RSS_KINDS):
                wanted.append((one, other, pages))
    wanted.sort(key=lambda pair: (-pair[2], pair[:2]))
    assert census_of(marks).parts().pairs(limit) == (wanted[:limit], len(wanted))


def test_pairs_of_paths_that_do_not_ascend() -> None:
    census = Census(4)
    for owner in (3, 0, 2):
        census.mark(owner, range(7), [Kind.ANON] * 7)
    for owner in (1, 3):
        census.mark(owner, range(10, 15), [Kind.FILE] * 5)
    assert census.parts().pairs(2) == ([(0, 2, 7), (0, 3, 7)], 4)


def test_pairs_of_very_many_zones_need_no_matrix() -> None:
    """100,000 zones: a matrix of all pairs would be 80 GB."""
    zones = 100_000
    pages = {(zone, zone + 1): (0, zone + 1, 0, 0, 0) for zone in range(0, zones, 2)}
    found, count = Parts.of(zones, pages).pairs(3)
    assert count == zones // 2
    assert found == [(zone, zone + 1, zone + 1) for zone in (zones - 2, zones - 4, zones - 6)]


@given(marks, marks, st.sets(st.sampled_from(list(Kind))))
def test_parts_put_together_are_those_of_both(
    one: list[tuple[int, int, Kind]], other: list[tuple[int, int, Kind]], kinds: set[Kind]
) -> None:
    """All of one and some kinds of the other."""
    wanted: dict[frozenset[int], list[int]] = defaultdict(lambda: [0] * len(Kind))
    for marked, taken in ((one, set(Kind)), (other, kinds)):
        for zones, pages in expected(marked).items():
            for kind in taken:
                wanted[zones][kind] += pages[kind]
    builder = PartsBuilder(ZONES)
    for part in census_of(one).parts():
        builder.add(part.owners, part.pages)
    builder.add_all(census_of(other).parts(), kinds)
    assert found(builder.parts()) == {zones: tuple(pages) for zones, pages in wanted.items() if any(pages)}


def test_large_sets_take_memory_by_what_they_do_not_share() -> None:
    """300 sets of about 1,000 zones. Each of their beginnings as a tuple of its own took 1.1 GiB."""
    zones, sets = 1000, 300
    pages = {
        tuple(zone for zone in range(zones) if zone != left_out): (1, 0, 0, 0, 0) for left_out in range(sets)
    }
    tracemalloc.start()
    try:
        parts = Parts.of(zones, pages)
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()
    assert parts.sets <= 1 + sum(zones - left_out for left_out in range(sets + 1))
    assert parts.total()[Kind.ANON] == sets


@settings(max_examples=20)
@given(st.permutations(range(ZONES)), st.integers(1, 200))
def test_the_order_of_zones_does_not_matter(order: list[int], pages: int) -> None:
    census = Census(ZONES)
    for zone in order:
        census.mark(zone, range(zone, pages + zone), [Kind.ANON] * pages)
    in_order = Census(ZONES)
    for zone in range(ZONES):
        in_order.mark(zone, range(zone, pages + zone), [Kind.ANON] * pages)
    assert found(census.parts()) == found(in_order.parts())


def test_many_sets_outgrow_the_first_table() -> None:
    zones = 14
    census = Census(zones)
    frames_of = {zone: [f for f in range(1 << zones) if f >> zone & 1] for zone in range(zones)}
    for zone in reversed(range(zones)):
        census.mark(zone, frames_of[zone], [Kind.FILE] * len(frames_of[zone]))
    parts = found(census.parts())
    assert len(parts) == (1 << zones) - 1  # each subset but the empty one, one page each
    assert all(pages[Kind.FILE] == 1 for pages in parts.values())


def test_the_first_kind_said_of_a_frame_stays() -> None:
    census = census_of([(0, 7, Kind.FILE), (1, 7, Kind.ANON)], zones=2)
    assert found(census.parts()) == {frozenset({0, 1}): (0, 1, 0, 0, 0)}


def test_memory_is_for_frames_met_and_not_for_the_holes_between() -> None:
    census = Census(1)
    census.mark(0, [0, (1 << 40) - 1], [Kind.ANON, Kind.ANON])
    assert census.memory_bytes < 5 << 20


def test_restarting_for_ever_runs_out_of_nothing() -> None:
    census = Census(3)
    for turn in range(2000):
        census.restart(3)
        census.mark(turn % 3, [1, 2], [Kind.ANON, Kind.FILE])
        assert found(census.parts()) == {frozenset({turn % 3}): (1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("zone", "pfn", "kind"), [(2, 1, Kind.ANON), (0, 1 << 40, Kind.ANON), (0, 1, 5), (0, 1 << 63, Kind.SWAP)]
)
def test_marks_that_make_no_sense_are_refused(zone: int, pfn: int, kind: int) -> None:
    census = Census(2)
    with pytest.raises(OSError, match="marking frames"):
        census.mark(zone, [pfn], [kind])
