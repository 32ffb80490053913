"""The last snapshot of a recording, close up: how each zone's numbers are joined, and who shares with whom.

It is one snapshot, of one moment, so all of its figures add up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from zonerss.answers.explain.account import Ledger, facts_of
from zonerss.answers.explain.numbers import Number, everyones
from zonerss.answers.explain.records import Account
from zonerss.answers.share import Pair, pairs, pairs_among
from zonerss.census.kinds import Kind
from zonerss.census.parts import NO_GROUP
from zonerss.census.usage import one_of_each_mm, zone_names
from zonerss.plain import dataclass
from zonerss.records import ProcessUsage, Usage
from zonerss.snapshot import Snapshot
from zonerss.units import PAGE_BYTES

HEAT_ZONES = 24
"""So many zones are set against each other: those that share most."""
MOST_PAIRS = 20
"""So many pairs of all zones are named."""


@dataclass(frozen=True, slots=True)
class Portion:
    """A zone's share of the machine's frames, each frame divided by the zones that map it. In bytes, rounded."""

    zone: str
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int

    @property
    def bytes(self) -> int:
        """All of it. The portions add up, with what zones that were not recorded share of them, to the rss of all."""
        return self.anon_bytes + self.file_bytes + self.shmem_bytes


@dataclass(frozen=True, slots=True)
class Closeup:
    """What one snapshot tells of each of its zones."""

    snapshot: Snapshot
    portions: Sequence[Portion]
    """Of the zones that were recorded, largest first."""
    rest: Portion | None
    """The share of zones that were not recorded in what these map; None: they share nothing with such zones."""
    accounts: Mapping[str, Account]
    """The chain of each zone that was asked for."""
    numbers: Mapping[str, Sequence[Number]]
    """What each tool prints of it."""
    heat_zones: Sequence[str]
    """Those that share most, most first; none where nobody shares anything."""
    heat: Sequence[Pair]
    """What each two of these both map, if anything, most first."""
    pairs: Sequence[Pair]
    """The pairs of all zones that share most."""
    pair_count: int
    """How many pairs share anything."""


def elsewhere_bytes(total: Usage) -> int | None:
    """
    The share of zones that were not recorded in what those map that were; 0 where all of them were.

    :param total: all that were recorded together
    """
    proportional = total.proportional_bytes
    return None if proportional is None else max(total.rss_bytes - proportional, 0)


def closeup(snapshot: Snapshot, wanted: Collection[str]) -> Closeup:
    """
    A snapshot with its evidence and its processes, close up.

    :param wanted: the zones whose chains and numbers are asked for; those that are not in it are passed over
    """
    names = zone_names(snapshot.members)
    sharing = sorted(
        (usage for usage in snapshot.zones if usage.shared_bytes),
        key=lambda usage: (-(usage.shared_bytes or 0), usage.zone),
    )
    heat_zones = [usage.zone for usage in sharing[:HEAT_ZONES]]
    most, count = pairs(snapshot.parts, names, MOST_PAIRS)
    accounts = _accounts(snapshot, set(wanted))
    of_zone, portions = _address_spaces(snapshot), _portions(snapshot)
    return Closeup(
        snapshot,
        portions,
        _rest(snapshot, portions),
        accounts,
        {name: everyones(facts_of(account, of_zone.get(name, ()))) for name, account in accounts.items()},
        heat_zones,
        pairs_among(snapshot.parts, names, heat_zones) if heat_zones else (),
        most,
        count,
    )


def _accounts(snapshot: Snapshot, wanted: Collection[str]) -> dict[str, Account]:
    ledger = Ledger(snapshot, snapshot.ask().payers())
    return {usage.zone: ledger.account(usage) for usage in snapshot.zones if usage.zone in wanted}


def _address_spaces(snapshot: Snapshot) -> dict[str, list[ProcessUsage]]:
    """Of each zone one process of each address space."""
    zone_of = {member.task.pid: member.zones[0].name for member in one_of_each_mm(snapshot.members)}
    found: dict[str, list[ProcessUsage]] = {}
    for process in snapshot.processes or ():
        if process.pid in zone_of:
            found.setdefault(zone_of[process.pid], []).append(process)
    return found


def _portions(snapshot: Snapshot) -> list[Portion]:
    number: dict[str, int] = {}
    group_of = [NO_GROUP] * snapshot.parts.owners
    for member in snapshot.members:
        group_of[member.owner] = number.setdefault(member.zones[0].name, len(number))
    sums = snapshot.parts.project(group_of, len(number)).sums()
    found = [
        Portion(
            usage.zone, *(round(sums[number[usage.zone]].proportional[kind] * PAGE_BYTES) for kind in _KINDS)
        )
        for usage in snapshot.zones
    ]
    return sorted(found, key=lambda portion: (-portion.bytes, portion.zone))


def _rest(snapshot: Snapshot, portions: Sequence[Portion]) -> Portion | None:
    if not elsewhere_bytes(snapshot.total):
        return None
    total = snapshot.total
    whole = total.anon_bytes, total.file_bytes, total.shmem_bytes
    told = zip(*((one.anon_bytes, one.file_bytes, one.shmem_bytes) for one in portions), strict=True)
    return Portion("", *(max(all_ - sum(part), 0) for all_, part in zip(whole, told, strict=True)))


_KINDS = (Kind.ANON, Kind.FILE, Kind.SHMEM)
