"""What else can be asked about the moment of a snapshot: whose its pages are, who pays for them, what names there were.

A snapshot carries one :class:`Evidence`. For a snapshot of now it is :class:`Live`: the frames that the walk found are
kept, and the kernel is asked when somebody asks. For a snapshot from a recording it is what the recording has kept.
What is not known is None, or empty; what cannot be had at all is a :class:`zonerss.errors.CannotServe`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Protocol

from zonerss.census.usage import Member, one_of_each_mm
from zonerss.kernel.cgroupfs import MemoryHierarchy, charged_bytes
from zonerss.kernel.cmdline import read_command_lines
from zonerss.kernel.memcg import cgroup_inodes, cgroup_processes, read_bill
from zonerss.kernel.patience import PATIENCE_SECONDS
from zonerss.plain import dataclass
from zonerss.records import Gap, Names, Task

if TYPE_CHECKING:
    from zonerss.census.census import Census
    from zonerss.census.mapcounts import CountedParts
    from zonerss.census.parts import Parts
    from zonerss.records.bills import Bill, Billed
    from zonerss.records.files import Holdings, OpenFiles
    from zonerss.records.images import Image
    from zonerss.records.machine import Counters, RamPages
    from zonerss.records.shmem import ShmemFound
    from zonerss.walk.host import Host


class Evidence(Protocol):
    """What can be asked about the moment of a snapshot."""

    @property
    def names(self) -> Names:
        """Names of containers and users."""

    @property
    def processors(self) -> int:
        """How many the machine has."""

    def payers(self) -> tuple[Billed, ...] | None:
        """Which cgroups are charged for the frames, by set of the snapshot's parts. None: it is not told."""

    def holdings(
        self, members: Iterable[Member] | None = None, wanted: Collection[int] | None = None
    ) -> tuple[Holdings, tuple[Gap, ...]]:
        """
        Which files the parts hold, as far as these of the members map them.

        :param members: None: all
        :param wanted: numbers of the sets in question; None: all
        :return: the holdings of each set, and processes that could not be read
        :raises CannotServe: it was not kept
        """

    def open_files(self, members: Iterable[Member]) -> OpenFiles:
        """
        The files that processes hold open, and how much of each is in the page cache, mapped or not.

        :raises CannotServe: it was not kept
        """

    def ram(self, payers: bool = False) -> RamPages:
        """
        What every frame of the machine is: those that the zones map, and all others by their flags.

        :param payers: tell who is charged for them, too
        :raises CannotServe: the kernel does not tell flags of frames, or they were not kept
        """

    def counters(self) -> Counters:
        """
        What the kernel counts of its memory.

        :raises CannotServe: it does not tell, or it was not kept
        """

    def shmem(self) -> ShmemFound:
        """
        What holds shared memory, as far as the members show it.

        :raises CannotServe: it was not kept
        """

    def mapcounts(self) -> CountedParts | None:
        """How often the frames are mapped on the whole machine. None: it is not told."""

    def bill(self, cgroup: str) -> Bill | None:
        """The figures of a cgroup and all below it (:func:`zonerss.kernel.memcg.read_bill`). None: not known."""

    def charged(self, cgroup: str) -> int | None:
        """What a cgroup and all below it are charged, in bytes. None: not known."""

    def cgroups(self) -> Mapping[int, str]:
        """The paths of cgroups by the inode that payers are named by."""

    def cgroup_processes(self, cgroup: str, without: Collection[str] = ()) -> frozenset[int]:
        """
        The processes of a cgroup and of all below it.

        :param without: cgroups below it that are left out, with all that is below them
        """

    def command_lines(
        self, tasks: Iterable[Task], seconds: float = PATIENCE_SECONDS
    ) -> dict[int, tuple[str, ...]]:
        """
        The arguments of processes, by pid; those that are not known are missing.

        :param seconds: that all of them together may take
        """

    def ipc_namespace(self, pid: int) -> int | None:
        """The IPC namespace of a process, by its inode. None: it is that of who looked, or the process has left."""

    def images(self) -> Callable[[str, int | None], Image | None]:
        """
        What tells the image of a container, by its full id and the user whose own engines run it (None: the system's).

        :raises CannotServe: it was not kept
        """


@dataclass(frozen=True, slots=True)
class Live:
    """The frames of a snapshot, held for as long as this is, and the kernel as it is when it is asked."""

    frames: Census
    """Which set of owners maps each frame: 4 bytes a frame."""
    parts: Parts
    """Those of the frames."""
    members: tuple[Member, ...]
    host: Host
    hierarchy: MemoryHierarchy
    names: Names

    @property
    def processors(self) -> int:
        """See :class:`Evidence`, here and below."""
        return os.cpu_count() or 1

    def payers(self) -> tuple[Billed, ...] | None:
        """As they are now; None where the kernel does not say (:func:`zonerss.walk.payers.read_payers`)."""
        from zonerss.walk.payers import read_payers

        return read_payers(self.frames, self.parts, self.host.roots)

    def holdings(
        self, members: Iterable[Member] | None = None, wanted: Collection[int] | None = None
    ) -> tuple[Holdings, tuple[Gap, ...]]:
        """The mappings of the members are looked at once more (:func:`zonerss.walk.files.name_parts`)."""
        from zonerss.walk.files import name_parts

        tasks = [member.task for member in one_of_each_mm(self.members if members is None else members)]
        return name_parts(self.frames, self.host, tasks, wanted)

    def open_files(self, members: Iterable[Member]) -> OpenFiles:
        """As they are now (:func:`zonerss.walk.opened.read_open_files`)."""
        from zonerss.walk.opened import read_open_files

        return read_open_files(self.host, [member.task.pid for member in members])

    def ram(self, payers: bool = False) -> RamPages:
        """As every frame is now (:func:`zonerss.walk.ram.read_ram_pages`)."""
        from zonerss.walk.ram import read_ram_pages

        return read_ram_pages(self.frames, self.host.roots, payers, self.host.threads)

    def counters(self) -> Counters:
        """As they are now."""
        from zonerss.kernel.counters import read_counters

        return read_counters(self.host.roots)

    def shmem(self) -> ShmemFound:
        """As it is now."""
        from zonerss.kernel.shmem import read_shmem

        return read_shmem(self.host.roots, [member.task.pid for member in self.members])

    def mapcounts(self) -> CountedParts | None:
        """As it is now; None where the kernel does not say (:func:`zonerss.walk.mapcounts.read_mapcounts`)."""
        from zonerss.walk.mapcounts import read_mapcounts

        return read_mapcounts(self.frames, self.host.roots)

    def bill(self, cgroup: str) -> Bill | None:
        """As it is now."""
        return read_bill(self.hierarchy, cgroup)

    def charged(self, cgroup: str) -> int | None:
        """As it is now."""
        return charged_bytes(self.hierarchy, cgroup)

    def cgroups(self) -> Mapping[int, str]:
        """Those that are mounted here: one stat(2) each."""
        return cgroup_inodes(self.hierarchy)

    def cgroup_processes(self, cgroup: str, without: Collection[str] = ()) -> frozenset[int]:
        """As cgroup.procs lists them now."""
        return cgroup_processes(self.hierarchy, cgroup, without)

    def command_lines(
        self, tasks: Iterable[Task], seconds: float = PATIENCE_SECONDS
    ) -> dict[int, tuple[str, ...]]:
        """As they are now (:func:`zonerss.kernel.cmdline.read_command_lines`)."""
        return read_command_lines(self.host.roots, tasks, seconds)

    def ipc_namespace(self, pid: int) -> int | None:
        """Where it is now."""
        from zonerss.walk.files import ipc_namespace

        own, its = (ipc_namespace(one, self.host.roots) for one in ("self", pid))
        return None if its == own else its

    def images(self) -> Callable[[str, int | None], Image | None]:
        """From the state that engines keep on disk; each file is read once."""
        from zonerss.kernel.images import Images

        return Images(self.host.roots).of
