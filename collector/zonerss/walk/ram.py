"""What every frame of the machine is, by /proc/kpageflags.

Source: fs/proc/page.c stable_page_flags(); include/uapi/linux/kernel-page-flags.h. Of frames that are mapped, and not
by the zones of the census, /proc/kpagecount tells: it has a page's own mapcount, while the flag MMAP may be its huge
page's. Who is charged: /proc/kpagecgroup, as :mod:`zonerss.walk.payers` reads it.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import Any

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.errors import CannotServe
from zonerss.kernel.roots import Roots
from zonerss.records.machine import RamCharge, RamPages
from zonerss.walk.pagetable import read_ram

_KINDS = 4


def read_ram_pages(census: Census, roots: Roots, payers: bool = False) -> RamPages:
    """
    All frames of memory by what they are, in one pass: about 30 ns a frame of the machine, mapped or not.

    :param census: which frames zones map; what is free by now counts as free
    :param payers: tell who is charged, too; about 50 ns a frame more
    :raises CannotServe: /proc/kpageflags or /proc/iomem cannot be read
    """
    pages = ffi.new("uint64_t[]", lib.FRAMES_CLASSES)
    rows, count = ffi.new("struct payer **"), ffi.new("size_t *")
    with ExitStack() as opened:
        ranges = ffi.new("struct frame_range[]", read_ram(roots))
        source = ffi.new("struct ram_source *", {"ram": ranges, "ram_ranges": len(ranges)})
        source.kpageflags = _open(roots, "kpageflags", opened)
        source.kpagecount = _open(roots, "kpagecount", opened)
        source.kpagecgroup = _open(roots, "kpagecgroup", opened) if payers else -1
        if source.kpageflags < 0:
            raise CannotServe(
                f"what frames are cannot be told: {roots.proc / 'kpageflags'} cannot be read; run zonerss as root, "
                "on a kernel with CONFIG_PROC_PAGE_MONITOR"
            )
        asked = source.kpagecgroup >= 0
        try:
            check(lib.census_ram(census.handle, source, pages, rows, count), "reading what each frame is")
        except OSError as err:
            raise CannotServe(f"what frames are cannot be told: {err.strerror}") from err
    held = ffi.gc(rows[0], lib.payers_free)
    return RamPages(
        zones=_four(pages, lib.FRAMES_ZONES_ANON),
        others=_four(pages, lib.FRAMES_OTHERS_ANON),
        bare=_four(pages, lib.FRAMES_BARE_ANON),
        zones_kernel=pages[lib.FRAMES_ZONES_KERNEL],
        zones_reserved=pages[lib.FRAMES_ZONES_RESERVED],
        reserved=pages[lib.FRAMES_RESERVED],
        free=pages[lib.FRAMES_FREE],
        slab=pages[lib.FRAMES_SLAB],
        page_tables=pages[lib.FRAMES_PAGE_TABLES],
        offline=pages[lib.FRAMES_OFFLINE],
        poisoned=pages[lib.FRAMES_POISONED],
        zero=pages[lib.FRAMES_ZERO],
        kernel=pages[lib.FRAMES_KERNEL],
        charges=tuple(map(_charge, (held[i] for i in range(count[0])))) if asked else None,
    )


def _charge(row: Any) -> RamCharge:
    return RamCharge(row.inode, row.set != lib.FRAMES_BY_NOBODY, tuple(row.pages)[:_KINDS])


def _four(pages: Any, first: int) -> tuple[int, ...]:
    return tuple(ffi.unpack(pages + first, _KINDS))


def _open(roots: Roots, name: str, opened: ExitStack) -> int:
    try:
        fd = os.open(roots.proc / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    opened.callback(os.close, fd)
    return fd
