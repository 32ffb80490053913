"""How often the frames of a census are mapped on the whole machine, summed up like their kinds. Pure.

The parts of the census are counted twice: by kind, and by how often a frame is mapped. So the same projections and sums
serve both, and what is in the first and not in the second is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from zonerss.census.kinds import rss_of
from zonerss.census.parts import Parts
from zonerss.records import Mapcounts
from zonerss.units import pages_to_bytes


class CountedParts(NamedTuple):
    """The parts of one census, counted in two ways."""

    by_kind: Parts
    by_mapcount: Parts
    """The same sets, of each the pages of memory by :data:`zonerss.records.MAPCOUNT_CLASSES` instead of by kind.
    Pages of which the kernel does not say how often they are mapped are in none."""

    def of_groups(self, group_of: Sequence[int], groups: int) -> list[Mapcounts]:
        """
        What each group of owners maps, every frame once.

        :param group_of: the group of each owner, 0 to groups - 1, or NO_GROUP to leave the owner out
        :param groups: how many groups there are
        """
        kinds, counts = (parts.project(group_of, groups).sums() for parts in self)
        return [
            _mapcounts(rss_of(kind.mapped), count.mapped) for kind, count in zip(kinds, counts, strict=True)
        ]


def _mapcounts(rss_pages: int, pages: Sequence[int]) -> Mapcounts:
    return Mapcounts(tuple(map(pages_to_bytes, pages)), pages_to_bytes(rss_pages - sum(pages)))
