"""The memory of the whole machine as the kernel's own counters tell it: records."""

from __future__ import annotations

from dataclasses import dataclass


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
