"""Where the machine's memory is: from all of it to nothing, one step at a time. Pure.

    RAM: frames of memory                                        /proc/zoneinfo, present
      - what the allocator never had                             present less managed
      = MemTotal                                                 managed, and what is to be
      - what zones map, by kind                                  the census
      - what processes map that were not walked                  /proc/kpagecount
      - page cache, tmpfs and anonymous memory that nobody maps  /proc/kpageflags
      - slab, page tables, hugetlb, balloon, free, ...           /proc/kpageflags
      - stacks, vmalloc, per-cpu memory, ...                     counters: flags do not tell these
      - the rest of the frames that no flag explains             drivers, sockets, pipes
      = unaccounted

Each frame is in one class, so what changes meanwhile is not counted twice and not left out. Where the kernel counts the
same in another way, both are compared.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from zonerss.census.kinds import Kind
from zonerss.plain import dataclass, replace
from zonerss.records.machine import Counters, RamPages
from zonerss.units import PAGE_BYTES, pages_to_bytes

_FLAGS = "kpageflags"


@dataclass(frozen=True, slots=True)
class Part:
    """One step: a part of the machine's memory."""

    name: str
    bytes: int
    source: str
    """Where the figure is from."""


@dataclass(frozen=True, slots=True)
class Check:
    """What the kernel counts, and the frames that should be the same."""

    counter: str
    """As /proc/meminfo calls it."""
    counter_bytes: int
    frames_bytes: int
    bound_bytes: int
    """How far the counter may be behind, and how much it changed while the frames were looked at."""

    @property
    def agrees(self) -> bool:
        """Whether the difference is within the bound."""
        return abs(self.frames_bytes - self.counter_bytes) <= self.bound_bytes


@dataclass(frozen=True, slots=True)
class MachineChain:
    """ram_bytes = reserved_bytes + memory_bytes, and memory_bytes = all parts + unaccounted_bytes."""

    ram_bytes: int
    reserved_bytes: int
    memory_bytes: int
    parts: tuple[Part, ...]
    unaccounted_bytes: int
    unaccounted_bound_bytes: int
    checks: tuple[Check, ...]
    within: tuple[Part, ...]
    """What is known to lie in some of the parts, and adds nothing to them."""

    @property
    def holds(self) -> bool:
        """Whether what is unaccounted for is within its bound."""
        return abs(self.unaccounted_bytes) <= self.unaccounted_bound_bytes

    @property
    def agrees(self) -> bool:
        """Whether all counters agree with the frames."""
        return all(check.agrees for check in self.checks)


def machine_chain(ram: RamPages, before: Counters, after: Counters) -> MachineChain:
    """
    Join frames and counters.

    :param before: read before the frames were looked at
    :param after: read after that
    """
    deferred = _deferred(ram, after)
    ram = replace(ram, kernel=ram.kernel - deferred.frames)
    managed = pages_to_bytes(after.managed_pages + deferred.free)
    present = pages_to_bytes(after.present_pages)
    parts = [*_mapped(ram), *_cached(ram), *_hugetlb(ram, after), *_kernel(ram, after), *_given(ram)]
    parts += [
        Part("deferred", pages_to_bytes(deferred.free), "zoneinfo"),
        Part("free", pages_to_bytes(ram.free), _FLAGS),
    ]
    left = managed - sum(part.bytes for part in parts)
    offline = pages_to_bytes(ram.offline)
    if offline and abs(left + offline) < abs(left):
        # Most balloons take their pages out of what the kernel manages (adjust_managed_page_count()).
        managed, left = managed + offline, left + offline
    return MachineChain(
        ram_bytes=present,
        reserved_bytes=present - managed,
        memory_bytes=managed,
        parts=tuple(part for part in parts if part.bytes),
        unaccounted_bytes=left,
        unaccounted_bound_bytes=_bound(
            before, after, lambda c: _counted(c) + pages_to_bytes(c.managed_pages)
        ),
        checks=tuple(_checks(ram, deferred.free, before, after)),
        within=tuple(part for part in _within(ram, after) if part.bytes),
    )


class _Deferred(NamedTuple):
    """Frames of which the kernel has not set up its records yet. Until then they have no flag."""

    frames: int
    free: int
    """Of them: the allocator's to be, in MemTotal and in MemFree already. The others will be reserved."""


def _deferred(ram: RamPages, counters: Counters) -> _Deferred:
    """
    What MemTotal has beyond the managed pages, and the frames that are neither managed nor reserved.

    Linux sets its records up before the first process runs (mm/mm_init.c, CONFIG_DEFERRED_STRUCT_PAGE_INIT). Kernels
    of some virtual machines do so when the memory is needed (deferred_init=lazy).
    """
    free = counters.meminfo.get("MemTotal", 0) // PAGE_BYTES - counters.managed_pages
    if free <= 0:
        return _Deferred(0, 0)
    frames = counters.present_pages - counters.managed_pages - ram.reserved - ram.zones_reserved
    frames = min(max(frames, 0), ram.kernel)
    return _Deferred(frames, min(free, frames))


def _mapped(ram: RamPages) -> list[Part]:
    names = ("anon", "file", "shmem", "hugetlb")
    zones = [
        Part(f"zones_{name}", pages_to_bytes(n), "census") for name, n in zip(names, ram.zones, strict=True)
    ]
    others = [
        Part(f"others_{name}", pages_to_bytes(n), "kpagecount")
        for name, n in zip(names, ram.others, strict=True)
    ]
    return [*zones, Part("zones_kernel", pages_to_bytes(ram.zones_kernel), "census"), *others]


def _cached(ram: RamPages) -> list[Part]:
    return [
        Part("file_not_mapped", pages_to_bytes(ram.bare[Kind.FILE]), _FLAGS),
        Part("shmem_not_mapped", pages_to_bytes(ram.bare[Kind.SHMEM]), _FLAGS),
        Part("anon_not_mapped", pages_to_bytes(ram.bare[Kind.ANON]), _FLAGS),
    ]


def _hugetlb(ram: RamPages, counters: Counters) -> list[Part]:
    """Of hugetlb pages that nothing maps: those in files, and of the free ones those that are promised."""
    bare = pages_to_bytes(ram.bare[Kind.HUGETLB])
    free = min(sum(pool.free * pool.size_bytes for pool in counters.hugetlb), bare)
    promised = min(sum(pool.reserved * pool.size_bytes for pool in counters.hugetlb), free)
    return [
        Part("hugetlb_not_mapped", bare - free, _FLAGS),
        Part("hugetlb_reserved", promised, "sysfs"),
        Part("hugetlb_free", free - promised, "sysfs"),
    ]


def _kernel(ram: RamPages, counters: Counters) -> list[Part]:
    """Slab and page tables by flags; of the frames without a flag what has a counter, and the rest."""
    counted = [Part("kmalloc_pages", _kmalloc_bytes(ram, counters), "meminfo"), *_by_counter(counters)]
    rest = pages_to_bytes(ram.kernel) - sum(part.bytes for part in counted)
    # These come and go while frames are looked at: there cannot be more of them than frames that nothing else explains.
    batches = min(pages_to_bytes(counters.batched_pages), max(rest, 0))
    return [
        Part("slab", pages_to_bytes(ram.slab), _FLAGS),
        Part("page_tables", pages_to_bytes(ram.page_tables), _FLAGS),
        *counted,
        Part("free_batches", batches, "zoneinfo"),
        Part("no_counter", max(rest - batches, 0), _FLAGS),
    ]


def _kmalloc_bytes(ram: RamPages, counters: Counters) -> int:
    """What kmalloc() took as whole pages: Slab counts it, its frames have no flag (mm/slub.c, kmalloc_large_node())."""
    return max(counters.meminfo.get("Slab", 0) - pages_to_bytes(ram.slab), 0)


def _by_counter(counters: Counters) -> list[Part]:
    meminfo = counters.meminfo
    stacks, vmalloc = meminfo.get("KernelStack", 0), meminfo.get("VmallocUsed", 0)
    if counters.stacks_in_vmalloc is not False:
        vmalloc = max(vmalloc - stacks, 0)
    return [
        Part("kernel_stacks", stacks, "meminfo"),
        Part("vmalloc", vmalloc, "meminfo"),
        Part("percpu", meminfo.get("Percpu", 0), "meminfo"),
        Part("second_level_page_tables", meminfo.get("SecPageTables", 0), "meminfo"),
        Part("compressed", pages_to_bytes(counters.compressed_pages), "zoneinfo"),
        Part("unaccepted", meminfo.get("Unaccepted", 0), "meminfo"),
    ]


def _given(ram: RamPages) -> list[Part]:
    return [
        Part("balloon", pages_to_bytes(ram.offline), _FLAGS),
        Part("poisoned", pages_to_bytes(ram.poisoned), _FLAGS),
        Part("huge_zero_page", pages_to_bytes(ram.zero), _FLAGS),
    ]


def _within(ram: RamPages, counters: Counters) -> list[Part]:
    meminfo = counters.meminfo
    sockets = [Part(f"{name}_sockets", size, "sockstat") for name, size in counters.socket_bytes.items()]
    return [
        *sockets,
        Part("compressed_swap", meminfo.get("Zswap", 0), "meminfo"),
        Part("reclaimable_slab", meminfo.get("SReclaimable", 0), "meminfo"),
        Part("dirty", meminfo.get("Dirty", 0), "meminfo"),
        Part("locked", meminfo.get("Mlocked", 0), "meminfo"),
        Part("vdso", pages_to_bytes(ram.zones_reserved), "census"),
    ]


def _checks(ram: RamPages, deferred: int, before: Counters, after: Counters) -> list[Check]:
    """
    Each counter of /proc/meminfo that counts what some classes of frames are.

    :param deferred: free frames without records yet
    """

    def all_of(kind: Kind) -> int:
        return ram.zones[kind] + ram.others[kind] + ram.bare[kind]

    def figure(*names: str) -> Callable[[Counters], int]:
        return lambda counters: sum(counters.meminfo.get(name, 0) for name in names)

    def cache(counters: Counters) -> int:
        return figure("Cached", "Buffers")(counters) - figure("Shmem")(counters)

    mapped_anon = ram.zones[Kind.ANON] + ram.others[Kind.ANON]
    rows: list[tuple[str, Callable[[Counters], int], int]] = [
        ("MemTotal", figure("MemTotal"), after.managed_pages + deferred),
        ("AnonPages", figure("AnonPages"), mapped_anon),
        ("Cached + Buffers - Shmem", cache, all_of(Kind.FILE)),
        ("Shmem", figure("Shmem"), all_of(Kind.SHMEM)),
        (
            "Slab",
            figure("Slab"),
            ram.slab + _kmalloc_bytes(ram, after) // PAGE_BYTES,
        ),  # it may be more, not less
        ("PageTables", figure("PageTables"), ram.page_tables),
        ("MemFree", figure("MemFree"), ram.free + deferred),
    ]
    if "Hugetlb" in after.meminfo:
        rows.append(("Hugetlb", figure("Hugetlb"), all_of(Kind.HUGETLB)))
    return [
        Check(name, read(after), pages_to_bytes(pages), _bound(before, after, read))
        for name, read, pages in rows
    ]


def _bound(before: Counters, after: Counters, figure: Callable[[Counters], int]) -> int:
    return pages_to_bytes(max(before.drift_pages, after.drift_pages)) + abs(figure(after) - figure(before))


def _counted(counters: Counters) -> int:
    return sum(part.bytes for part in _by_counter(counters))
