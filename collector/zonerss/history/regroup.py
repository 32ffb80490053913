"""The parts of a census seen through coarser owners, and what goes with parts: files and payers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from zonerss.census.parts import NO_GROUP, Parts
from zonerss.records.bills import Billed
from zonerss.records.files import Holding, Holdings, MappedFile, holding_order


class Regrouped:
    """Parts whose owners are groups of the owners of others."""

    def __init__(self, parts: Parts, group_of: Sequence[int], groups: int) -> None:
        """
        :param group_of: the group of each owner, 0 to groups - 1, or NO_GROUP to leave the owner out
        :param groups: how many groups there are
        """
        self._finer, self._group_of = parts, group_of
        self.parts = parts.project(group_of, groups)

    def billed(self, rows: Iterable[Billed]) -> tuple[Billed, ...]:
        """Who pays, by the coarser sets; in order of set and cgroup."""
        sums: dict[tuple[tuple[int, ...], int], tuple[int, ...]] = {}
        for row in rows:
            key = (self._groups(row.owners), row.inode)
            sums[key] = _plus(sums.get(key), row.pages)
        return tuple(Billed(owners, inode, pages) for (owners, inode), pages in sorted(sums.items()))

    def holdings(self, held: Holdings) -> dict[int, tuple[Holding, ...]]:
        """What the coarser sets hold, by their numbers; each sorted by file."""
        filled = self.parts.filled()
        number_of = dict(zip(self.parts.members(filled), filled, strict=True))
        sums: dict[int, dict[MappedFile | None, tuple[int, ...]]] = {}
        for owners, rows in zip(self._finer.members(held), held.values(), strict=True):
            number = number_of.get(self._groups(owners))
            if number is None:
                continue  # of owners that were left out
            files = sums.setdefault(number, {})
            for file, pages in rows:
                files[file] = _plus(files.get(file), pages)
        return {number: tuple(sorted(files.items(), key=holding_order)) for number, files in sums.items()}

    def _groups(self, owners: Iterable[int]) -> tuple[int, ...]:
        return tuple(sorted({self._group_of[owner] for owner in owners} - {NO_GROUP}))


def _plus(sums: Sequence[int] | None, pages: Sequence[int]) -> tuple[int, ...]:
    return tuple(map(sum, zip(sums, pages, strict=True))) if sums else tuple(pages)
