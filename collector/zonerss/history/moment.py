"""What is kept of one look at the machine.

One walk, by zone and by cgroup, with processes and the files of the memory controller; then, of the same frames, who
pays for them and which files they hold; then the bills. The walk tells address spaces apart. A moment does not: its
owners are the pairs of a zone and a cgroup in it, for no answer asks for more, and there are a tenth as many parts.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence

from zonerss.census.parts import NO_GROUP
from zonerss.census.usage import Member
from zonerss.errors import CannotServe
from zonerss.evidence import Evidence
from zonerss.history.images import KnownImages
from zonerss.history.regroup import Regrouped
from zonerss.kernel.boot import Uptime, read_boot_id, read_uptime
from zonerss.kernel.capper import read_said
from zonerss.kernel.roots import HOST
from zonerss.plain import dataclass, replace
from zonerss.records import Gap, Task
from zonerss.records.bills import Bill, Billed
from zonerss.records.files import Holdings, OpenFile
from zonerss.records.images import Image
from zonerss.snapshot import Observer, Snapshot
from zonerss.zones.paths import ancestors

MUCH_BYTES = 1 << 20
"""Less page cache is not looked for."""
_MOST_SECONDS = 10.0
"""Of one look at open files, but for the zone that is being asked."""
MOST_SAID_BYTES = 1 << 20
"""What a capper says is kept if it is no longer: it is so long for some 600 zones under a cap."""
MOST_FILES = 5
"""Of a zone."""
_SELDOM = 50
GROUPINGS = ("zone", "cgroup")
"""What a moment is grouped by. Ways that follow from a process's cgroup can be derived from it."""

_STATS = """
anon file kernel kernel_stack pagetables sec_pagetables percpu sock vmalloc shmem zswap zswapped file_mapped file_dirty
file_writeback swapcached anon_thp file_thp shmem_thp inactive_anon active_anon inactive_file active_file unevictable
slab_reclaimable slab_unreclaimable slab hugetlb
cache rss rss_huge mapped_file dirty writeback swap
"""
KEPT_STATS = frozenset(_STATS.split())
"""What is kept of memory.stat: memory. The rest counts events, or repeats limits."""


REPORTED_STATS = frozenset(("slab", "sock"))
"""Of these, what a report looks at."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What is kept of one look: enough to ask share, whatif and explain about it later."""

    snapshot: Snapshot
    """By zone and by cgroup, with processes and controls, without frames. Owners are the pairs of a zone and the cgroup
    of a process; members are all processes. Of a task there is what identifies and places it, and its size."""
    holdings: Holdings | None
    """By the set numbers of snapshot.parts. None: not kept."""
    holding_gaps: tuple[Gap, ...]
    billed: tuple[Billed, ...] | None
    """Owners as of snapshot.parts. None: not kept, or the kernel does not tell."""
    cgroups: Mapping[int, str]
    """The paths of all cgroups that could be seen, by Billed.inode. None are kept where the payers are not."""
    bills: Mapping[str, Bill]
    """By cgroup: of each zone's, and of each that pays. Those without a memory controller are missing."""
    charged: Mapping[str, int]
    """By cgroup: of each that holds a process, and of those above it. In bytes."""
    ipc_namespaces: Mapping[int, int]
    """By pid, where it is not the recorder's own."""
    users: Mapping[int, str]
    """Names of the users that were met."""
    containers: Mapping[str, str]
    """Names of the zones that have an id, by full id."""
    host_name: str
    boot_id: str
    """The UUID of the boot; empty: not known."""
    processors: int
    uptime: Uptime
    """When the walk had ended, by clocks that nobody sets."""
    capper: str | None = None
    """What the capper that ran then said of itself, for :func:`zonerss.cap.status.kept_status`. None: none ran, or it
    is not known."""
    images: Mapping[str, Image] | None = None
    """Of what containers were made, by full id; those that are not known are missing. None: not kept."""
    open_files: tuple[OpenFile, ...] | None = None
    """Of zones with page cache that nobody maps: the files of which most is cached, of those that their processes hold
    open; the pid tells the zone. None: not looked at this time, for it takes long."""


def take_moment(session: Observer, lean: bool = False, zone: Sequence[str] = ()) -> Moment:
    """
    Look at the machine once and take along what can be asked about it later.

    :param lean: leave out which files parts hold, who pays for them, and IPC namespaces: what has to be read process by
        process or frame by frame
    :param zone: names of zones: only these are shown, with the same figures as among all
    :raises UnknownZone: there is no zone of that name
    """
    full = session.take(GROUPINGS, zone=zone or None, processes=True, controls=True)
    uptime, asked = read_uptime(), full.ask()
    coarse, members = _coarse(full)
    billed = None if lean else asked.payers()
    held, gaps = (None, ()) if lean else asked.holdings()
    opened = None if lean else OPEN_FILES.look(full)
    snapshot = replace(full.without_evidence(), parts=coarse.parts, members=members)

    inodes = {} if billed is None else asked.cgroups()
    payers = {row.inode: inodes[row.inode] for row in billed or () if row.inode in inodes}
    zones = {member.zones[0] for member in full.members}
    billable = sorted({*payers.values(), *(zone.cgroup for zone in zones if zone.cgroup is not None)})
    uids = {uid for member in full.members for uid in (member.task.uid, member.task.euid) if uid is not None}
    return Moment(
        snapshot=snapshot,
        holdings=None if held is None else coarse.holdings(held),
        holding_gaps=gaps,
        billed=None if billed is None else coarse.billed(billed),
        cgroups=inodes,
        bills={path: _kept_bill(bill) for path in billable if (bill := asked.bill(path)) is not None},
        charged=_charges(asked, {member.task.cgroup for member in full.members}),
        ipc_namespaces={} if lean else _ipc_namespaces(asked, full.members),
        users={uid: name for uid in sorted(uids) if (name := asked.names.users.get(uid))},
        containers={zone.id: zone.name for zone in sorted(zones, key=lambda zone: zone.name) if zone.id},
        host_name=full.machine.host_name if full.machine else os.uname().nodename,
        boot_id=read_boot_id(HOST),
        processors=asked.processors,
        uptime=uptime,
        capper=_capper(),
        images=IMAGES.of(zones, asked.images),
        open_files=opened,
    )


def _capper() -> str | None:
    try:
        said = read_said()
    except CannotServe:  # the moment is not about it
        return None
    return None if said is None or len(said) > MOST_SAID_BYTES else said.decode("ascii", "replace")


class Seldom:
    """Looks at open files, which takes a look at each descriptor: no more than a fiftieth of the time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """:param clock: seconds, never going back"""
        self._clock = clock
        self._due = -math.inf

    def look(self, full: Snapshot) -> tuple[OpenFile, ...] | None:
        """What of the files that are held open is cached; None: it is not due yet, or cannot be looked at."""
        began = self._clock()
        if began < self._due:
            return None
        much = {usage.zone for usage in full.zones if (usage.cache_unmapped_bytes or 0) >= MUCH_BYTES}
        members: dict[str, list[Member]] = {}
        for member in full.members:
            if member.zones[0].name in much:
                members.setdefault(member.zones[0].name, []).append(member)
        found: list[OpenFile] = []
        try:
            for some in members.values():
                if self._clock() - began >= _MOST_SECONDS:
                    break  # of the other zones no file is told
                files = full.ask().open_files(some).files
                found += [file for file in files[:MOST_FILES] if file.cached_bytes >= MUCH_BYTES]
        except CannotServe:
            return None
        finally:
            now = self._clock()
            self._due = now + (now - began) * _SELDOM
        return tuple(found)


OPEN_FILES, IMAGES = Seldom(), KnownImages()
"""Of this program."""


def member_order(member: Member) -> tuple[str, int]:
    """How the members of a moment are sorted."""
    return member.zones[0].name, member.task.pid


def _coarse(full: Snapshot) -> tuple[Regrouped, tuple[Member, ...]]:
    """The parts and members of a walk with an owner for each combination of zones, rather than each address space."""
    ordered = sorted(full.members, key=member_order)
    number = {zones: n for n, zones in enumerate(dict.fromkeys(member.zones for member in ordered))}
    group_of = [NO_GROUP] * full.parts.owners
    for member in ordered:
        group_of[member.owner] = number[member.zones]
    members = (
        replace(member, owner=group_of[member.owner], task=kept_task(member.task)) for member in ordered
    )
    return Regrouped(full.parts, group_of, len(number)), tuple(members)


def kept_task(task: Task) -> Task:
    """A task without what only helps to walk it."""
    return Task(
        pid=task.pid,
        start_ticks=task.start_ticks,
        uid=task.uid,
        euid=task.euid,
        command=task.command,
        cgroup=task.cgroup,
        rss_pages=0,
        walk_tid=task.pid,
        size_bytes=task.size_bytes,
    )


def _kept_bill(bill: Bill) -> Bill:
    return replace(bill, stat=_kept_stat(bill.stat), own=None if bill.own is None else _kept_stat(bill.own))


def _kept_stat(stat: Mapping[str, int]) -> dict[str, int]:
    return {name: value for name, value in stat.items() if name in KEPT_STATS}


def _charges(asked: Evidence, cgroups: Iterable[str]) -> dict[str, int]:
    paths = sorted({above for path in cgroups for above in ancestors(path)})
    return {path: charge for path in paths if (charge := asked.charged(path)) is not None}


def _ipc_namespaces(asked: Evidence, members: Iterable[Member]) -> dict[int, int]:
    found = {member.task.pid: asked.ipc_namespace(member.task.pid) for member in members}
    return {pid: space for pid, space in found.items() if space is not None}
