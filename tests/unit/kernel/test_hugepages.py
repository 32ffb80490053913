"""Sizes of huge pages, as recorded from several architectures."""

from __future__ import annotations

from pathlib import Path

import pytest

from zonerss.errors import KernelFormatError
from zonerss.kernel.hugepages import hugetlb_pool_pages, hugetlb_sizes, pmd_pages
from zonerss.kernel.roots import Roots
from zonerss.units import PAGE_BYTES

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


def tree(tmp_path: Path, pmd: str | None, *hugetlb: str) -> Roots:
    mm = tmp_path / "kernel" / "mm"
    for name in hugetlb:
        (mm / "hugepages" / name).mkdir(parents=True)
    if pmd is not None:
        (mm / "transparent_hugepage").mkdir(parents=True)
        (mm / "transparent_hugepage" / "hpage_pmd_size").write_text(pmd)
    return Roots(sys=tmp_path)


@pytest.mark.parametrize("size", [1 * MIB, 2 * MIB, 32 * MIB, 512 * MIB])
def test_the_kernel_says_how_large_a_huge_page_is(tmp_path: Path, size: int) -> None:
    assert pmd_pages(tree(tmp_path, f"{size}\n")) == size // PAGE_BYTES


def test_a_kernel_without_huge_pages_has_none(tmp_path: Path) -> None:
    assert pmd_pages(tree(tmp_path, None)) == 0
    assert hugetlb_sizes(tree(tmp_path, None)) == ()


@pytest.mark.parametrize("text", ["", "2M", "-2097152", "0", str(PAGE_BYTES), str(3 * PAGE_BYTES), "2097153"])
def test_no_size_of_a_huge_page_is_never_guessed_around(tmp_path: Path, text: str) -> None:
    with pytest.raises(KernelFormatError, match="hpage_pmd_size: not the size of a huge page"):
        pmd_pages(tree(tmp_path, text))


def test_hugetlb_pages_from_the_smallest_on(tmp_path: Path) -> None:
    """Of arm64: the smallest is no PMD but a run of entries of the last level."""
    names = (
        "hugepages-1048576kB",
        "hugepages-2048kB",
        "hugepages-32768kB",
        "hugepages-64kB",
        "hugepages-xkB",
    )
    roots = tree(tmp_path, None, *names)
    assert hugetlb_sizes(roots) == (64 * KIB, 2 * MIB, 32 * MIB, GIB)


@pytest.mark.parametrize(
    ("counts", "pages"),
    [
        ({}, 0),
        ({2 * MIB: "0\n", GIB: "0\n"}, 0),
        ({2 * MIB: "7\n", GIB: "2\n"}, (7 * 2 * MIB + 2 * GIB) // PAGE_BYTES),
        ({2 * MIB: "7\n", GIB: None}, None),
        ({2 * MIB: "many\n"}, None),
    ],
)
def test_hugetlb_pages_that_there_are(
    tmp_path: Path, counts: dict[int, str | None], pages: int | None
) -> None:
    roots = tree(tmp_path, None, *(f"hugepages-{size // KIB}kB" for size in counts))
    for size, text in counts.items():
        if text is not None:
            (tmp_path / "kernel/mm/hugepages" / f"hugepages-{size // KIB}kB" / "nr_hugepages").write_text(
                text
            )
    assert hugetlb_pool_pages(roots) == pages
