"""Which cgroup each frame of a census is charged to, by /proc/kpagecgroup.

Source: fs/proc/page.c kpagecgroup_read() (Linux 4.3); mm/memcontrol.c page_cgroup_ino().
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

    Source: /proc/kpagecgroup, one inode number a frame; of a frame whose cgroup was removed the nearest
    ancestor that still stands (mm/memcontrol.c page_cgroup_ino()).
    """
    try:
        fd = os.open(roots.proc / "kpagecgroup", os.O_RDONLY)
    except OSError:
        return None
    rows, count = ffi.new("struct payer **"), ffi.new("size_t *")
    try:
        check(lib.census_payers(census.handle, fd, rows, count), "reading who pays for each frame")
    finally:
        os.close(fd)
    held = ffi.gc(rows[0], lib.payers_free)
    paths: dict[int, tuple[int, ...]] = {}
    billed = []
    for i in range(count[0]):
        row = held[i]
        if row.set not in paths:
            paths[row.set] = parts.owners_of(row.set)
        billed.append(Billed(paths[row.set], row.inode, tuple(row.pages)))
    return tuple(billed)
