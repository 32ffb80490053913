"""Swap as getvmusage tells it: what is reserved, not what is used. Pure.

Private mappings reserve what their processes could come to write, so fork doubles it; shared anonymous memory
counts once in a zone, whoever attaches it. Linux marks the first with VM_ACCOUNT (VmFlags "ac").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from zonerss.census.ranges import Range, stretches


@dataclass(frozen=True, slots=True)
class SmapsRow:
    """One mapping, as smaps tells it."""

    start: int
    end: int
    shared: bool
    """MAP_SHARED."""
    offset: int
    """In bytes, of the file."""
    file: tuple[bytes, int]
    """Device and name, and inode, as maps prints them. The inode of a System V segment is its id: any file's."""
    is_shared_anon: bool
    """Shared memory without a file of its own: MAP_SHARED | MAP_ANONYMOUS, System V, memfd."""
    sizes: dict[str, int]
    """Rss, Pss, Private_Hugetlb and so on, in bytes."""
    flags: frozenset[str]
    """VmFlags: two letters each; ac: the mapping reserves swap (VM_ACCOUNT)."""


def reserved_bytes(processes: Iterable[Iterable[SmapsRow]]) -> tuple[int, int]:
    """
    What the processes of one zone reserve.

    :param processes: the mappings of each address space
    :return: getvmusage's swap_private and swap_shared, in bytes
    """
    private = 0
    numbers: dict[tuple[bytes, int], int] = defaultdict(lambda: len(numbers))
    shared: list[Range] = []
    for rows in processes:
        for row in rows:
            size = row.end - row.start
            if row.is_shared_anon:
                shared.append(Range(numbers[row.file], 0, row.offset, size))
            elif not row.shared and "ac" in row.flags:
                private += size
    return private, sum(stretch.pages for cut in stretches(shared).values() for stretch in cut)
