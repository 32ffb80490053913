"""How large the kernel's huge pages are: they differ by architecture and by the size of base pages.

Source: /sys/kernel/mm/transparent_hugepage/hpage_pmd_size (mm/huge_memory.c, Linux 4.11) and the names in
/sys/kernel/mm/hugepages (mm/hugetlb.c; Documentation/admin-guide/mm/hugetlbpage.rst).
"""

from __future__ import annotations

import re

from zonerss.errors import KernelFormatError
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.roots import HOST, Roots
from zonerss.units import PAGE_BYTES

_SIZE = re.compile(r"hugepages-(\d{1,12})kB")


def pmd_pages(roots: Roots = HOST) -> int:
    """
    Base pages of a transparent huge page that one entry maps; 0: the kernel has none, and no huge zero page either.

    2 MiB on x86_64, on arm64 2, 32 or 512 MiB with base pages of 4, 16 or 64 KiB, 1 MiB on s390x.

    :raises KernelFormatError: the file holds no size that is a power of 2 of pages; gives path and text
    """
    path = roots.sys / "kernel" / "mm" / "transparent_hugepage" / "hpage_pmd_size"
    try:
        text = path.read_bytes().strip()
    except OSError:
        return 0
    pages, rest = divmod(whole_number(text) or 0, PAGE_BYTES)
    if rest or pages < 2 or pages & (pages - 1):
        raise KernelFormatError(f"{path}: not the size of a huge page: {text!r}")
    return pages


def hugetlb_sizes(roots: Roots = HOST) -> tuple[int, ...]:
    """In bytes, the sizes of hugetlb pages that the kernel knows, the least first; none where it has no hugetlb."""
    try:
        names = [entry.name for entry in (roots.sys / "kernel" / "mm" / "hugepages").iterdir()]
    except OSError:
        return ()
    return tuple(sorted(int(found[1]) * 1024 for name in names if (found := _SIZE.fullmatch(name))))


def hugetlb_pool_pages(roots: Roots = HOST) -> int | None:
    """
    Base pages of all hugetlb pages that the kernel has now, free or not, surplus ones included; None: it does not tell.

    Source: mm/hugetlb.c, nr_hugepages_show_common(): struct hstate, nr_huge_pages.
    """
    try:
        return sum(_pool_pages(roots, size) for size in hugetlb_sizes(roots))
    except (OSError, ValueError):
        return None


def _pool_pages(roots: Roots, size: int) -> int:
    directory = roots.sys / "kernel" / "mm" / "hugepages" / f"hugepages-{size // 1024}kB"
    return int((directory / "nr_hugepages").read_bytes()) * (size // PAGE_BYTES)
