"""What crosses module borders: frozen records, no I/O and no arithmetic beyond a sum of a record's own fields.

Text from the kernel (command and cgroup names) is decoded as UTF-8 with surrogateescape, so that nothing is lost
and a path can be opened again; only :mod:`zonerss.views` turns it into something that is safe to print.
Unknown is None, never 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from zonerss.plain import dataclass, field


@dataclass(frozen=True, slots=True)
class Task:
    """One process, as it was listed. pid and start_ticks together identify it: pids are reused."""

    pid: int
    start_ticks: int
    """Clock ticks after boot at which it started."""
    uid: int | None
    """Real user id; None where it was not asked for."""
    euid: int | None
    """Effective user id; None where it was not asked for."""
    command: str
    """The kernel's comm: at most 15 bytes, of any kind."""
    cgroup: str
    """Path in the hierarchy that carries the memory controller, beginning with a slash."""
    rss_pages: int
    """The kernel's counter, batched per cpu: used to estimate the work, not as a result."""
    walk_tid: int
    """The thread to read memory through: the pid, or a living thread where the leader has ended."""
    size_bytes: int = 0
    """Virtual size."""
    stack_start: int = 0
    """Address of the start of its stack: with the size, a hint that two processes share an address space."""
    cgroup_text: int = 0
    """Which of the listing's /proc/PID/cgroup texts is its own."""
    threads: int = 1
    """How many it has."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A set of processes that is asked about: a container, a service, a cgroup, a user."""

    name: str
    """What people call it; unique within a grouping."""
    cgroup: str | None = None
    """The cgroup whose charge is this zone's; None where a zone is no cgroup (users, the root's own processes)."""
    id: str | None = None
    """The full id where the name holds a shortened one or stands for one: a container's 64 digits."""
    kind: str = "cgroup"
    """What it is: docker, podman, pod, service, scope, session, cgroup, global, user, command, ..."""


class Cause(StrEnum):
    """Why something could not be seen."""

    EXITED = "exited"
    """The process left before or while it was walked."""
    EXECED = "exec"
    """It replaced its address space while it was walked."""
    BEGAN = "began"
    """It began after the processes were listed and so was not walked."""
    MOVED = "moved"
    """It changed its cgroup while it was walked; it counts where it was listed."""
    REUSED = "reused"
    """Its pid belongs to another process by now."""
    REFUSED = "refused"
    """The kernel does not let us read it."""
    BUSY = "busy"
    """It could not be read in time: its memory was locked, its page tables kept changing under the reader, or its
    mappings are much larger than what is in them and the kernel has no PAGEMAP_SCAN."""
    OUTSIDE = "outside"
    """Page tables lead outside of the memory that /proc/iomem lists: to a DAX device, say."""
    UNREADABLE = "unreadable"
    """Reading failed for another reason, which the detail gives."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a snapshot does not cover."""

    pid: int
    step: str
    """Where it was met: list, open, maps, pagemap, cgroup, tables."""
    cause: Cause
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Caveat:
    """Something about a whole snapshot that its reader must know."""

    name: str
    """pid_namespace: only the processes of one pid namespace are in it. cgroups: some or all cgroups, or
    their memory controller, cannot be seen, or they are spelled from within a cgroup namespace. names: ids
    stand for some names."""
    text: str
    """The sentence to print; it may hold names that users chose."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What one zone, or all of them together, use. All in bytes."""

    zone: str
    cgroup: str | None
    id: str | None
    kind: str
    processes: int
    process_rss_bytes: int
    """The sum of the processes' own RSS: counts a shared page once per process, so it is too much."""
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int
    hugetlb_bytes: int
    exclusive_bytes: int | None
    """Mapped by no other zone: what ends with it. None where only some zones were walked."""
    proportional_bytes: int | None
    """Each page divided by the number of zones that map it; rounded to a byte. None likewise."""
    swap_bytes: int
    """Swap slots that its page tables point at, each once."""
    charged_bytes: int | None
    """What the kernel bills its cgroup: memory.current, or usage_in_bytes on version 1."""
    limit_bytes: int | None = None
    """The smallest memory.max, or limit_in_bytes, from its cgroup up to the root. None: none, or not known."""
    high_bytes: int | None = None
    """The smallest memory.high likewise: above it the kernel slows the cgroup down. Version 2 only."""
    pressure_some: float | None = None
    """Percent of the last ten seconds in which a task of its cgroup waited for memory (PSI). Version 2 only."""
    pressure_full: float | None = None
    """Likewise: in which all of its tasks that were not idle waited."""
    oom_kills: int | None = None
    """Processes killed since its cgroup was made. Version 2: also in cgroups below it that are no zones of their own;
    version 1: in the cgroup itself."""
    cache_unmapped_bytes: int | None = None
    """Page cache and shared memory on its bill that no process maps, in any zone: file - file_mapped of memory.stat,
    which may lag by 64 pages a processor for each cgroup; huge pages that are mapped in part may count as mapped."""
    dead_cgroups_bytes: int | None = None
    """Version 1: on its bill and charged to cgroups that were removed, kernel memory apart. Version 2 does not tell."""
    dying_cgroups: int | None = None
    """Version 2: how many cgroups below it were removed and are still charged or referred to."""
    uncertainty_bytes: int | None = None
    """How far rss can be from its value at any one moment of the walk (docs/motion.md). None: not known."""

    @property
    def rss_bytes(self) -> int:
        """Every frame that the zone maps, once (getvmusage's rule)."""
        return self.anon_bytes + self.file_bytes + self.shmem_bytes

    @property
    def shared_bytes(self) -> int | None:
        """What other zones map, too. None where exclusive_bytes is."""
        return None if self.exclusive_bytes is None else self.rss_bytes - self.exclusive_bytes


CONTROLS = (
    "limit_bytes",
    "high_bytes",
    "pressure_some",
    "pressure_full",
    "oom_kills",
    "cache_unmapped_bytes",
    "dead_cgroups_bytes",
    "dying_cgroups",
)
"""The fields of :class:`Usage` that only the files of its cgroup tell."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the memory controller's files is worth reading."""

    fields: frozenset[str] = frozenset(CONTROLS)
    least_bytes: int = 0
    """cache_unmapped_bytes is not asked for where the charge is not so much above rss, nor dead_cgroups_bytes where it
    is less: they would not matter. They are then None. 0: ask always."""


@dataclass(frozen=True, slots=True)
class Grouping:
    """The zones of one --by."""

    by: str
    zones: tuple[Usage, ...]


MAPCOUNT_CLASSES: tuple[tuple[int, int | None], ...] = ((1, 1), (2, 2), (3, 9), (10, 99), (100, None))
"""How often a page is mapped, least and most, in classes; None: no end. As enum mapcount_class of the core has them."""


@dataclass(frozen=True, slots=True)
class Mapcounts:
    """Frames of memory (anon, file, shmem) by how many page table entries of the whole machine map them. In bytes."""

    classes_bytes: tuple[int, ...]
    """One for each of MAPCOUNT_CLASSES."""
    unknown_bytes: int
    """The kernel has only an average over the large folio that the page is of, or nobody maps it any more."""


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """What one process maps. Two processes that share an address space have the same figures."""

    pid: int
    zone: str
    uid: int | None
    command: str
    rss_bytes: int
    """Page table entries that map memory: what smaps calls Rss."""
    anon_bytes: int
    file_bytes: int
    shmem_bytes: int
    hugetlb_bytes: int
    exclusive_bytes: int
    """Frames that no other address space maps (USS)."""
    proportional_bytes: int
    """Each frame divided by the number of address spaces that map it."""
    swap_bytes: int
    size_bytes: int
    """Virtual size."""
    mapcounts: Mapcounts | None = None
    """None: not asked for, or the kernel has no /proc/kpagecount."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names of containers, pods, machines and users. A mapping may read on demand: it is asked only for what is met."""

    containers: Mapping[str, str] = field(default_factory=dict)
    """Full container id to name; of a container in a pod NAMESPACE/POD/CONTAINER."""
    rootless: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    """User id to the names of the containers that this user's own engines run; by full id again."""
    pods: Mapping[str, str] = field(default_factory=dict)
    """Pod uid as Kubernetes writes it (with dashes) to NAMESPACE/POD; podman's 64 digits to the pod's
    name."""
    machines: Mapping[str, str] = field(default_factory=dict)
    """Scope or service unit to the machine that systemd-machined has registered for it."""
    users: Mapping[int, str] = field(default_factory=dict)
    """User id to login name."""
    unread: Mapping[str, str] = field(default_factory=dict)
    """Files that are there and could not be trusted or were too much, so that ids stand for names so far, and why."""
