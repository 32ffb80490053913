"""Which owners map which stretch of a file: intervals to stretches, pure.

The basis incore counts a page of a file once for every owner that has it in a mapped range and no anon page in its
place, if it is in the page cache. Whether a page table maps it does not matter, so frames need not be known: within
one file the ranges of all owners cut it into stretches of one set of owners each, and a stretch counts for its set as
many pages as it has in the page cache.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
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


def stretches(ranges: Iterable[Range]) -> Iterator[tuple[int, list[Stretch]]]:
    """
    Cut each file where the set of owners changes.

    Equal sets are one tuple, which the stretches of all files share: many files are mapped by the same thousands.

    :param ranges: in any order; they may overlap and repeat, in one owner and between owners
    :return: each file with its stretches in order of offset, neighbours of one set joined
    """
    borders: dict[int, list[_Border]] = defaultdict(list)
    for file, owner, first, pages in dict.fromkeys(ranges):
        if pages > 0:
            borders[file] += ((first, owner, 1), (first + pages, owner, -1))
    sets = _Sets()
    while borders:
        file, at = borders.popitem()
        yield file, _sweep(sorted(at), sets)


_Border = tuple[int, int, int]
"""Where ranges of an owner begin (1) or end (-1): page, owner, which."""


class _Sets:
    """Sets by the sum of a random number of each owner, as the census knows them: 128 bits, so no two sets have one."""

    def __init__(self) -> None:
        self._numbers: defaultdict[int, int] = defaultdict(lambda: int.from_bytes(os.urandom(16), "little"))
        self._known: dict[int, tuple[int, ...]] = {0: ()}

    def number_of(self, owner: int) -> int:
        """What it adds to the sum; xor is the sum, so it takes itself away again."""
        return self._numbers[owner]

    def of(self, total: int, owners: Iterable[int]) -> tuple[int, ...]:
        """The set of a sum, ascending; owners: its own, looked at where it is new."""
        if total not in self._known:
            self._known[total] = tuple(sorted(owners))
        return self._known[total]


def _sweep(borders: list[_Border], sets: _Sets) -> list[Stretch]:
    found: list[Stretch] = []
    depth: Counter[int] = Counter()
    total = before = start = 0
    owners: tuple[int, ...] = ()
    for index, (page, owner, change) in enumerate(borders):
        had = depth[owner]
        depth[owner] += change
        if not (had and depth[owner]):
            total ^= sets.number_of(owner)
        if not depth[owner]:
            del depth[owner]
        if total == before or (index + 1 < len(borders) and borders[index + 1][0] == page):
            continue
        if owners:
            found.append(Stretch(start, page - start, owners))
        owners, before, start = sets.of(total, depth), total, page
    return found
