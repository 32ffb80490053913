"""The join of two censuses, against sums over real sets of frames."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.frames_by_hand import Frames, censuses, frames

from zonerss.census.kinds import Kind


@given(frames)
def test_the_join_tells_each_frame_by_both(frames: Frames) -> None:
    by_zone, by_file = censuses(frames)
    zones, files = by_zone.parts(), by_file.parts()
    found: dict[tuple[tuple[int, ...], tuple[int, ...], Kind], int] = defaultdict(int)
    for overlap in by_zone.overlaps(by_file):
        for kind in Kind:
            if overlap.pages[kind]:
                key = zones.owners_of(overlap.number), files.owners_of(overlap.other), kind
                found[key] += overlap.pages[kind]
    expected: dict[tuple[tuple[int, ...], tuple[int, ...], Kind], int] = defaultdict(int)
    for kind, file, mapped in frames:
        if mapped:
            named = () if file is None or kind is Kind.SWAP else (file,)
            expected[tuple(sorted(mapped)), named, kind] += 1
    assert found == expected


@given(frames, st.frozensets(st.integers(0, 12)))
def test_the_join_of_some_sets_is_that_part_of_the_whole(frames: Frames, wanted: frozenset[int]) -> None:
    by_zone, by_file = censuses(frames)
    wanted = frozenset(number for number in by_zone.parts().filled() if number in wanted)
    whole = [overlap for overlap in by_zone.overlaps(by_file) if overlap.number in wanted]
    assert sorted(by_zone.overlaps(by_file, wanted)) == sorted(whole)
