"""What the memory controller says of a zone's cgroup beside its charge: limits, pressure, kills, and what of the bill
nobody maps.

Source: Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.high, memory.events, memory.stat, cgroup.stat) and
cgroup-v1/memory.rst (hierarchical_memory_limit, memory.oom_control, memory.stat); mm/memcontrol.c memcg_memory_event(),
which tells version 2's parents of a kill and not version 1's; include/linux/page_counter.h PAGE_COUNTER_MAX.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace

from zonerss.errors import KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy, children, directory
from zonerss.kernel.memcg import parse_stat
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.pressure import Pressure, parse_pressure
from zonerss.records import Usage
from zonerss.units import PAGE_BYTES

_UNLIMITED_V1 = (2**63 - 1) // PAGE_BYTES * PAGE_BYTES
"""How version 1 writes that there is no limit: PAGE_COUNTER_MAX pages."""
_MOST_BYTES = 1 << 16
"""Of a file: the longest, memory.stat, has some thousand."""
_CACHE = {
    1: ("total_cache", "total_mapped_file", "total_swapcached"),
    2: ("file", "file_mapped", "swapcached"),
}
"""NR_FILE_PAGES, NR_FILE_MAPPED and NR_SWAPCACHE by the version's names. The first counts the swap cache, too."""


class Controls:
    """Reads the files of cgroups for one snapshot; a cgroup that several zones lie in is read once."""

    def __init__(self, hierarchy: MemoryHierarchy) -> None:
        self._hierarchy = hierarchy
        self._stats: dict[tuple[str, str], dict[str, int]] = {}
        self._limits: dict[tuple[str, str], int | None] = {}

    def tell(self, usage: Usage, without: Collection[str] = ()) -> Usage:
        """
        The usage with what its cgroup's files say; as it is where there is no cgroup or no memory controller.

        :param without: cgroups below it that are zones of their own: their kills and their cache are taken off
        :raises KernelFormatError: a file is not of the form that we know
        """
        path, version = usage.cgroup, self._hierarchy.version
        if path is None or not self._hierarchy.charges or (path == "/" and version == 1):
            return usage
        some, full = self._pressure(path)
        # Version 1 tells a cgroup of kills in itself only, and so does version 2 where it is mounted for it.
        # Version 2's root has a memory.stat, of the whole machine, and no bill.
        has_bill = usage.charged_bytes is not None
        kills_below = () if version == 1 or self._hierarchy.local_events else without
        return replace(
            usage,
            limit_bytes=self._limit(path),
            high_bytes=self._smallest(path, "memory.high") if version == 2 else None,
            pressure_some=some,
            pressure_full=full,
            oom_kills=_less(self._kills, path, kills_below),
            cache_unmapped_bytes=_less(self._cache_unmapped, path, without) if has_bill else None,
            dead_cgroups_bytes=self._dead(path) if version == 1 else None,
            dying_cgroups=self._dying(path) if version == 2 else None,
        )

    def _limit(self, path: str) -> int | None:
        if self._hierarchy.version == 2:
            return self._smallest(path, "memory.max")
        limit = self._stat(path, "memory.stat").get("hierarchical_memory_limit")
        return None if limit is None or limit >= _UNLIMITED_V1 else limit

    def _smallest(self, path: str, name: str) -> int | None:
        """Of a limit, from this cgroup up to the root, as far up as can be seen from here."""
        todo = []
        while (path, name) not in self._limits and path:
            todo.append(path)
            path = path.rpartition("/")[0] or ("/" if path != "/" else "")
        found = self._limits.get((path, name))
        for inner in reversed(todo):
            own = parse_limit(self._read(inner, name), name)
            found = own if found is None else found if own is None else min(own, found)
            self._limits[inner, name] = found
        return found

    def _pressure(self, path: str) -> Pressure:
        return parse_pressure(self._read(path, "memory.pressure"), f"{path}: memory.pressure")

    def _kills(self, path: str) -> int | None:
        name = "memory.events" if self._hierarchy.version == 2 else "memory.oom_control"
        return self._stat(path, name).get("oom_kill")

    def _cache_unmapped(self, path: str) -> int | None:
        stat = self._stat(path, "memory.stat")
        cache, mapped, swapped = (stat.get(name) for name in _CACHE[self._hierarchy.version])
        return None if cache is None or mapped is None else max(cache - mapped - (swapped or 0), 0)

    def _dead(self, path: str) -> int | None:
        """Version 1: what is charged below a cgroup and to none that lives: its own figures do not include it."""
        stat = self._stat(path, "memory.stat")
        if "total_rss" not in stat or "rss" not in stat:
            return None
        below = children(self._hierarchy, path) if self._has_children(path) else ()
        living = sum(_anon_and_cache(self._stat(inner, "memory.stat"), "total_") for inner in below)
        return max(_anon_and_cache(stat, "total_") - _anon_and_cache(stat) - living, 0)

    def _dying(self, path: str) -> int | None:
        stat = self._stat(path, "cgroup.stat")
        return stat.get(
            "nr_dying_subsys_memory", stat.get("nr_dying_descendants")
        )  # the former since Linux 6.12

    def _has_children(self, path: str) -> bool:
        try:
            # Of a directory of kernfs: 2, and one for each directory in it.
            return os.stat(directory(self._hierarchy, path) or "").st_nlink != 2
        except (OSError, ValueError):
            return False

    def _stat(self, path: str, name: str) -> Mapping[str, int]:
        """The lines of a file; none where it is not there."""
        if (path, name) not in self._stats:
            self._stats[path, name] = parse_stat(self._read(path, name), f"{path}: {name}")
        return self._stats[path, name]

    def _read(self, path: str, name: str) -> bytes:
        """A file of a cgroup; empty where it is not there or cannot be read."""
        where = directory(self._hierarchy, path)
        if where is None:
            return b""
        try:
            fd = os.open(f"{where}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError):
            return b""
        try:
            return os.read(fd, _MOST_BYTES)
        except OSError:
            return b""
        finally:
            os.close(fd)


def parse_limit(text: bytes, path: str = "memory.max") -> int | None:
    """
    Bytes of memory.max or memory.high; None: no limit (``max``), or no file.

    :raises KernelFormatError: it is neither a number nor ``max``; gives path and text
    """
    word = text.strip()
    if not word or word == b"max":
        return None
    number = whole_number(word)
    if number is None:
        raise KernelFormatError(f"{path}: not a number of bytes: {text!r}")
    return number


def _less(figure: Callable[[str], int | None], path: str, without: Collection[str]) -> int | None:
    """A figure of a cgroup less that of others below it; not below 0, since they are not read at one instant."""
    whole = figure(path)
    return None if whole is None else max(whole - sum(figure(inner) or 0 for inner in without), 0)


def _anon_and_cache(stat: Mapping[str, int], prefix: str = "") -> int:
    """Version 1's charge but for kernel memory, which its memory.stat does not have."""
    return stat.get(f"{prefix}rss", 0) + stat.get(f"{prefix}cache", 0)
