"""The figures of a zone's page: those of the verbs that they are taken from."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit import documents
from tests.unit.builders import KIB, members, snapshot

from zonerss.answers.files import files_usage
from zonerss.answers.share import pairs
from zonerss.answers.zone import bill_of, shared_with
from zonerss.census.parts import Parts
from zonerss.census.usage import rss_together, zone_names
from zonerss.records.files import FileKind, MappedFile

PAGE = 4 * KIB


def test_the_bill_adds_up_to_the_chain() -> None:
    for bill in (documents.BILL_1, documents.BILL_2):
        chain = documents.account(bill).chain
        found = bill_of(chain)
        assert found is not None
        assert found.charged == chain.charged_bytes
        assert found.mapped + found.cache + found.kernel + found.other == found.charged
        steps = {
            name: sum(s.bytes for s in chain.steps if s.name == name)
            for name in {s.name for s in chain.steps}
        }
        assert found.cache == steps["cache_not_mapped"]
        assert found.paid_for_others == steps["mapped_by_others"]
        assert found.paid_by_others == -steps["billed_to_others"] - steps["billed_to_nobody"]
        assert found.mapped == chain.rss_bytes - found.paid_by_others + found.paid_for_others
        assert found.kernel == documents.BILL_2.kernel_bytes


def test_without_a_bill_there_is_none() -> None:
    assert bill_of(documents.account(None).chain) is None
    assert bill_of(documents.account(documents.BILL_2, with_shares=False).chain) is None


PAGES = st.lists(st.integers(0, 9), min_size=5, max_size=5)
SETS = st.sets(st.integers(0, 4), min_size=1).map(lambda owners: tuple(sorted(owners)))
ZONES = st.lists(st.sampled_from(["a", "b", "c"]), min_size=5, max_size=5)


@given(st.dictionaries(SETS, PAGES), ZONES)
def test_sharers_are_those_of_share(pages: dict[tuple[int, ...], list[int]], zones: list[str]) -> None:
    """Whether each owner is a zone, or several are one, as where each address space is an owner."""
    parts, people = Parts.of(5, pages), members(*zones)
    taken = snapshot(parts=parts, members=people)
    number = {zone: index for index, zone in enumerate(dict.fromkeys(zones))}
    grouped = parts.project([number[zone] for zone in zones], len(number))
    found, _ = pairs(grouped, {index: zone for zone, index in number.items()})
    for zone in number:
        with_it = {(set(pair.zones) - {zone}).pop(): pair.bytes for pair in found if zone in pair.zones}
        assert dict(shared_with(taken, zone)) == {other: size for other, size in with_it.items() if size}
        sizes = [size for _, size in shared_with(taken, zone)]
        assert sizes == sorted(sizes, reverse=True)


def test_a_zone_that_is_not_there_shares_nothing() -> None:
    assert shared_with(snapshot(), "gone") == []


def test_what_zones_map_together_counts_once() -> None:
    parts = Parts.of(3, {(0, 1): [1, 2, 4, 100, 100], (1,): [8, 0, 0, 0, 0], (2,): [16, 0, 0, 0, 0]})
    taken = snapshot(parts=parts, members=members("a", "b", "c"))
    assert rss_together(parts, taken.members, 0, ["a", "b"]) == 15 * PAGE
    assert rss_together(parts, taken.members, 0, ["c"]) == 16 * PAGE


def test_a_file_that_two_processes_of_a_zone_map_counts_once_and_is_its_own() -> None:
    parts = Parts.of(3, {(0, 1): [0, 7, 0, 0, 0], (1, 2): [0, 3, 0, 0, 0]})
    people = members("a", "a", "b")
    file = MappedFile("/lib/x", FileKind.FILE, True)
    holdings = {number: [(file, pages)] for number, pages in parts.filled().items()}
    (found,) = files_usage(parts, zone_names(people), holdings, "a")
    assert (found.bytes, found.exclusive_bytes) == (10 * PAGE, 7 * PAGE)
    assert found.mapped_by == (("a", 10 * PAGE), ("b", 3 * PAGE))
