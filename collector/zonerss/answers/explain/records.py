"""What explain finds: records."""

from __future__ import annotations

from collections.abc import Mapping

from zonerss.answers.explain.chain import Chain, Payment, Shares
from zonerss.answers.explain.machine import MachineChain
from zonerss.answers.explain.tmpfs import ShmemAnswer
from zonerss.plain import dataclass
from zonerss.records import Gap, Usage, Zone
from zonerss.records.bills import Bill
from zonerss.records.files import MappedFile, OpenFiles
from zonerss.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Drift:
    """What changed between the walk and the reading of the charge."""

    came: tuple[int, ...]
    """Processes that are in the zone now and were not walked."""
    left: tuple[int, ...]
    """Processes that were walked and are not there any more."""
    charged_bytes: int
    """By how much the charge grew."""

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
    """None where the kernel does not tell which cgroup a frame is charged to."""
    drift: Drift | None
    """None where the zone has no bill."""
    attempts: int
    cgroup_bill: Bill | None
    """The zone's whole cgroup's, zones below it included: what other tools print. None where it has none."""
    below: tuple[str, ...]
    """The zones below it."""


@dataclass(frozen=True, slots=True)
class ZoneLook:
    """One of two looks at a zone, to be compared with the other one. The account's snapshot has processes."""

    account: Account
    files: Mapping[MappedFile, int] | None
    """What the zone maps of each file, in bytes. None: not known."""
    opened: OpenFiles | None
    """What its processes hold open. None: not known."""


@dataclass(frozen=True, slots=True)
class Payer:
    """One cgroup that is charged for mapped frames."""

    cgroup: str | None
    """None: charged to no cgroup."""
    zone: str | None
    """The zone whose bill it is on."""
    bytes: int
    """Mapped frames that are charged to it."""
    removed_bytes: int | None
    """Of it: left by removed cgroups below it, whose charges outlive them. None: the kernel does not tell."""
    processes: int
    """In it and below it."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Which cgroup is charged for what each zone maps."""

    snapshot: Snapshot
    payments: tuple[Payment, ...]
    payers: tuple[Payer, ...]
    """Largest first."""


@dataclass(frozen=True, slots=True)
class MachineAccount:
    """The whole machine, explained."""

    snapshot: Snapshot
    chain: MachineChain
    attempts: int


@dataclass(frozen=True, slots=True)
class ShmemAccount:
    """Shared memory, explained."""

    snapshot: Snapshot
    answer: ShmemAnswer
    unseen: tuple[str, ...]
    """What could not be looked at, a sentence each."""
    gaps: tuple[Gap, ...]
    """Processes whose mapped files could not be read."""
