"""How explain measures: a snapshot, and what else is to be read, one after the other.

    take a snapshot of all zones            Observer.take()
    read the payer of each of its frames    Evidence.payers()
    read the zone's bill                    Evidence.bill()
    join them                               explain.chain()

    take a snapshot of all zones            Observer.take()
    read what every frame is                Evidence.ram()
    read the kernel's counters              Evidence.counters()
    join them                               explain.machine_chain()

These are readings at three moments. Where processes of the zone came or went meanwhile, or the residual is too large,
all of it is read again, up to three times; what changed in the last attempt is reported.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property

from zonerss.answers.explain.bills import less, pays
from zonerss.answers.explain.chain import (
    Paid,
    Shares,
    chain,
    charged_frames,
    paid_frames,
    payments,
    residual_bound,
    shares_of,
)
from zonerss.answers.explain.machine import machine_chain
from zonerss.answers.explain.numbers import Facts
from zonerss.answers.explain.records import (
    Account,
    Drift,
    MachineAccount,
    Matrix,
    Payer,
    ShmemAccount,
    ZoneLook,
)
from zonerss.answers.explain.tmpfs import shmem_answer
from zonerss.answers.files import files_usage
from zonerss.census.usage import Member, zone_names
from zonerss.errors import NotKept, UnknownZone
from zonerss.evidence import Evidence
from zonerss.records import Cause, ProcessUsage, Usage, Zone
from zonerss.records.bills import Bill, Billed
from zonerss.records.files import MappedFile, OpenFiles
from zonerss.snapshot import Observer, Snapshot
from zonerss.zones.paths import ancestors, nested

ATTEMPTS = 3
COUNTERS_SECONDS = 1.1
"""What processors count for themselves is added up every second (vm.stat_interval)."""
FLUSH_SECONDS = 2.2
"""memory.stat is brought up to date every two seconds (mm/memcontrol.c, FLUSH_TIME)."""


def explain_zone(session: Observer, name: str, by: str = "zone", *, processes: bool = False) -> Account:
    """
    The chain of a zone, measured again where it changed meanwhile or the residual is too large.

    :param name: of a zone of the grouping ``by``
    :param processes: let the account's snapshot tell what each process maps
    :raises UnknownZone: there is none of that name
    """
    return _explained(session, name, by, processes)[0]


def look_at_zone(session: Observer, name: str, by: str = "zone") -> ZoneLook:
    """
    What is compared with another look at the same zone: its chain, its processes, its files.

    :param name: of a zone of the grouping ``by``
    :raises UnknownZone: there is none of that name
    """
    account, snapshot = _explained(session, name, by, processes=True)
    members = [member for member in snapshot.members if member.zones[0] == account.zone]
    return ZoneLook(account, _mapped_files(snapshot, members, account.zone), _open_files(snapshot, members))


def _mapped_files(snapshot: Snapshot, members: Sequence[Member], zone: Zone) -> dict[MappedFile, int] | None:
    try:
        holdings, _ = snapshot.ask().holdings(members)
    except NotKept:
        return None
    usages = files_usage(snapshot.parts, zone_names(snapshot.members), holdings, zone.name)
    return {usage.file: usage.bytes for usage in usages if usage.file}


def _open_files(snapshot: Snapshot, members: Sequence[Member]) -> OpenFiles | None:
    try:
        return snapshot.ask().open_files(members)
    except NotKept:
        return None


def _explained(session: Observer, name: str, by: str, processes: bool) -> tuple[Account, Snapshot]:
    """The account, and the snapshot that it was made from, with its evidence."""
    for attempt in range(1, ATTEMPTS + 1):
        snapshot = session.take((by,), "mapped", (name,), processes=processes)
        if not snapshot.zones:
            raise UnknownZone(f"the processes of the zone {name!r} left before they were walked", name)
        account = Ledger(snapshot, snapshot.ask().payers()).account(snapshot.zones[0], attempt)
        moved = account.drift is not None and account.drift.processes_changed
        if snapshot.past or attempt == ATTEMPTS or (not moved and account.chain.holds is not False):
            return account, snapshot
        del snapshot  # its frames
        if not moved:
            time.sleep(FLUSH_SECONDS)
    raise AssertionError("the last attempt returns")


class Ledger:
    """
    What the accounts of all zones of a snapshot have in common, found once: a thousand accounts cost as much as a
    thousand rows, not as a thousand times all of them.
    """

    def __init__(self, snapshot: Snapshot, billed: Sequence[Billed] | None) -> None:
        """
        :param snapshot: with its evidence
        :param billed: the payers of its frames; None: they are not told
        """
        self._snapshot, self._billed, self._evidence = snapshot, billed, snapshot.ask()
        self._bare = snapshot.without_evidence()
        zones = tuple(dict.fromkeys(member.zones[0] for member in snapshot.members))
        self._zones = {zone.name: zone for zone in zones}
        self._cgroup_of = {zone.name: zone.cgroup for zone in zones}
        self._below = nested(zones)

    def account(self, usage: Usage, attempt: int = 1) -> Account:
        """
        The chain of a zone of the snapshot, with its bill as its evidence has it.

        :param usage: the zone, of the first grouping
        """
        zone = self._zones[usage.zone]  # the name may have been given as it is shown
        below = self._below.get(zone, ())
        cgroup_bill = whole_bill(self._evidence, zone)
        bill = None if cgroup_bill is None else _own_bill(self._evidence, cgroup_bill, below)
        shares = None if self._billed is None else self._shares(zone)
        cgroups = 1 if shares is None or zone.cgroup is None else self._cgroups_that_pay[zone.cgroup]
        joined = chain(
            zone.name,
            zone.cgroup,
            usage.processes,
            usage.process_rss_bytes,
            usage.rss_bytes,
            shares,
            bill,
            residual_bound(self._evidence.processors, cgroups + (bill.dying or 0 if bill else 0)),
            self._cgroup_of,
        )
        return Account(
            self._bare,
            zone,
            usage,
            joined,
            bill,
            shares,
            None if bill is None else self._drift(zone, below, bill, usage),
            attempt,
            cgroup_bill,
            tuple(name for path in below for name in self._zones_at[path]),
        )

    def paid_for_others(self, name: str) -> int:
        """What is on a zone's bill and only other zones map, in bytes."""
        return sum(self._shares(self._zones[name]).own_only_others.values())

    def _shares(self, zone: Zone) -> Shares:
        return shares_of(
            zone.name,
            self._paid.get(zone.name, ()),
            lambda path: zone.cgroup is not None and self._payers.get(path) == zone.cgroup,
        )

    def _drift(self, zone: Zone, below: Sequence[str], bill: Bill, usage: Usage) -> Drift:
        walked, unreadable = self._walked[zone], self._unreadable
        there = self._evidence.cgroup_processes(zone.cgroup or "/", below) - unreadable
        return Drift(
            came=tuple(sorted(there - walked)),
            left=tuple(sorted(walked - there)),
            charged_bytes=(bill.charged_bytes or 0) - (usage.charged_bytes or 0),
        )

    @cached_property
    def _inodes(self) -> Mapping[int, str]:
        return self._evidence.cgroups()

    @cached_property
    def _payers(self) -> dict[str, str]:
        """
        Of each cgroup that of the zone on whose bill it is, the nearest from it up; as :func:`pays` tells.

        Cgroups that are on nobody's bill are missing.
        """
        found = {}
        for path in set(self._inodes.values()):
            nearest = next((above for above in reversed(ancestors(path)) if above in self._zones_at), None)
            if nearest is not None:
                found[path] = nearest
        return found

    @cached_property
    def _cgroups_that_pay(self) -> Counter[str]:
        """How many cgroups are on the bill of each."""
        return Counter(self._payers.values())

    @cached_property
    def _zones_at(self) -> dict[str, list[str]]:
        """The names of the zones that are a cgroup, by its path."""
        found: dict[str, list[str]] = {}
        for name, path in self._cgroup_of.items():
            if path is not None:
                found.setdefault(path, []).append(name)
        return found

    @cached_property
    def _paid(self) -> dict[str, list[Paid]]:
        """Of each zone the frames that it maps or pays for."""
        found: dict[str, list[Paid]] = {}
        names = zone_names(self._snapshot.members)
        for row in paid_frames(self._billed or (), names, lambda inode: path_of(self._inodes, inode)):
            payer = None if row.path is None else self._payers.get(row.path)
            for name in row.zones.union(() if payer is None else self._zones_at[payer]):
                found.setdefault(name, []).append(row)
        return found

    @cached_property
    def _walked(self) -> dict[Zone, set[int]]:
        """The processes of each zone."""
        found: dict[Zone, set[int]] = {}
        for member in self._snapshot.members:
            found.setdefault(member.zones[0], set()).add(member.task.pid)
        return found

    @cached_property
    def _unreadable(self) -> set[int]:
        return {gap.pid for gap in self._snapshot.gaps if gap.cause in (Cause.REFUSED, Cause.UNREADABLE)}


def paid_for_others(snapshot: Snapshot, names: Iterable[str]) -> dict[str, int]:
    """
    What is on the bills of zones and only other zones map, in bytes; empty where the payers are not told.

    :param names: of zones of the first grouping
    :raises OSError: the payers cannot be read
    """
    billed = snapshot.ask().payers()
    if billed is None:
        return {}
    ledger = Ledger(snapshot, billed)
    return {name: ledger.paid_for_others(name) for name in names}


def facts_of(account: Account, processes: Sequence[ProcessUsage], incore_bytes: int | None = None) -> Facts:
    """
    What tools make their numbers of a zone from.

    :param processes: of the zone, one of each address space
    :param incore_bytes: its getvmusage's rss; None: not known
    """
    return Facts(
        process_rss_bytes=account.usage.process_rss_bytes,
        pss_bytes=sum(process.proportional_bytes for process in processes),
        uss_bytes=sum(process.exclusive_bytes for process in processes),
        rss_bytes=account.usage.rss_bytes,
        incore_bytes=incore_bytes,
        exclusive_bytes=account.usage.exclusive_bytes,
        proportional_bytes=account.usage.proportional_bytes,
        bill=account.cgroup_bill,
    )


def explain_machine(session: Observer, by: str = "zone") -> MachineAccount:
    """
    Where the machine's memory is, measured again where counters and frames disagree: memory moved meanwhile.

    :raises CannotServe: the kernel does not tell what frames are, or what it counts
    """
    for attempt in range(1, ATTEMPTS + 1):
        snapshot = session.take((by,))
        evidence = snapshot.ask()
        before = evidence.counters()
        ram = evidence.ram()
        chain_of_all = machine_chain(ram, before, evidence.counters())
        account = MachineAccount(snapshot.without_evidence(), chain_of_all, attempt)
        if chain_of_all.holds and chain_of_all.agrees:
            break
        if attempt < ATTEMPTS:
            time.sleep(COUNTERS_SECONDS)
    return account


def explain_shmem(session: Observer, by: str = "zone") -> ShmemAccount:
    """
    What holds shared memory, who maps it, and who is charged for it.

    :raises CannotServe: the kernel does not tell what frames are
    """
    snapshot = session.take((by,))
    evidence, names = snapshot.ask(), zone_names(snapshot.members)
    zone_of_pid = {member.task.pid: names[member.owner] for member in snapshot.members}
    found = evidence.shmem()
    holdings, gaps = evidence.holdings()
    inodes = evidence.cgroups()
    answer = shmem_answer(
        found.things,
        files_usage(snapshot.parts, names, holdings),
        zone_of_pid,
        evidence.ram(payers=True),
        lambda inode: path_of(inodes, inode),
    )
    return ShmemAccount(snapshot.without_evidence(), answer, found.unseen, gaps)


def whole_bill(evidence: Evidence, zone: Zone) -> Bill | None:
    """The bill of a zone's cgroup, with all that is below it; None where it has none."""
    bill = None if zone.cgroup is None else evidence.bill(zone.cgroup)
    if bill is None or (zone.cgroup == "/" and bill.version == 1):
        return None  # version 1's root cgroup has figures, but nothing is charged to it
    # version 2's root cgroup has memory.stat, but no memory.current
    return None if bill.charged_bytes is None else bill


def _own_bill(evidence: Evidence, bill: Bill, below: Sequence[str]) -> Bill:
    inner = map(evidence.bill, below)
    return less(bill, (other for other in inner if other is not None))


def path_of(inodes: Mapping[int, str], inode: int) -> str:
    """The path of the cgroup of an inode, or words in its place."""
    return inodes.get(inode, f"(no cgroup that can be seen here, inode {inode})")


def pay_matrix(session: Observer, by: str = "zone") -> Matrix | None:
    """The matrix of zones and payers; None where the kernel does not tell the payers."""
    snapshot = session.take((by,))
    evidence = snapshot.ask()
    billed = evidence.payers()
    if billed is None:
        return None
    inodes = evidence.cgroups()
    cells = payments(paid_frames(billed, zone_names(snapshot.members), lambda inode: path_of(inodes, inode)))
    zones = tuple(dict.fromkeys(member.zones[0] for member in snapshot.members))
    payers = []
    for inode in {row.inode for row in billed}:
        anon, files = charged_frames(billed, {inode})
        path = path_of(inodes, inode) if inode else None
        removed = _removed(evidence, path, anon, files) if inode in inodes else None
        tasks = [m for m in snapshot.members if path and pays(m.task.cgroup, path, ())]
        payers.append(Payer(path, _zone_that_pays(zones, path), anon + files, removed, len(tasks)))
    payers.sort(key=lambda payer: (-payer.bytes, payer.cgroup or ""))
    return Matrix(snapshot.without_evidence(), cells, tuple(payers))


def _zone_that_pays(zones: Sequence[Zone], path: str | None) -> str | None:
    if path is None:
        return None
    below = nested(zones)
    return next((z.name for z in zones if z.cgroup and pays(path, z.cgroup, below[z])), None)


# kpagecgroup gives the nearest living ancestor as the payer of a removed cgroup's frames. The ancestor's own figures,
# which only version 1 has, do not include them.
def _removed(evidence: Evidence, path: str | None, anon: int, files: int) -> int | None:
    bill = None if path is None else evidence.bill(path)
    if bill is None or bill.own is None:
        return None
    return max(anon - bill.own.get("rss", 0), 0) + max(files - bill.own.get("mapped_file", 0), 0)
