"""What was before the kernel killed a process: who grew, what each zone had, what ending each would have given. Pure.

A kill and the looks of the minutes before it. Figures of zones are those of the looks themselves. What ending a zone
would have given is whatif on the last look. What was on the bill whose limit was hit is split: private memory of the
victim alone, what processes below the limit map else, page cache that nobody maps, kernel memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property

from zonerss.answers.whatif import WhatIf, whatif
from zonerss.census.kinds import Kind, rss_of
from zonerss.census.parts import Parts
from zonerss.census.usage import Member, zone_names
from zonerss.plain import dataclass
from zonerss.records import ProcessUsage, Usage
from zonerss.records.bills import Bill
from zonerss.records.files import Holdings
from zonerss.records.kills import Kill
from zonerss.snapshot import Snapshot
from zonerss.units import pages_to_bytes
from zonerss.zones.paths import ancestors

MOST_ENDED = 100
"""Of zones that are ended in thought: the largest."""


@dataclass(frozen=True)
class LastLook:
    """Of the last look before a kill, what is asked beside its figures."""

    snapshot: Snapshot
    """By zone and by cgroup, with processes."""
    holdings: Holdings | None
    """None: not kept; which shared memory has no name any more is then not known."""
    charged: Mapping[str, int]
    """By cgroup: of each that holds a process, and of those above it."""
    bills: Mapping[str, Bill]
    """By cgroup."""

    @cached_property
    def ended(self) -> tuple[tuple[str, WhatIf], ...]:
        """What ending each zone would have given, most first; the same for all kills after this look."""
        return _ended(self.snapshot, self.holdings or {})


@dataclass(frozen=True, slots=True)
class Grown:
    """A zone over the minutes before."""

    zone: str
    first: Usage | None
    """Of the first look; None: it was not there."""
    last: Usage | None
    """Of the last look; None: it had gone."""

    @property
    def bytes(self) -> int:
        """By how much it grew."""
        return (self.last.rss_bytes if self.last else 0) - (self.first.rss_bytes if self.first else 0)


@dataclass(frozen=True, slots=True)
class GrownProcess:
    """A process over the minutes before."""

    pid: int
    command: str
    zone: str
    first_bytes: int | None
    """rss at the first look; None: it was not there."""
    last_bytes: int | None
    """Likewise at the last look."""

    @property
    def bytes(self) -> int:
        """By how much it grew."""
        return (self.last_bytes or 0) - (self.first_bytes or 0)


@dataclass(frozen=True, slots=True)
class Account:
    """What was on the bill whose limit was hit, at the last look. In bytes; None: not known."""

    cgroup: str
    charged_bytes: int | None
    victim_bytes: int | None
    """Private memory of the victim that nobody else maps; at most, where its zone has further processes."""
    others_bytes: int
    """Private and shared memory that other processes below the limit map, and files that any of them map, the victim
    included; each frame once, whoever is charged for it."""
    cache_unmapped_bytes: int | None
    """Page cache and shared memory on the bill that no process maps."""
    kernel_bytes: int | None


@dataclass(frozen=True, slots=True)
class Autopsy:
    """One kill, and what was before it."""

    kill: Kill
    looks: tuple[Snapshot, ...]
    """In the order of time, the last one nearest to the kill; none: nothing was kept of that time."""
    grown: tuple[Grown, ...]
    """Zones, largest growth first."""
    processes: tuple[GrownProcess, ...]
    """Likewise processes; those that did not change are left out."""
    victim: ProcessUsage | None
    """At the last look; None: it was not there yet, or it is not known which process it was."""
    account: Account | None
    """None: it was no cgroup's limit, or it is not known whose."""
    ended: tuple[tuple[str, WhatIf], ...]
    """What ending each zone would have given at the last look, most first; the 100 largest zones."""
    knows_files: bool
    """False: of shared memory in ``ended`` it was not kept whether it has a name; all of it then stays."""

    @property
    def seconds_before(self) -> float | None:
        """From the end of the last look to the kill."""
        return (self.kill.time - self.looks[-1].ended).total_seconds() if self.looks else None


def autopsy(kill: Kill, looks: Sequence[Snapshot], last: LastLook | None) -> Autopsy:
    """
    What was before a kill.

    :param looks: of the time before it, in the order of time; what had not ended by then is left out
    :param last: what else is known of the last of those that had
    """
    before = tuple(look for look in looks if look.ended <= kill.time)
    if not before or last is None:
        return Autopsy(kill, before, (), (), None, None, (), False)
    snapshot = last.snapshot
    victim = next((one for one in snapshot.processes or () if one.pid == kill.pid), None)
    return Autopsy(
        kill=kill,
        looks=before,
        grown=grown(before[0].zones, before[-1].zones),
        processes=grown_processes(before[0].processes or (), before[-1].processes or ()),
        victim=victim,
        account=_account(kill, last, victim),
        ended=last.ended,
        knows_files=last.holdings is not None,
    )


def grown(first: Sequence[Usage], last: Sequence[Usage]) -> tuple[Grown, ...]:
    """By how much each zone grew from one look to another, largest growth first."""
    was, now = ({usage.zone: usage for usage in zones} for zones in (first, last))
    found = [Grown(zone, was.get(zone), now.get(zone)) for zone in dict.fromkeys((*now, *was))]
    return tuple(sorted(found, key=lambda one: (-one.bytes, one.zone)))


def grown_processes(first: Sequence[ProcessUsage], last: Sequence[ProcessUsage]) -> tuple[GrownProcess, ...]:
    """The same of processes. One that has another command than before counts as another one: pids are used again."""
    was, now = ({(one.pid, one.command): one for one in processes} for processes in (first, last))
    found = []
    for key in dict.fromkeys((*now, *was)):
        one = now.get(key) or was[key]
        sizes = [there[key].rss_bytes if key in there else None for there in (was, now)]
        found.append(GrownProcess(one.pid, one.command, one.zone, sizes[0], sizes[1]))
    return tuple(sorted((one for one in found if one.bytes), key=lambda one: (-one.bytes, one.pid)))


def choose(kills: Sequence[Kill], at: datetime | None, seconds: float) -> tuple[Kill, ...]:
    """
    The last kill, and those in the time before it. Where the clock was set between two kills, that is not known.

    :param kills: in the order of time
    :param at: the last one by then; None: of all
    """
    there = [kill for kill in kills if at is None or kill.time <= at]
    return tuple(kill for kill in there if abs((there[-1].time - kill.time).total_seconds()) <= seconds)


def _ended(snapshot: Snapshot, holdings: Holdings) -> tuple[tuple[str, WhatIf], ...]:
    names = zone_names(snapshot.members)
    largest = sorted(snapshot.zones, key=lambda usage: (-usage.rss_bytes, usage.zone))[:MOST_ENDED]
    found = [(usage.zone, whatif(snapshot.parts, names, (usage.zone,), holdings)) for usage in largest]
    return tuple(sorted(found, key=lambda one: (-one[1].freed_bytes, -one[1].reclaimable_bytes, one[0])))


def _account(kill: Kill, last: LastLook, victim: ProcessUsage | None) -> Account | None:
    cgroup = kill.limit_cgroup
    if cgroup is None:
        return None
    members = [member for member in last.snapshot.members if cgroup in ancestors(member.task.cgroup)]
    bill = last.bills.get(cgroup)
    is_below = any(member.task.pid == kill.pid for member in members)  # it may have been moved there since
    own = _own_bytes(last.snapshot, victim) if victim and is_below else None
    mapped = _mapped_bytes(last.snapshot.parts, members)
    cache = None
    if bill is not None and bill.cache_bytes is not None:
        name = "file_mapped" if bill.version == 2 else "mapped_file"
        cache = max(bill.cache_bytes - bill.stat.get(name, 0), 0)
    return Account(
        cgroup=cgroup,
        charged_bytes=last.charged.get(cgroup),
        victim_bytes=own,
        others_bytes=max(mapped - (own or 0), 0),
        cache_unmapped_bytes=cache,
        kernel_bytes=None if bill is None else bill.kernel_bytes,
    )


def _own_bytes(snapshot: Snapshot, victim: ProcessUsage) -> int:
    """Private memory that the victim alone maps; where its cgroup has more processes, no more than so much is."""
    owners = {member.owner for member in snapshot.members if member.task.pid == victim.pid}
    pages = sum(part.pages[Kind.ANON] for part in snapshot.parts if owners == set(part.owners))
    return min(victim.anon_bytes, victim.exclusive_bytes, pages_to_bytes(pages))


def _mapped_bytes(parts: Parts, members: Sequence[Member]) -> int:
    """What these processes map together, each frame once."""
    owners = {member.owner for member in members}
    pages = [0] * len(Kind)
    for part in parts:
        if not owners.isdisjoint(part.owners):
            pages = [count + more for count, more in zip(pages, part.pages, strict=True)]
    return pages_to_bytes(rss_of(pages))
