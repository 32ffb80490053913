"""What `explain` finds, as records."""

from __future__ import annotations

from dataclasses import dataclass

from zonerss.answers.explain.chain import Chain, Payment, Shares
from zonerss.records import Usage, Zone
from zonerss.records.bills import Bill
from zonerss.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Drift:
    """What changed between the walk and the reading of the bill."""

    came: tuple[int, ...]
    """Processes that are in the zone now and were not walked."""
    left: tuple[int, ...]
    """Processes that were walked and are not there any more."""
    charged_bytes: int
    """By how much the bill grew."""

    @property
    def processes_changed(self) -> bool:
        """Whether any came or left."""
        return bool(self.came or self.left)


@dataclass(frozen=True, slots=True)
class Account:
    """One zone, explained."""

    snapshot: Snapshot
    zone: Zone
    usage: Usage
    chain: Chain
    bill: Bill | None
    """The zone's own: without the zones below it."""
    shares: Shares | None
    """Who pays for what; None where the kernel does not say who pays for a frame."""
    drift: Drift | None
    """None where the zone has no bill."""
    attempts: int


@dataclass(frozen=True, slots=True)
class Payer:
    """One cgroup that pays for mapped frames."""

    cgroup: str | None
    """None: nobody pays."""
    zone: str | None
    """The zone on whose bill it is."""
    bytes: int
    """Frames that anybody maps and it pays for."""
    removed_bytes: int | None
    """Of it: charges of cgroups below it that were removed, which outlive them. None: the kernel does not say."""
    processes: int
    """In it and below it."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Who pays for what each zone maps."""

    snapshot: Snapshot
    payments: tuple[Payment, ...]
    payers: tuple[Payer, ...]
    """Largest first."""
