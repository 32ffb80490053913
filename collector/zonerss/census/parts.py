"""The parts of a census, and sums over them.

A part is a set of owners with the pages that exactly these owners map. Parts are the whole result: every figure is a
sum over them (docs/theory.md), so a coarser grouping needs no second walk, it looks at the same parts through coarser
owners. They stay in C; what Python asks for comes out as numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from zonerss._core import check, ffi, lib
from zonerss.census.kinds import Kind
from zonerss.plain import dataclass

if TYPE_CHECKING:
    from zonerss._core import _lib as core

NO_GROUP = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class OwnerSum:
    """What one owner maps, in pages; each tuple is indexed by :class:`Kind`."""

    mapped: tuple[int, ...]
    exclusive: tuple[int, ...]
    """Mapped by no other owner."""
    proportional: tuple[float, ...]
    """Each page divided by the number of owners that map it."""


class Part(NamedTuple):
    """A set of owners and the pages that these and no others map."""

    owners: tuple[int, ...]
    """Ascending."""
    pages: tuple[int, ...]
    """Indexed by :class:`Kind`."""


class Shared(NamedTuple):
    """What two owners both map."""

    one: int
    other: int
    """Greater than one."""
    pages: int
    """Anon, file and shmem."""


class Parts:
    """The parts of a census, as a tree: set 0 is empty, every other set is its parent's and one owner more."""

    def __init__(self, handle: core.parts) -> None:
        """:param handle: struct parts *, which is ours from now on"""
        self._handle: core.parts = ffi.gc(handle, lib.parts_free)
        self.owners = handle.owners
        """How many owners were named: 0 to owners - 1."""
        self.sets = handle.sets

    @classmethod
    def of(cls, owners: int, pages: Mapping[tuple[int, ...], Sequence[int]]) -> Parts:
        """
        Parts from a table.

        :param owners: how many owners there are
        :param pages: of each set, ascending owners, the pages by :class:`Kind`
        """
        builder = PartsBuilder(owners)
        for members, counts in pages.items():
            builder.add(members, counts)
        return builder.parts()

    def sums(self) -> list[OwnerSum]:
        """One :class:`OwnerSum` per owner, indexed by owner."""
        sums = ffi.new("struct owner_sum[]", max(self.owners, 1))
        check(lib.parts_sum(self._handle, sums), "summing up the parts")
        return [_sum_of(sums[owner]) for owner in range(self.owners)]

    def together(self, chosen: Collection[int]) -> OwnerSum:
        """What some owners map, taken as one; proportional is 0, for that depends on the others."""
        flags, total = bytearray(max(self.owners, 1)), ffi.new("struct owner_sum *")
        for owner in chosen:
            flags[owner] = 1
        lib.parts_together(self._handle, ffi.from_buffer("uint8_t[]", flags), total)
        return _sum_of(total)

    def project(self, group_of: Sequence[int], groups: int) -> Parts:
        """
        The same parts seen through coarser owners.

        :param group_of: the group of each owner, 0 to groups - 1, or NO_GROUP to leave the owner out
        :param groups: how many groups there are
        """
        ret = ffi.new("struct parts **")
        mapping = ffi.new("uint32_t[]", list(group_of) or [0])
        check(lib.parts_project(self._handle, mapping, groups, ret), "grouping the parts")
        return Parts(ret[0])

    def total(self) -> tuple[int, ...]:
        """Pages by :class:`Kind`, every frame once, whoever maps it."""
        return self.together(range(self.owners)).mapped

    def pairs(self, limit: int | None = None) -> tuple[list[Shared], int]:
        """
        What each two owners both map, if anything, the most pages first, equal ones by number.

        :param limit: at most so many
        :return: the pairs, and how many there are without the limit
        """
        room = self._pairs_into(ffi.new("struct pair[]", 1), 0) if limit is None else limit
        found = ffi.new("struct pair[]", max(room, 1))
        count = self._pairs_into(found, room)
        return [Shared(row.one, row.other, row.pages) for row in found[0 : min(count, room)]], count

    def _pairs_into(self, largest: core.pair, room: int) -> int:
        count = lib.parts_pairs(self._handle, largest, room)
        check(min(count, 0), "summing up the pairs")
        return count

    def filled(self) -> dict[int, tuple[int, ...]]:
        """The sets that hold pages, by number, and their pages by :class:`Kind`."""
        numbers = ffi.new("uint32_t[]", self.sets + 1)
        count = lib.parts_filled(self._handle, numbers)
        pages = self._handle.pages
        return {number: tuple(pages[number]) for number in ffi.unpack(numbers, count)} if count else {}

    def owners_of(self, number: int) -> tuple[int, ...]:
        """The owners of a set, ascending."""
        path = []
        while number:
            path.append(self._handle.owner[number])
            number = self._handle.parent[number]
        return tuple(sorted(path))

    def members(self, numbers: Collection[int]) -> list[tuple[int, ...]]:
        """The owners of some sets, ascending; as :meth:`owners_of` for each, but faster."""
        count, wanted = len(numbers), ffi.new("uint32_t[]", list(numbers) or [0])
        ends, room = ffi.new("uint64_t[]", count + 1), 64 * count + 1024
        while True:
            found = ffi.new("uint32_t[]", room)
            needed = lib.parts_members(self._handle, wanted, count, ends, found, room)
            check(min(needed, 0), "listing the parts")
            if needed <= room:
                break
            room = needed
        flat, stops = ffi.unpack(found, max(needed, 1)), ffi.unpack(ends, count + 1)
        return [tuple(flat[stops[i - 1] if i else 0 : stops[i]]) for i in range(count)]

    def __iter__(self) -> Iterator[Part]:
        """The parts that hold pages, in no particular order."""
        filled = self.filled()
        for owners, pages in zip(self.members(filled), filled.values(), strict=True):
            yield Part(owners, pages)

    def tree(self, node_of: Sequence[int], node_parent: Sequence[int]) -> list[OwnerSum]:
        """
        What each node of a tree above the owners maps, with all below it, every frame once; indexed by node.

        :param node_of: the node of each owner
        :param node_parent: of each node, of a lower number than itself; node 0 is the root, its own parent
        """
        nodes = len(node_parent)
        sums = ffi.new("struct owner_sum[]", max(nodes, 1))
        places = ffi.new("uint32_t[]", list(node_of) or [0])
        above = ffi.new("uint32_t[]", list(node_parent) or [0])
        check(lib.parts_tree(self._handle, places, nodes, above, sums), "summing up the tree")
        return [_sum_of(sums[node]) for node in range(nodes)]


class PartsBuilder:
    """Puts parts together. A set takes memory for what no other set begins with, wherever it is used."""

    def __init__(self, owners: int) -> None:
        """:param owners: how many will be named: 0 to owners - 1"""
        ret = ffi.new("struct parts_builder **")
        check(lib.parts_builder_create(ret), "making parts")
        self._handle: core.parts_builder = ffi.gc(ret[0], lib.parts_builder_free)
        self._owners = owners

    def add(self, owners: Sequence[int], pages: Sequence[int]) -> None:
        """
        Pages that exactly these owners map, besides those that were added before.

        :param owners: ascending, each once
        :param pages: by :class:`Kind`
        """
        added = lib.parts_builder_add(
            self._handle, ffi.new("uint32_t[]", owners or [0]), len(owners), ffi.new("uint64_t[]", pages)
        )
        check(added, "making parts")

    def add_all(self, parts: Parts, kinds: Iterable[Kind] = Kind) -> None:
        """All parts of others, as far as pages of these kinds go."""
        bits = sum(1 << kind for kind in kinds)
        check(lib.parts_builder_add_all(self._handle, parts._handle, bits), "making parts")

    def parts(self) -> Parts:
        """What was added so far."""
        ret = ffi.new("struct parts **")
        check(lib.parts_builder_parts(self._handle, self._owners, ret), "making parts")
        return Parts(ret[0])


def _sum_of(row: core.owner_sum) -> OwnerSum:
    return OwnerSum(tuple(row.mapped), tuple(row.exclusive), tuple(row.proportional))
