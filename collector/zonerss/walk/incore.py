"""What of the mapped files is in the page cache: the basis incore, which is getvmusage's to the letter.

Ranges of files come from /proc/PID/maps, less the addresses whose pagemap word is an anon page's; files are told
apart by what statx(2) says of them, opened through /proc/PID/map_files (Linux 3.3; regular files only). What is cached
is asked of cachestat(2) (Linux 6.5, commit cf264e1329fb) or, where that is missing, of mincore(2).

cachestat asks nobody. mincore needs a mapping of the file, for which a network file system may wait for its server: a
file that takes too long to be asked about is a gap of a process that maps it. What FUSE serves is not opened at all
(_core/ranges.c, file_add()); of it counts what page tables map.

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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts, PartsBuilder
from zonerss.census.ranges import Range, stretches
from zonerss.errors import EXHAUSTED, CannotServe
from zonerss.kernel.patience import Busy, explained_seconds, patiently
from zonerss.kernel.proc import TaskList, gap_of_errno
from zonerss.plain import dataclass
from zonerss.records import Cause, Gap, Task
from zonerss.units import PAGE_BYTES
from zonerss.walk.host import Host
from zonerss.walk.jobs import walk

if TYPE_CHECKING:
    from zonerss._core import _lib as core

_RANGE_STRUCT = "=IIQQI4x"
_SECONDS_OF_A_PAGE = 2e-6
"""More than looking at one takes, on any machine."""

Result = TypeVar("Result")


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
    pid: int
    """A process that maps it."""


class _Looks:
    """Looks at files that may make us wait."""

    def __init__(self, patience_seconds: float, held: object) -> None:
        """:param held: what must not go while somebody still looks: it has the files open"""
        self._seconds, self._held = patience_seconds, held
        self._missed: dict[int, Gap] = {}
        self.left = 0
        """How many calls may have been left behind, and their threads still look."""

    @property
    def gaps(self) -> list[Gap]:
        """One for each file that could not be looked at."""
        return list(self._missed.values())

    def ask(self, file: _File, look: Callable[[], Result], pages: int) -> Result | None:
        """
        What look() says of a file; None: it failed or took too long, now or before.

        :param pages: how many it looks at
        :raises OSError: we lack memory or descriptors
        """
        held = self._held
        if file.fd in self._missed:
            return None

        def holding() -> tuple[Result, object]:
            return look(), held

        self.left += 1
        try:
            said, _ = patiently(
                holding, file.pid, self._seconds + explained_seconds(pages, _SECONDS_OF_A_PAGE)
            )
            self.left -= 1
            return said
        except Busy:
            self._missed[file.fd] = Gap(
                file.pid, "pagemap", Cause.BUSY, "a file that it maps does not answer"
            )
        except OSError as err:
            self.left -= 1
            if err.errno is None or err.errno in EXHAUSTED:
                raise
            self._missed[file.fd] = gap_of_errno(file.pid, "pagemap", err.errno)
        return None


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
    builder = PartsBuilder(2 * parts.owners)
    with _collected(rest, listed, assigned, host) as (collected, gaps, looks), host.opened() as opened:
        files = _files(collected)
        ranges = list(dict.fromkeys(_ranges(collected, parts.owners)))
        _merge_overlays(files, ranges, looks, host, opened)
        if by_cachestat is None:
            by_cachestat = has_cachestat()
        _add_cached(builder, files, ranges, by_cachestat, looks)
    builder.add_all(parts, set(Kind) - {Kind.FILE, Kind.SHMEM})
    builder.add_all(rest.parts())
    return builder.parts(), [*gaps, *looks.gaps]


def has_cachestat() -> bool:
    """Whether the kernel has cachestat(2), asked with a file of our own."""
    fd = os.memfd_create("zonerss")
    try:
        return count_cached(fd, lib.BY_CACHESTAT, [(0, 1)]) is not None
    except OSError:
        return False
    finally:
        os.close(fd)


@contextmanager
def _collected(
    rest: Census, listed: TaskList, assigned: Sequence[tuple[Task, int]], host: Host
) -> Iterator[tuple[core.ranges, list[Gap], _Looks]]:
    """The ranges, whose files are open within the context, and longer for threads that are left behind."""
    ret = ffi.new("struct ranges **")
    check(lib.ranges_create(ret), "collecting mapped files")
    collected: core.ranges = ffi.gc(ret[0], lib.ranges_destroy)
    looks = _Looks(host.patience_seconds, collected)
    try:
        with _many_open_files():
            _, gaps = walk(
                lambda request, walking: lib.ranges_walk(collected, request, walking),
                rest,
                listed,
                assigned,
                host,
            )
        yield collected, gaps, looks
    except OSError as err:
        if err.errno != errno.EMFILE:
            raise
        raise CannotServe(
            "more files are mapped than we may open: raise the limit of open files (ulimit -n)"
        ) from err
    finally:
        if not looks.left:
            ffi.release(collected)


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
            kind=Kind.SHMEM if row.fs_kind == lib.FS_TMPFS else Kind.FILE,
            overlay=row.fs_kind == lib.FS_OVERLAY,
            size=row.size_bytes,
            pid=row.pid,
        )
        for index, row in enumerate(rows[0][i] for i in range(count))
    ]


def _ranges(collected: core.ranges, owners: int) -> Iterator[Range]:
    rows = ffi.new("struct file_range **")
    count = lib.ranges_all(collected, rows)
    raw = ffi.buffer(rows[0], count * ffi.sizeof("struct file_range")) if count else b""
    for file, owner, first, pages, shared in struct.iter_unpack(_RANGE_STRUCT, raw):
        yield Range(file, owner + owners * shared, first, pages)


def _add_cached(
    builder: PartsBuilder, files: list[_File], ranges: list[Range], by_cachestat: bool, looks: _Looks
) -> None:
    same = (Range(files[r.file].same_as, r.owner, r.first, r.pages) for r in ranges)
    for index, cut in stretches(same):
        file = files[index]
        wanted = [(stretch.first, stretch.pages) for stretch in cut]
        counts: list[int] | None
        if by_cachestat and not file.overlay:
            counts = count_cached(file.fd, lib.BY_CACHESTAT, wanted)
        else:
            look = partial(count_cached, file.fd, lib.BY_MINCORE, wanted)
            counts = looks.ask(file, look, sum(stretch.pages for stretch in cut))
        found: Counter[tuple[int, ...]] = Counter()
        for stretch, resident in zip(cut, counts or [0] * len(cut), strict=True):
            found[stretch.owners] += resident
        for owners, resident in found.items():
            builder.add(owners, [resident if kind is file.kind else 0 for kind in Kind])


def count_cached(fd: int, means: int, wanted: Sequence[tuple[int, int]]) -> list[int]:
    """
    How many pages of some ranges of a file are in the page cache.

    :param means: lib.BY_CACHESTAT, which sees none of a file of an overlay, or lib.BY_MINCORE
    :param wanted: of each the first page, and how many
    :raises OSError: it cannot be asked
    """
    first = ffi.new("uint64_t[]", [start for start, _ in wanted])
    pages = ffi.new("uint64_t[]", [count for _, count in wanted])
    resident = ffi.new("uint64_t[]", len(wanted))
    result = lib.incore_count(fd, means, PAGE_BYTES, first, pages, len(wanted), resident)
    check(result, "asking what is in the page cache")
    return list(ffi.unpack(resident, len(wanted)))


def _merge_overlays(
    files: list[_File], ranges: list[Range], looks: _Looks, host: Host, opened: core.walk_host
) -> None:
    """Find the files of overlays that are one file below, be that mapped itself or not, and of what kind it is."""
    sizes = {file.size for file in files if file.overlay}
    mapped: dict[int, list[Range]] = defaultdict(list)
    for r in ranges:
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
            others = [(page, dict(at)) for page, at in pages.items()] if file.overlay else []
            look = partial(_find_same, file.fd, others, mapped[index], pagemap, opened)
            found = looks.ask(file, look, len(others) + sum(r.pages for r in mapped[index]))
            if found is None:
                continue
            if found.same is not None:
                file.same_as, file.kind = found.same, files[found.same].kind
            elif found.kind >= 0:
                pages[found.page][found.pfn] = index
                if file.overlay:
                    file.kind = Kind(found.kind)
    finally:
        os.close(pagemap)


class _Found(NamedTuple):
    """What one file was found to be."""

    same: int | None
    """The number of the file that has a frame in common with it; None: there is none so far."""
    page: int = -1
    """Else a page of it that is cached, its frame and enum kind; -1: none is."""
    kind: int = -1
    pfn: int = 0


# Looks at no more than the file and what is our own: the thread that makes the call may be left behind.
def _find_same(
    fd: int,
    others: Sequence[tuple[int, dict[int, int]]],
    mapped: Sequence[Range],
    pagemap: int,
    opened: core.walk_host,
) -> _Found:
    for page, of_frame in others:
        _, pfn = _frame(fd, page, pagemap, opened)
        if pfn in of_frame:
            return _Found(of_frame[pfn])
    page = next((at for r in mapped if (at := _first(fd, r)) >= 0), -1)
    kind, pfn = _frame(fd, page, pagemap, opened) if page >= 0 else (-1, 0)
    return _Found(None, page, kind, pfn)


def _first(fd: int, mapped: Range) -> int:
    return int(lib.incore_first(fd, PAGE_BYTES, mapped.first, mapped.pages))


def _frame(fd: int, page: int, pagemap: int, opened: core.walk_host) -> tuple[int, int]:
    pfn = ffi.new("uint64_t *")
    return int(lib.incore_frame(fd, page, pagemap, opened, pfn)), int(pfn[0])
