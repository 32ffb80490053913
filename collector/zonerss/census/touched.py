"""What was touched since accessed bits were cleared: pure arithmetic over the parts of a walk that tells entries apart.

Such a walk has four owners in the place of each: one for entries whose accessed bit is set, one for those whose bit is
clear, and one for those whose bit is set where that says nothing, because it could not be cleared; the fourth is for
what no page-out may touch, where that is asked for. One owner more, several, stands for nobody: it is in the set of
each frame that is mapped more than once on the whole machine.

A frame of a zone is then touched, unknown or idle, by its set alone: each once, however many of its processes map it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import Enum

from zonerss.census.kinds import RSS_KINDS, Kind
from zonerss.census.parts import NO_GROUP, Parts
from zonerss.plain import dataclass, field


@dataclass(frozen=True, slots=True)
class Apart:
    """How owners are numbered where entries are told apart by their accessed bits, and whose bits tell nothing."""

    owners: int
    """Of the plan: 0 to owners - 1, which are those of entries whose bit is set."""
    kept: frozenset[int] = frozenset()
    """The processes whose bits were not cleared."""
    cleared_by: int = 0
    """enum walk_cleared of the core: which mappings keep their bits, however they were cleared."""
    by_class: bool = False
    """
    What no page-out may touch is for owners of its own; of processes whose bits were not cleared nothing is known.
    """

    def of(self, pid: int, owner: int) -> tuple[int, int, int]:
        """
        Of a process: the owner of entries whose bit is set, of those whose bit is clear, and of mappings that keep
        it.
        """
        kept = self.kept_owner(owner)
        is_set = kept if pid in self.kept else owner
        idle = kept if self.by_class and pid in self.kept else self.idle_owner(owner)
        return is_set, idle, self.locked_owner(owner) if self.by_class else kept

    def bits_of(self, owners: Iterable[int]) -> list[int]:
        """The owners, in the places of some of the plan, of entries that page-out may touch."""
        return [one for owner in owners for one in (owner, self.idle_owner(owner), self.kept_owner(owner))]

    def idle_owner(self, owner: int) -> int:
        """That of entries whose bit is clear."""
        return self.owners + owner

    def kept_owner(self, owner: int) -> int:
        """That of entries whose bit is set, which says nothing."""
        return 2 * self.owners + owner

    def locked_owner(self, owner: int) -> int:
        """That of what no page-out may touch."""
        return 3 * self.owners + owner

    @property
    def several(self) -> int:
        """That of frames that are mapped more than once."""
        return 4 * self.owners

    @property
    def count(self) -> int:
        """How many owners there are."""
        return 4 * self.owners + 1

    def without(self, parts: Parts) -> Parts:
        """The parts as they would be if entries had not been told apart."""
        return parts.project([*range(self.owners)] * 4 + [NO_GROUP], self.owners)


class State(Enum):
    """What is known of frames that a zone maps."""

    TOUCHED = "touched"
    UNKNOWN = "unknown"
    IDLE = "idle"


@dataclass(slots=True)
class TouchedPages:
    """What some owners taken as one map, by page; each list is indexed by :class:`Kind`."""

    mapped: list[int] = field(default_factory=lambda: [0] * len(Kind))
    touched: list[int] = field(default_factory=lambda: [0] * len(Kind))
    """Of these: touched since their bits were cleared."""
    unknown: list[int] = field(default_factory=lambda: [0] * len(Kind))
    """Of these: their bits are set, but could not have been cleared."""

    def add(self, state: State, pages: Sequence[int]) -> None:
        """Pages of one set that these owners map."""
        for kind in RSS_KINDS:
            self.mapped[kind] += pages[kind]
            self.touched[kind] += pages[kind] if state is State.TOUCHED else 0
            self.unknown[kind] += pages[kind] if state is State.UNKNOWN else 0


@dataclass(frozen=True, slots=True)
class Touches:
    """The parts of a walk that tells entries apart."""

    parts: Parts
    apart: Apart
    sees_several: bool
    """The bits of frames that are mapped more than once were cleared, too."""

    def states(self, owners: Iterable[int], group_of: Sequence[int]) -> dict[int, State]:
        """
        What the frames of a set are to each group that maps them.

        :param owners: the set
        :param group_of: the group of each owner of the plan, or NO_GROUP
        """
        n, is_set, keeps, found = self.apart.owners, set[int](), set[int](), dict[int, State]()
        several = False
        for owner in owners:
            if owner == self.apart.several:
                several = not self.sees_several
            elif (group := group_of[owner % n]) != NO_GROUP:
                found[group] = State.IDLE
                is_set.update((group,) if owner < n else ())
                keeps.update((group,) if owner >= 2 * n else ())
        found |= dict.fromkeys(keeps, State.UNKNOWN)
        found |= dict.fromkeys(is_set, State.UNKNOWN if several else State.TOUCHED)
        return found

    def by_group(self, group_of: Sequence[int], groups: int) -> list[TouchedPages]:
        """One for each group, every frame once in each; parameters as of :meth:`states`."""
        sums = [TouchedPages() for _ in range(groups)]
        for owners, pages in self.parts:
            for group, state in self.states(owners, group_of).items():
                sums[group].add(state, pages)
        return sums
