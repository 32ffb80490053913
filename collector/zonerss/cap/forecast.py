"""What can be had of a zone that is above its cap, and at what price. Pure.

From one walk. Each frame of the zone is in one class, and the classes add up to its rss; what of them can be had is the
rule of :func:`obtainable`, which the policy goes by, too: it asks for nothing that is not foretold here.
"""

from __future__ import annotations

from zonerss.cap.records import KINDS, ByKind, Cap, Classes, Look, Machine
from zonerss.plain import dataclass, replace

OVERSHOOT_PERCENT = 5
"""Of the cap, beyond the excess: else the zone would be above again at once. mcap of SmartOS did the same."""
SWAP_RESERVE = 16
"""The last 1/16 of swap is not filled."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a cap would do with a zone now."""

    zone: str
    cgroup: str | None
    cap_bytes: int
    floor_bytes: int
    excess_bytes: int
    """RSS above the cap; 0: it is not."""
    goal_bytes: int
    """What would be asked for at most."""
    classes: Classes
    at_most: ByKind
    """What page-out could take if all of it were cold: allowed, the zone's own, and with room in swap."""
    painless: ByKind | None
    """Likewise, of what is cold; None: not measured."""
    reclaimable_bytes: int
    """What memory.reclaim may be asked for besides, in steps; mostly 0: see docs/cap-policy.md."""
    swap_room_bytes: int
    """Free swap that may be filled."""
    short_bytes: int | None
    """What of the excess cannot be had without pain; None: not measured."""

    @property
    def rss_bytes(self) -> int:
        """Of the zone."""
        return self.classes.rss_bytes

    @property
    def painless_bytes(self) -> int | None:
        """What can be had without pain."""
        return None if self.painless is None else self.painless.total_bytes + self.reclaimable_bytes

    @property
    def working_set_bytes(self) -> int | None:
        """What is not known to be cold; None: not measured."""
        return self.classes.working_set_bytes


def forecast(cap: Cap, look: Look, machine: Machine) -> Forecast:
    """What could be had of a zone as it was at a look."""
    excess = max(look.rss_bytes - cap.cap_bytes, 0)
    cold = look.classes.cold
    room = swap_room(look.swap_room_bytes, machine)
    painless = None if cold is None else obtainable(cap, cold, room)
    can_reclaim = reclaimable(cap, look, machine, painless or ByKind())
    short = None if painless is None else max(excess - painless.total_bytes - can_reclaim, 0)
    return Forecast(
        zone=look.zone,
        cgroup=look.cgroup,
        cap_bytes=cap.cap_bytes,
        floor_bytes=cap.floor_bytes,
        excess_bytes=excess,
        goal_bytes=goal(cap, look.rss_bytes),
        classes=look.classes,
        at_most=obtainable(cap, look.classes.own, room),
        painless=painless,
        reclaimable_bytes=can_reclaim,
        swap_room_bytes=room,
        short_bytes=short,
    )


def without(classes: Classes, left: ByKind) -> Classes:
    """The classes of a look once so much of what it found cold was paged out."""
    own, cold = classes.own.less(left), classes.cold
    classes = replace(
        classes, own_anon_bytes=own.anon_bytes, own_file_bytes=own.file_bytes, own_shmem_bytes=own.shmem_bytes
    )
    if cold is None:
        return classes
    cold = cold.less(left)
    return replace(
        classes,
        cold_anon_bytes=cold.anon_bytes,
        cold_file_bytes=cold.file_bytes,
        cold_shmem_bytes=cold.shmem_bytes,
    )


def goal(cap: Cap, rss_bytes: int) -> int:
    """What may be taken of a zone in one round: the excess and 5 % of the cap, never below its floor. In bytes."""
    excess = rss_bytes - cap.cap_bytes
    if excess <= 0:
        return 0
    return max(min(excess + cap.cap_bytes * OVERSHOOT_PERCENT // 100, rss_bytes - cap.floor_bytes), 0)


def swap_room(limit_bytes: int | None, machine: Machine) -> int:
    """
    Free swap that may be filled with a zone's memory, in bytes.

    :param limit_bytes: what the limits of its cgroup leave; None: none limits it
    """
    room = max(machine.swap_free_bytes - machine.swap_bytes // SWAP_RESERVE, 0)
    return room if limit_bytes is None else max(min(room, limit_bytes), 0)


def obtainable(cap: Cap, pages: ByKind, room_bytes: int) -> ByKind:
    """
    Of the zone's own pages: what the rule allows to be paged out, and swap has room for; anon before shmem.

    :param room_bytes: see :func:`swap_room`
    """
    allowed = ByKind(*(pages.of(kind) if kind in cap.may else 0 for kind in KINDS))
    anon = min(allowed.anon_bytes, room_bytes)
    return ByKind(anon, allowed.file_bytes, min(allowed.shmem_bytes, room_bytes - anon))


def reclaimable(cap: Cap, look: Look, machine: Machine, first: ByKind) -> int:
    """
    What memory.reclaim may be asked for, in bytes; 0 where :func:`why_not_reclaim` has a reason.

    Of what several processes of this zone alone map, only what is known to be cold.

    :param first: what is paged out before, which takes room in swap
    """
    cold = look.classes.cold_several
    if cold is None or why_not_reclaim(cap, look, machine) is not None:
        return 0
    room = max(swap_room(look.swap_room_bytes, machine) - first.swap_backed_bytes, 0)
    return cold.file_bytes + min(cold.swap_backed_bytes, room)


def why_not_reclaim(cap: Cap, look: Look, machine: Machine) -> str | None:
    """Why memory.reclaim is not used for a zone, as a clause; None: it may be."""
    if (why := why_never_reclaim(cap, look, machine)) is not None:
        return why
    return "whether it is cold is not known" if look.classes.cold_several is None else None


def why_never_reclaim(cap: Cap, look: Look, machine: Machine) -> str | None:
    """Likewise, even if all that several processes map were known to be cold."""
    taken = {"file", "anon", "shmem"} if swap_room(look.swap_room_bytes, machine) else {"file"}
    if "reclaim" not in cap.may:
        return "the rule does not allow memory.reclaim"
    if not taken <= cap.may:
        return "memory.reclaim would take kinds that the rule does not allow"
    if not look.reclaimable:
        return "its cgroup has no memory.reclaim of its own"
    if look.billed_here_mapped_elsewhere_bytes is None:
        return "who else maps what its cgroup is charged for is not known"
    if look.billed_here_mapped_elsewhere_bytes:
        return "memory.reclaim would take pages that other zones use"
    return None


def can_be_had(cap: Cap, look: Look, machine: Machine) -> bool:
    """Whether anything of a zone could be taken if all of it were cold."""
    if obtainable(cap, look.classes.own, swap_room(look.swap_room_bytes, machine)).total_bytes:
        return True
    return bool(look.classes.several.total_bytes) and why_never_reclaim(cap, look, machine) is None
