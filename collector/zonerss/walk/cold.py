"""Where the cold pages of processes are: what may be paged out without harm to anybody.

A walk that tells pages apart by class (:class:`zonerss.census.touched.Apart`) has found frames that one process maps,
once on the whole machine, by an entry whose accessed bit is clear: their set is the idle owner's alone. A second walk,
of these processes only, finds the addresses of such entries; what was touched meanwhile is not among them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from zonerss._core import ffi, lib
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.touched import Apart
from zonerss.census.usage import Member
from zonerss.plain import dataclass
from zonerss.records import Task
from zonerss.walk.arming import make_slices
from zonerss.walk.host import Host
from zonerss.walk.jobs import Source, walk

if TYPE_CHECKING:
    from zonerss._core import _lib as core


@dataclass(frozen=True, slots=True)
class ColdRanges:
    """The ranges of some processes."""

    tasks: tuple[tuple[Task, str], ...]
    """Those that were walked, one of each address space, and the zone of each."""
    slices: core.slices
    """Keeps the memory of what :meth:`of` gives."""

    def of(self, number: int, kind: Kind) -> tuple[Any, int]:
        """The ranges of a process and a kind: struct slice *, in order of address, and how many."""
        first = ffi.new("struct slice **")
        count = lib.slices_of(self.slices, number, kind, first)
        return first[0], count


def find_cold(
    source: Source, host: Host, frames: Census, members: Iterable[Member], apart: Apart
) -> ColdRanges:
    """
    Find them. What cannot be walked has none.

    :param source: of page tables
    :param frames: of the walk that has told pages apart
    :param members: of that walk: whose pages are wanted
    :param apart: of that walk
    """
    chosen = {
        (member.mm, member.owner): member for member in members if member.task.pid not in apart.kept
    }.values()
    assigned = [(member.task, member.owner) for member in chosen]
    slices = make_slices()
    walk(source.begin, frames, None, assigned, host, apart=apart, slices=slices)
    return ColdRanges(tuple((member.task, member.zones[0].name) for member in chosen), slices)
