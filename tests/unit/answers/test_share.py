"""Parts and pairs against sums over real sets of frames; whom to walk again to name parts."""

from __future__ import annotations

from hypothesis import given
from tests.unit.frames_by_hand import NAMES, PATHS, Frames, censuses, frames, in_rss

from zonerss.answers.share import cover, pairs, pairs_among, shared_parts


@given(frames)
def test_parts_add_up_to_the_total_and_are_those_of_the_sets(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    found = {frozenset(part.zones): part for part in shared_parts(parts, NAMES)}
    assert sum(part.bytes for part in found.values()) == in_rss(frames, bool)
    for zones, part in found.items():
        assert part.bytes == in_rss(frames, lambda z, zones=zones: {PATHS[k] for k in z} == zones)
        assert len(zones) == len(part.zones)
    sizes = [part.bytes for part in shared_parts(parts, NAMES)]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 not in sizes


@given(frames)
def test_pairs_are_what_both_map(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    found = {pair.zones: pair.bytes for pair in pairs(parts, NAMES)[0]}
    for one in range(len(PATHS)):
        for other in range(len(PATHS)):
            both = in_rss(frames, lambda z, one=one, other=other: {one, other} <= z)
            if PATHS[one] < PATHS[other]:
                assert found.pop((PATHS[one], PATHS[other]), 0) == both
    assert not found


@given(frames)
def test_pairs_among_some_zones_are_those_of_all(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    chosen = [PATHS[0], PATHS[2]]
    wanted = [pair for pair in pairs(parts, NAMES)[0] if set(pair.zones) <= set(chosen)]
    assert pairs_among(parts, NAMES, chosen) == wanted


def test_one_zone_names_all_parts_that_it_is_in() -> None:
    parts = [(11, (0, 1)), (12, (1, 2)), (13, (0, 2)), (14, (3, 4))]
    assert cover(parts, {0: 9, 1: 2, 2: 5, 3: 1, 4: 1}, surely=2, budget=7) == ({1, 2}, [11, 12, 13])
    assert cover(parts, {0: 9, 1: 2, 2: 5, 3: 1, 4: 1}, surely=2, budget=8) == ({1, 2, 3}, [11, 12, 13, 14])


def test_the_largest_are_named_at_any_cost() -> None:
    assert cover([(5, (0, 1))], {0: 1 << 40, 1: 1 << 41}, surely=1, budget=0) == ({0}, [5])
