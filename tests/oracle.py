"""The oracle: what zonerss has to answer, found by plain reads and real sets, slowly.

It is written as the definition reads, and shares no code with what it judges:

    for each process:
        find its zone
        for each mapping of its address space:
            for each page that is there:
                unless it is a zero page, which is nobody's memory:
                    the zone maps that page's frame

    a zone that maps a frame twice maps it; two zones that map a frame both map it.

:func:`partition` is the arithmetic alone, on marks (zone, frame, kind), for tests that need no kernel.
Source: admin-guide/mm/pagemap.rst, include/uapi/linux/kernel-page-flags.h.
"""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

PAGE = os.sysconf("SC_PAGE_SIZE")

# A word of /proc/PID/pagemap.
PRESENT = 1 << 63
SWAPPED = 1 << 62
FILE_OR_SHARED = 1 << 61
SOFT_DIRTY = 1 << 55
"""Set in holes, too, where the kernel has it (CONFIG_MEM_SOFT_DIRTY): whatever comes there was written since."""
PFN = (1 << 55) - 1
SWAP_TYPE = (1 << 5) - 1
# Swap areas are numbered below this. The types above are migration entries, poisoned pages and guard markers:
# pagemap calls them swapped, but they are no swap (include/linux/swap.h, MAX_SWAPFILES with every option on).
SWAP_AREAS = 23
MARKER = 31

# A word of /proc/kpageflags.
SWAP_BACKED = 1 << 14
COMPOUND_TAIL = 1 << 16
HUGETLB = 1 << 17
NO_PAGE = 1 << 20
ZERO_PAGE = 1 << 24

RSS_KINDS = ("anon", "file", "shmem")
FRAME_KINDS = (*RSS_KINDS, "hugetlb")
KINDS = (*FRAME_KINDS, "swap")

Zone = Hashable
Mark = tuple[Zone, int, str]
Parts = dict[frozenset[Zone], dict[str, int]]


def partition(marks: Iterable[Mark]) -> Parts:
    """How many frames of each kind are mapped by exactly which zones. Swap slots have numbers of their own.

    A frame has one kind: the one of its first mark.
    """
    zones_of: dict[tuple[bool, int], set[Zone]] = defaultdict(set)
    kind_of: dict[tuple[bool, int], str] = {}
    for zone, number, kind in marks:
        frame = (kind == "swap", number)
        zones_of[frame].add(zone)
        kind_of.setdefault(frame, kind)
    parts: Parts = {}
    for frame, zones in zones_of.items():
        part = parts.setdefault(frozenset(zones), dict.fromkeys(KINDS, 0))
        part[kind_of[frame]] += 1
    return parts


@dataclass
class ZoneUsage:
    """What one zone maps, in pages."""

    mapped: dict[str, int] = field(default_factory=lambda: dict.fromkeys(KINDS, 0))
    exclusive: int = 0
    proportional: Fraction = Fraction(0)

    @property
    def rss(self) -> int:
        return sum(self.mapped[kind] for kind in RSS_KINDS)

    @property
    def shared(self) -> int:
        return self.rss - self.exclusive


def usage(parts: Parts) -> dict[Zone, ZoneUsage]:
    """The sums over parts that people see, for each zone."""
    zones: dict[Zone, ZoneUsage] = defaultdict(ZoneUsage)
    for members, pages in parts.items():
        rss = sum(pages[kind] for kind in RSS_KINDS)
        for zone in members:
            for kind in KINDS:
                zones[zone].mapped[kind] += pages[kind]
            zones[zone].proportional += Fraction(rss, len(members))
            if len(members) == 1:
                zones[zone].exclusive += rss
    return dict(zones)


def distinct(parts: Parts) -> dict[str, int]:
    """Frames of each kind that anybody maps."""
    return {kind: sum(pages[kind] for pages in parts.values()) for kind in KINDS}


# ---- the kernel, by plain reads ----------------------------------------------------------------------


@dataclass(frozen=True)
class Vma:
    """One row of /proc/PID/maps, half-open, in bytes."""

    start: int
    end: int
    name: bytes

    @property
    def pages(self) -> int:
        return (self.end - self.start) // PAGE


class PageAt(NamedTuple):
    """One page that is there: in a frame, or in a slot of a swap area."""

    address: int
    number: int
    kind: str


def parse_maps(text: bytes) -> list[Vma]:
    rows = []
    for line in text.splitlines():
        span, _flags, _offset, _device, _inode, *name = line.split(None, 5)
        start, end = span.split(b"-")
        rows.append(Vma(int(start, 16), int(end, 16), name[0] if name else b""))
    return rows


def processes() -> list[int]:
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def living_thread(pid: int) -> int:
    """The process itself, or a thread of it that has an address space where the first one ended."""
    for tid in sorted(int(name) for name in os.listdir(f"/proc/{pid}/task")):
        try:
            if read_file(f"/proc/{pid}/task/{tid}/maps"):
                return tid
        except PermissionError:
            return tid
    return pid


def read_file(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def read_words(pagemap: int, vma: Vma) -> Iterator[tuple[int, int]]:
    """(address, word) of every page of a mapping that is there, in memory or in swap."""
    step = 1 << 15
    nothing = [word.to_bytes(8, sys.byteorder) * step for word in (0, SOFT_DIRTY)]
    for page in range(vma.start // PAGE, vma.end // PAGE, step):
        count = min(step, vma.end // PAGE - page)
        data = os.pread(pagemap, count * 8, page * 8)
        if data in (hole[: len(data)] for hole in nothing):
            continue
        for index, word in enumerate(memoryview(data).cast("Q")):
            if word & (PRESENT | SWAPPED):
                yield (page + index) * PAGE, word


class Kernel:
    """The frames' own flags, each read once."""

    def __init__(self) -> None:
        self._file = os.open("/proc/kpageflags", os.O_RDONLY)
        self._counts = os.open("/proc/kpagecount", os.O_RDONLY)
        self._flags: dict[int, int] = {}

    def close(self) -> None:
        os.close(self._file)
        os.close(self._counts)

    def times_mapped(self, pfn: int) -> int:
        return int.from_bytes(os.pread(self._counts, 8, pfn * 8), "little")

    def flags(self, pfn: int) -> int:
        """Of a page within a huge one: of its first page, for the others may have none of their own."""
        head = pfn
        while head not in self._flags:
            flags = int.from_bytes(os.pread(self._file, 8, head * 8), "little")
            if not (flags & COMPOUND_TAIL and head % (PAGE // 8)):
                self._flags[head] = flags
                break
            head -= 1
        self._flags[pfn] = self._flags[head]
        return self._flags[pfn]

    def kind(self, word: int) -> str | None:
        """What sort of page a pagemap word tells of; None for what is nobody's memory."""
        if not word & PRESENT:
            if not word & SWAPPED or word & SWAP_TYPE == MARKER:
                return None
            return "swap" if word & SWAP_TYPE < SWAP_AREAS else "moving"
        if not word & PFN:
            raise PermissionError("frame numbers are hidden")
        flags = self.flags(word & PFN)
        if flags & (ZERO_PAGE | NO_PAGE):
            return None
        if flags & HUGETLB:
            return "hugetlb"
        if not word & FILE_OR_SHARED:
            return "anon"
        return "shmem" if flags & SWAP_BACKED else "file"


def pages_of(kernel: Kernel, pid: int, start: int = 0, end: int = 1 << 64) -> Iterator[PageAt]:
    """Every page that is there in a process, or in one range of it."""
    tid = living_thread(pid)
    # The address space that the open file belongs to stays, even when the process replaces it.
    pagemap = os.open(f"/proc/{pid}/task/{tid}/pagemap", os.O_RDONLY)
    try:
        for vma in parse_maps(read_file(f"/proc/{pid}/task/{tid}/maps")):
            for address, word in read_words(pagemap, vma):
                if start <= address < end and (kind := kernel.kind(word)):
                    yield PageAt(address, word & PFN, kind)
    finally:
        os.close(pagemap)


@dataclass
class Truth:
    """What the oracle saw."""

    parts: Parts
    zones: dict[Zone, ZoneUsage]
    process_rss: dict[Zone, int]
    """Pages: every page table entry that maps memory, of every process."""
    processes: dict[Zone, int]
    """Processes that have memory."""
    rss_of: dict[int, int]
    """The same for each process by pid."""
    mapped_times: dict[int, int]
    """By frame: how many page table entries map it, each address space once."""
    unreadable: dict[int, str]
    """By pid: why a process could not be read."""
    pages: dict[int, list[PageAt]]
    """By pid: every page that was there, and where."""

    @property
    def is_moving(self) -> bool:
        """The kernel was just moving a page to another frame: it is there, but no frame can be told."""
        return any(page.kind == "moving" for pages in self.pages.values() for page in pages)


OTHERS = "others"


def read_system(
    zone_of: Callable[[int], Zone | None],
    shares: Mapping[int, int] | None = None,
    others_by_count: bool = False,
    among: Iterable[int] | None = None,
) -> Truth:
    """Walk every process of this host.

    :param zone_of: the zone of a pid; None leaves the process out
    :param shares: pid by pid, of processes that share an address space with another: which one
    :param others_by_count: a frame that the kernel says is mapped more often than was seen is mapped by the zone
        OTHERS, too. It is the same as to walk those who were left out, and takes a moment however many they are
    :param among: the pids of all that have a zone, where they are known: nobody else is looked at
    """
    kernel = Kernel()
    marks: list[Mark] = []
    process_rss: dict[Zone, int] = defaultdict(int)
    population: dict[Zone, int] = defaultdict(int)
    rss_of: dict[int, int] = {}
    mapped_times: dict[int, int] = defaultdict(int)
    unreadable: dict[int, str] = {}
    seen: dict[int, list[PageAt]] = {}
    try:
        for pid in processes() if among is None else sorted(among):
            try:
                zone = zone_of(pid)
                pages = list(pages_of(kernel, pid)) if zone is not None else []
            except (ProcessLookupError, FileNotFoundError):
                continue
            except OSError as error:
                unreadable[pid] = error.strerror
                continue
            if not pages:
                continue
            seen[pid] = pages
            population[zone] += 1
            rss_of[pid] = sum(page.kind in RSS_KINDS for page in pages)
            process_rss[zone] += rss_of[pid]
            for page in pages:
                if page.kind != "moving":
                    marks.append((zone, page.number, page.kind))
                if page.kind in FRAME_KINDS and pid not in (shares or {}):
                    mapped_times[page.number] += 1
        if others_by_count:
            kinds = {number: kind for _zone, number, kind in marks if kind in RSS_KINDS}
            marks += [
                (OTHERS, number, kind)
                for number, kind in kinds.items()
                if kernel.times_mapped(number) > mapped_times[number]
            ]
    finally:
        kernel.close()
    parts = partition(marks)
    return Truth(
        parts, usage(parts), dict(process_rss), dict(population), rss_of, dict(mapped_times), unreadable, seen
    )


def memory_cgroup_of(pid: int) -> str:
    """The cgroup of a process in the hierarchy that carries the memory controller.

    Asked of a thread that lives: on version 1 the kernel says "/" of one that has ended.
    """
    unified = ""
    tid = living_thread(pid)
    for line in os.fsdecode(read_file(f"/proc/{pid}/task/{tid}/cgroup")).splitlines():
        _id, controllers, path = line.split(":", 2)
        if "memory" in controllers.split(","):
            return path
        if not controllers:
            unified = path
    return unified
