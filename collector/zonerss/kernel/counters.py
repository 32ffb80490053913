"""What the kernel counts of its memory beside /proc/meminfo, in one reading.

Source: proc(5); mm/vmstat.c zoneinfo_show_print() (present, managed, pagesets, vm stats threshold, nr_zspages);
Documentation/admin-guide/mm/hugetlbpage.rst (/sys/kernel/mm/hugepages); net/ipv4/proc.c sockstat_seq_show(), whose
mem is the whole machine's, in pages; mm/vmalloc.c vmalloc_info_show() and kernel/fork.c, which allocates stacks by
vmalloc with CONFIG_VMAP_STACK (Linux 4.9).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.meminfo import read_meminfo
from zonerss.kernel.roots import Roots
from zonerss.records.machine import Counters, HugetlbPool
from zonerss.units import pages_to_bytes

_FIGURE = re.compile(rb"^ *(present|managed|nr_zspages|count:|vm stats threshold:) +(\d+)$", re.MULTILINE)
_SOCKETS = re.compile(r"^(TCP|UDP): .*\bmem (\d+)", re.MULTILINE)
_POOL = re.compile(r"hugepages-(\d+)kB")
_STACKS = (b"kernel_clone", b"copy_process", b"dup_task_struct", b"alloc_thread_stack", b"fork_idle")
"""Who allocates a stack, as /proc/vmallocinfo names it; which one depends on what the compiler inlined."""


class Zoneinfo(NamedTuple):
    """Sums over the kernel's memory zones, in pages."""

    present: int
    managed: int
    compressed: int
    batched: int
    drift: int


def parse_zoneinfo(text: bytes, path: str = "/proc/zoneinfo") -> Zoneinfo:
    """
    The figures of all memory zones (DMA32, Normal, ...) together.

    :raises KernelFormatError: there is no figure of present or of managed pages in it
    """
    sums = {name: 0 for name in (b"present", b"managed", b"nr_zspages", b"count:", b"vm stats threshold:")}
    for name, value in _FIGURE.findall(text):
        sums[name] += int(value)
    if not (sums[b"present"] and sums[b"managed"]):
        raise KernelFormatError(f"{path}: no present and managed pages in it: {text[:200]!r}")
    return Zoneinfo(*sums.values())


def read_counters(roots: Roots) -> Counters:
    """
    All of it as it is now.

    :raises CannotServe: /proc/meminfo or /proc/zoneinfo cannot be read
    :raises KernelFormatError: one of them is not of the form that we know
    """
    path = roots.proc / "zoneinfo"
    try:
        zoneinfo = parse_zoneinfo(path.read_bytes(), str(path))
        meminfo = read_meminfo(roots)
    except OSError as err:
        raise CannotServe(f"the kernel's counters of memory cannot be read: {err}") from err
    return Counters(
        meminfo=meminfo,
        present_pages=zoneinfo.present,
        managed_pages=zoneinfo.managed,
        batched_pages=zoneinfo.batched,
        compressed_pages=zoneinfo.compressed,
        drift_pages=zoneinfo.drift,
        hugetlb=_pools(roots),
        stacks_in_vmalloc=_stacks_in_vmalloc(roots),
        socket_bytes=_sockets(roots),
    )


def _pools(roots: Roots) -> tuple[HugetlbPool, ...]:
    """Largest pages first; none where the kernel has no hugetlb."""
    pools = []
    try:
        directories = list((roots.sys / "kernel" / "mm" / "hugepages").iterdir())
    except OSError:
        return ()
    for directory in directories:
        if size := _POOL.fullmatch(directory.name):
            names = ("nr_hugepages", "free_hugepages", "resv_hugepages", "surplus_hugepages")
            pools.append(HugetlbPool(int(size[1]) * 1024, *(_number(directory / name) for name in names)))
    return tuple(sorted(pools, key=lambda pool: -pool.size_bytes))


def _stacks_in_vmalloc(roots: Roots) -> bool | None:
    """Whether some area of vmalloc is a kernel stack: each thread has one."""
    try:
        with open(roots.proc / "vmallocinfo", "rb") as areas:
            return any(name in area for area in areas for name in _STACKS)
    except OSError:
        return None


def _sockets(roots: Roots) -> dict[str, int]:
    try:
        text = (roots.proc / "net" / "sockstat").read_text()
    except OSError:
        return {}
    return {name.lower(): pages_to_bytes(int(pages)) for name, pages in _SOCKETS.findall(text)}


def _number(path: Path) -> int:
    text = path.read_bytes()
    if not text.strip().isdigit():
        raise KernelFormatError(f"{path}: not a number: {text!r}")
    return int(text)
