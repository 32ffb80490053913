"""What this host offers to a walk: found once, by pages of our own, and the same for every walk after that."""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING

from zonerss._core import ffi, lib
from zonerss.errors import CannotServe, FramesHidden, UsageError
from zonerss.kernel.cgroup_namespace import cgroup_namespace_caveats
from zonerss.kernel.hugepages import hugetlb_pool_pages, hugetlb_sizes, pmd_pages
from zonerss.kernel.namespaces import namespace_caveats, shows_our_pids
from zonerss.kernel.patience import PATIENCE_SECONDS
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass
from zonerss.records import Caveat
from zonerss.units import PAGE_BYTES

if TYPE_CHECKING:
    from zonerss._core import _lib as core

_PFN_MASK = (1 << 55) - 1
_PRESENT = 1 << 63
_MOST_HUGETLB_SIZES = 8  # struct walk_host
_UNKNOWN = (1 << 64) - 1  # of struct walk_host, hugetlb_pool
_MFD_HUGE_SHIFT = 26  # include/uapi/linux/memfd.h
MOST_THREADS = 64
_FEW_THREADS = 8
_PAGES_OF_A_THREAD = 250_000
"""What takes one thread a millisecond or more to walk: more than to start it."""


@dataclass(frozen=True, slots=True)
class Host:
    """What was found."""

    roots: Roots
    threads: int
    """How many processes are walked side by side, at most."""
    patience_seconds: float
    """How long a process may make us wait in the kernel, beyond what its size explains."""
    threads_named: bool
    """So many were asked for, however little there is to do."""
    zero_pfn: int
    """Frame of the zero page; 0 where it is not known."""
    huge_pages: int
    """Base pages of a transparent huge page that one entry maps, and of the huge zero page; 0: the kernel has none."""
    can_scan: bool
    """The kernel answers PAGEMAP_SCAN (Linux 6.7, commit 52526ca7fdb9)."""
    shm_device: tuple[int, int]
    """Major and minor number of the kernel's own tmpfs: memfds, System V segments, shared anonymous memory."""
    our_pids: bool
    """The pids of /proc are those that system calls of ours take (:func:`zonerss.kernel.namespaces.shows_our_pids`)."""
    caveats: tuple[Caveat, ...]
    """What every snapshot of it is to be read with."""
    hugetlb_devices: tuple[tuple[int, int], ...] = ()
    """Those of its own hugetlbfs, one for each size of pages."""
    hugetlb_pages: int = 0
    """Base pages of the smallest hugetlb page: less than huge_pages on arm64 and riscv64; 0: not known."""

    def threads_for(self, expected_pages: int) -> int:
        """How many threads are worth starting for a walk: many only where there is much to do."""
        if self.threads_named:
            return self.threads
        return min(self.threads, max(_FEW_THREADS, expected_pages // _PAGES_OF_A_THREAD))

    @contextmanager
    def opened(self) -> Iterator[core.walk_host]:
        """
        The same for the core (struct walk_host *), with the files that a walk reads open until the context ends.

        :raises CannotServe: they cannot be opened
        """
        with ExitStack() as stack:
            row: core.walk_host = ffi.new("struct walk_host *")
            row.proc_fd = _open(stack, self.roots.proc, os.O_DIRECTORY)
            row.kpageflags_fd = _open(stack, self.roots.proc / "kpageflags")
            row.page_bytes, row.zero_pfn = PAGE_BYTES, self.zero_pfn
            row.huge_pages, row.hugetlb_pages = self.huge_pages, self.hugetlb_pages
            row.can_scan = self.can_scan
            row.shm_major, row.shm_minor = self.shm_device
            row.hugetlb_count = min(len(self.hugetlb_devices), _MOST_HUGETLB_SIZES)
            for at, (major, minor) in enumerate(self.hugetlb_devices[: row.hugetlb_count]):
                row.hugetlb_major[at], row.hugetlb_minor[at] = major, minor
            pool = hugetlb_pool_pages(self.roots)  # it may have grown since this was found
            row.hugetlb_pool = _UNKNOWN if pool is None else pool
            yield row


def find_host(roots: Roots, threads: int | None = None, patience_seconds: float = PATIENCE_SECONDS) -> Host:
    """
    Look what this host offers.

    :param threads: how many processes to walk side by side; None: one for each processor that we may use, at most 64,
        and more than 8 only where there is much to walk
    :param patience_seconds: how long a process may make us wait
    :raises UsageError: threads is less than 1
    :raises CannotServe: not root, or the kernel lacks the files
    :raises FramesHidden: frame numbers read as 0
    """
    if threads is not None and threads < 1:
        raise UsageError(f"a walk takes one thread at the least, not {threads}")
    if os.geteuid() != 0:
        raise CannotServe("page tables can be read by root only: run zonerss with sudo")
    with ExitStack() as stack:
        pagemap = _open(stack, roots.proc / "self" / "pagemap")
        zero_pfn, can_scan = _probe_own_pages(pagemap)
    sizes = hugetlb_sizes(roots)
    return Host(
        roots=roots,
        patience_seconds=patience_seconds,
        threads=min(threads or len(os.sched_getaffinity(0)), MOST_THREADS),
        threads_named=threads is not None,
        zero_pfn=zero_pfn,
        huge_pages=pmd_pages(roots),
        can_scan=can_scan,
        our_pids=shows_our_pids(roots),
        caveats=(*namespace_caveats(roots), *cgroup_namespace_caveats(roots)),
        shm_device=_own_device(0),
        hugetlb_devices=tuple(_hugetlb_devices(sizes)),
        hugetlb_pages=sizes[0] // PAGE_BYTES if sizes else 0,
    )


def _open(stack: ExitStack, path: os.PathLike[str], flags: int = 0) -> int:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | flags)
    except FileNotFoundError as err:
        raise CannotServe(
            f"there is no {path}: the kernel needs CONFIG_PROC_PAGE_MONITOR, and /proc must be mounted in full"
        ) from err
    except OSError as err:
        raise CannotServe(
            f"cannot open {path}: {err.strerror}; "
            "run as root of the host, with CAP_SYS_ADMIN and CAP_SYS_PTRACE"
        ) from err
    stack.callback(os.close, fd)
    return fd


def _own_device(flags: int) -> tuple[int, int]:
    """Of the file system that the kernel has for itself, with the memfds of these flags."""
    fd = os.memfd_create("zonerss", os.MFD_CLOEXEC | flags)
    try:
        device = os.fstat(fd).st_dev
    finally:
        os.close(fd)
    return os.major(device), os.minor(device)


def _hugetlb_devices(sizes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """A memfd of hugetlb pages takes none as long as it is empty (Linux 4.14, commit 749df87bd7be)."""
    for size_bytes in sizes:
        with suppress(OSError):
            yield _own_device(os.MFD_HUGETLB | (size_bytes.bit_length() - 1) << _MFD_HUGE_SHIFT)


def _probe_own_pages(pagemap: int) -> tuple[int, bool]:
    """The frame of the zero page, and whether PAGEMAP_SCAN is there."""
    with mmap.mmap(-1, 2 * PAGE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as own:
        own[PAGE_BYTES] = 1  # ours
        _ = own[0]  # only read: the zero page
        address = int(ffi.cast("uintptr_t", ffi.from_buffer(own)))
        zero, written = struct.unpack("=QQ", os.pread(pagemap, 16, address // PAGE_BYTES * 8))
        if not (written & _PRESENT and written & _PFN_MASK):
            raise FramesHidden(
                "the kernel hides frame numbers from us (they all read as 0): CAP_SYS_ADMIN is missing; "
                "run as root of the host, in a container with --privileged or --cap-add SYS_ADMIN"
            )
        # A page that was only read is the zero page, unless the kernel maps something else there.
        zero_pfn = zero & _PFN_MASK if zero & _PRESENT else 0
        return zero_pfn, bool(lib.pagemap_can_scan(pagemap, address, PAGE_BYTES))
