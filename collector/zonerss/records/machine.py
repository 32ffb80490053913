"""The memory of the whole machine, as the kernel's counters tell it and frame by frame: records."""

from __future__ import annotations

from collections.abc import Mapping

from zonerss.plain import dataclass


@dataclass(frozen=True, slots=True)
class Machine:
    """What /proc/meminfo, /proc/pressure/memory and uname(2) say. All in bytes but pressure and name.

    The figures are of different counters, so they need not add up: ``zonerss explain`` without a zone has the chain
    that does.
    """

    memory_bytes: int
    """All memory that the kernel manages (MemTotal): what firmware and the kernel's image hold is not in it."""
    free_bytes: int
    """MemFree."""
    available_bytes: int | None
    """What programs could get without swapping (MemAvailable); an estimate of the kernel's."""
    page_cache_bytes: int
    """Files on disk and block devices, mapped or not: Cached + Buffers - Shmem."""
    shmem_bytes: int
    """Shmem: tmpfs, memfds, System V segments and shared anonymous memory, mapped or not."""
    kernel_bytes: int
    """Slab, other reclaimable kernel memory, page tables, kernel stacks, per-cpu memory and vmalloc. Pages that the
    kernel takes one by one (drivers, sockets) are in none of these counters."""
    hugetlb_bytes: int
    """The hugetlb pools of all sizes, in use or not (Hugetlb)."""
    swap_bytes: int
    """SwapTotal."""
    swap_free_bytes: int
    pressure_some: float | None
    """Percent of the last ten seconds in which some task waited for memory; None: this kernel does not tell."""
    pressure_full: float | None
    """Likewise: in which no task ran because all waited."""
    host_name: str
    """As the kernel has it, in our UTS namespace."""


@dataclass(frozen=True, slots=True)
class RamCharge:
    """Frames that one cgroup is charged for."""

    inode: int
    """Of the cgroup's directory; 0: charged to no cgroup."""
    mapped: bool
    """By anybody."""
    pages: tuple[int, ...]
    """Of anon, file, shmem and hugetlb pages."""


@dataclass(frozen=True, slots=True)
class RamPages:
    """What every frame of the machine is: base pages, each in one of these. Found by one pass over /proc/kpageflags.

    Tuples are of anon, file, shmem and hugetlb pages, as :class:`zonerss.census.kinds.Kind` has them.
    """

    zones: tuple[int, ...]
    """Mapped by the zones of a census."""
    others: tuple[int, ...]
    """Mapped by processes that the census has not walked: gaps, and what began since."""
    bare: tuple[int, ...]
    """Mapped by nothing."""
    zones_kernel: int
    """Mapped by zones, and of no page cache: buffers and rings of drivers and of the kernel."""
    zones_reserved: int
    """Mapped by zones, and never the allocator's: the vdso."""
    reserved: int
    """Never the allocator's: the kernel's image, the records of all frames, firmware, holes between memory."""
    free: int
    slab: int
    page_tables: int
    offline: int
    """Given back to the hypervisor."""
    poisoned: int
    zero: int
    """The huge zero page."""
    kernel: int
    """Their flags do not say for what they are: vmalloc, stacks, per-cpu memory, drivers, free pages that processors
    hold ready, and memory of which the kernel has not set up its records yet."""
    charges: tuple[RamCharge, ...] | None = None
    """Who is charged for ``zones``, ``others`` and ``bare``; None: not asked for, or the kernel does not tell."""


@dataclass(frozen=True, slots=True)
class HugetlbPool:
    """The hugetlb pages of one size."""

    size_bytes: int
    pages: int
    free: int
    reserved: int
    """Of the free ones: promised to mappings that have not touched them yet."""
    surplus: int


@dataclass(frozen=True, slots=True)
class Counters:
    """What the kernel counts of its memory, read at one time."""

    meminfo: Mapping[str, int]
    """/proc/meminfo, in bytes but for HugePages_*."""
    present_pages: int
    """Frames of memory, without holes."""
    managed_pages: int
    """Of them: the allocator's. MemTotal, unless that counts memory, too, of which the kernel has no records yet."""
    batched_pages: int
    """Free pages that processors hold ready, which are not in MemFree."""
    compressed_pages: int
    """Of zsmalloc: zram's and compressed swap's."""
    drift_pages: int
    """How far a counter can be behind: what processors have not added to it yet."""
    hugetlb: tuple[HugetlbPool, ...]
    stacks_in_vmalloc: bool | None
    """Whether VmallocUsed contains the kernel stacks (CONFIG_VMAP_STACK); None: it could not be told."""
    socket_bytes: Mapping[str, int]
    """Memory of sockets by protocol, on the whole machine: tcp, udp. It lies in slab and in pages without a counter."""
