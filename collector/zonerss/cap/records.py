"""What a cap is, what is known of a zone that has one, and what may be done: records.

All sizes are in bytes, all times in nanoseconds of CLOCK_MONOTONIC. Unknown is None.
"""

from __future__ import annotations

from enum import Enum

from zonerss.plain import dataclass

KINDS = ("anon", "file", "shmem")
MAY = frozenset({*KINDS, "reclaim"})
"""What may be done under a cap: page out a kind, write memory.reclaim."""


@dataclass(frozen=True, slots=True)
class ByKind:
    """Bytes of each kind of page."""

    anon_bytes: int = 0
    """Private pages, those of private file mappings that were written to included."""
    file_bytes: int = 0
    shmem_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """All kinds."""
        return self.anon_bytes + self.file_bytes + self.shmem_bytes

    @property
    def swap_backed_bytes(self) -> int:
        """What can leave into swap only."""
        return self.anon_bytes + self.shmem_bytes

    def of(self, kind: str) -> int:
        """Bytes of a kind of :data:`KINDS`."""
        return {"anon": self.anon_bytes, "file": self.file_bytes, "shmem": self.shmem_bytes}[kind]

    def plus(self, other: ByKind) -> ByKind:
        """Kind by kind."""
        return ByKind(*(self.of(kind) + other.of(kind) for kind in KINDS))

    def less(self, other: ByKind) -> ByKind:
        """Kind by kind, none below 0."""
        return ByKind(*(max(self.of(kind) - other.of(kind), 0) for kind in KINDS))


@dataclass(frozen=True, slots=True)
class Cap:
    """A rule: which zones, how much memory they may have, what may be done about more."""

    zone: str
    """A zone's name, or a pattern of names."""
    cap_bytes: int
    floor_bytes: int = 0
    """Nothing is asked for that would leave the zone with less rss."""
    may: frozenset[str] = MAY
    """Of :data:`MAY`."""
    command: tuple[str, ...] = ()
    """What is run where a zone is over, as a list of arguments; empty: nothing."""
    origin: str = "argument"
    """Where it was given: argument, or file and line."""


@dataclass(frozen=True, slots=True)
class Classes:
    """
    What can be done about each frame of a zone; each is in one class, so they add up to rss.

    In this order: a frame that another zone maps is shared, even where it is locked, too; a locked one is no other.
    """

    shared_bytes: int
    """Other zones map it, too: cannot be had here."""
    shared_with: tuple[tuple[str, int], ...]
    """(zone, bytes of shared_bytes that it maps), most first. A frame that three zones map is told of two here."""
    locked_bytes: int
    """No page-out may touch it: mlock(2), mappings of devices, and what else madvise(2) refuses."""
    several_anon_bytes: int
    """Mapped by several processes, or several times, in this zone alone. By memory.reclaim, if at all."""
    several_file_bytes: int
    several_shmem_bytes: int
    own_anon_bytes: int
    """Mapped once on the whole machine: MADV_PAGEOUT takes it."""
    own_file_bytes: int
    own_shmem_bytes: int
    cold_anon_bytes: int | None = None
    """Of own_anon_bytes: not touched for cold_seconds at least. None: accessed bits were not cleared before."""
    cold_file_bytes: int | None = None
    cold_shmem_bytes: int | None = None
    unknown_bytes: int | None = None
    """Of own: bits are set, but could not have been cleared; counts as used."""
    cold_several_anon_bytes: int | None = None
    """
    Of several_anon_bytes: not touched for cold_seconds at least.

    MADV_COLD clears no bits of such pages. They are known to be cold only where every entry that maps them has its bit
    clear, and nothing but we has cleared bits since arming: the machine did not reclaim, nor this cgroup, no DAMON ran,
    no other zonerss cleared. None: that is not known, which counts as used.
    """
    cold_several_file_bytes: int | None = None
    cold_several_shmem_bytes: int | None = None
    cold_seconds: float | None = None
    """How long before the walk all bits had been cleared; None: they were not."""

    @property
    def own(self) -> ByKind:
        """What is mapped once."""
        return ByKind(self.own_anon_bytes, self.own_file_bytes, self.own_shmem_bytes)

    @property
    def several(self) -> ByKind:
        """What is mapped more than once, in this zone alone."""
        return ByKind(self.several_anon_bytes, self.several_file_bytes, self.several_shmem_bytes)

    @property
    def cold(self) -> ByKind | None:
        """What is cold of :attr:`own`; None: not measured."""
        return _known(self.cold_anon_bytes, self.cold_file_bytes, self.cold_shmem_bytes)

    @property
    def cold_several(self) -> ByKind | None:
        """What is known to be cold of :attr:`several`; None: nothing is known."""
        return _known(
            self.cold_several_anon_bytes, self.cold_several_file_bytes, self.cold_several_shmem_bytes
        )

    @property
    def rss_bytes(self) -> int:
        """All classes together."""
        return self.shared_bytes + self.locked_bytes + self.several.total_bytes + self.own.total_bytes

    @property
    def working_set_bytes(self) -> int | None:
        """What is not known to be cold; None: not measured."""
        if self.cold is None:
            return None
        return self.rss_bytes - self.cold.total_bytes - (self.cold_several or ByKind()).total_bytes


def _known(anon_bytes: int | None, file_bytes: int | None, shmem_bytes: int | None) -> ByKind | None:
    if anon_bytes is None or file_bytes is None or shmem_bytes is None:
        return None
    return ByKind(anon_bytes, file_bytes, shmem_bytes)


# ---- what is observed ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bound:
    """
    What a zone's rss cannot be above, cheap to read: the sum of its processes' RSS by the kernel's counters, and what
    these may lag behind.
    """

    zone: str
    at_ns: int
    bytes: int
    processes: int


@dataclass(frozen=True, slots=True)
class Look:
    """An exact walk of a zone."""

    zone: str
    cgroup: str | None
    """None: the zone is no cgroup, so nothing can be asked of one."""
    at_ns: int
    """When it began."""
    took_ns: int
    classes: Classes
    charged_bytes: int | None
    """memory.current, or memory.usage_in_bytes."""
    swap_bytes: int | None
    """What its cgroup has in swap."""
    billed_here_mapped_elsewhere_bytes: int | None
    """Charged to the zone's cgroup or one below it, and mapped by another zone: what memory.reclaim would take from it.
    None: not known, so memory.reclaim is not used."""
    reclaimable: bool
    """Its cgroup has memory.reclaim (Linux 5.19, version 2), and the processes in and below it are this zone's."""
    swap_room_bytes: int | None = None
    """What its cgroup, and those above it, may still put into swap (memory.swap.max). None: as much as there is."""
    problem: str | None = None
    """What of the zone could not be walked, as a sentence without its end; the classes are too small by that."""

    @property
    def rss_bytes(self) -> int:
        """Every frame that it maps, once."""
        return self.classes.rss_bytes


@dataclass(frozen=True, slots=True)
class Machine:
    """The whole machine."""

    at_ns: int
    memory_bytes: int
    """MemTotal."""
    used_bytes: int
    """MemTotal less MemAvailable."""
    swap_bytes: int
    """0: there is no swap."""
    swap_free_bytes: int
    reclaiming: bool
    """It looks for pages to free: pgscan_kswapd or pgscan_direct of /proc/vmstat has grown since it was asked last.
    Neither MADV_PAGEOUT nor memory.reclaim, nor a cgroup's limit, counts there (mm/vmscan.c)."""

    @property
    def used_share(self) -> float:
        """0 to 1."""
        return self.used_bytes / self.memory_bytes if self.memory_bytes else 0.0


@dataclass(frozen=True, slots=True)
class Armed:
    """Accessed bits of a zone were cleared."""

    zone: str
    at_ns: int
    """When the last of them was."""
    problem: str | None = None
    """Why they were not, as a sentence without its end."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something was taken, or tried to be."""

    zone: str
    what: str
    """page-out or reclaim."""
    at_ns: int
    """When it ended."""
    took_ns: int
    asked_bytes: int
    tried: ByKind
    """Of page-out: what was advised, whether or not it left. Less than asked, and no huge_bytes: what the look found is
    used up."""
    left: ByKind
    """Pages that left because of us: entries that were present before and are not after, of processes that live."""
    problem: str | None = None
    """Why it could not go on, as a sentence without its end."""
    left_out: tuple[str, ...] = ()
    """What it has passed over, though the rest went on: sentences without their ends."""
    large_bytes: int = 0
    """Likewise: of large folios of which other pages are in use."""
    huge_bytes: int = 0
    """How large a huge page is before which it has ended, because that is more than was still to go; 0: it has not."""

    @property
    def left_bytes(self) -> int:
        """All kinds."""
        return self.left.total_bytes


@dataclass(frozen=True, slots=True)
class Back:
    """Of the pages that left because of us since bits were cleared last (Arm): how many are present again."""

    zone: str
    at_ns: int
    of_bytes: int
    """Pages that left, those of processes that have ended since excluded."""
    back_bytes: int


@dataclass(frozen=True, slots=True)
class Ran:
    """The command of a cap was started."""

    zone: str
    at_ns: int
    problem: str | None = None
    """Why it was not, as a sentence without its end."""
    waits: bool = False
    """It was not because others have to end first: it is tried again soon."""


@dataclass(frozen=True, slots=True)
class Failed:
    """An action raised an error: a walk, or the check of what came back."""

    zone: str
    at_ns: int
    what: str
    """walk or check."""
    problem: str
    """As a sentence without its end."""


@dataclass(frozen=True, slots=True)
class Gone:
    """The zone has no process any more."""

    zone: str
    at_ns: int


Observation = Bound | Look | Armed | Step | Back | Ran | Failed | Gone


# ---- what is decided -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Action:
    """What to do next for a zone: one of the classes that follow."""

    zone: str
    why: str
    """A sentence without its end. Names in it are as the kernel gave them: to be made printable."""


@dataclass(frozen=True, slots=True)
class Wait(Action):
    """Nothing, but to read the bound again at until_ns, or when pressure wakes."""

    until_ns: int


@dataclass(frozen=True, slots=True)
class Measure(Action):
    """An exact walk: Hands.look gives a :class:`Look`."""


@dataclass(frozen=True, slots=True)
class Arm(Action):
    """Clear accessed bits: Hands.arm, then :class:`Armed`."""


@dataclass(frozen=True, slots=True)
class LookCold(Action):
    """An exact walk that tells cold pages apart: Hands.look gives a :class:`Look`, and keeps where they are."""


@dataclass(frozen=True, slots=True)
class PageOut(Action):
    """MADV_PAGEOUT of cold pages that the last :class:`LookCold` found: Hands.page_out gives a :class:`Step`."""

    bytes_by_kind: ByKind


@dataclass(frozen=True, slots=True)
class Reclaim(Action):
    """One write to memory.reclaim: Hands.reclaim gives a :class:`Step`."""

    bytes: int
    """8 MiB at most."""


@dataclass(frozen=True, slots=True)
class CheckBack(Action):
    """See what has come back: Hands.back gives a :class:`Back`."""


@dataclass(frozen=True, slots=True)
class RunCommand(Action):
    """Start the cap's command, and go on: then :class:`Ran`."""

    command: tuple[str, ...]


# ---- what is remembered ----------------------------------------------------------------------------------


class Phase(Enum):
    """Where a zone is in the round: see docs/cap-policy.md."""

    UNDER = "under"
    """Its rss is at most its cap, as far as is known."""
    OVER = "over"
    """A walk found it above."""
    ARMED = "armed"
    """Bits are cleared; pages get time to be touched."""
    TAKING = "taking"
    """Cold pages are known and being paged out."""
    SETTLING = "settling"
    """Done; what comes back will tell."""
    PAUSED = "paused"
    """Nothing is done before until_ns."""


class Pause(Enum):
    """Why a zone is left alone for a while."""

    REFAULTS = "refaults"
    """Half or more of what left came back: it is in use."""
    SHORT = "short"
    """All that is cold was taken, and it is above its cap all the same."""
    NOTHING = "nothing"
    """Nothing could be taken."""
    PROBLEM = "problem"
    """Something failed."""


@dataclass(frozen=True, slots=True)
class ZoneState:
    """What is remembered of a zone under a cap. Made anew by each observation."""

    zone: str
    cap: Cap | None = None
    """For which all this was decided. Where another one comes, pauses end."""
    phase: Phase = Phase.UNDER
    until_ns: int = 0
    """When to go on; what for depends on the phase."""
    bound: Bound | None = None
    """The latest."""
    look: Look | None = None
    """The latest."""
    over: bool = False
    """An episode lasts: the zone was found above its cap, and since then not below it by 1/128."""
    nover: int = 0
    """Episodes."""
    pout_bytes: int = 0
    """Pages that left because of us, all in all."""
    refault_bytes: int = 0
    """Of these: came back within some seconds."""
    last_action: str = ""
    """What was done or found last, as a sentence without its end; empty: nothing yet."""
    last_action_ns: int | None = None
    said: tuple[str, ...] = ()
    """Sentences without their ends that are to be said once; those that are new are last."""
    pause: Pause | None = None
    """Why it is paused."""
    pause_ns: int = 0
    """How long the last pause was; the next is twice as long. Halved by each round that has lasted."""
    rested_ns: int = 0
    """When it ended, or will."""
    tried: ByKind = ByKind()
    """Page-out was asked for it since the last look."""
    left: ByKind = ByKind()
    """Left because of us since the last look."""
    used_up: bool = False
    """The last look found no more that page-out could be asked for."""
    reclaim_bytes: int = 0
    """Asked of memory.reclaim since the last look."""
    reclaim_in_vain: bool = False
    """It took something else: it is not used before the next look."""
    out_bytes: int = 0
    """Left because of us since bits were cleared last; 0 also where it was looked at for the last time."""
    left_ns: int = 0
    """When the last of that left."""
    trouble: str = ""
    """What went wrong since the last look; empty: nothing."""
    left_out: tuple[str, ...] = ()
    """What was passed over since the last look: sentences without their ends."""
    large_bytes: int = 0
    """Likewise: of large folios of which other pages are in use."""
    huge_bytes: int = 0
    """How large a huge page is before which the last page-out has ended; 0: it has not, or there was none."""
    highest_bytes: int = 0
    """The highest bound about the time of the last look."""
    ran_ns: int | None = None
    """When the command was started last."""

    @property
    def rss_bytes(self) -> int | None:
        """By the last walk, less what has left since; None: none was needed yet."""
        return None if self.look is None else max(self.look.rss_bytes - self.left.total_bytes, 0)

    @property
    def swap_bytes(self) -> int | None:
        """By the last walk."""
        return None if self.look is None else self.look.swap_bytes


@dataclass(frozen=True, slots=True)
class Settings:
    """How the capper works, for all zones."""

    enforce: bool = False
    """Act. If not, nothing is armed, taken or run: only measured and told."""
    cold_ns: int = 3_000_000_000
    """How long a page must not have been touched to be cold."""
    threshold: float = 0.0
    """The share of the machine's memory in use below which nothing is done."""


@dataclass(frozen=True, slots=True)
class Given:
    """All that a decision depends on, but for what is remembered of the zone."""

    settings: Settings
    cap: Cap
    machine: Machine
    now_ns: int
    allowance_bytes: int | None = None
    """What may be taken of the zone where the machine's use is above the threshold; None: no threshold."""
