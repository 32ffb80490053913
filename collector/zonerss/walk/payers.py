"""Which cgroup each frame of a census is charged to, by /proc/kpagecgroup.

Source: fs/proc/page.c kpagecgroup_read() (Linux 4.3); mm/memcontrol.c page_cgroup_ino(). Until Linux 6.3 it answers for
the first frame of a huge page only; of the other frames the first one is asked, which /proc/kpageflags shows.
"""

from __future__ import annotations

import os

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.census.parts import Parts
from zonerss.kernel.roots import Roots
from zonerss.records.bills import Billed


def read_payers(census: Census, parts: Parts, roots: Roots) -> tuple[Billed, ...] | None:
    """
    Which cgroups the frames of a census are charged to now.

    :param parts: the parts of this census, not restarted since
    :return: one :class:`Billed` for each set of zones and payer; None where the kernel has no /proc/kpagecgroup
        (no memory controller, or Linux before 4.3)
    :raises OSError: it, or /proc/kpageflags where that has to be asked, cannot be read

    Source: /proc/kpagecgroup, one inode number a frame; of a frame whose cgroup was removed the nearest
    ancestor that still stands (mm/memcontrol.c page_cgroup_ino()).
    """
    fd = _open(roots, "kpagecgroup")
    if fd < 0:
        return None
    flags = _open(roots, "kpageflags")
    rows, count = ffi.new("struct payer **"), ffi.new("size_t *")
    try:
        check(lib.census_payers(census.handle, fd, flags, rows, count), "reading who pays for each frame")
    finally:
        os.close(fd)
        if flags >= 0:
            os.close(flags)
    held = ffi.gc(rows[0], lib.payers_free)
    paths: dict[int, tuple[int, ...]] = {}
    billed = []
    for i in range(count[0]):
        row = held[i]
        if row.set not in paths:
            paths[row.set] = parts.owners_of(row.set)
        billed.append(Billed(paths[row.set], row.inode, tuple(row.pages)))
    return tuple(billed)


def _open(roots: Roots, name: str) -> int:
    try:
        return os.open(roots.proc / name, os.O_RDONLY)
    except OSError:
        return -1
