"""What each zone uses: every frame once per zone, charged in full to every zone that maps it.

RSS is the zone's memory by that rule. EXCL is what would be free if the zone ended, SHARED what others map, too.
PSRSS is the sum of its processes' RSS, as ps tells it, which counts a shared page once a process. CHARGED is what
the kernel bills its cgroup: whoever touched a page first pays for all of it.
"""

from __future__ import annotations

import argparse

from collector.commands.options import add_table_options, add_walk_options, column_of, read_rules
from collector.errors import UsageError
from collector.records import Grouping, Usage
from collector.snapshot import Snapshot, take_snapshot
from collector.units import format_percent, format_size, memory_bytes
from collector.views.columns import ANON, FILE, HUGETLB, RSS, SHMEM, SWAP, ZONE, ZONE_COLUMNS, Column
from collector.views.gaps import gap_sentence
from collector.views.table import render_table, sort_records

NAME = "show"
_BY_HEADERS = {"user": "USERNAME", "euser": "USERNAME", "command": "PROCESS", "cgroup": "CGROUP"}


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_walk_options(parser)
    parser.add_argument(
        "--zone", action="append", metavar="NAME", help="show this zone only; may be given several times"
    )
    parser.add_argument(
        "--alone",
        action="store_true",
        help="with --zone: walk the processes of these zones only, which is cheaper; EXCL, SHARED and PROP, for "
        "which all others must be walked, are then unknown",
    )
    add_table_options(parser, (*ZONE_COLUMNS, ZONE))


def run(args: argparse.Namespace) -> int:
    """Take a snapshot and print it."""
    sort = column_of((*ZONE_COLUMNS, ZONE), args.sort) if args.sort else RSS
    if args.alone and not args.zone:
        raise UsageError("--alone says to walk the processes of some zones only: name them with --zone")
    snapshot = take_snapshot(
        args.by or ("zone",),
        args.source,
        args.basis,
        args.zone,
        alone=args.alone,
        rules=read_rules(args.rules),
    )
    if args.json:
        print(_json(snapshot, sort, args.limit))
    else:
        print("\n".join(render(snapshot, sort, args.limit, args.bytes)))
    return 0


def _json(snapshot: Snapshot, sort: Column, limit: int | None) -> str:
    from dataclasses import replace

    from collector.views.document import render_json, snapshot_document

    groupings = tuple(
        Grouping(grouping.by, tuple(sort_records(grouping.zones, sort, limit)))
        for grouping in snapshot.groupings
    )
    sorted_snapshot = replace(snapshot, zones=groupings[0].zones, groupings=groupings)
    return render_json(snapshot_document(sorted_snapshot))


def render(
    snapshot: Snapshot, sort: Column = RSS, limit: int | None = None, in_bytes: bool = False
) -> list[str]:
    """The tables of a snapshot, one for each grouping, and what is to be said below them."""
    lines: list[str] = []
    for grouping in snapshot.groupings:
        lines += [*render_zones(grouping, sort, limit, in_bytes), ""]
    return [*lines, *footer(snapshot)]


def render_zones(grouping: Grouping, sort: Column, limit: int | None, in_bytes: bool) -> list[str]:
    """The table of one grouping; columns in which every zone has nothing (hugetlb, swap) are left out."""
    rows = sort_records(grouping.zones, sort, limit)
    columns = [*(c for c in ZONE_COLUMNS if _worth_showing(c, grouping.zones)), _zone_column(grouping.by)]
    return render_table(columns, rows, in_bytes)


def _worth_showing(column: Column, usages: tuple[Usage, ...]) -> bool:
    return column not in (HUGETLB, SWAP) or any(column.value(usage) for usage in usages)


def _zone_column(by: str) -> Column:
    header = _BY_HEADERS.get(by, "ZONE" if by == "zone" else by.partition("=")[0].upper())
    return Column(ZONE.name, header, ZONE.help, ZONE.value, left=True)


def footer(snapshot: Snapshot) -> list[str]:
    """The last lines, as prstat ends with its totals: all zones together, the walk, and what is missing."""
    total = snapshot.total
    kinds = ", ".join(f"{format_size(column.value(total))} {column.name}" for column in (ANON, FILE, SHMEM))
    took_ms = (snapshot.ended - snapshot.began).total_seconds() * 1000
    lines = [
        f"Total: {total.processes} processes, {format_size(total.rss_bytes)} ({kinds}), "
        f"{format_percent(total.rss_bytes, memory_bytes())} of memory; "
        f"{format_size(total.process_rss_bytes)} by summing process RSS.",
        f"Read {snapshot.walk_pages:,} page table entries by {snapshot.source} in {took_ms:.0f} ms.",
    ]
    missing = gap_sentence(snapshot.gaps)
    return [*lines, missing] if missing else lines
