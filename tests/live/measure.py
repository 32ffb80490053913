"""Take a snapshot of stopped processes, and hold it against the oracle at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from pathlib import Path

import pytest

import zonerss
from tests import oracle
from tests.identities import assert_identities
from tests.live.cgroups import TestCgroups, move, pids_in, stopped
from tests.oracle import KINDS, PAGE, RSS_KINDS
from tests.workloads.mem import Mem
from zonerss.plain import dataclass, fields, replace

LOOKS = 100


@dataclass(frozen=True)
class Pages:
    """What one zone uses, in pages."""

    rss: int
    anon: int
    file: int
    shmem: int
    hugetlb: int
    swap: int
    exclusive: int
    shared: int
    proportional: Fraction
    process_rss: int
    processes: int

    def __sub__(self, other: Pages) -> dict[str, int | Fraction]:
        """Only what differs, by name."""
        differences = {
            field.name: getattr(self, field.name) - getattr(other, field.name) for field in fields(self)
        }
        return {name: difference for name, difference in differences.items() if difference}


def pages_of(usage: zonerss.records.Usage) -> Pages:
    """In pages; a figure that is no whole page is an error, but for the proportional one."""
    whole = {
        field.name: whole_pages(getattr(usage, f"{field.name}_bytes"))
        for field in fields(Pages)
        if field.name not in ("proportional", "processes")
    }
    return Pages(**whole, proportional=Fraction(usage.proportional_bytes, PAGE), processes=usage.processes)


def major_faults(pid: int) -> int:
    """Faults of a process that had to read from a disk or from swap."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[9])


def whole_pages(size: int) -> int:
    pages, rest = divmod(size, PAGE)
    assert not rest, f"{size} bytes are no whole pages"
    return pages


def among(parts: oracle.Parts, zones: set[str]) -> oracle.Parts:
    """The parts as they would be if there were no other zones than these."""
    seen: oracle.Parts = {}
    for members, pages in parts.items():
        if members & zones:
            part = seen.setdefault(members & zones, dict.fromkeys(KINDS, 0))
            for kind, count in pages.items():
                part[kind] += count
    return seen


def true_pages(truth: oracle.Truth, zone: str, zones: set[str]) -> Pages:
    usage = truth.zones[zone]
    return Pages(
        **usage.mapped,
        rss=usage.rss,
        exclusive=usage.exclusive,
        shared=usage.shared,
        proportional=oracle.usage(among(truth.parts, zones))[zone].proportional,
        process_rss=truth.process_rss[zone],
        processes=truth.processes[zone],
    )


class Zone:
    """A cgroup of ours with processes whose memory is known."""

    def __init__(self, cgroups: TestCgroups, path: Path):
        self.path = path
        self.name = cgroups.name_of(path)
        self.mems: list[Mem] = []

    def spawn(self) -> Mem:
        mem = Mem(before_exec=lambda: move(os.getpid(), self.path))
        self.mems.append(mem)
        return mem

    def add(self, pid: int) -> None:
        move(pid, self.path)

    def end(self) -> None:
        for mem in self.mems:
            mem.end()


@dataclass(frozen=True)
class Measured:
    """One snapshot of stopped processes, which the oracle has confirmed."""

    snapshot: zonerss.Snapshot
    truth: oracle.Truth
    pages: Mapping[str, Pages]

    def of(self, zone: Zone) -> Pages:
        return self.pages[zone.name]


def grown(before: Measured, after: Measured, zone: Zone) -> dict[str, int | Fraction]:
    """By how many pages each figure of a zone changed; what did not change is left out."""
    return after.of(zone) - before.of(zone)


def private(pages: int, kind: str = "anon", mapped: int | None = None) -> dict[str, int]:
    """The growth of a zone by pages that no other zone maps.

    :param mapped: by how many page table entries, where these are not as many as pages
    """
    return without_zeros(
        {
            "rss": pages,
            kind: pages,
            "exclusive": pages,
            "proportional": pages,
            "process_rss": pages if mapped is None else mapped,
        }
    )


def shared(pages: int, kind: str, zones: int, mapped: int | None = None) -> dict[str, int | Fraction]:
    """The growth of each of so many zones by pages that all of them map."""
    return without_zeros(
        {
            "rss": pages,
            kind: pages,
            "shared": pages,
            "proportional": Fraction(pages, zones),
            "process_rss": pages if mapped is None else mapped,
        }
    )


def without_zeros(figures: dict[str, int | Fraction]) -> dict[str, int | Fraction]:
    return {name: figure for name, figure in figures.items() if figure}


def assert_true(pages: Pages, true: Pages, zone: str, common: int) -> None:
    """Exact to the page.

    But for the proportional figure: pages that zones of others map, too, which are those of the vdso,
    are divided by how many zones there are just then. It is rounded to a byte, too.

    :param common: how many such pages there are
    """
    different = pages - true
    assert common < 10, f"{zone} shares {common} pages with processes that are not ours"
    rounding = Fraction(1, PAGE)
    if -common - rounding <= different.get("proportional", 0) <= rounding:
        different.pop("proportional", None)
    assert not different, (
        f"{zone} differs from the oracle by {different}, {common} pages in common with others"
    )


def read_zones(zones: Iterable[Zone], shares: Mapping[int, int] | None = None) -> oracle.Truth:
    """The oracle on the processes of some zones; who else maps a page of theirs is the zone OTHERS."""
    zones = list(zones)
    names = {zone.name for zone in zones}

    def zone_of(pid: int) -> str | None:
        name = oracle.memory_cgroup_of(pid)
        return name if name in names else None

    # To ask every process of the host for its zone takes longer than to walk those of ours.
    among = {pid for zone in zones for pid in pids_in(zone.path)}
    return oracle.read_system(zone_of, shares, others_by_count=True, among=among)


def between_two_looks(
    take: Callable[[], zonerss.Snapshot], zones: Iterable[Zone], shares: Mapping[int, int] | None = None
) -> tuple[zonerss.Snapshot, oracle.Truth]:
    """A snapshot of stopped processes, and what the oracle saw before and after it alike.

    Though they are stopped, the kernel may move their pages to other frames, to make room for a huge page. What it
    does just then is no fault of the snapshot's, so that one is taken again.
    """
    zones = list(zones)
    for _ in range(LOOKS):
        before = read_zones(zones, shares)
        snapshot = take()
        after = read_zones(zones, shares)
        if before.pages == after.pages and before.parts == after.parts and not before.is_moving:
            return snapshot, after
    pytest.fail("the kernel moves pages of stopped processes about without end")


def pages_common_with_others(parts: oracle.Parts, zone: str, zones: set[str]) -> int:
    return sum(
        pages[kind]
        for members, pages in parts.items()
        for kind in RSS_KINDS
        if zone in members and not members <= zones
    )


def measure_zones(zones: list[Zone], source: str, shares: Mapping[int, int] | None = None) -> Measured:
    """Stop the zones' processes, take a snapshot, let the oracle walk the same, compare zone by zone."""
    names = {zone.name for zone in zones}
    with stopped([zone.path for zone in zones]):
        snapshot, truth = between_two_looks(
            lambda: zonerss.take_snapshot(by=("cgroup",), source=source), zones, shares
        )
    assert_identities(snapshot)
    (grouping,) = snapshot.groupings
    found = {usage.zone: pages_of(usage) for usage in grouping.zones if usage.zone in names}
    pages = {}
    for name in names & truth.zones.keys():
        true = true_pages(truth, name, names)
        assert name in found, f"{name} is missing from the snapshot"
        assert_true(found[name], true, name, pages_common_with_others(truth.parts, name, names))
        # The figures of the snapshot; proportional as among these zones only, to be told in exact numbers.
        pages[name] = replace(found[name], proportional=true.proportional)
    assert pages, "nothing was compared"
    return Measured(snapshot, truth, pages)
