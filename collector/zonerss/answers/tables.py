"""Moments as rows of tables, for other programs: one row for each zone, process, part, pair or file of a zone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from zonerss.census.kinds import RSS_KINDS, Kind
from zonerss.census.usage import zone_names
from zonerss.history.moment import Moment
from zonerss.plain import dataclass
from zonerss.records.files import MappedFile
from zonerss.units import pages_to_bytes

Value = str | int | float | tuple[str, ...] | None
Row = tuple[Value, ...]
TEXT, NUMBER, REAL, TEXTS, TIME = "VARCHAR", "BIGINT", "DOUBLE", "VARCHAR[]", "TIMESTAMP"
"""Types of columns, as SQL has them."""
COMMON = {"time": TIME, "host": TEXT, "boot_id": TEXT}
"""The first columns of every table: when the snapshot began, UTC, and of which host and boot it is."""
_MAPPED = ("rss", "anon", "file", "shmem", "hugetlb", "exclusive", "proportional", "swap")
_OF_ZONES = (
    *("process_rss", *_MAPPED, "charged", "limit", "high", "cache_unmapped"),
    *("dead_cgroups", "uncertainty"),
)


@dataclass(frozen=True, slots=True)
class TableOf:
    """One of the tables."""

    summary: str
    columns: Mapping[str, str]
    """Name and type of each, after those of :data:`COMMON`."""
    rows: Callable[[Moment], Iterator[Row]]


def _zones(moment: Moment) -> Iterator[Row]:
    images = moment.images or {}
    for grouping in moment.snapshot.groupings:
        for usage in grouping.zones:
            image = images.get(usage.id or "")
            yield (
                *(grouping.by, usage.zone, usage.kind, usage.cgroup, usage.id),
                *((image.name, image.id) if image else (None, None)),
                usage.processes,
                *(getattr(usage, f"{name}_bytes") for name in _OF_ZONES),
                *(usage.pressure_some, usage.pressure_full, usage.oom_kills, usage.dying_cgroups),
            )


def _processes(moment: Moment) -> Iterator[Row]:
    members = {member.task.pid: member for member in moment.snapshot.members}
    for usage in moment.snapshot.processes or ():
        task = members[usage.pid].task
        yield (
            *(usage.pid, task.start_ticks, usage.uid, usage.command, usage.zone, task.cgroup),
            *(getattr(usage, f"{name}_bytes") for name in (*_MAPPED, "size")),
        )


def _parts(moment: Moment) -> Iterator[Row]:
    names = zone_names(moment.snapshot.members)
    sums: dict[tuple[str, ...], list[int]] = {}
    for part in moment.snapshot.parts:
        zones = tuple(sorted({names[owner] for owner in part.owners if owner in names}))
        row = sums.setdefault(zones, [0] * len(Kind))
        row[:] = [one + other for one, other in zip(row, part.pages, strict=True)]
    for zones, pages in sums.items():
        sizes = {kind: pages_to_bytes(pages[kind]) for kind in Kind}
        yield (zones, len(zones), sum(sizes[kind] for kind in RSS_KINDS), *sizes.values())


def _pairs(moment: Moment) -> Iterator[Row]:
    names = zone_names(moment.snapshot.members)
    numbers = {name: number for number, name in enumerate(sorted(set(names.values())))}
    parts = moment.snapshot.parts
    if not numbers:
        return
    grouped = parts.project([numbers[names[owner]] for owner in range(parts.owners)], len(numbers))
    order = list(numbers)
    for pair in grouped.pairs()[0]:
        yield order[pair.one], order[pair.other], pages_to_bytes(pair.pages)


def _files(moment: Moment) -> Iterator[Row]:
    """What each zone maps of each file. Nothing where holdings were not kept."""
    names = zone_names(moment.snapshot.members)
    held = moment.holdings or {}
    sums: dict[tuple[str, MappedFile], list[int]] = {}
    for owners, rows in zip(moment.snapshot.parts.members(held), held.values(), strict=True):
        zones = {names[owner] for owner in owners if owner in names}
        for file, pages in rows:
            size = pages_to_bytes(sum(pages[kind] for kind in RSS_KINDS))
            for zone in zones if file and size else ():
                assert file
                row = sums.setdefault((zone, file), [0, 0])
                row[0] += size
                row[1] += size if len(zones) == 1 else 0
    for (zone, file), (size, exclusive) in sums.items():
        yield zone, file.name, str(file.kind), file.size_bytes, size, exclusive


def _sizes(names: Sequence[str]) -> dict[str, str]:
    return {f"{name}_bytes": NUMBER for name in names}


TABLES = {
    "zones": TableOf(
        "what each zone uses, and each cgroup (way)",
        {
            **dict.fromkeys(("way", "zone", "kind", "cgroup", "container", "image", "image_id"), TEXT),
            "processes": NUMBER,
            **_sizes(_OF_ZONES),
            "pressure_some": REAL,
            "pressure_full": REAL,
            "oom_kills": NUMBER,
            "dying_cgroups": NUMBER,
        },
        _zones,
    ),
    "processes": TableOf(
        "what each process maps",
        {
            "pid": NUMBER,
            "start_ticks": NUMBER,
            "uid": NUMBER,
            "command": TEXT,
            "zone": TEXT,
            "cgroup": TEXT,
            **_sizes((*_MAPPED, "size")),
        },
        _processes,
    ),
    "parts": TableOf(
        "what exactly these zones map together; every figure is a sum over them",
        {
            "zones": TEXTS,
            "zone_count": NUMBER,
            **_sizes(("rss", "anon", "file", "shmem", "hugetlb", "swap")),
        },
        _parts,
    ),
    "pairs": TableOf(
        "what each two zones both map", {"zone_a": TEXT, "zone_b": TEXT, "shared_bytes": NUMBER}, _pairs
    ),
    "files": TableOf(
        "what each zone maps of each file",
        {
            "zone": TEXT,
            "file": TEXT,
            "kind": TEXT,
            "size_bytes": NUMBER,
            "mapped_bytes": NUMBER,
            "exclusive_bytes": NUMBER,
        },
        _files,
    ),
}
"""By name. A zone is one of the grouping by zone, but where ``way`` says otherwise."""
