"""What of the mapped files is in the page cache: the basis incore, which is getvmusage's to the letter.

Ranges of files come from /proc/PID/maps, less the addresses whose pagemap word is an anon page's; files are told
apart by what fstat(2) says of them, opened through /proc/PID/map_files (Linux 3.3; regular files only). What is cached
is asked of cachestat(2) (Linux 6.5, commit cf264e1329fb) or, where that is missing, of mincore(2).

Overlayfs needs both ways round: its files have no pages of their own, so cachestat sees none, while a mapping of them
is one of the file below, where mincore finds them; and the same pages have another device in each mount, and below.
A file of an overlay is the same as another file if a page that is cached in both is in one frame.

Left out, as in getvmusage: pages of swapped-out shared memory. A file that an overlay copied up after it was mapped is
asked as it is now.
"""

from __future__ import annotations

import errno
import os
import resource
import struct
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts
from zonerss.census.ranges import Range, stretches
from zonerss.errors import CannotServe
from zonerss.kernel.proc import TaskList
from zonerss.records import Gap, Task
from zonerss.units import PAGE_BYTES
from zonerss.walk.host import Host
from zonerss.walk.jobs import walk

if TYPE_CHECKING:
    from zonerss._core import _lib as core

_OVERLAYFS = 0x794C7630  # include/uapi/linux/magic.h
_TMPFS = 0x01021994
_RANGE_STRUCT = "=IIQQI4x"


@dataclass(slots=True)
class _File:
    """A file that somebody maps."""

    fd: int
    same_as: int
    """The file that this one is: itself for all but files of overlays."""
    kind: Kind
    overlay: bool
    size: int
    """In bytes: files that differ in it are not the same."""


def incore_parts(
    parts: Parts,
    listed: TaskList,
    assigned: Sequence[tuple[Task, int]],
    host: Host,
    by_cachestat: bool | None = None,
) -> tuple[Parts, list[Gap]]:
    """
    The parts by the basis incore, each owner twice: as o what it maps privately, as o + parts.owners what shared.

    :param parts: what the page tables map; its anon, hugetlb and swap pages are taken over
    :param assigned: whose address space is looked at for which owner
    :param by_cachestat: ask cachestat(2); None: if the kernel has it
    :return: parts of 2 * parts.owners owners, and what could not be seen
    :raises CannotServe: more files are mapped than we may open
    """
    rest = Census(parts.owners)
    with _collected(rest, listed, assigned, host) as (collected, gaps), host.opened() as opened:
        files = _files(collected)
        ranges = _ranges(collected, parts.owners)
        _merge_overlays(files, ranges, host, opened)
        if by_cachestat is None:
            by_cachestat = has_cachestat()
        pages = _cached_pages(files, ranges, by_cachestat)
    for part in parts:
        kept = [0 if kind in (Kind.FILE, Kind.SHMEM) else count for kind, count in enumerate(part.pages)]
        _add(pages, part.owners, kept)
    for part in rest.parts():
        _add(pages, part.owners, part.pages)
    return Parts.of(2 * parts.owners, pages), gaps


def has_cachestat() -> bool:
    """Whether the kernel has cachestat(2), asked with a file of our own."""
    fd = os.memfd_create("zonerss")
    try:
        return _count(fd, lib.BY_CACHESTAT, [(0, 1)], raises=False) is not None
    finally:
        os.close(fd)


_Pages = dict[tuple[int, ...], list[int]]


def _add(pages: _Pages, owners: tuple[int, ...], counts: Sequence[int]) -> None:
    row = pages.setdefault(owners, [0] * len(Kind))
    for kind, count in enumerate(counts):
        row[kind] += count


@contextmanager
def _collected(
    rest: Census, listed: TaskList, assigned: Sequence[tuple[Task, int]], host: Host
) -> Iterator[tuple[core.ranges, list[Gap]]]:
    ret = ffi.new("struct ranges **")
    check(lib.ranges_create(ret), "collecting mapped files")
    collected: core.ranges = ret[0]
    try:
        with _many_open_files():
            _, gaps = walk(
                lambda request, walking: lib.ranges_walk(collected, request, walking),
                rest,
                listed,
                assigned,
                host,
            )
        yield collected, gaps
    except OSError as err:
        if err.errno != errno.EMFILE:
            raise
        raise CannotServe(
            "more files are mapped than we may open: raise the limit of open files (ulimit -n)"
        ) from err
    finally:
        lib.ranges_destroy(collected)


@contextmanager
def _many_open_files() -> Iterator[None]:
    # One open file for each that is mapped: as many as we may. The soft limit is for programs that use select(2).
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _files(collected: core.ranges) -> list[_File]:
    rows = ffi.new("struct range_file **")
    count = lib.ranges_files(collected, rows)
    return [
        _File(
            fd=row.fd,
            same_as=index,
            kind=Kind.SHMEM if row.fs_type == _TMPFS else Kind.FILE,
            overlay=row.fs_type == _OVERLAYFS,
            size=row.size_bytes,
        )
        for index, row in enumerate(rows[0][i] for i in range(count))
    ]


def _ranges(collected: core.ranges, owners: int) -> list[Range]:
    rows = ffi.new("struct file_range **")
    count = lib.ranges_all(collected, rows)
    if not count:
        return []
    raw = ffi.buffer(rows[0], count * ffi.sizeof("struct file_range"))
    return [
        Range(file, owner + owners * shared, first, pages)
        for file, owner, first, pages, shared in struct.iter_unpack(_RANGE_STRUCT, raw)
    ]


def _cached_pages(files: list[_File], ranges: list[Range], by_cachestat: bool) -> _Pages:
    pages: _Pages = {}
    same = [Range(files[r.file].same_as, r.owner, r.first, r.pages) for r in ranges]
    for index, cut in stretches(same).items():
        file = files[index]
        means = lib.BY_CACHESTAT if by_cachestat and not file.overlay else lib.BY_MINCORE
        counts = _count(file.fd, means, [(stretch.first, stretch.pages) for stretch in cut])
        found: Counter[tuple[int, ...]] = Counter()
        for stretch, resident in zip(cut, counts or (), strict=True):
            found[stretch.owners] += resident
        for owners, resident in found.items():
            row = pages.setdefault(owners, [0] * len(Kind))
            row[file.kind] += resident
    return pages


def _count(fd: int, means: int, wanted: Sequence[tuple[int, int]], raises: bool = True) -> list[int] | None:
    first = ffi.new("uint64_t[]", [start for start, _ in wanted])
    pages = ffi.new("uint64_t[]", [count for _, count in wanted])
    resident = ffi.new("uint64_t[]", len(wanted))
    result = lib.incore_count(fd, means, PAGE_BYTES, first, pages, len(wanted), resident)
    if result < 0 and not raises:
        return None
    check(result, "asking what is in the page cache")
    return list(ffi.unpack(resident, len(wanted)))


def _merge_overlays(files: list[_File], ranges: list[Range], host: Host, opened: core.walk_host) -> None:
    """Find the files of overlays that are one file below, be that mapped itself or not, and of what kind it is."""
    sizes = {file.size for file in files if file.overlay}
    mapped: dict[int, list[Range]] = defaultdict(list)
    for r in dict.fromkeys(ranges):
        if files[r.file].size in sizes:
            mapped[r.file].append(r)
    if not mapped:
        return
    pagemap = os.open(host.roots.proc / "self" / "pagemap", os.O_RDONLY)
    # by size and page: which file has which frame there
    known: dict[int, dict[int, dict[int, int]]] = defaultdict(lambda: defaultdict(dict))
    try:
        for index in sorted(mapped, key=lambda index: (files[index].overlay, index)):
            file = files[index]
            pages = known[file.size]
            frames = ((at, _frame(file.fd, at, pagemap, opened)[1]) for at in pages if file.overlay)
            same = next((pages[at][pfn] for at, pfn in frames if pfn in pages[at]), None)
            if same is not None:
                file.same_as, file.kind = same, files[same].kind
                continue
            page = next((at for r in mapped[index] if (at := _first(file.fd, r)) >= 0), -1)
            kind, pfn = _frame(file.fd, page, pagemap, opened) if page >= 0 else (-1, 0)
            if kind >= 0:
                pages[page][pfn] = index
            if kind >= 0 and file.overlay:
                file.kind = Kind(kind)
    finally:
        os.close(pagemap)


def _first(fd: int, mapped: Range) -> int:
    return int(lib.incore_first(fd, PAGE_BYTES, mapped.first, mapped.pages))


def _frame(fd: int, page: int, pagemap: int, opened: core.walk_host) -> tuple[int, int]:
    pfn = ffi.new("uint64_t *")
    return int(lib.incore_frame(fd, page, pagemap, opened, pfn)), int(pfn[0])
