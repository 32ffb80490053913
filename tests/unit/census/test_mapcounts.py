"""Frames by how often they are mapped: sums over the parts of a census counted in two ways."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from zonerss.census.mapcounts import CountedParts
from zonerss.census.parts import NO_GROUP, Parts
from zonerss.records import MAPCOUNT_CLASSES, Mapcounts
from zonerss.units import PAGE_BYTES

OWNERS = 4
# Of each set of owners: its frames, each of a kind and of a class of mapping counts; None: the kernel does not say.
frames = st.lists(
    st.tuples(st.integers(0, 4), st.none() | st.integers(0, len(MAPCOUNT_CLASSES) - 1)), max_size=6
)
parts = st.dictionaries(
    st.lists(st.integers(0, OWNERS - 1), min_size=1, unique=True).map(lambda owners: tuple(sorted(owners))),
    frames,
    max_size=6,
)
groupings = st.lists(st.sampled_from([0, 1, NO_GROUP]), min_size=OWNERS, max_size=OWNERS)
Frames = list[tuple[int, int | None]]


def counted(found: dict[tuple[int, ...], Frames]) -> CountedParts:
    """hugetlb pages and swap slots (kinds 3 and 4) are never counted by class."""
    kinds, classes = {}, {}
    for owners, rows in found.items():
        of_kind = Counter(kind for kind, _ in rows)
        of_class = Counter(number for kind, number in rows if kind < 3 and number is not None)
        kinds[owners] = [of_kind[kind] for kind in range(5)]
        classes[owners] = [of_class[number] for number in range(5)]
    return CountedParts(Parts.of(OWNERS, kinds), Parts.of(OWNERS, classes))


@given(parts, groupings)
def test_each_frame_counts_once_in_a_group(found: dict[tuple[int, ...], Frames], group_of: list[int]) -> None:
    for group, told in enumerate(counted(found).of_groups(group_of, 2)):
        rows = [
            row
            for owners, rows in found.items()
            if any(group_of[owner] == group for owner in owners)
            for row in rows
            if row[0] < 3
        ]
        of_class = Counter(number for _, number in rows)
        assert told == Mapcounts(
            tuple(of_class[number] * PAGE_BYTES for number in range(len(MAPCOUNT_CLASSES))),
            of_class[None] * PAGE_BYTES,
        )


def test_the_classes_are_those_of_the_core() -> None:
    """One for each of enum mapcount_class; without a hole between one and the next."""
    assert len(MAPCOUNT_CLASSES) == 5
    assert MAPCOUNT_CLASSES[0][0] == 1
    assert MAPCOUNT_CLASSES[-1][1] is None
    for (_, most), (least, _) in pairwise(MAPCOUNT_CLASSES):
        assert most is not None
        assert least == most + 1
