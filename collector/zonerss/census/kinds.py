"""What a frame is. Rows of pages are indexed by :class:`Kind` everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum

from zonerss._core import lib


class Kind(IntEnum):
    """The first three make up rss; hugetlb and swap slots stand beside it."""

    ANON = lib.KIND_ANON
    FILE = lib.KIND_FILE
    SHMEM = lib.KIND_SHMEM
    HUGETLB = lib.KIND_HUGETLB
    SWAP = lib.KIND_SWAP


RSS_KINDS = (Kind.ANON, Kind.FILE, Kind.SHMEM)


def rss_of(pages: Sequence[int]) -> int:
    """Pages that count as rss, of a row indexed by :class:`Kind`."""
    return pages[Kind.ANON] + pages[Kind.FILE] + pages[Kind.SHMEM]
