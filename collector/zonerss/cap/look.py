"""Looking at zones that have a cap: what can be done about each of their frames, and what the kernel says of them.

One walk of the whole machine serves all zones, because it tells what other zones map. Where the zones were armed long
enough before, it tells also what is cold.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from zonerss.cap.records import Classes, Look, Machine
from zonerss.census.classes import ClassPages, classes
from zonerss.census.kinds import Kind
from zonerss.census.parts import NO_GROUP
from zonerss.errors import CannotServe
from zonerss.kernel.cgroupfs import MemoryHierarchy, find_memory_hierarchy
from zonerss.kernel.memcg import cgroup_inodes, read_bill, swap_room
from zonerss.kernel.meminfo import read_machine
from zonerss.kernel.reclaim import can_reclaim
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass, replace
from zonerss.records import Cause, Gap, Usage
from zonerss.snapshot import Session, Snapshot
from zonerss.units import counted, pages_to_bytes
from zonerss.walk.arming import Armed, for_classes
from zonerss.walk.payers import read_payers

if TYPE_CHECKING:
    from zonerss.walk.cold import ColdRanges

_UNSEEN = (Cause.BUSY, Cause.REFUSED, Cause.UNREADABLE)
"""Of a process that lives, and may map what we do not know of."""
_CLEARERS = frozenset({"damon", "clearing", "reclaim"})
"""Caveats of a snapshot of armed processes: others have cleared bits."""


@dataclass(frozen=True, slots=True)
class Arming:
    """How a zone was armed."""

    armed: Armed
    number: int
    """Which of ours it is."""
    scanned: int | None
    """Pages that reclaim had looked at in its cgroup until then; None: not known."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one walk has found."""

    looks: Mapping[str, Look]
    """By zone; those that have no process are missing."""
    ranges: ColdRanges | None
    """Where the cold pages are; None: nothing was armed."""


def scanned_in(hierarchy: MemoryHierarchy, cgroup: str | None) -> int | None:
    """Pages that reclaim has looked at in a cgroup; None: not known, as on version 1."""
    bill = None if cgroup is None or hierarchy.version != 2 else read_bill(hierarchy, cgroup)
    return None if bill is None else bill.stat.get("pgscan")


def machine_of(roots: Roots) -> Machine:
    """
    The whole machine; whether it reclaims is not told by one look.

    :raises CannotServe: /proc/meminfo cannot be read
    """
    found = read_machine(roots)
    if found is None:
        raise CannotServe("the kernel's counters of memory (meminfo) cannot be read: is /proc mounted?")
    available = found.free_bytes if found.available_bytes is None else found.available_bytes
    return Machine(
        at_ns=time.monotonic_ns(),
        memory_bytes=found.memory_bytes,
        used_bytes=max(found.memory_bytes - available, 0),
        swap_bytes=found.swap_bytes,
        swap_free_bytes=found.swap_free_bytes,
        reclaiming=False,
    )


def look(
    session: Session,
    roots: Roots,
    by: str,
    zones: Collection[str],
    armings: Mapping[str, Arming],
    count: int,
) -> Found:
    """
    Walk once.

    :param by: how processes are grouped into zones
    :param zones: their names
    :param armings: those of these zones that were armed, long enough ago
    :param count: how often we have armed anything until now
    :raises CannotServe: this host does not tell accessed bits
    """
    began_ns = time.monotonic_ns()
    snapshot = session.take(by, armed=_together(armings, count, zones))
    took_ns = time.monotonic_ns() - began_ns
    names = _names(snapshot)
    found = _classes(snapshot, names, zones)
    hierarchy = find_memory_hierarchy(roots)
    others_cleared = any(caveat.name in _CLEARERS for caveat in snapshot.warnings)
    problems = _problems(session, by, snapshot.gaps)
    unseen = any(problems.values()) or any(caveat.name == "pid_namespace" for caveat in snapshot.warnings)
    billed = {} if unseen else _billed(snapshot, hierarchy, roots, zones, found)
    looks = {}
    for usage in snapshot.zones:
        if usage.zone not in found:
            continue
        arming = armings.get(usage.zone)
        since = None if arming is None else arming.armed.seconds(began_ns)
        trusted = not others_cleared and _was_not_scanned(hierarchy, usage, arming)
        looks[usage.zone] = Look(
            zone=usage.zone,
            cgroup=usage.cgroup,
            at_ns=began_ns,
            took_ns=took_ns,
            classes=_in_bytes(found[usage.zone], names, since, trusted),
            charged_bytes=usage.charged_bytes,
            swap_bytes=_swap(hierarchy, usage),
            billed_here_mapped_elsewhere_bytes=billed.get(usage.zone),
            reclaimable=_is_reclaimable(hierarchy, usage, snapshot.zones),
            swap_room_bytes=None if usage.cgroup is None else swap_room(hierarchy, usage.cgroup),
            problem=problems.get(usage.zone),
        )
    ranges = session.find_cold(snapshot, armings.keys()) if armings else None
    return Found(looks, ranges)


def _together(armings: Mapping[str, Arming], count: int, zones: Collection[str]) -> Armed:
    merged = for_classes([arming.armed for arming in armings.values()], zones)
    if not armings:
        return merged
    first = min(armings.values(), key=lambda one: one.armed.done_ns)
    return replace(merged, notes=merged.notes * (count - first.number))


def _names(snapshot: Snapshot) -> list[str]:
    return sorted({member.zones[0].name for member in snapshot.members})


def _classes(snapshot: Snapshot, names: Sequence[str], zones: Collection[str]) -> dict[str, ClassPages]:
    if snapshot.touches is None:
        raise ValueError("its pages were not told apart")
    numbers = {name: number for number, name in enumerate(names)}
    group_of = [NO_GROUP] * snapshot.touches.apart.owners
    for member in snapshot.members:
        group_of[member.owner] = numbers[member.zones[0].name]
    wanted = [number for number, name in enumerate(names) if name in zones]
    return {names[group]: pages for group, pages in classes(snapshot.touches, group_of, wanted).items()}


class _Cold(TypedDict, total=False):
    cold_anon_bytes: int
    cold_file_bytes: int
    cold_shmem_bytes: int
    cold_several_anon_bytes: int
    cold_several_file_bytes: int
    cold_several_shmem_bytes: int
    unknown_bytes: int
    cold_seconds: float


def _in_bytes(
    pages: ClassPages, names: Sequence[str], cold_seconds: float | None, several_are_known: bool
) -> Classes:
    cold = _Cold()
    if cold_seconds is not None:
        cold = _Cold(
            cold_anon_bytes=pages_to_bytes(pages.cold[Kind.ANON]),
            cold_file_bytes=pages_to_bytes(pages.cold[Kind.FILE]),
            cold_shmem_bytes=pages_to_bytes(pages.cold[Kind.SHMEM]),
            unknown_bytes=pages_to_bytes(pages.unknown),
            cold_seconds=cold_seconds,
        )
    if cold_seconds is not None and several_are_known:
        cold["cold_several_anon_bytes"] = pages_to_bytes(pages.cold_several[Kind.ANON])
        cold["cold_several_file_bytes"] = pages_to_bytes(pages.cold_several[Kind.FILE])
        cold["cold_several_shmem_bytes"] = pages_to_bytes(pages.cold_several[Kind.SHMEM])
    shared = sorted(pages.shared_with.items(), key=lambda one: (-one[1], names[one[0]]))
    return Classes(
        shared_bytes=pages_to_bytes(pages.shared),
        shared_with=tuple((names[group], pages_to_bytes(count)) for group, count in shared),
        locked_bytes=pages_to_bytes(pages.locked),
        several_anon_bytes=pages_to_bytes(pages.several[Kind.ANON]),
        several_file_bytes=pages_to_bytes(pages.several[Kind.FILE]),
        several_shmem_bytes=pages_to_bytes(pages.several[Kind.SHMEM]),
        own_anon_bytes=pages_to_bytes(pages.own[Kind.ANON]),
        own_file_bytes=pages_to_bytes(pages.own[Kind.FILE]),
        own_shmem_bytes=pages_to_bytes(pages.own[Kind.SHMEM]),
        **cold,
    )


def _was_not_scanned(hierarchy: MemoryHierarchy, usage: Usage, arming: Arming | None) -> bool:
    now = scanned_in(hierarchy, usage.cgroup)
    return arming is not None and now is not None and now == arming.scanned


def _swap(hierarchy: MemoryHierarchy, usage: Usage) -> int:
    """What its cgroup has in swap; where that is not told, slots that its page tables point at."""
    bill = None if usage.cgroup is None else read_bill(hierarchy, usage.cgroup)
    return usage.swap_bytes if bill is None or bill.swap_bytes is None else bill.swap_bytes


def _is_below(cgroup: str | None, above: str) -> bool:
    return cgroup is not None and cgroup.startswith(f"{above.rstrip('/')}/")


def _is_reclaimable(hierarchy: MemoryHierarchy, usage: Usage, zones: Collection[Usage]) -> bool:
    cgroup = usage.cgroup
    if cgroup is None or cgroup == "/" or not can_reclaim(hierarchy, cgroup):
        return False
    return not any(other is not usage and _is_below(other.cgroup, cgroup) for other in zones)


def _problems(session: Session, by: str, gaps: Collection[Gap]) -> dict[str, str]:
    """What could not be walked of each zone; of processes that are in none that is known under the name of nobody."""
    unseen = {gap.pid: gap.cause for gap in gaps if gap.cause in _UNSEEN and gap.step != "cgroup"}
    if not unseen:
        return {}
    zone_of = {task.pid: zones[0].name for task, zones in session.place(by)[1]}
    found: dict[str, list[int]] = {}
    for pid in unseen:
        found.setdefault(zone_of.get(pid, ""), []).append(pid)
    return {
        zone: f"{counted(len(pids), 'process', 'processes')} could not be read"
        for zone, pids in found.items()
    }


def _billed(
    snapshot: Snapshot,
    hierarchy: MemoryHierarchy,
    roots: Roots,
    zones: Collection[str],
    found: Mapping[str, ClassPages],
) -> dict[str, int]:
    """What is charged to the cgroups of these zones and mapped by others; only where memory.reclaim may be of use."""
    wanted = {
        usage.zone: usage.cgroup
        for usage in snapshot.zones
        if usage.zone in zones
        and usage.cgroup is not None
        and any(found[usage.zone].several)
        and _is_reclaimable(hierarchy, usage, snapshot.zones)
    }
    return dict(_billed_of(snapshot, hierarchy, roots, wanted)) if wanted else {}


def _billed_of(
    snapshot: Snapshot, hierarchy: MemoryHierarchy, roots: Roots, wanted: Mapping[str, str]
) -> Iterator[tuple[str, int]]:
    touches, evidence = snapshot.touches, snapshot.evidence
    frames = getattr(evidence, "frames", None)
    payers = read_payers(frames, touches.parts, roots) if touches and frames else None
    if touches is None or payers is None:
        return
    apart, zone_of = touches.apart, {member.owner: member.zones[0].name for member in snapshot.members}
    path_of = cgroup_inodes(hierarchy)
    for zone, cgroup in wanted.items():
        inodes = {inode for inode, path in path_of.items() if path == cgroup or _is_below(path, cgroup)}
        elsewhere = 0
        for row in payers:
            if row.inode not in inodes:
                continue
            mapping = {zone_of.get(owner % apart.owners) for owner in row.owners if owner != apart.several}
            elsewhere += sum(row.pages[kind] for kind in Kind) if mapping - {zone} else 0
        yield zone, pages_to_bytes(elsewhere)
