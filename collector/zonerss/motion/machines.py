"""What tracing has to know of the processor: where faults are seen, system calls, and how an entry names a frame.

x86_64 has tracepoints for page faults, which tell whether the page was there and the fault a write. arm64 has none:
there a program is at handle_mm_fault() (mm/memory.c), which tells that it is a write, and not whether a page was there.
So each write fault counts there as one that may have replaced a frame, those too that brought one: the bound is wider,
and still a bound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zonerss.errors import CannotServe
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass
from zonerss.walk.pagetable import PageTableSource

Place = tuple[str, str, int]
"""Of a register: a struct of the kernel, its member, and how many bytes further."""


@dataclass(frozen=True)
class Machine:
    """An architecture on which changes can be traced."""

    fault_tracepoints: tuple[str, ...]
    fault_functions: tuple[str, ...]
    """Of the kernel, to be probed; their programs are on_NAME as those of tracepoints are."""
    registers: Mapping[str, Place]
    """Arguments, by their names in bpf/churn.c: two of a function, and one of a system call."""
    mremap: int
    """Its number as a system call."""
    entries: Callable[[Roots], Mapping[str, int]]
    """How an entry names a frame: likewise."""


def _x86_64(_: Roots) -> Mapping[str, int]:
    """arch/x86/include/asm/pgtable_64.h, __swp_offset(): what is not present is inverted."""
    return {
        "FRAME_MASK": 0x000F_FFFF_FFFF_F000,
        "SWAP_INVERSION": 2**64 - 1,
        "SWAP_OFFSET_SHIFT": 9,
        "MIGRATION_MASK": 2**34
        - 1,  # the bits above tell whether the page was young or dirty (linux/swapops.h)
    }


def _aarch64(roots: Roots) -> Mapping[str, int]:
    """It depends on the kernel's version and configuration, and is found out by reading a page table of ours."""
    with PageTableSource(roots, workers=1) as source:
        found = source.layout()
    return {
        "FRAME_MASK": found.frame_mask,
        "SWAP_INVERSION": 0,
        "SWAP_OFFSET_SHIFT": found.swap_offset_shift,
        "MIGRATION_MASK": found.migration_mask,
    }


MACHINES = {
    "x86_64": Machine(
        fault_tracepoints=("page_fault_user", "page_fault_kernel"),
        fault_functions=(),
        registers={
            "FIRST_OF_FUNCTION": ("pt_regs", "di", 0),
            "THIRD_OF_FUNCTION": ("pt_regs", "dx", 0),
            "SECOND_OF_CALL": ("pt_regs", "si", 0),
        },
        mremap=25,
        entries=_x86_64,
    ),
    "aarch64": Machine(
        fault_tracepoints=(),
        fault_functions=("handle_mm_fault",),
        registers={
            "FIRST_OF_FUNCTION": ("user_pt_regs", "regs", 0),
            "THIRD_OF_FUNCTION": ("user_pt_regs", "regs", 16),
            "SECOND_OF_CALL": ("user_pt_regs", "regs", 8),
        },
        mremap=216,
        entries=_aarch64,
    ),
}
"""By their names in uname(2)."""


def machine_of(name: str) -> Machine:
    """
    What is known of it.

    :param name: as uname(2) has it
    :raises CannotServe: nothing is
    """
    try:
        return MACHINES[name]
    except KeyError:
        known = " and ".join(MACHINES)
        raise CannotServe(f"what changes can be traced on {known} only, not on {name}") from None
