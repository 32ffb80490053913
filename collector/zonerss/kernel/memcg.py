"""The figures of the memory controller for one cgroup, and the processes in it.

Source: Documentation/admin-guide/cgroup-v2.rst (memory.current, memory.stat, memory.swap.current) and
cgroup-v1/memory.rst (memory.usage_in_bytes, memory.stat, memory.kmem.usage_in_bytes).

Two properties of these figures: charges run ahead of use by up to 64 pages per cpu (MEMCG_CHARGE_BATCH), and
memory.stat may lag by as many pages until it is flushed, every two seconds (flush_memcg_stats_dwork, Linux 5.15).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path

from zonerss.errors import KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy, directory, walk
from zonerss.kernel.numbers import whole_number
from zonerss.records.bills import Bill

_TOTAL = "total_"
_STAT = re.compile(rb"(?:[!-~]+ \d{1,20}\n)*")
"""What every kernel writes; anything else is looked at line by line."""


def cgroup_inodes(hierarchy: MemoryHierarchy) -> dict[int, str]:
    """
    The cgroups that are mounted here, by the inode number that kpagecgroup has and stat(2) gives.

    One stat(2) a cgroup.
    """
    inodes = {}
    for path in walk(hierarchy, hierarchy.mount_root):
        where = directory(hierarchy, path)
        try:
            inodes[os.stat(where or hierarchy.mount_point).st_ino] = path
        except OSError:
            continue  # it has just gone
    return inodes


def cgroup_processes(hierarchy: MemoryHierarchy, path: str, without: Collection[str] = ()) -> frozenset[int]:
    """
    The processes of a cgroup and of all below it that have memory of their own, as cgroup.procs lists them now.

    :param without: cgroups below it that are left out, with all that is below them
    """
    found: set[int] = set()
    for inner in walk(hierarchy, path, without):
        where = directory(hierarchy, inner)
        text = None if where is None else _read(where / "cgroup.procs")
        found.update(int(line) for line in (text or b"").split())
    return frozenset(found)


def read_bill(hierarchy: MemoryHierarchy, path: str) -> Bill | None:
    """
    The figures of one cgroup and all below it.

    :return: None where there is no memory controller for it, it is gone, or not mounted here; fields that this
        kernel does not have are None or missing
    :raises KernelFormatError: a file is not of the form that we know
    """
    where = directory(hierarchy, path) if hierarchy.charges else None
    text = None if where is None else _read(where / "memory.stat")
    if where is None or text is None:
        return None
    stat = parse_stat(text, str(where / "memory.stat"))
    return _bill_v2(where, stat) if hierarchy.version == 2 else _bill_v1(where, stat)


def swap_room(hierarchy: MemoryHierarchy, path: str) -> int | None:
    """
    How much more of a cgroup's memory may be swapped out: the least that memory.swap.max (Linux 4.5) leaves of it, or
    of a cgroup above it, in bytes.

    :return: None where nothing limits it; on version 1 always, where memory.memsw counts memory and swap together, so
        that swapping out changes nothing
    :raises KernelFormatError: a file is not of the form that we know
    """
    if hierarchy.version != 2 or not hierarchy.charges:
        return None
    least = None
    while path not in ("", "/"):
        where = directory(hierarchy, path)
        limit = None if where is None else _limit(where / "memory.swap.max")
        if where is not None and limit is not None:
            room = max(limit - (_number(where / "memory.swap.current") or 0), 0)
            least = room if least is None else min(least, room)
        path = path.rpartition("/")[0]
    return least


def parse_stat(text: bytes, path: str = "memory.stat") -> dict[str, int]:
    """
    The lines of memory.stat: a name and a number each, bytes on both versions but for counts of events.

    :raises KernelFormatError: a line is not of this form; gives path, number and the raw line
    """
    if _STAT.fullmatch(text):
        words = text.decode("ascii").split()
        return dict(zip(words[::2], map(int, words[1::2]), strict=True))
    stat = {}
    for number, line in enumerate(text.splitlines(), start=1):
        name, _, value = line.partition(b" ")
        figure = whole_number(value)
        if not name or figure is None:
            raise KernelFormatError(f"{path}:{number}: not of the form NAME NUMBER: {line!r}")
        stat[name.decode("ascii", "backslashreplace")] = figure
    return stat


# version 1 has each figure twice: of the cgroup alone, and under total_ with all below it
def _bill_v1(where: Path, stat: Mapping[str, int]) -> Bill:
    charged = _number(where / "memory.usage_in_bytes")
    with_swap = _number(where / "memory.memsw.usage_in_bytes")
    return Bill(
        version=1,
        charged_bytes=charged,
        stat={name.removeprefix(_TOTAL): value for name, value in stat.items() if name.startswith(_TOTAL)},
        own={name: value for name, value in stat.items() if not name.startswith(_TOTAL)},
        kernel_bytes=_number(where / "memory.kmem.usage_in_bytes"),
        swap_bytes=None if charged is None or with_swap is None else max(with_swap - charged, 0),
        dying=None,
    )


def _bill_v2(where: Path, stat: Mapping[str, int]) -> Bill:
    cgroup_stat = _read(where / "cgroup.stat")
    dying = None if cgroup_stat is None else parse_stat(cgroup_stat, str(where / "cgroup.stat"))
    return Bill(
        version=2,
        charged_bytes=_number(where / "memory.current"),
        stat=dict(stat),
        own=None,
        kernel_bytes=stat.get("kernel"),
        swap_bytes=_number(where / "memory.swap.current"),
        dying=None if dying is None else dying.get("nr_dying_descendants"),
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _limit(path: Path) -> int | None:
    """None: max, or not there."""
    text = _read(path)
    if text is None or text.strip() == b"max":
        return None
    number = whole_number(text.strip())
    if number is None:
        raise KernelFormatError(f"{path}: not a number of bytes: {text!r}")
    return number


def _number(path: Path) -> int | None:
    text = _read(path)
    if text is None:
        return None
    number = whole_number(text.strip())
    if number is None:
        raise KernelFormatError(f"{path}: not a number of bytes: {text!r}")
    return number
