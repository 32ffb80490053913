"""Recordings made by hand, for what reports tell of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta

from tests.unit import builders

from zonerss.answers.report import Report, Reporter
from zonerss.plain import replace
from zonerss.records import ProcessUsage, Usage
from zonerss.snapshot import Snapshot

MIB = 1 << 20
Course = Callable[[int], float]


def zone(name: str, size: float, **fields: int | None) -> Usage:
    """A zone of so many bytes, all of them private but for a mebibyte of files."""
    anon = max(int(size) - MIB, 0) // 4096 * 4096
    return replace(
        builders.usage(name, anon_bytes=anon, file_bytes=MIB, shmem_bytes=0),
        **{"charged_bytes": anon + MIB, "cache_unmapped_bytes": 0, **fields},
    )


def process(pid: int, name: str, size: float, **fields: object) -> ProcessUsage:
    """Its only process likewise."""
    anon = max(int(size) - MIB, 0) // 4096 * 4096
    own = {"rss_bytes": anon + MIB, "anon_bytes": anon, "file_bytes": MIB, "shmem_bytes": 0}
    return builders.process(pid, zone=name, **{**own, "exclusive_bytes": anon, **fields})


def look(seconds: float, zones: Sequence[Usage], processes: Sequence[ProcessUsage] = ()) -> Snapshot:
    began = builders.BEGAN + timedelta(seconds=seconds)
    return builders.snapshot(*zones, processes=tuple(processes), began=began, ended=began)


def recorded(courses: Mapping[str, Course], count: int = 60, step: float = 1.0) -> Report:
    """Zones of one process each, whose rss takes these courses."""
    reporter = Reporter("zone")
    for n in range(count):
        sizes = {name: course(n) for name, course in courses.items()}
        reporter.add(
            look(
                n * step,
                [zone(name, size) for name, size in sizes.items()],
                [process(pid, name, size) for pid, (name, size) in enumerate(sizes.items(), start=101)],
            )
        )
    return reporter.report("x.zrec", "vm", count)
