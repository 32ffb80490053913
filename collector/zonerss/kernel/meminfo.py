"""The machine's memory in one read of /proc/meminfo.

Source: proc_meminfo(5); fs/proc/meminfo.c meminfo_proc_show(). Shmem is part of Cached (NR_FILE_PAGES). VmallocUsed
counts pages since Linux 5.3, and kernel stacks are among them wherever the kernel has CONFIG_VMAP_STACK (x86-64: the
default since 4.9). Percpu since 4.20, KReclaimable 4.20, SecPageTables 6.1, Hugetlb 4.17.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from zonerss.errors import KernelFormatError
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.pressure import read_pressure
from zonerss.kernel.roots import Roots
from zonerss.records.machine import Machine


def parse_meminfo(text: bytes, path: str = "/proc/meminfo") -> dict[str, int]:
    """
    Its lines by name: bytes where the kernel writes kB, plain numbers otherwise (HugePages_Total).

    :raises KernelFormatError: a line is not of this form; gives path, number and the raw line
    """
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, colon, rest = line.partition(b":")
        value, *unit = rest.split() or (b"",)
        figure = whole_number(value)
        if not (name and colon and figure is not None and unit in ([], [b"kB"])):
            raise KernelFormatError(f"{path}:{number}: not of the form NAME: NUMBER kB: {line!r}")
        found[name.decode("ascii", "backslashreplace")] = figure * (1024 if unit else 1)
    return found


def read_meminfo(roots: Roots) -> dict[str, int]:
    """
    :func:`parse_meminfo` of the kernel's.

    :raises OSError: it cannot be read
    :raises KernelFormatError: it is not of the form that we know
    """
    path = roots.proc / "meminfo"
    return parse_meminfo(path.read_bytes(), str(path))


def read_machine(roots: Roots) -> Machine | None:
    """
    What the kernel says of the machine's memory: two files read; None where there is no meminfo.

    :raises KernelFormatError: a file is not of the form that we know
    """
    try:
        meminfo = read_meminfo(roots)
    except OSError:
        return None
    if not {"MemTotal", "MemFree", "Cached"} <= meminfo.keys():
        return None
    pressure = read_pressure(roots)
    return Machine(
        memory_bytes=meminfo["MemTotal"],
        free_bytes=meminfo["MemFree"],
        available_bytes=meminfo.get("MemAvailable"),
        page_cache_bytes=meminfo["Cached"] + meminfo.get("Buffers", 0) - meminfo.get("Shmem", 0),
        shmem_bytes=meminfo.get("Shmem", 0),
        kernel_bytes=kernel_bytes(meminfo),
        hugetlb_bytes=hugetlb_bytes(meminfo),
        swap_bytes=meminfo.get("SwapTotal", 0),
        swap_free_bytes=meminfo.get("SwapFree", 0),
        pressure_some=pressure.some,
        pressure_full=pressure.full,
        host_name=os.uname().nodename,
    )


def kernel_bytes(meminfo: Mapping[str, int]) -> int:
    """
    Memory that the kernel has counters for as its own.

    Kernel stacks count once: they are part of VmallocUsed, and where they are not (no CONFIG_VMAP_STACK), the larger
    of the two stands for both.
    """
    names = ("Slab", "PageTables", "SecPageTables", "Percpu")
    other_reclaimable = meminfo.get("KReclaimable", 0) - meminfo.get("SReclaimable", 0)
    return (
        sum(meminfo.get(name, 0) for name in names)
        + max(other_reclaimable, 0)
        + max(meminfo.get("VmallocUsed", 0), meminfo.get("KernelStack", 0))
    )


def hugetlb_bytes(meminfo: Mapping[str, int]) -> int:
    """All hugetlb pools; before Linux 4.17 only that of the default size is told."""
    default = meminfo.get("HugePages_Total", 0) * meminfo.get("Hugepagesize", 0)
    return meminfo.get("Hugetlb", default)
