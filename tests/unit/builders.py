"""Records and snapshots made by hand, for tests that need no kernel."""

from __future__ import annotations

import struct
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from zonerss.answers.growth import Growth
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.usage import Member
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import replace
from zonerss.records import Grouping, Names, ProcessUsage, Task, Usage, Zone
from zonerss.records.machine import Machine
from zonerss.records.mappings import MAPCOUNT_UNKNOWN, PAGE_DEVICE, PAGE_STRUCT, PAGE_ZERO, Vma, VmaPages
from zonerss.serve.look import Build, Counts, Look
from zonerss.snapshot import Snapshot
from zonerss.units import PAGE_BYTES
from zonerss.walk.host import Host

KIB = 1024
MIB = 1024 * KIB
MACHINE = Machine(
    memory_bytes=997 * MIB,
    free_bytes=211 * MIB,
    available_bytes=701 * MIB,
    page_cache_bytes=331 * MIB,
    shmem_bytes=71 * MIB,
    kernel_bytes=47 * MIB,
    hugetlb_bytes=32 * MIB,
    swap_bytes=503 * MIB,
    swap_free_bytes=499 * MIB,
    pressure_some=1.25,
    pressure_full=0.5,
    host_name="vm",
)
"""None of its figures is another's."""
BEGAN = datetime(2026, 11, 22, 12, 0, 0, 250, tzinfo=UTC)


def usage(zone: str = "web", **fields: Any) -> Usage:
    """A zone of 23 KiB anon, 31 KiB file, 7 KiB shmem, 41 KiB of it its own."""
    return replace(
        Usage(
            zone=zone,
            cgroup=f"/{zone}",
            id=None,
            kind="cgroup",
            processes=3,
            process_rss_bytes=101 * KIB,
            anon_bytes=23 * KIB,
            file_bytes=31 * KIB,
            shmem_bytes=7 * KIB,
            hugetlb_bytes=0,
            exclusive_bytes=41 * KIB,
            proportional_bytes=47 * KIB,
            swap_bytes=0,
            charged_bytes=53 * KIB,
        ),
        **fields,
    )


def process(pid: int = 42, **fields: Any) -> ProcessUsage:
    return replace(
        ProcessUsage(
            pid=pid,
            zone="web",
            uid=0,
            command="httpd",
            rss_bytes=61 * KIB,
            anon_bytes=23 * KIB,
            file_bytes=31 * KIB,
            shmem_bytes=7 * KIB,
            hugetlb_bytes=0,
            exclusive_bytes=11 * KIB,
            proportional_bytes=29 * KIB,
            swap_bytes=0,
            size_bytes=1024 * KIB,
        ),
        **fields,
    )


def snapshot(*usages: Usage, **fields: Any) -> Snapshot:
    zones = usages or (usage(),)
    return replace(
        Snapshot(
            began=BEGAN,
            ended=BEGAN + timedelta(milliseconds=17),
            source="pagemap",
            basis="mapped",
            by="zone",
            page_size=4096,
            total=usage("total", cgroup=None, kind="total"),
            zones=zones,
            groupings=(Grouping("zone", zones),),
            processes=None,
            gaps=(),
            walk_ns=5_000_000,
            walk_pages=1234,
            parts=Census(16).parts(),
            members=(),
            machine=MACHINE,
        ),
        **fields,
    )


def look(*usages: Usage, **fields: Any) -> Look:
    """What is served after the third walk, which took a quarter of a second; its growth knows the one before it."""
    taken = snapshot(*usages)
    growth = Growth()
    growth.add(replace(taken, began=taken.began - timedelta(seconds=30)))
    growth.add(taken)
    counts = Counts()
    for seconds in (0.02, 11.0, 0.25):
        counts = counts.with_walk(seconds, 0.1, taken.gaps)
    return replace(
        Look(
            snapshot=taken,
            walk_seconds=0.25,
            ended_monotonic=1000.0,
            growth=growth,
            pairs=(),
            counts=counts,
            interval_seconds=30.0,
            stretched_seconds=30.0,
            build=Build("0.1.0", "3.11.2", "6.18.44 x86_64"),
        ),
        **fields,
    )


def evidence(**answers: Any) -> Any:
    """Evidence that has these answers, each a function."""
    return SimpleNamespace(**({"names": Names(), "processors": 2} | answers))


def members(*names: str) -> tuple[Member, ...]:
    """A process for each zone, each with an owner and an address space of its own."""
    return tuple(
        Member(Task(pid, 0, 0, 0, "x", "/", 0, pid), pid, (Zone(name),), pid - 1, 0)
        for pid, name in enumerate(names, start=1)
    )


def host(roots: Roots = HOST, **fields: Any) -> Host:
    """A host of small pages and one thread, without PAGEMAP_SCAN."""
    return replace(
        Host(
            roots=roots,
            threads=1,
            patience_seconds=2.0,
            threads_named=True,
            zero_pfn=0,
            huge_pages=0,
            can_scan=False,
            shm_device=(0, 1),
            our_pids=True,
            caveats=(),
        ),
        **fields,
    )


ONE_OF_EACH = (
    (100, 1, Kind.ANON, 0),
    (101, 3, Kind.ANON, 1),
    (102, 900, Kind.FILE, 0),
    (50, MAPCOUNT_UNKNOWN, Kind.SHMEM, 0),
    (1, 5, PAGE_ZERO, 0),
    (9, MAPCOUNT_UNKNOWN, PAGE_DEVICE, 0),
    (77, MAPCOUNT_UNKNOWN, Kind.SWAP, 0),
)
"""Pages for :func:`mapping`."""


def mapping(start: int, name: str, *pages: tuple[int, int, int, int], size_pages: int = 0) -> VmaPages:
    """
    A mapping of pages of (pfn, mapcount, kind, huge), one after the other.

    :param size_pages: how large it is; 0: as large as its pages are, and one at least
    """
    raw = b"".join(
        struct.pack(PAGE_STRUCT, start + PAGE_BYTES * number, *page) for number, page in enumerate(pages)
    )
    end = start + PAGE_BYTES * (size_pages or max(len(pages), 1))
    return VmaPages(Vma(start, end, "rw-p", 0, (8, 1), 7, name), len(pages), memoryview(raw))


class NoSession:
    """Stands for a session on a host without root and kernel."""

    def __init__(self, *_: object, **options: object) -> None:
        pass

    def go_on(self, uncertainty: bool = False) -> None:
        pass

    def __enter__(self) -> NoSession:
        return self

    def __exit__(self, *_: object) -> None:
        pass
