"""Mapping counts from a recorded kpagecount, and how it is found out what that tells of large folios."""

from __future__ import annotations

import mmap
import struct
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.kernel.roots import Roots
from zonerss.records import MAPCOUNT_CLASSES
from zonerss.walk import mapcounts
from zonerss.walk.mapcounts import counts_each_page, mark_several, read_mapcounts

HEAD, TAIL, HUGETLB = 1 << 15, 1 << 16, 1 << 17
REAL = counts_each_page


@pytest.fixture(autouse=True)
def each_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that counts the mappings of each page."""
    monkeypatch.setattr(mapcounts, "counts_each_page", lambda roots: True)


@pytest.fixture
def averages(monkeypatch: pytest.MonkeyPatch, each_page: None) -> None:
    """A kernel that has only averages."""
    monkeypatch.setattr(mapcounts, "counts_each_page", lambda roots: False)


def recorded(root: Path, name: str, words: Mapping[int, int], frames: int) -> None:
    (root / name).write_bytes(struct.pack(f"={frames}Q", *(words.get(pfn, 0) for pfn in range(frames))))


def by_owners(census: Census, root: Path) -> dict[tuple[int, ...], tuple[int, ...]]:
    """Of each set of owners, how many frames are in which class."""
    found = read_mapcounts(census, Roots(proc=root))
    assert found is not None
    assert found.by_kind.total() == census.parts().total()
    return {
        found.by_mapcount.owners_of(number): pages for number, pages in found.by_mapcount.filled().items()
    }


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 10, 11, 99, 100, 101, 1 << 40])
def test_each_count_is_in_its_class(tmp_path: Path, count: int) -> None:
    census = Census(1)
    census.mark(0, [7], [Kind.FILE])
    recorded(tmp_path, "kpagecount", {7: count}, 10)
    (number,) = (
        number
        for number, (least, most) in enumerate(MAPCOUNT_CLASSES)
        if least <= count and (most is None or count <= most)
    )
    assert by_owners(census, tmp_path) == {(0,): tuple(int(n == number) for n in range(5))}


def test_by_set_and_class(tmp_path: Path) -> None:
    census = Census(2)
    census.mark(0, [1, 2, 3, 5], [Kind.ANON, Kind.FILE, Kind.SHMEM, Kind.ANON])
    census.mark(1, [2, 3], [Kind.FILE, Kind.SHMEM])
    recorded(tmp_path, "kpagecount", {1: 1, 2: 2, 3: 20, 4: 50, 5: 1}, 10)
    assert by_owners(census, tmp_path) == {(0,): (2, 0, 0, 0, 0), (0, 1): (0, 1, 0, 1, 0)}


def test_frames_far_apart_and_across_blocks(tmp_path: Path) -> None:
    """What is between them is neither counted nor lost, however much it is."""
    pfns = [0, 1, 17, 18, 35, 53, 4095, 4096, 4097, 8191, 12288, 20000]
    census = Census(1)
    census.mark(0, pfns, [Kind.ANON] * len(pfns))
    recorded(tmp_path, "kpagecount", dict.fromkeys(range(20001), 100) | dict.fromkeys(pfns, 1), 20001)
    assert by_owners(census, tmp_path) == {(0,): (len(pfns), 0, 0, 0, 0)}


def test_hugetlb_and_swap_are_no_memory_of_that_sort(tmp_path: Path) -> None:
    census = Census(1)
    census.mark(0, [1, 2, 3], [Kind.HUGETLB, Kind.SWAP, Kind.ANON])
    recorded(tmp_path, "kpagecount", {1: 1, 2: 1, 3: 1}, 10)
    assert by_owners(census, tmp_path) == {(0,): (1, 0, 0, 0, 0)}


def test_frames_that_nobody_maps_any_more_or_that_the_file_does_not_reach(tmp_path: Path) -> None:
    census = Census(1)
    census.mark(0, [1, 2, 9, 5000], [Kind.ANON] * 4)
    recorded(tmp_path, "kpagecount", {1: 1, 9: 1}, 9)
    assert by_owners(census, tmp_path) == {(0,): (1, 0, 0, 0, 0)}


def test_frames_of_an_earlier_census_are_forgotten(tmp_path: Path) -> None:
    census = Census(1)
    census.mark(0, [1, 2], [Kind.ANON, Kind.ANON])
    census.restart(1)
    census.mark(0, [2], [Kind.ANON])
    recorded(tmp_path, "kpagecount", {1: 1, 2: 2}, 9)
    assert by_owners(census, tmp_path) == {(0,): (0, 1, 0, 0, 0)}


def test_an_average_says_nothing_of_a_page(tmp_path: Path, averages: None) -> None:
    """Pages of large folios are in no class, but those of hugetlb, which is always mapped as a whole."""
    census = Census(1)
    census.mark(0, [1, 2, 3, 4, 5], [Kind.ANON] * 5)
    recorded(tmp_path, "kpagecount", dict.fromkeys(range(10), 1), 10)
    recorded(tmp_path, "kpageflags", {1: HEAD, 2: TAIL, 4: HEAD | HUGETLB}, 5)
    # 3 is a small page; 5 is one of which kpageflags says nothing.
    assert by_owners(census, tmp_path) == {(0,): (2, 0, 0, 0, 0)}


def test_no_kpagecount(tmp_path: Path) -> None:
    assert read_mapcounts(Census(1), Roots(proc=tmp_path)) is None


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    census = Census(1)
    census.mark(0, [1], [Kind.ANON])
    (tmp_path / "kpagecount").mkdir()  # reading a directory is EISDIR
    with pytest.raises(OSError, match="Is a directory"):
        read_mapcounts(census, Roots(proc=tmp_path))


# ---- what a count is of ----------------------------------------------------------------------------------

PMD = 64 * 4096
"""Of a kernel with small huge pages, so that the test has few pages to write."""
PFN = 512


class FakeKernel:
    """The words of our own pages: second pages of large folios are TAIL; kpagecount says `mapcount` of them."""

    def __init__(
        self, mapcount: int, large: bool = True, collapses: bool = False, splits: bool = False
    ) -> None:
        self.mapcount, self.large, self.collapses, self.splits = mapcount, large, collapses, splits
        self.advice: list[int] = []
        self.names: dict[int, str] = {}

    def word(self, fd: int, index: int) -> int:
        name = self.names[fd]
        if name == "self/pagemap":
            return 1 << 63 | PFN
        if name == "kpagecount":
            assert index == PFN
            assert mmap.MADV_DONTNEED in self.advice
            return self.mapcount
        assert (name, index) == ("kpageflags", PFN)
        gone = self.splits and mmap.MADV_DONTNEED in self.advice
        return TAIL if self.large and not gone else 0

    def advise(self, advice: int) -> None:
        self.advice.append(advice)
        if advice == 25 and self.collapses:
            self.large = True
        elif advice == 25:
            raise OSError(22, "Invalid argument")


Answer = Callable[[FakeKernel], bool]


@pytest.fixture
def answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """What counts_each_page() says of such a kernel."""

    class Own(mmap.mmap):
        kernel: FakeKernel

        def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
            assert length
            self.kernel.advise(option)

    def ask(kernel: FakeKernel) -> bool:
        def opened(stack: object, roots: Roots, name: str) -> int:
            fd = len(kernel.names)
            kernel.names[fd] = name
            return fd

        Own.kernel = kernel
        monkeypatch.setattr(mapcounts, "_opened", opened)
        monkeypatch.setattr(mapcounts, "_word", kernel.word)
        monkeypatch.setattr(mapcounts.mmap, "mmap", Own)
        size = tmp_path / "kernel/mm/transparent_hugepage/hpage_pmd_size"
        size.parent.mkdir(parents=True)
        size.write_text(f"{PMD}\n")
        return REAL(Roots(sys=tmp_path))

    return ask


def test_an_unmapped_page_of_a_large_folio_is_mapped_nowhere(answer: Answer) -> None:
    assert answer(FakeKernel(mapcount=0)) is True


def test_as_an_average_it_is_mapped_once(answer: Answer) -> None:
    assert answer(FakeKernel(mapcount=1)) is False


def test_a_huge_page_is_made_where_none_came_by_itself(answer: Answer) -> None:
    kernel = FakeKernel(mapcount=0, large=False, collapses=True)
    assert answer(kernel) is True
    assert kernel.advice == [mmap.MADV_HUGEPAGE, 25, mmap.MADV_DONTNEED]


def test_where_there_is_no_huge_page_nobody_knows(answer: Answer) -> None:
    assert answer(FakeKernel(mapcount=0, large=False)) is False


def test_where_it_was_split_meanwhile_nobody_knows(answer: Answer) -> None:
    assert answer(FakeKernel(mapcount=0, splits=True)) is False


def test_a_kernel_without_huge_pages_counts_each_page(tmp_path: Path) -> None:
    assert REAL(Roots(sys=tmp_path)) is True


SEVERAL = 3


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.dictionaries(st.integers(1, 9000), st.sets(st.integers(0, 2), min_size=1), max_size=60),
    st.sets(st.integers(1, 9000)),
    st.none() | st.sets(st.integers(0, 2)),
)
def test_what_is_mapped_more_than_once_is_marked_where_it_is_asked_about(
    tmp_path_factory: pytest.TempPathFactory,
    mapped: dict[int, set[int]],
    twice: set[int],
    wanted: set[int] | None,
) -> None:
    """Of frames that one owner alone maps, where owners are named; of all others it is left as it is."""
    root = tmp_path_factory.mktemp("proc")
    recorded(root, "kpagecount", {pfn: 2 if pfn in twice else 1 for pfn in mapped}, 9001)
    census, expected = Census(4), Counter[tuple[int, ...]]()
    for pfn, owners in mapped.items():
        for owner in owners:
            census.mark(owner, [pfn], [Kind.ANON])
        asked = wanted is None or (len(owners) == 1 and owners <= wanted)
        expected[tuple(sorted(owners | ({SEVERAL} if asked and pfn in twice else set())))] += 1
    mark_several(census, SEVERAL, Roots(proc=root), wanted)
    assert {owners: sum(pages) for owners, pages in census.parts()} == expected
