"""What the memory controller says of a zone's cgroup beside its charge: limits, pressure, kills, and what of the bill
nobody maps.

Source: Documentation/admin-guide/cgroup-v2.rst (memory.max, memory.high, memory.events, memory.stat, cgroup.stat) and
cgroup-v1/memory.rst (hierarchical_memory_limit, memory.oom_control, memory.stat); mm/memcontrol.c memcg_memory_event(),
which tells version 2's parents of a kill and not version 1's; include/linux/page_counter.h PAGE_COUNTER_MAX.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from functools import cached_property
from typing import Any

from zonerss.errors import KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy, children, directory, read_cgroup_file
from zonerss.kernel.kills_below import KillsBelow
from zonerss.kernel.memcg import parse_stat
from zonerss.kernel.numbers import whole_number
from zonerss.kernel.pressure import Pressure, parse_pressure
from zonerss.kernel.roots import Roots
from zonerss.plain import replace
from zonerss.records import Usage, Wanted
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

    def __init__(
        self,
        hierarchy: MemoryHierarchy,
        wanted: Wanted | None = None,
        killed: bool = True,
        kills_below: KillsBelow | None = None,
    ) -> None:
        """
        :param wanted: what is worth reading; None: all
        :param killed: whether any process may have been killed; else no cgroup is asked
        :param kills_below: what earlier snapshots of a session remember; None: nothing
        """
        self._hierarchy, self._wanted, self._killed = hierarchy, wanted or Wanted(), killed
        self._kills_below = kills_below or KillsBelow()
        self._stats: dict[tuple[str, str], dict[str, int]] = {}
        self._limits: dict[tuple[str, str], int | None] = {}

    def tell(self, usage: Usage, without: Collection[str] = (), way: str = "") -> Usage:
        """
        The usage with what its cgroup's files say; as it is where there is no cgroup or no memory controller.

        :param without: cgroups below it that are zones of their own: their kills and their cache are taken off
        :param way: the grouping that these zones are of
        :raises KernelFormatError: a file is not of the form that we know
        """
        path, version = usage.cgroup, self._hierarchy.version
        if path is None or not self._hierarchy.charges or (path == "/" and version == 1):
            return usage
        found: dict[str, Any] = {}
        if self._wants_cache(usage):
            found["cache_unmapped_bytes"] = _less(self._cache_unmapped, path, without)
        if version == 1 and self._wants("dead_cgroups_bytes", usage.charged_bytes or 0):
            found["dead_cgroups_bytes"] = self._dead(path)
        if version == 2 and self._wants("dying_cgroups"):
            found["dying_cgroups"] = self._dying(path)
        if self._wants("limit_bytes"):
            found["limit_bytes"] = self._limit(path)
        if version == 2 and self._wants("high_bytes"):
            found["high_bytes"] = self._smallest(path, "memory.high")
        # Only version 2's cgroups have it (kernel/cgroup/cgroup.c css_populate_dir()).
        if version == 2 and (self._wants("pressure_some") or self._wants("pressure_full")):
            found["pressure_some"], found["pressure_full"] = self._pressure(path)
        if self._wants("oom_kills"):
            found["oom_kills"] = self.own_kills(path, without, way) if self._killed else 0
        return replace(usage, **found) if found else usage

    def _wants(self, field: str, possible_bytes: int | None = None) -> bool:
        """
        Whether a field is to be told.

        :param possible_bytes: more than this it cannot be
        """
        least = self._wanted.least_bytes
        return field in self._wanted.fields and (
            possible_bytes is None or not least or possible_bytes >= least
        )

    def _wants_cache(self, usage: Usage) -> bool:
        # Version 2's root has a memory.stat, of the whole machine, and no bill.
        charged = usage.charged_bytes
        return charged is not None and self._wants("cache_unmapped_bytes", charged - usage.rss_bytes)

    def _limit(self, path: str) -> int | None:
        if self._hierarchy.version == 2:
            return self._smallest(path, "memory.max")
        # memory.stat has the smallest limit of all, and takes twice as long to read as a cgroup's own.
        if (path, "memory.stat") in self._stats or not self._inherits_limits:
            return self._smallest_v1(path)
        limits = (
            self._smallest_v1(self._hierarchy.mount_root),
            self._smallest(path, "memory.limit_in_bytes"),
        )
        return min((limit for limit in limits if limit is not None), default=None)

    def _smallest_v1(self, path: str) -> int | None:
        limit = self._stat(path, "memory.stat").get("hierarchical_memory_limit")
        return None if limit is None or limit >= _UNLIMITED_V1 else limit

    @cached_property
    def _inherits_limits(self) -> bool:
        """
        Version 1: whether a limit holds for all cgroups below.

        Always since Linux 5.11 (commit bef8620cd8e0); before that only with memory.use_hierarchy.
        """
        return self._read(self._hierarchy.mount_root, "memory.use_hierarchy") != b"0\n"

    def _smallest(self, path: str, name: str) -> int | None:
        """Of a limit, from this cgroup up to the root, as far up as can be seen from here."""
        todo = []
        while (path, name) not in self._limits and path:
            todo.append(path)
            path = path.rpartition("/")[0] or ("/" if path != "/" else "")
        found = self._limits.get((path, name))
        for inner in reversed(todo):
            own = parse_limit(self._read(inner, name), name)
            own = None if own is not None and own >= _UNLIMITED_V1 else own
            found = own if found is None else found if own is None else min(own, found)
            self._limits[inner, name] = found
        return found

    def _pressure(self, path: str) -> Pressure:
        return parse_pressure(self._read(path, "memory.pressure"), f"{path}: memory.pressure")

    def own_kills(self, path: str, without: Collection[str] = (), way: str = "") -> int | None:
        """
        How many kills a cgroup counts in itself, and below in what is no zone of its own; None: it is not there.

        :param without: as of :meth:`tell`
        """
        # Version 1 tells a cgroup of kills in itself only, and so does version 2 where it is mounted for it.
        is_local = self._hierarchy.version == 1 or self._hierarchy.local_events
        below = () if is_local else without
        return self._kills_below.own(way, path, below, self._kills, self._local_kills)

    def _local_kills(self, path: str) -> int | None:
        """Version 2, since Linux 5.2 (commit 1e577f970f66)."""
        return self._stat(path, "memory.events.local").get("oom_kill")

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
        return read_cgroup_file(self._hierarchy, path, name, _MOST_BYTES) or b""


def any_killed(roots: Roots) -> bool:
    """
    Whether a process was killed for want of memory since the machine began; True where that is not known.

    Source: /proc/vmstat, oom_kill (Linux 4.13), which counts with the cgroup's (mm/oom_kill.c __oom_kill_process()).
    """
    try:
        return b"\noom_kill 0\n" not in (roots.proc / "vmstat").read_bytes()
    except OSError:
        return True


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
