"""Where the machine's memory is: a sum, or a document."""

from __future__ import annotations

from typing import Any

from zonerss.answers.explain.machine import Check, MachineChain, Part
from zonerss.answers.explain.records import MachineAccount
from zonerss.views.columns import sizes
from zonerss.views.document import gap_list, header
from zonerss.views.footer import remarks
from zonerss.views.table import render_rows
from zonerss.views.text import printable

_SAYS = {
    "zones_anon": "zones: private memory that no file backs",
    "zones_file": "zones: files",
    "zones_shmem": "zones: tmpfs, memfd, shared memory",
    "zones_hugetlb": "zones: hugetlb pages",
    "zones_kernel": "zones: buffers and rings that drivers and the kernel share with processes",
    "others_anon": "private memory of processes that were not walked",
    "others_file": "files that only processes map that were not walked",
    "others_shmem": "shared memory that only processes map that were not walked",
    "others_hugetlb": "hugetlb pages that only processes map that were not walked",
    "file_not_mapped": "page cache of files that nobody maps",
    "shmem_not_mapped": "tmpfs and shared memory that nobody maps",
    "anon_not_mapped": "anonymous memory that no page table maps: swap cache, rests of huge pages, pinned pages",
    "hugetlb_not_mapped": "hugetlb pages of files that nobody maps",
    "hugetlb_reserved": "hugetlb pages that are free and promised to mappings",
    "hugetlb_free": "hugetlb pages that are free",
    "slab": "slab: inodes, dentries and other objects of the kernel",
    "kmalloc_pages": "kmalloc: objects of the kernel that take whole pages",
    "page_tables": "page tables",
    "kernel_stacks": "kernel stacks",
    "vmalloc": "vmalloc: modules, BPF programs, tables",
    "percpu": "per-cpu memory of the kernel",
    "second_level_page_tables": "page tables of virtual machines and devices",
    "compressed": "compressed memory: zram and compressed swap",
    "unaccepted": "memory that this virtual machine has not accepted yet",
    "free_batches": "free, held ready by processors",
    "no_counter": "pages of the kernel that it does not count: drivers, sockets, pipes",
    "balloon": "given back to the hypervisor",
    "poisoned": "broken: taken out of use",
    "huge_zero_page": "the huge zero page",
    "deferred": "free, and the kernel has not set up its records of these frames yet",
    "free": "free",
}
_WITHIN = {
    "tcp_sockets": "buffers of TCP sockets",
    "udp_sockets": "buffers of UDP sockets",
    "compressed_swap": "compressed swap",
    "reclaimable_slab": "slab that can be reclaimed",
    "dirty": "page cache to be written",
    "locked": "locked into memory",
    "vdso": "pages of the kernel's image that zones map (vdso)",
}
"""What lies in the steps above; the last one in what was reserved at boot."""


def render(account: MachineAccount, in_bytes: bool = False) -> list[str]:
    """The chain as a column of sums, one line a step, and remarks below it."""
    chain, size = account.chain, sizes(in_bytes)
    rows = [
        ["", size(chain.ram_bytes), "RAM"],
        ["-", size(chain.reserved_bytes), "reserved at boot: the kernel's image, its records of all frames"],
        ["=", size(chain.memory_bytes), "memory that the kernel manages (MemTotal). Of it:"],
    ]
    rows += [["", size(part.bytes), _SAYS.get(part.name, part.name)] for part in chain.parts]
    rows.append(
        [
            _sign(chain),
            size(abs(chain.unaccounted_bytes)),
            _unaccounted(chain, size(chain.unaccounted_bound_bytes)),
        ]
    )
    table = render_rows(["", "BYTES" if in_bytes else "SIZE", "WHAT"], rows, [True, False, True], prose=True)
    machine = account.snapshot.machine
    name = f"machine {printable(machine.host_name)}" if machine else "machine"
    return [name, "", *table, "", *_remarks(account, in_bytes)]


def _sign(chain: MachineChain) -> str:
    return "-" if chain.unaccounted_bytes < 0 else ""


def _unaccounted(chain: MachineChain, bound: str) -> str:
    if chain.holds:
        return f"unaccounted for (within what counters may be behind, {bound})"
    return f"UNACCOUNTED FOR (more than counters may be behind, {bound})"


def _remarks(account: MachineAccount, in_bytes: bool) -> list[str]:
    chain, size, lines = account.chain, sizes(in_bytes), []
    if agreeing := [check for check in chain.checks if check.agrees]:
        bound = max(check.bound_bytes for check in agreeing)
        names = ", ".join(check.counter for check in agreeing)
        lines.append(f"/proc/meminfo says the same, within {size(bound)}: {names}.")
    lines += [_disagreement(check, in_bytes) for check in chain.checks if not check.agrees]
    if chain.within:
        lines.append(
            f"Contained above: {', '.join(_within(part, size(part.bytes)) for part in chain.within)}."
        )
    return [*lines, *remarks(account.snapshot)]


def _disagreement(check: Check, in_bytes: bool) -> str:
    size = sizes(in_bytes)
    return (
        f"/proc/meminfo says otherwise of {check.counter}: {size(check.counter_bytes)}; frames say "
        f"{size(check.frames_bytes)}. That is more than the {size(check.bound_bytes)} that it may be behind; "
        "where much memory changes hands, it does so while frames are looked at."
    )


def _within(part: Part, size: str) -> str:
    return f"{_WITHIN.get(part.name, part.name)} {size}"


def document(account: MachineAccount) -> dict[str, Any]:
    """``zonerss.machine/1``: all steps + unaccounted_bytes = memory_bytes = ram_bytes - reserved_bytes."""
    chain = account.chain
    return header("zonerss.machine/1", account.snapshot) | {
        "ram_bytes": chain.ram_bytes,
        "reserved_bytes": chain.reserved_bytes,
        "memory_bytes": chain.memory_bytes,
        "steps": [_fields(part) for part in chain.parts],
        "unaccounted_bytes": chain.unaccounted_bytes,
        "unaccounted_bound_bytes": chain.unaccounted_bound_bytes,
        "holds": chain.holds,
        "checks": [
            {
                "counter": check.counter,
                "counter_bytes": check.counter_bytes,
                "frames_bytes": check.frames_bytes,
                "bound_bytes": check.bound_bytes,
                "agrees": check.agrees,
            }
            for check in chain.checks
        ],
        "within": [_fields(part) for part in chain.within],
        "attempts": account.attempts,
        "gaps": gap_list(account.snapshot.gaps),
    }


def _fields(part: Part) -> dict[str, Any]:
    return {"step": part.name, "bytes": part.bytes, "source": part.source}
