"""What every frame of the machine is, by /proc/kpageflags.

Source: fs/proc/page.c stable_page_flags(); include/uapi/linux/kernel-page-flags.h. Of frames that are mapped, and not
by the zones of the census, /proc/kpagecount tells: it has a page's own mapcount, while the flag MMAP may be its huge
page's. Who is charged: /proc/kpagecgroup, as :mod:`zonerss.walk.payers` reads it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.errors import CannotServe
from zonerss.kernel.roots import Roots
from zonerss.records.machine import RamCharge, RamPages
from zonerss.walk.pagetable import read_ram

_KINDS = 4
_BORDER_FRAMES = 1 << 18
"""The largest huge page, 1 GiB."""


def read_ram_pages(census: Census, roots: Roots, payers: bool = False, threads: int = 1) -> RamPages:
    """
    All frames of memory by what they are, in one pass: 100 to 200 ns a frame of the machine, mapped or not.

    :param census: which frames zones map; what is free by now counts as free
    :param payers: tell who is charged, too; about 100 ns a frame more
    :param threads: how many parts of memory are looked at side by side
    :raises CannotServe: /proc/kpageflags or /proc/iomem cannot be read
    """
    with ExitStack() as opened:
        files = _Files(
            census,
            _open(roots, "kpageflags", opened),
            _open(roots, "kpagecount", opened),
            _open(roots, "kpagecgroup", opened) if payers else -1,
        )
        if files.kpageflags < 0:
            raise CannotServe(
                f"what frames are cannot be told: {roots.proc / 'kpageflags'} cannot be read; run zonerss as root, "
                "on a kernel with CONFIG_PROC_PAGE_MONITOR"
            )
        shares = _shares(read_ram(roots), threads)
        try:
            found = _each(files.read, shares)
        except OSError as err:
            raise CannotServe(f"what frames are cannot be told: {err.strerror}") from err
    pages = [sum(counts) for counts in zip(*(pages for pages, _ in found), strict=True)]
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
        charges=_charges(found) if files.kpagecgroup >= 0 else None,
    )


class _Files(NamedTuple):
    """What is read."""

    census: Census
    kpageflags: int
    kpagecount: int
    kpagecgroup: int

    def read(self, share: Sequence[tuple[int, int]]) -> _Found:
        """The frames of some ranges by class, and who is charged for them."""
        pages = ffi.new("uint64_t[]", lib.FRAMES_CLASSES)
        rows, count = ffi.new("struct payer **"), ffi.new("size_t *")
        ranges = ffi.new("struct frame_range[]", list(share))
        source = ffi.new("struct ram_source *", {"ram": ranges, "ram_ranges": len(share)})
        source.kpageflags, source.kpagecount, source.kpagecgroup = self[1:]
        check(lib.census_ram(self.census.handle, source, pages, rows, count), "reading what each frame is")
        held = ffi.gc(rows[0], lib.payers_free)
        return ffi.unpack(pages, lib.FRAMES_CLASSES), [
            RamCharge(row.inode, row.set != lib.FRAMES_BY_NOBODY, tuple(row.pages)[:_KINDS])
            for row in (held[i] for i in range(count[0]))
        ]


_Found = tuple[list[int], list[RamCharge]]


def _shares(ram: Sequence[tuple[int, int]], threads: int) -> list[list[tuple[int, int]]]:
    """Memory in parts, whose borders no huge page crosses: at whole GiB."""
    pieces = []
    for first, count in ram:
        end = first + count
        while first < end:
            border = min((first // _BORDER_FRAMES + 1) * _BORDER_FRAMES, end)
            pieces.append((first, border - first))
            first = border
    each = -(-len(pieces) // max(threads, 1))
    return [pieces[at : at + each] for at in range(0, len(pieces), each)]


def _each(
    read: Callable[[list[tuple[int, int]]], _Found], shares: list[list[tuple[int, int]]]
) -> list[_Found]:
    if len(shares) == 1:
        return [read(shares[0])]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(len(shares)) as pool:
        return list(pool.map(read, shares))


def _charges(found: Sequence[_Found]) -> tuple[RamCharge, ...]:
    sums: dict[tuple[int, bool], list[int]] = {}
    for charge in (charge for _, charges in found for charge in charges):
        pages = sums.setdefault((charge.inode, charge.mapped), [0] * _KINDS)
        for kind, count in enumerate(charge.pages):
            pages[kind] += count
    return tuple(RamCharge(inode, mapped, tuple(pages)) for (inode, mapped), pages in sums.items())


def _four(pages: Sequence[int], first: int) -> tuple[int, ...]:
    return tuple(pages[first : first + _KINDS])


def _open(roots: Roots, name: str, opened: ExitStack) -> int:
    try:
        fd = os.open(roots.proc / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1
    opened.callback(os.close, fd)
    return fd
