"""Which owners map which stretch of a file: intervals to stretches, pure.

The basis incore counts a page of a file once for every owner that has it in a mapped range and no anon page in its
place, if it is in the page cache. Whether a page table maps it does not matter, so frames need not be known: within
one file the ranges of all owners cut it into stretches of one set of owners each, and a stretch counts for its set as
many pages as it has in the page cache.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Range(NamedTuple):
    """Pages of a file that a owner maps."""

    file: int
    owner: int
    first: int
    pages: int


class Stretch(NamedTuple):
    """Pages of a file that one set of owners maps, and no other owner."""

    first: int
    pages: int
    owners: tuple[int, ...]
    """Ascending."""


def stretches(ranges: Iterable[Range]) -> dict[int, list[Stretch]]:
    """
    Cut each file where the set of owners changes.

    :param ranges: in any order; they may overlap and repeat, in one owner and between owners
    :return: the stretches of each file in order of offset, neighbours of one set joined
    """
    borders: dict[int, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for file, owner, first, pages in dict.fromkeys(ranges):
        if pages > 0:
            borders[file][first][owner] += 1
            borders[file][first + pages][owner] -= 1
    return {file: _sweep(at) for file, at in borders.items()}


# borders: at which page how many ranges of each owner begin (positive) or end.
def _sweep(borders: dict[int, Counter[int]]) -> list[Stretch]:
    found: list[Stretch] = []
    depth: Counter[int] = Counter()
    owners: tuple[int, ...] = ()
    start = 0
    for page in sorted(borders):
        before = owners
        for owner, change in borders[page].items():
            depth[owner] += change
            if not depth[owner]:
                del depth[owner]
        owners = tuple(sorted(depth))
        if owners == before:
            continue
        if before:
            found.append(Stretch(start, page - start, before))
        start = page
    return found
