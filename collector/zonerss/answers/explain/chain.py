"""From the sum of process RSS to what the kernel charges, one exact step at a time. Pure.

    sum of process RSS
      - frames counted again: mapped by several processes of the zone      = the zone's rss
      - frames that are charged to other cgroups, each named
      - frames that are charged to no cgroup
      + page cache of this cgroup that no process maps
      + anonymous memory of this cgroup that no process walked maps
      + kernel memory
      + frames charged to this cgroup that only other zones map, each named
      + the residual                                                       = memory.current

Every mapped frame has at most one payer (/proc/kpagecgroup), every payer one bill (memory.stat), so the steps add up
but for the residual: charges that each processor holds in stock. The residual is computed as what is left over.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping

from zonerss.census.kinds import Kind, rss_of
from zonerss.plain import dataclass
from zonerss.records.bills import Bill, Billed
from zonerss.units import pages_to_bytes

BATCH_PAGES = 64
"""Pages that may be charged in advance for each processor (MEMCG_CHARGE_BATCH, include/linux/memcontrol.h)."""
STOCKS = 7
"""For how many cgroups a processor does so: one until Linux 6.15, then 7 (NR_MEMCG_STOCK, mm/memcontrol.c)."""

# Version 2's memory.stat: kernel memory by what it is for. The first word is the step's name.
_KERNEL_PARTS = {
    "page_tables": "pagetables",
    "second_level_page_tables": "sec_pagetables",
    "kernel_stacks": "kernel_stack",
    "slab": "slab",
    "percpu": "percpu",
    "vmalloc": "vmalloc",
    "zswap": "zswap",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the chain."""

    name: str
    bytes: int
    """Signed."""
    cgroup: str | None = None
    """The other cgroup, where the step is about one."""
    zones: tuple[str, ...] = ()
    """The zones that map these frames, where they are not the zone that is explained."""


@dataclass(frozen=True, slots=True)
class Chain:
    """A zone's numbers, joined by steps: process_rss_bytes + all steps + residual_bytes = charged_bytes."""

    zone: str
    cgroup: str | None
    processes: int
    process_rss_bytes: int
    rss_bytes: int
    steps: tuple[Step, ...]
    charged_bytes: int | None
    """None where the zone has no bill of its own; the chain then ends before it."""
    residual_bytes: int | None
    residual_bound_bytes: int | None

    @property
    def holds(self) -> bool | None:
        """Whether the residual is within its bound; None where there is none."""
        if self.residual_bytes is None or self.residual_bound_bytes is None:
            return None
        return abs(self.residual_bytes) <= self.residual_bound_bytes


@dataclass(frozen=True, slots=True)
class Shares:
    """Frames by the zones that map them and by their payers, seen from one zone."""

    to_others: Mapping[str, int]
    """Mapped by the zone and charged to another cgroup: bytes by its path."""
    to_nobody_bytes: int
    own_only_others: Mapping[tuple[str, ...], int]
    """On the zone's bill, and mapped only by these other zones."""
    own_anon_bytes: int
    """On the zone's bill and mapped by any zone."""
    own_file_bytes: int
    """Likewise: files and shared memory."""
    own_shmem_bytes: int
    """Of it: shared memory."""


@dataclass(frozen=True, slots=True)
class Paid:
    """Frames that the same zones map and the same cgroup is charged for."""

    zones: frozenset[str]
    path: str | None
    """Of the cgroup; None: they are charged to none."""
    pages: tuple[int, ...]
    """By kind."""


def paid_frames(
    billed: Iterable[Billed], zone_of_owner: Mapping[int, str], path_of: Callable[[int], str]
) -> list[Paid]:
    """
    All frames of a census by zones and payer.

    :param billed: the same by set of owners and payer
    :param zone_of_owner: the zone of each owner that has one
    :param path_of: what to call the cgroup of an inode, not 0
    """
    return [
        Paid(
            frozenset(zone_of_owner[owner] for owner in row.owners if owner in zone_of_owner),
            path_of(row.inode) if row.inode else None,
            tuple(row.pages),
        )
        for row in billed
    ]


def shares_of(zone: str, paid: Iterable[Paid], is_own: Callable[[str], bool]) -> Shares:
    """
    Sort mapped frames by how they concern a zone.

    :param paid: all of a census, or at least those that the zone maps or pays for
    :param is_own: whether a cgroup's charges are on the zone's bill
    """
    to_others: Counter[str] = Counter()
    only_others: dict[tuple[str, ...], int] = defaultdict(int)
    nobody = anon = files = shmem = 0
    for row in paid:
        size = pages_to_bytes(rss_of(row.pages))
        if row.path is not None and is_own(row.path):
            anon += pages_to_bytes(row.pages[Kind.ANON])
            files += pages_to_bytes(row.pages[Kind.FILE] + row.pages[Kind.SHMEM])
            shmem += pages_to_bytes(row.pages[Kind.SHMEM])
            if zone not in row.zones and size:
                only_others[tuple(sorted(row.zones))] += size
        elif zone in row.zones and size:
            if row.path is None:
                nobody += size
            else:
                to_others[row.path] += size
    return Shares(dict(to_others), nobody, dict(only_others), anon, files, shmem)


def kernel_steps(bill: Bill) -> list[Step]:
    """Kernel memory on a bill: by purpose on version 2, one sum on version 1."""
    if bill.version == 1:
        return [] if bill.kernel_bytes is None else [Step("kernel", bill.kernel_bytes)]
    parts = [Step(name, bill.stat[key]) for name, key in _KERNEL_PARTS.items() if bill.stat.get(key)]
    if bill.kernel_bytes is not None:
        parts.append(Step("other_kernel", bill.kernel_bytes - sum(step.bytes for step in parts)))
    parts += [Step(name, bill.stat[key]) for name, key in _BESIDE_KERNEL.items() if bill.stat.get(key)]
    return parts


# Version 2: charged, but in none of anon, file and kernel. hugetlb: only if the hierarchy is mounted with
# memory_hugetlb_accounting (Linux 6.6). On version 1 sockets have a bill of their own (memory.kmem.tcp).
_BESIDE_KERNEL = {"sockets": "sock", "hugetlb": "hugetlb"}


def unmapped_bytes(bill: Bill) -> int:
    """
    Anonymous pages on the bill that no page table maps: in the swap cache, the unmapped rest of a huge page, or
    unmapped while the kernel holds them (buffers that io_uring registered, pages in a pipe).

    The LRU lists hold all anonymous and file pages, mapped or not. They lag by pages in per-cpu batches; where they are
    behind what is mapped and cached, there is nothing to tell.
    """
    lists = ("active_anon", "inactive_anon", "active_file", "inactive_file", "unevictable")
    return max(
        sum(bill.stat.get(name, 0) for name in lists) - (bill.anon_bytes or 0) - (bill.cache_bytes or 0), 0
    )


def residual_bound(cpus: int, cgroups: int) -> int:
    """
    How much of a charge may be stock, in bytes.

    :param cpus: processors of the machine
    :param cgroups: how many cgroups are on the bill
    """
    return pages_to_bytes(BATCH_PAGES * cpus * max(1, min(cgroups, STOCKS)))


def chain(
    zone: str,
    cgroup: str | None,
    processes: int,
    process_rss_bytes: int,
    rss_bytes: int,
    shares: Shares | None,
    bill: Bill | None,
    bound_bytes: int,
    cgroup_of_zone: Mapping[str, str | None],
) -> Chain:
    """
    Join a zone's numbers.

    :param shares: None where the kernel does not tell which cgroup a frame is charged to
    :param bill: None where the zone has none
    :param bound_bytes: of the residual
    :param cgroup_of_zone: the cgroup of each zone that is one
    """
    steps = [Step("counted_again", rss_bytes - process_rss_bytes)]
    if shares is not None:
        steps += [
            Step("billed_to_others", -size, path)
            for path, size in sorted(shares.to_others.items(), key=lambda item: (-item[1], item[0]))
        ]
        steps.append(Step("billed_to_nobody", -shares.to_nobody_bytes))
        if bill is not None:
            steps += _billed(shares, bill, cgroup_of_zone)
    charged = None if bill is None or shares is None else bill.charged_bytes
    return Chain(
        zone=zone,
        cgroup=cgroup,
        processes=processes,
        process_rss_bytes=process_rss_bytes,
        rss_bytes=rss_bytes,
        steps=tuple(steps),
        charged_bytes=None if bill is None else bill.charged_bytes,
        residual_bytes=None if charged is None else charged - process_rss_bytes - sum(s.bytes for s in steps),
        residual_bound_bytes=None if charged is None else bound_bytes,
    )


def _billed(shares: Shares, bill: Bill, cgroup_of_zone: Mapping[str, str | None]) -> list[Step]:
    steps = []
    if bill.cache_bytes is not None:
        steps.append(Step("cache_not_mapped", bill.cache_bytes - shares.own_file_bytes))
    if bill.anon_bytes is not None:
        steps.append(Step("anon_not_seen", bill.anon_bytes - shares.own_anon_bytes))
    if left := unmapped_bytes(bill):
        steps.append(Step("anon_not_mapped", left))
    steps += kernel_steps(bill)
    for zones, size in sorted(shares.own_only_others.items(), key=lambda item: (-item[1], item[0])):
        cgroup = cgroup_of_zone.get(zones[0]) if len(zones) == 1 else None
        steps.append(Step("mapped_by_others", size, cgroup, zones))
    return steps


@dataclass(frozen=True, slots=True)
class Payment:
    """One cell of the matrix: what one zone maps and one cgroup is charged for."""

    zone: str
    cgroup: str | None
    """None: charged to no cgroup."""
    bytes: int
    exclusive_bytes: int
    """Of it: mapped by no other zone."""


def payments(paid: Iterable[Paid]) -> tuple[Payment, ...]:
    """The matrix of zones and payers, by zone and then largest first."""
    sizes: Counter[tuple[str, str | None]] = Counter()
    exclusive: Counter[tuple[str, str | None]] = Counter()
    for row in paid:
        size = pages_to_bytes(rss_of(row.pages))
        if not size:
            continue
        for zone in row.zones:
            sizes[zone, row.path] += size
            exclusive[zone, row.path] += size if len(row.zones) == 1 else 0
    found = [Payment(zone, path, size, exclusive[zone, path]) for (zone, path), size in sizes.items()]
    return tuple(sorted(found, key=lambda p: (p.zone, -p.bytes, p.cgroup or "")))


def charged_frames(billed: Iterable[Billed], inodes: Collection[int]) -> tuple[int, int]:
    """Mapped frames that are charged to some cgroups: bytes of anonymous memory, and of files and shared memory."""
    anon = files = 0
    for row in billed:
        if row.inode in inodes:
            anon += pages_to_bytes(row.pages[Kind.ANON])
            files += pages_to_bytes(row.pages[Kind.FILE] + row.pages[Kind.SHMEM])
    return anon, files
