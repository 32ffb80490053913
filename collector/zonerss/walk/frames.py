"""The pages of one process, one by one: for `zonerss frames` and for programs that want the frames themselves.

Source: /proc/PID/pagemap, /proc/kpageflags and /proc/kpagecount (Documentation/admin-guide/mm/pagemap.rst). Where
kpagecount has only an average over a large folio (:mod:`zonerss.walk.mapcounts`), the counts of its pages are unknown.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from zonerss._core import ffi, lib
from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.patience import PATIENCE_SECONDS, explained_seconds, opened_patiently, patiently
from zonerss.kernel.proc import living_thread, text_of
from zonerss.kernel.roots import HOST, Roots
from zonerss.kernel.smaps import read_pfnmaps
from zonerss.plain import replace
from zonerss.records.mappings import Vma, VmaPages
from zonerss.units import PAGE_BYTES
from zonerss.walk.host import find_host
from zonerss.walk.mapcounts import counts_each_page

if TYPE_CHECKING:
    from zonerss._core import _lib as core


def frames(pid: int, roots: Roots = HOST) -> Iterator[VmaPages]:
    """
    The pages of a process, mapping by mapping.

    :param pid: a process; where its first thread has ended, it is read through another
    :raises CannotServe: there is no such process, it may not be read or does not answer in time, or we are not root
    :raises FramesHidden: frame numbers read as 0
    :raises KernelFormatError: a row of maps is not of the form that we know
    """
    tid = living_thread(roots, pid) or pid
    with find_host(roots).opened() as host, _opened(roots, pid, tid) as (maps, pagemap, kpagecount):
        averages = kpagecount >= 0 and not counts_each_page(roots)
        pfnmaps = read_pfnmaps(roots, tid)
        for raw, vma in _rows(maps):
            if vma.start >> 63:
                continue  # [vsyscall]
            pages = _pages(pid, raw, vma, (pagemap, kpagecount, averages), host)
            yield replace(pages, pfnmap=True) if (vma.start, vma.end) in pfnmaps else pages


def parse_maps(text: bytes) -> list[tuple[Any, Vma]]:
    """
    The rows of /proc/PID/maps, each as the core's struct vma and as a record.

    :raises KernelFormatError: a line is not of the form that we know
    """
    return list(_rows(text))


def _rows(text: bytes) -> Iterator[tuple[Any, Vma]]:
    bad = ffi.new("size_t *")
    room = text.count(b"\n")
    raw = ffi.new("struct vma[]", max(room, 1))
    rows = lib.maps_parse(ffi.from_buffer(text), len(text), raw, room, bad)
    if rows < 0:
        line = text[bad[0] :].split(b"\n", 1)[0]
        raise KernelFormatError(
            f"/proc/PID/maps at byte {bad[0]}: a line that is not understood: {line[:200]!r}"
        )
    for i in range(rows):
        row = raw[i]
        flags = "".join(
            letter if row.flags & bit else "-"
            for letter, bit in (("r", lib.VMA_READ), ("w", lib.VMA_WRITE), ("x", lib.VMA_EXEC))
        )
        flags += "s" if row.flags & lib.VMA_SHARED else "p"
        name = text_of(text[row.name : row.name + row.name_length])
        yield row, Vma(row.start, row.end, flags, row.offset, (row.major, row.minor), row.inode, name)


def _pages(pid: int, raw: Any, vma: Vma, files: tuple[int, int, bool], host: core.walk_host) -> VmaPages:
    room = 512
    length = (vma.end - vma.start) // PAGE_BYTES
    # What is not there costs a few nanoseconds a page where the kernel has no PAGEMAP_SCAN.
    explained = explained_seconds(length, 1e-6) if host.can_scan else length * 1e-7
    seconds = PATIENCE_SECONDS + explained
    while True:
        pages = ffi.new("struct page[]", room)
        ask = (*files, ffi.addressof(raw), host, vma.start, vma.end, pages, room)
        count = patiently(functools.partial(lib.pages_read, *ask), pid, seconds)
        if count < 0:
            raise CannotServe(f"the process has left, or its pages cannot be read: {os.strerror(-count)}")
        if count <= room:
            return VmaPages(vma, count, memoryview(ffi.buffer(pages, count * ffi.sizeof("struct page"))))
        room = count + 512


@contextmanager
def _opened(roots: Roots, pid: int, tid: int) -> Iterator[tuple[bytes, int, int]]:
    directory = roots.proc / str(tid)
    opened: list[int] = []
    try:
        try:
            opened.append(opened_patiently(str(directory / "pagemap"), os.O_RDONLY, pid))
            maps = patiently((directory / "maps").read_bytes, pid)
        except FileNotFoundError as err:
            raise CannotServe(f"there is no process {pid}") from err
        except OSError as err:
            raise CannotServe(f"cannot read the memory of process {pid}: {err.strerror}") from err
        try:
            opened.append(os.open(roots.proc / "kpagecount", os.O_RDONLY))
        except OSError:
            opened.append(-1)  # mapping counts are then unknown
        yield maps, opened[0], opened[1]
    finally:
        for fd in opened:
            if fd >= 0:
                os.close(fd)
