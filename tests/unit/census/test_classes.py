"""What can be done about frames, by the sets of owners that a walk has found; compared with a count page by page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.census.census import Census
from zonerss.census.classes import ClassPages, classes
from zonerss.census.kinds import RSS_KINDS, Kind, rss_of
from zonerss.census.touched import Apart, Touches

ZONES = 3
SET, IDLE, KEPT, LOCKED = range(4)
APART = Apart(ZONES, by_class=True)
OWNER_OF = (lambda zone: zone, APART.idle_owner, APART.kept_owner, APART.locked_owner)
Page = tuple[Kind, bool, dict[int, set[int]]]


@st.composite
def pages(draw: st.DrawFn) -> list[Page]:
    """Of each page its kind, whether it is mapped more than once, and by which entries each zone maps it."""
    page = st.tuples(
        st.sampled_from(RSS_KINDS),
        st.booleans(),
        st.dictionaries(st.integers(0, ZONES - 1), st.sets(st.integers(0, 3), min_size=1), min_size=1),
    )
    return draw(st.lists(page, max_size=40))


def touches_of(found: list[Page]) -> Touches:
    census = Census(APART.count)
    for pfn, (kind, several, zones) in enumerate(found, start=1):
        for zone, entries in zones.items():
            for entry in entries:
                census.mark(OWNER_OF[entry](zone), [pfn], [kind])
        if several:
            census.mark(APART.several, [pfn], [kind])
    return Touches(census.parts(), APART, sees_several=False)


def expected(found: list[Page], zone: int) -> ClassPages:
    """The same by the words of the theory, one page after the other."""
    sums = ClassPages()
    for kind, several, zones in found:
        entries = zones.get(zone)
        if entries is None:
            continue
        if len(zones) > 1:
            sums.shared += 1
            for other in zones.keys() - {zone}:
                sums.shared_with[other] += 1
        elif LOCKED in entries:
            sums.locked += 1
        elif several or len(entries) > 1:
            sums.several[kind] += 1
            sums.cold_several[kind] += entries == {IDLE}
        else:
            sums.own[kind] += 1
            sums.cold[kind] += entries == {IDLE}
            sums.unknown += entries == {KEPT}
    return sums


@given(pages())
def test_each_frame_is_in_one_class(found: list[Page]) -> None:
    sums = classes(touches_of(found), range(ZONES), range(ZONES))
    for zone in range(ZONES):
        assert sums[zone] == expected(found, zone)
        one = sums[zone]
        in_all = one.shared + one.locked + rss_of(one.several) + rss_of(one.own)
        assert in_all == sum(zone in zones for _, _, zones in found)


def test_two_owners_of_a_zone_are_no_two_zones() -> None:
    touches = touches_of([(Kind.ANON, False, {0: {IDLE}, 1: {IDLE}}), (Kind.FILE, False, {1: {IDLE}})])
    found = classes(touches, [0, 0, 1], [0])
    assert list(found) == [0]
    assert (found[0].shared, found[0].several[Kind.ANON], found[0].cold[Kind.FILE]) == (0, 1, 1)


def test_of_a_process_that_was_not_armed_nothing_is_known() -> None:
    apart = Apart(ZONES, frozenset({7}), by_class=True)
    assert apart.of(7, 1) == (apart.kept_owner(1), apart.kept_owner(1), apart.locked_owner(1))
    assert apart.of(8, 1) == (1, apart.idle_owner(1), apart.locked_owner(1))
    by_touch = Apart(ZONES, frozenset({7}))
    assert by_touch.of(7, 1) == (by_touch.kept_owner(1), by_touch.idle_owner(1), by_touch.kept_owner(1))
