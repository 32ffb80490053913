"""Frames from the page tables themselves, copied out of the kernel by a BPF program (bpf/pagetable.bpf.c).

The cheapest source per page, but it must be loaded first. How it works, what it needs and what it was measured to
cost: docs/pagetable.md. x86-64 and arm64: page table entries are read raw, and their layout is the processor's.

Source: kernel/bpf/task_iter.c (iter/task_vma, Linux 5.12, commit 3d7d72a34e05; one process per link, Linux 6.1,
commit f0d74c4da1f0; the address space held while it is walked, Linux 6.2 and stable, commit 7ff94f276f8e).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zonerss._core import check, ffi, lib
from zonerss.closing import Closing
from zonerss.errors import CannotServe
from zonerss.kernel.boot import boot_offset_ns
from zonerss.kernel.roots import HOST, Roots
from zonerss.units import PAGE_BYTES
from zonerss.walk.host import MOST_THREADS
from zonerss.walk.pagemap import PagemapSource

if TYPE_CHECKING:
    from zonerss._core import _lib as core
    from zonerss.walk.jobs import Begin, Walked

BUILT = hasattr(lib, "pagetable_open")
"""Whether clang and bpftool were there when zonerss was built (bpf/build)."""

# Measured (docs/pagetable.md, tests/benchmarks/bench_pagetable.py); only their ratio matters.
LOADING_NS = 4_000_000
PAGEMAP_NS_PER_PAGE = 15.0
PAGETABLE_NS_PER_PAGE = 3.5

_RAM_LINE = re.compile(r"^ *([0-9a-f]{1,16})-([0-9a-f]{1,16}) : System RAM(?: \(.*\))?$")


class NotLoaded(CannotServe):
    """The page tables cannot be read here; ``stage`` says how far it came."""

    def __init__(self, stage: str, text: str) -> None:
        super().__init__(text)
        self.stage = stage


ARCHITECTURES = ("x86_64", "aarch64")
"""Whose page tables are known, as uname(2) names them."""
STAGES = ("architecture", "built", "namespace", "ram", "bpf", "frames", "iterator", "base", "shape")
"""What must hold, in the order in which it is found out."""


def worth_loading(expected_pages: int, resident: bool) -> bool:
    """
    Whether this source will be done before pagemap, loading included.

    :param expected_pages: page table entries about to be walked, as the sum of the processes' RSS estimates them
    :param resident: it is loaded already, or will serve many snapshots
    """
    if resident:
        return True
    return expected_pages * (PAGEMAP_NS_PER_PAGE - PAGETABLE_NS_PER_PAGE) > LOADING_NS


def read_ram(roots: Roots = HOST) -> list[tuple[int, int]]:
    """
    The frames that are memory, as (first, count), in order: "System RAM" of /proc/iomem, nested lines included.

    Memory that a driver has added (DAX, CXL) is a nested "System RAM (kmem)".

    :raises NotLoaded: the file tells no addresses (they read as 0 without CAP_SYS_ADMIN)
    """
    try:
        text = (roots.proc / "iomem").read_text("ascii", "replace")
    except OSError as err:
        raise NotLoaded("ram", f"cannot read {roots.proc / 'iomem'}: {err.strerror}; run as root") from err
    ranges = parse_ram(text)
    if not ranges:
        raise NotLoaded("ram", f"{roots.proc / 'iomem'} tells no addresses: run as root, with CAP_SYS_ADMIN")
    return ranges


def parse_ram(text: str) -> list[tuple[int, int]]:
    """
    The whole frames of memory in /proc/iomem, as (first, count), in order; lines of anything else say nothing. Pure.

    Source: kernel/resource.c r_show().
    """
    ranges = []
    for line in text.split("\n"):
        if match := _RAM_LINE.match(line):
            first = -(-int(match[1], 16) // PAGE_BYTES)
            end = (int(match[2], 16) + 1) // PAGE_BYTES
            if end > first:
                ranges.append((first, end - first))
    return sorted(ranges)


class PageTableSource(Closing):
    """The BPF program, loaded: a source of frames for as long as it is open. Use it as a context manager.

    Holds two programs and two maps (128 KiB for each worker) in the kernel, which go when it is closed or when
    the process ends, however it ends.
    """

    name = "pagetable"
    divides = True

    def __init__(self, roots: Roots = HOST, workers: int | None = None) -> None:
        """
        Load it.

        :param workers: how many threads may walk side by side; None: one for each processor that we may use
        :raises NotLoaded: the kernel or our privileges do not allow it, or it was not built; the text says which
        """
        _require_here(roots)
        self._roots = roots
        ram = read_ram(roots)
        stage = ffi.new("int *")
        handle = ffi.new("struct pagetable **")
        ranges = ffi.new("struct frame_range[]", ram)
        try:
            pagemap_fd = os.open(roots.proc / "self" / "pagemap", os.O_RDONLY)
        except OSError as err:
            raise NotLoaded("frames", f"cannot open {roots.proc / 'self/pagemap'}: {err.strerror}") from err
        options = ffi.new("struct pagetable_options *")
        options.ram, options.ram_ranges = ranges, len(ram)
        options.workers = workers or min(len(os.sched_getaffinity(0)), MOST_THREADS)
        options.boot_offset_ns, options.pagemap_fd = boot_offset_ns(roots), pagemap_fd
        try:
            error = lib.pagetable_open(options, stage, handle)
        finally:
            os.close(pagemap_fd)
        if error:
            raise NotLoaded(*self._why(stage[0], -error))
        self._handle = handle[0]

    def _why(self, stage: int, error: int) -> tuple[str, str]:
        said = os.strerror(error)
        if stage == lib.PAGETABLE_SETUP:
            return "bpf", f"there is no memory to load the BPF program into ({said})"
        if stage == lib.PAGETABLE_LOAD and error == errno.EPERM:
            return "bpf", (
                f"the kernel refuses bpf() ({said}): CAP_BPF and CAP_PERFMON (or CAP_SYS_ADMIN) are missing, "
                "or a seccomp filter or lockdown forbids it"
            )
        if stage == lib.PAGETABLE_LOAD:
            return "bpf", (
                f"the kernel does not take the BPF program ({said}): it needs Linux 6.1 or later, built with "
                "CONFIG_DEBUG_INFO_BTF and CONFIG_BPF_JIT"
            )
        if stage == lib.PAGETABLE_OLD_ITERATOR:
            return "iterator", (
                "this kernel's BPF iterator does not hold on to the memory that it walks, so a process that "
                "exits could crash it: it needs Linux 6.2, or 6.1 with its fixes"
            )
        if stage == lib.PAGETABLE_HIDDEN:
            return "frames", "the kernel hides frame numbers from us: CAP_SYS_ADMIN is missing"
        if stage == lib.PAGETABLE_BASE:
            return "base", (
                f"where the kernel maps all memory was not found ({said}); is it locked down to confidentiality?"
            )
        if stage == lib.PAGETABLE_BEYOND:
            return (
                "shape",
                "there is memory at addresses that this processor's page tables write in another way",
            )
        if stage == lib.PAGETABLE_PROTNONE:
            return "shape", (
                "how the kernel writes a page that may not be touched was not found: its page tables are not known"
            )
        return "shape", "our own page table did not read back as pagemap has it: this kernel's are not known"

    def begin(self, request: core.walk_request, ret: Any) -> int:
        """Begin a walk; see :data:`zonerss.walk.jobs.Begin`."""
        if self._handle is None:
            raise ValueError("the source is closed")
        return lib.pagetable_walk(self._handle, request, ret)

    def again(self, found: Sequence[Walked]) -> Sequence[tuple[Begin, Sequence[int]]]:
        """
        What is to be walked once more; see :data:`zonerss.walk.jobs.Again`.

        Through pagemap: processes whose first thread has ended, where the kernel's iterator does not find other threads
        (before Linux 6.12, commit 9495a5b731fc). Anew: those with entries outside of the memory that we know, where
        memory was added since (memory-hotplug; /proc/iomem is read again).
        """
        walks: list[tuple[Begin, Sequence[int]]] = []
        if unreached := [number for number, row in enumerate(found) if row.unreached]:
            walks.append((PagemapSource().begin, unreached))
        refused = [number for number, row in enumerate(found) if row.refused]
        if refused and self._ram_has_changed():
            walks.append((self.begin, refused))
        return walks

    def _ram_has_changed(self) -> bool:
        """Whether memory came or went since it was last asked; walks that begin now know."""
        ram = read_ram(self._roots)
        ranges = ffi.new("struct frame_range[]", ram)
        return bool(
            check(lib.pagetable_set_ram(self._handle, ranges, len(ram)), "noting which frames are memory")
        )

    def counts(self) -> dict[str, int]:
        """Since it was opened: tables that could not be read, that changed hands while being copied, and reads."""
        faults, retries, reads = (ffi.new("uint64_t *") for _ in range(3))
        lib.pagetable_counts(self._handle, faults, retries, reads)
        return {"faults": faults[0], "retries": retries[0], "reads": reads[0]}

    def layout(self) -> core.entry_layout:
        """How this kernel's page table entries name frames."""
        return lib.pagetable_layout(self._handle)

    def close(self) -> None:
        """Unload it. A second call does nothing."""
        handle, self._handle = self._handle, None
        if handle is not None:
            lib.pagetable_close(handle)


def _require_here(roots: Roots) -> None:
    """What can be said without asking the kernel."""
    if os.uname().machine not in ARCHITECTURES:
        known = " and ".join(ARCHITECTURES)
        text = f"page tables of {os.uname().machine} are not known to zonerss, only those of {known}"
        raise NotLoaded("architecture", text)
    if not BUILT:
        text = (
            "zonerss was built without the BPF program: "
            "install clang, bpftool and libbpf-dev, and build zonerss again"
        )
        raise NotLoaded("built", text)
    try:
        own = os.readlink(roots.proc / "self")
    except OSError as err:
        raise NotLoaded("namespace", f"cannot read {roots.proc / 'self'}: {err.strerror}") from err
    if own != str(os.getpid()):
        text = f"{roots.proc} shows another pid namespace than ours: run zonerss in that one"
        raise NotLoaded("namespace", text)
