"""How often frames are mapped on the whole machine, by /proc/kpagecount.

Source: fs/proc/page.c (Linux 2.6.25). A kernel that is built with CONFIG_NO_PAGE_MAPCOUNT (Linux 6.15, commit
ae4192b7691c) keeps no count of the single pages of a large folio: of each it tells the average over the folio, and 1 at
least where any page of the folio is mapped (fs/proc/internal.h, folio_average_page_mapcount()).
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Collection
from contextlib import ExitStack

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.census.mapcounts import CountedParts
from zonerss.census.parts import Parts
from zonerss.errors import CannotServe
from zonerss.kernel.roots import Roots
from zonerss.units import PAGE_BYTES

_COLLAPSE = 25  # MADV_COLLAPSE, Linux 6.1, commit 7d8faaf15545
_PFN_MASK = (1 << 55) - 1
_PRESENT = 1 << 63
_TAIL = 1 << 16  # KPF_COMPOUND_TAIL
_HUGE_PAGE_SIZE = "kernel/mm/transparent_hugepage/hpage_pmd_size"


def read_mapcounts(census: Census, roots: Roots) -> CountedParts | None:
    """
    The parts of a census by how often their frames are mapped now, and by kind.

    :return: None where the kernel has no /proc/kpagecount
    :raises OSError: reading it failed
    """
    with ExitStack() as stack:
        try:
            counts = _opened(stack, roots, "kpagecount")
            flags = -1 if counts_each_page(roots) else _opened(stack, roots, "kpageflags")
        except FileNotFoundError:
            return None
        ret = ffi.new("struct parts **")
        check(lib.census_mapcounts(census.handle, counts, flags, ret), "reading how often frames are mapped")
        return CountedParts(census.parts(), Parts(ret[0]))


def mark_several(census: Census, owner: int, roots: Roots, wanted: Collection[int] | None = None) -> None:
    """
    Mark the frames of a census that are mapped more than once now for an owner, too.

    :param wanted: owners: only frames that one of them maps and no other owner does are asked about; None: all
    :raises CannotServe: the kernel has no /proc/kpagecount
    :raises OSError: reading it failed
    """
    with ExitStack() as stack:
        try:
            counts = _opened(stack, roots, "kpagecount")
        except FileNotFoundError as err:
            raise CannotServe(
                "there is no /proc/kpagecount, which tells whether a page is mapped more than once: the kernel needs "
                "CONFIG_PROC_PAGE_MONITOR"
            ) from err
        flags = ffi.NULL
        if wanted is not None:
            flags = ffi.new("uint8_t[]", census.owners)
            for number in wanted:
                flags[number] = 1
        check(
            lib.census_mark_several(census.handle, owner, flags, counts),
            "reading how often frames are mapped",
        )


def counts_each_page(roots: Roots) -> bool:
    """
    Whether kpagecount tells of each page of a large folio how often it is mapped, rather than an average.

    Tried on a huge page of our own, of which one page is unmapped: its count is then 0, and the average is not. False,
    too, where no huge page could be had although the kernel has them: then nobody knows.
    """
    try:
        size = int((roots.sys / _HUGE_PAGE_SIZE).read_text())
    except FileNotFoundError:
        return True  # without huge pages there is no CONFIG_NO_PAGE_MAPCOUNT (mm/Kconfig)
    with ExitStack() as stack:
        files = [_opened(stack, roots, name) for name in ("self/pagemap", "kpageflags", "kpagecount")]
        own = stack.enter_context(mmap.mmap(-1, 2 * size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        address = int(ffi.cast("uintptr_t", ffi.from_buffer(own)))
        return _try_on(own, -address % size, size, address, *files) == 0


def _try_on(own: mmap.mmap, start: int, size: int, address: int, *files: int) -> int | None:
    """The mapcount of an unmapped page of a huge page in our own memory; None: there is no huge page."""
    pagemap, flags, counts = files
    own.madvise(mmap.MADV_HUGEPAGE, start, size)
    own[start] = 1
    if not _huge_tail(own, start, address, pagemap, flags):
        own[start : start + size] = bytes([1]) * size
        try:
            own.madvise(_COLLAPSE, start, size)
        except OSError:
            return None
    tail = _huge_tail(own, start, address, pagemap, flags)
    if not tail:
        return None
    own.madvise(mmap.MADV_DONTNEED, start + PAGE_BYTES, PAGE_BYTES)
    mapcount = _word(counts, tail)
    # Whoever needs memory may split the page just then, and gives away what is not mapped of it.
    return mapcount if _word(flags, tail) & _TAIL else None


def _huge_tail(own: mmap.mmap, start: int, address: int, pagemap: int, flags: int) -> int:
    """The frame of the second page from there on, where it is the second page of a large folio; 0: it is not."""
    own[start + PAGE_BYTES] = 1
    word = _word(pagemap, (address + start) // PAGE_BYTES + 1)
    pfn = word & _PFN_MASK if word & _PRESENT else 0
    return pfn if pfn and _word(flags, pfn) & _TAIL else 0


def _word(fd: int, index: int) -> int:
    """One word of a file of 64-bit words; 0 beyond its end."""
    raw = os.pread(fd, 8, index * 8)
    return int(struct.unpack("=Q", raw)[0]) if len(raw) == 8 else 0


def _opened(stack: ExitStack, roots: Roots, name: str) -> int:
    fd = os.open(roots.proc / name, os.O_RDONLY | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    return fd
