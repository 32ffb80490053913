"""What can be done about each frame of a zone: arithmetic over the parts of a walk that tells pages apart by class.

Each frame of a zone is in one class, the first that holds of: another zone maps it; no page-out may touch it; it is
mapped more than once, by this zone alone; it is mapped once on the whole machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from zonerss.census.kinds import RSS_KINDS, Kind, rss_of
from zonerss.census.touched import Apart, Touches
from zonerss.plain import dataclass, field


def _none() -> list[int]:
    return [0] * len(Kind)


@dataclass(slots=True)
class ClassPages:
    """The frames of one group, in pages; each list is indexed by :class:`Kind`."""

    shared: int = 0
    shared_with: Counter[int] = field(default_factory=Counter)
    """Of these: those that each other group maps."""
    locked: int = 0
    several: list[int] = field(default_factory=_none)
    cold_several: list[int] = field(default_factory=_none)
    """Of these: every entry that maps them has its bit clear."""
    own: list[int] = field(default_factory=_none)
    cold: list[int] = field(default_factory=_none)
    """Of these: the bit is clear."""
    unknown: int = 0
    """Of own: the bit could not have been cleared."""

    def add_alone(self, owners: Collection[int], apart: Apart, pages: Sequence[int]) -> None:
        """Pages that no other group maps; owners: those of entries, of all that map them."""
        count = apart.owners
        is_idle = all(count <= owner < 2 * count for owner in owners)
        if any(owner >= 3 * count and owner != apart.several for owner in owners):
            self.locked += rss_of(pages)
        elif len(owners) > 1:  # apart.several among them, or several entries
            idle = all(count <= owner < 2 * count for owner in owners if owner != apart.several)
            _add(self.several, pages)
            _add(self.cold_several, pages if idle else ())
        else:
            _add(self.own, pages)
            _add(self.cold, pages if is_idle else ())
            self.unknown += rss_of(pages) if min(owners) >= 2 * count else 0


def _add(sums: list[int], pages: Sequence[int]) -> None:
    for kind in RSS_KINDS if pages else ():
        sums[kind] += pages[kind]


def classes(touches: Touches, group_of: Sequence[int], wanted: Collection[int]) -> dict[int, ClassPages]:
    """
    The frames of some groups, each frame once in each.

    :param group_of: the group of each owner of the plan
    :param wanted: the groups that are asked for
    """
    apart, found = touches.apart, {group: ClassPages() for group in wanted}
    for owners, pages in touches.parts:
        if not rss_of(pages):
            continue
        groups = {group_of[owner % apart.owners] for owner in owners if owner != apart.several}
        for group in groups & found.keys():
            sums = found[group]
            if len(groups) == 1:
                sums.add_alone(owners, apart, pages)
                continue
            sums.shared += rss_of(pages)
            for other in groups - {group}:
                sums.shared_with[other] += rss_of(pages)
    return found
