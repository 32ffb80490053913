"""Which zones map which stretch of a file: intervals to stretches, pure.

The basis incore counts a page of a file once for every zone that has it in a mapped range and no anon page in its
place, if it is in the page cache. Whether a page table maps it does not matter, so frames need not be known: within
one file the ranges of all zones cut it into stretches of one set of zones each, and a stretch counts for its set as
many pages as it has in the page cache.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import NamedTuple


class Range(NamedTuple):
    """Pages of a file that a zone maps."""

    file: int
    zone: int
    first: int
    pages: int


class Stretch(NamedTuple):
    """Pages of a file that one set of zones maps, and no other zone."""

    first: int
    pages: int
    zones: tuple[int, ...]
    """Ascending."""


def stretches(ranges: Iterable[Range]) -> dict[int, list[Stretch]]:
    """
    Cut each file where the set of zones changes.

    :param ranges: in any order; they may overlap and repeat, in one zone and between zones
    :return: the stretches of each file in order of offset, neighbours of one set joined
    """
    borders: dict[int, dict[int, Counter[int]]] = defaultdict(lambda: defaultdict(Counter))
    for file, zone, first, pages in dict.fromkeys(ranges):
        if pages > 0:
            borders[file][first][zone] += 1
            borders[file][first + pages][zone] -= 1
    return {file: _sweep(at) for file, at in borders.items()}


# borders: at which page how many ranges of each zone begin (positive) or end.
def _sweep(borders: dict[int, Counter[int]]) -> list[Stretch]:
    found: list[Stretch] = []
    depth: Counter[int] = Counter()
    zones: tuple[int, ...] = ()
    start = 0
    for page in sorted(borders):
        before = zones
        for zone, change in borders[page].items():
            depth[zone] += change
            if not depth[zone]:
                del depth[zone]
        zones = tuple(sorted(depth))
        if zones == before:
            continue
        if before:
            found.append(Stretch(start, page - start, before))
        start = page
    return found
