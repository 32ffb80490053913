"""Stretches of a file against sets of pages."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zonerss.census.ranges import Range, Stretch, stretches

ranges = st.lists(
    st.builds(Range, st.integers(0, 2), st.integers(0, 3), st.integers(0, 20), st.integers(0, 12))
)


@given(ranges)
def test_each_page_lies_in_the_stretch_of_its_zones(given_ranges):
    zones: dict[tuple[int, int], set[int]] = {}
    for file, zone, first, pages in given_ranges:
        for page in range(first, first + pages):
            zones.setdefault((file, page), set()).add(zone)
    found = {
        (file, page): set(stretch.owners)
        for file, cut in stretches(given_ranges)
        for stretch in cut
        for page in range(stretch.first, stretch.first + stretch.pages)
    }
    assert found == zones


@given(ranges)
def test_stretches_are_ordered_and_as_long_as_can_be(given_ranges):
    for _, cut in stretches(given_ranges):
        for one, next_one in pairwise(cut):
            assert one.pages > 0
            assert one.first + one.pages <= next_one.first
            assert one.first + one.pages < next_one.first or one.owners != next_one.owners


def test_equal_sets_are_one_in_all_files():
    """As many pages as there are files and borders may be mapped by the same thousand zones."""
    zones = [
        Range(file, zone, first, 3) for file in range(5) for zone in range(1000) for first in (0, 10, 20)
    ]
    cut = [stretch for _, cut in stretches(zones) for stretch in cut]
    assert len(cut) == 15
    assert len({id(stretch.owners) for stretch in cut}) == 1


def test_two_zones_that_overlap():
    assert dict(stretches([Range(7, 0, 0, 10), Range(7, 1, 4, 10), Range(7, 1, 4, 10)])) == {
        7: [Stretch(0, 4, (0,)), Stretch(4, 6, (0, 1)), Stretch(10, 4, (1,))]
    }


def test_nothing():
    assert dict(stretches([])) == {}
    assert dict(stretches([Range(0, 0, 5, 0)])) == {}
