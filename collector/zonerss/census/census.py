"""The census: which set of zones maps each frame, and the parts that come out of it.

A part is a set of zones with the pages that exactly these zones map. Parts are the whole result: every figure is
a sum over them (docs/theory.md), so a coarser grouping needs no second walk, it looks at the same parts through
coarser zones. Frames go in by :meth:`Census.mark` or by a walk in C (:mod:`zonerss.kernel`); the slow twin that
says the same with Python sets is tests/oracle.py.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

from zonerss._core import check, ffi, lib

NO_GROUP = 0xFFFFFFFF


class Kind(IntEnum):
    """What a frame is. The first three make up rss; hugetlb and swap slots stand beside it."""

    ANON = lib.KIND_ANON
    FILE = lib.KIND_FILE
    SHMEM = lib.KIND_SHMEM
    HUGETLB = lib.KIND_HUGETLB
    SWAP = lib.KIND_SWAP


RSS_KINDS = (Kind.ANON, Kind.FILE, Kind.SHMEM)


@dataclass(frozen=True, slots=True)
class ZoneSum:
    """What one zone maps, in pages; each tuple is indexed by :class:`Kind`."""

    mapped: tuple[int, ...]
    exclusive: tuple[int, ...]
    """Mapped by no other zone."""
    proportional: tuple[float, ...]
    """Each page divided by the number of zones that map it."""


class Part(NamedTuple):
    """A set of zones and the pages that these and no others map."""

    zones: tuple[int, ...]
    """Ascending zone numbers."""
    pages: tuple[int, ...]
    """Indexed by :class:`Kind`."""


class Joint(NamedTuple):
    """The pages that are in one set of a census and in one set of another census."""

    number: int
    """The set in the first."""
    other: int
    """The set in the second; 0: it has not met them."""
    pages: tuple[int, ...]
    """Indexed by :class:`Kind`, as the first has them."""


class Parts:
    """The parts of a census, as a tree: set 0 is empty, every other set is its parent's and one zone more.

    Three buffers in native order: ``parent`` and ``zone``, uint32 of shape (sets,); ``pages``, uint64 of shape
    (sets, 5), row-major, columns indexed by :class:`Kind`. Parents come before children; no two sets are equal.
    """

    def __init__(self, zones: int, sets: int, parent: Any, zone: Any, pages: Any) -> None:
        self.zones = zones
        self.sets = sets
        self._tree = (sets, parent, zone, pages)

    @classmethod
    def of(cls, zones: int, pages: Mapping[tuple[int, ...], Sequence[int]]) -> Parts:
        """
        Parts from a table.

        :param zones: how many zones there are
        :param pages: of each set, ascending zone numbers, the pages by :class:`Kind`
        """
        number: dict[tuple[int, ...], int] = {(): 0}
        for zones_of_set in sorted(pages):
            for end in range(1, len(zones_of_set) + 1):
                number.setdefault(zones_of_set[:end], len(number))
        sets, width = len(number), len(Kind)
        parent, zone = ffi.new("uint32_t[]", sets), ffi.new("uint32_t[]", sets)
        counts = ffi.new("uint64_t[]", sets * width)
        for path, at in number.items():
            if path:
                parent[at], zone[at] = number[path[:-1]], path[-1]
                counts[at * width : (at + 1) * width] = list(pages.get(path, [0] * width))
        return cls(zones, sets, parent, zone, counts)

    def sums(self) -> list[ZoneSum]:
        """One :class:`ZoneSum` per zone, indexed by zone number."""
        sums = ffi.new("struct zone_sum[]", max(self.zones, 1))
        check(lib.parts_sum(*self._tree, self.zones, sums), "summing up the parts")
        return [
            ZoneSum(tuple(s.mapped), tuple(s.exclusive), tuple(s.proportional))
            for s in (sums[i] for i in range(self.zones))
        ]

    def project(self, group_of: Sequence[int], groups: int) -> Parts:
        """
        The same parts seen through coarser zones.

        :param group_of: the group of each zone, 0 to groups - 1, or NO_GROUP to leave the zone out
        :param groups: how many groups there are
        """
        mapping = ffi.new("uint32_t[]", list(group_of) or [0])
        room, needed = self.sets + 1, ffi.new("uint32_t *")
        while True:
            parent, zone = ffi.new("uint32_t[]", room), ffi.new("uint32_t[]", room)
            pages = ffi.new("uint64_t[]", room * len(Kind))
            result = lib.parts_project(*self._tree, self.zones, mapping, room, needed, parent, zone, pages)
            if result != -_ENOSPC:
                check(result, "grouping the parts")
                return Parts(groups, needed[0], parent, zone, pages)
            room *= 2  # paths that were shared before may part when their zones are renumbered

    def total(self) -> tuple[int, ...]:
        """Pages by :class:`Kind`, every frame once, whoever maps it."""
        return self.project([0] * self.zones, 1).sums()[0].mapped

    def pairs(self) -> list[list[int]]:
        """``pairs()[a][b]``: rss pages that zones a and b both map. Symmetric; the diagonal is each one's rss."""
        count = self.zones
        shared = ffi.new("uint64_t[]", max(count * count, 1))
        check(lib.parts_pairs(*self._tree, count, shared), "summing up the pairs")
        flat = ffi.unpack(shared, count * count) if count else []
        return [flat[row * count : (row + 1) * count] for row in range(count)]

    def filled(self) -> dict[int, tuple[int, ...]]:
        """The sets that hold pages, and their pages by :class:`Kind`."""
        sets, _, _, pages = self._tree
        numbers, width = ffi.new("uint32_t[]", sets + 1), len(Kind)
        count = lib.parts_filled(sets, pages, numbers)
        return {
            number: tuple(ffi.unpack(pages + number * width, width)) for number in ffi.unpack(numbers, count)
        }

    def zones_of(self, number: int) -> tuple[int, ...]:
        """The zone numbers of a set, ascending."""
        _, parent, zone, _ = self._tree
        path = []
        while number:
            path.append(zone[number])
            number = parent[number]
        return tuple(sorted(path))

    def members(self, numbers: Collection[int]) -> list[tuple[int, ...]]:
        """The zone numbers of some sets, ascending; as zones_of() for each, but faster."""
        _, parent, zone, _ = self._tree
        count, wanted = len(numbers), ffi.new("uint32_t[]", list(numbers) or [0])
        ends, room = ffi.new("uint64_t[]", count + 1), 64 * count + 1024
        while True:
            found = ffi.new("uint32_t[]", room)
            needed = lib.parts_members(parent, zone, self.zones, wanted, count, ends, found, room)
            check(min(needed, 0), "listing the parts")
            if needed <= room:
                break
            room = needed
        flat, stops = ffi.unpack(found, max(needed, 1)), ffi.unpack(ends, count + 1)
        return [tuple(flat[stops[i - 1] if i else 0 : stops[i]]) for i in range(count)]

    def __iter__(self) -> Iterator[Part]:
        """The parts that hold pages, in no particular order."""
        filled = self.filled()
        for zones, pages in zip(self.members(filled), filled.values(), strict=True):
            yield Part(zones, pages)

    def tree(self, node_of: Sequence[int], node_parent: Sequence[int]) -> list[ZoneSum]:
        """
        What each node of a tree above the zones maps, with all below it, every frame once; indexed by node.

        :param node_of: the node of each zone
        :param node_parent: of each node, of a lower number than itself; node 0 is the root, its own parent
        """
        nodes = len(node_parent)
        sums = ffi.new("struct zone_sum[]", max(nodes, 1))
        places, above = (
            ffi.new("uint32_t[]", list(node_of) or [0]),
            ffi.new("uint32_t[]", list(node_parent) or [0]),
        )
        check(lib.parts_tree(*self._tree, places, nodes, above, sums), "summing up the tree")
        return [ZoneSum(tuple(s.mapped), tuple(s.exclusive), tuple(s.proportional)) for s in sums[0:nodes]]


class Census:
    """Frames in, parts out. Marking is exact in any order of zones and from several threads at once."""

    def __init__(self, zones: int) -> None:
        handle = ffi.new("struct census **")
        check(lib.census_create(zones, handle), "making a census")
        self.handle = ffi.gc(handle[0], lib.census_destroy)
        self.zones = zones

    def restart(self, zones: int) -> None:
        """Forget all frames and sets, keep the memory; ``zones`` zones will be named from now on."""
        check(lib.census_restart(self.handle, zones), "starting a census again")
        self.zones = zones

    def mark(self, zone: int, pfns: Sequence[int], kinds: Sequence[int]) -> None:
        """
        Say that a zone maps frames.

        :param pfns: frame numbers below 2**40; numbers of swap slots where the kind is SWAP
        :param kinds: one :class:`Kind` per frame; the first one said of a frame stays
        """
        check(
            lib.census_mark(self.handle, zone, ffi.new("uint64_t[]", list(pfns)), bytes(kinds), len(pfns)),
            "marking frames",
        )

    def parts(self) -> Parts:
        """The parts so far, copied out of the census."""
        sets = lib.census_sets(self.handle)
        parent, zone = ffi.new("uint32_t[]", sets), ffi.new("uint32_t[]", sets)
        pages = ffi.new("uint64_t[]", sets * len(Kind))
        lib.census_export(self.handle, parent, zone, pages)
        return Parts(self.zones, sets, parent, zone, pages)

    def join(self, other: Census, wanted: Iterable[int] | None = None) -> list[Joint]:
        """
        How this census' parts are made of another one's, whose zones are something else of the same frames.

        :param wanted: only these sets of this census; None: all
        """
        flags = bytearray(lib.census_sets(self.handle))
        for number in wanted or ():
            flags[number] = 1
        found = ffi.new("struct piece **")
        chosen = ffi.NULL if wanted is None else ffi.from_buffer("uint8_t[]", flags)
        count = lib.census_join(self.handle, other.handle, chosen, found)
        check(min(count, 0), "comparing two censuses")
        pieces = ffi.gc(found[0], lib.pieces_free)
        return [Joint(p.set, p.other, tuple(p.pages)) for p in (pieces[i] for i in range(count))]

    @property
    def memory_bytes(self) -> int:
        """Memory that frames and sets take."""
        return int(lib.census_bytes(self.handle))


_ENOSPC = 28
