"""The census: which set of owners maps each frame.

Frames go in by :meth:`Census.mark` or by a walk in C (:mod:`zonerss.walk`), parts come out
(:mod:`zonerss.census.parts`). The slow twin that says the same with Python sets is tests/oracle.py.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from zonerss._core import check, ffi, lib
from zonerss.census.parts import Parts

if TYPE_CHECKING:
    from zonerss._core import _lib as core


class Overlap(NamedTuple):
    """The pages that are in one set of a census and in one set of another census."""

    number: int
    """The set in the first."""
    other: int
    """The set in the second; 0: it has not met them."""
    pages: tuple[int, ...]
    """Indexed by :class:`zonerss.census.kinds.Kind`, as the first has them."""


class Census:
    """Frames in, parts out. Marking is exact in any order of owners and from several threads at once."""

    def __init__(self, owners: int, handle: core.census | None = None) -> None:
        """
        :param owners: how many will be named: 0 to owners - 1
        :param handle: memory of an earlier census, to be used again
        """
        self.handle: core.census = make_census() if handle is None else handle
        self.restart(owners)

    def restart(self, owners: int) -> None:
        """Forget all frames and sets, keep the memory; ``owners`` owners will be named from now on."""
        check(lib.census_restart(self.handle, owners), "starting a census again")
        self.owners = owners

    def mark(self, owner: int, pfns: Sequence[int], kinds: Sequence[int]) -> None:
        """
        Say that an owner maps frames.

        :param pfns: frame numbers below 2**40; numbers of swap slots where the kind is SWAP
        :param kinds: one :class:`zonerss.census.kinds.Kind` per frame; the first one said of a frame stays
        """
        numbers, sorts = ffi.new("uint64_t[]", list(pfns)), ffi.from_buffer("uint8_t[]", bytes(kinds))
        check(lib.census_mark(self.handle, owner, numbers, sorts, len(pfns)), "marking frames")

    def parts(self) -> Parts:
        """The parts so far, copied out of the census."""
        ret = ffi.new("struct parts **")
        check(lib.census_parts(self.handle, ret), "taking the parts of a census")
        return Parts(ret[0])

    def overlaps(self, other: Census, wanted: Iterable[int] | None = None) -> list[Overlap]:
        """
        How this census' parts are made of another one's, whose owners are something else of the same frames.

        :param wanted: only these sets of this census; None: all
        """
        flags, sets = ffi.NULL, 0
        if wanted is not None:
            numbers = set(wanted)
            sets = max(numbers, default=0) + 1
            flags = ffi.new("uint8_t[]", sets)
            for number in numbers:
                flags[number] = 1
        ret = ffi.new("struct overlap **")
        count = lib.census_overlaps(self.handle, other.handle, flags, sets, ret)
        check(min(count, 0), "comparing two censuses")
        rows = ffi.gc(ret[0], lib.overlaps_free)
        return [Overlap(row.set, row.other, tuple(row.pages)) for row in (rows[i] for i in range(count))]

    @property
    def memory_bytes(self) -> int:
        """Memory that frames and sets take."""
        return lib.census_bytes(self.handle)


def make_census() -> core.census:
    """Memory of a census: struct census *, freed when nobody holds it any more."""
    ret = ffi.new("struct census **")
    check(lib.census_create(0, ret), "making a census")
    return cast("core.census", ffi.gc(ret[0], lib.census_destroy))


class CensusPool:
    """The memory of censuses: each is lent, and lent again once nobody holds what it was lent as."""

    def __init__(self) -> None:
        self._free: list[core.census] = []

    def lend(self, owners: int) -> Census:
        """A census of nothing; its memory comes back by itself."""
        handle = self._free.pop() if self._free else make_census()
        census = Census(owners, handle)
        weakref.finalize(census, self._free.append, handle)
        return census
