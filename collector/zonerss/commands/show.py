"""What each zone uses: every frame once per zone, charged in full to every zone that maps it.

RSS is the zone's memory by that rule. EXCL is what would be free if the zone ended, SHARED what others map, too.
PSRSS is the sum of its processes' RSS, as ps tells it, which counts a shared page once a process. CHARGED is what
the kernel bills its cgroup: whoever touched a page first pays for all of it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from zonerss.commands.options import add_table_options, add_walk_options, column_of
from zonerss.commands.watching import add_watch_options, put, snapshots
from zonerss.errors import UsageError
from zonerss.records import Grouping, ProcessUsage, Usage
from zonerss.snapshot import Snapshot
from zonerss.units import format_percent, format_size, memory_bytes
from zonerss.views.columns import (
    ANON,
    FILE,
    HUGETLB,
    PROCESS_COLUMNS,
    RSS,
    SHMEM,
    SWAP,
    UNCERTAINTY,
    ZONE,
    ZONE_COLUMNS,
    Column,
)
from zonerss.views.gaps import gap_sentence
from zonerss.views.table import render_table, sort_records
from zonerss.zones.ways import COLLECTIVES

NAME = "show"
_PROCESSES = 15  # that -a shows without --limit; as prstat
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
    _add_collectives(parser)
    parser.add_argument(
        "--tree", action="store_true", help="every cgroup with all that is below it, each frame once"
    )
    add_table_options(parser, (*ZONE_COLUMNS, ZONE))
    add_watch_options(parser)


def _add_collectives(parser: argparse.ArgumentParser) -> None:
    """The options of prstat; several make several tables, all from one walk."""
    group = parser.add_argument_group("collectives, as prstat has them")
    for option, way, help in (
        ("-Z", "zone", "zones: --by zone"),
        ("-J", "slice", "projects: --by slice"),
        ("-T", "session", "tasks: --by session"),
        ("-t", "user", "users: --by user"),
    ):
        group.add_argument(option, dest="by", action="append_const", const=way, help=help)
    group.add_argument("-a", dest="processes", action="store_true", help="processes, and users below them")
    group.add_argument(
        "--collectives",
        dest="by",
        action="store_const",
        const=list(COLLECTIVES),
        help="all that getvmusage takes: zones, slices, sessions, users and effective users, "
        "in each zone and in all",
    )


def run(args: argparse.Namespace) -> int:
    """Take a snapshot and print it."""
    sort = column_of((*ZONE_COLUMNS, ZONE), args.sort) if args.sort else RSS
    if args.alone and not args.zone:
        raise UsageError("--alone says to walk the processes of some zones only: name them with --zone")
    if args.tree and (args.by or args.zone or args.processes):
        raise UsageError("--tree shows all cgroups: it takes no --by, no --zone and no -a")
    for snapshot in snapshots(args, _ways(args), alone=args.alone, processes=args.processes):
        put(_text(snapshot, sort, args), args)
    return 0


def _text(snapshot: Snapshot, sort: Column, args: argparse.Namespace) -> str:
    if args.tree:
        return _tree(snapshot, sort, args)
    if args.json:
        return _json(snapshot, sort, args.limit)
    if args.processes and not args.by:
        snapshot = replace(snapshot, groupings=snapshot.groupings[1:])
    return "\n".join(render(snapshot, sort, args.limit, args.bytes))


def _ways(args: argparse.Namespace) -> Sequence[str]:
    if args.tree:
        return ("cgroup",)
    # The first grouping says of each process in which zone it is.
    return tuple(args.by or (("zone", "user") if args.processes else ("zone",)))


def _tree(snapshot: Snapshot, sort: Column, args: argparse.Namespace) -> str:
    from zonerss.census.tree import tree_usage
    from zonerss.kernel.cgroupfs import charged_bytes, find_memory_hierarchy
    from zonerss.kernel.roots import HOST
    from zonerss.views.tree import render_tree, tree_document

    hierarchy = find_memory_hierarchy(HOST)
    nodes = tree_usage(snapshot.parts, snapshot.members, lambda path: charged_bytes(hierarchy, path))
    if args.json:
        from zonerss.views.document import render_lines

        return render_lines(tree_document(snapshot, nodes))
    return "\n".join([*render_tree(nodes, sort, args.limit, args.bytes), "", *footer(snapshot)])


def _json(snapshot: Snapshot, sort: Column, limit: int | None) -> str:
    from zonerss.views.document import render_json, snapshot_document

    groupings = tuple(
        Grouping(grouping.by, tuple(sort_records(grouping.zones, sort, limit)))
        for grouping in snapshot.groupings
    )
    sorted_snapshot = replace(snapshot, zones=groupings[0].zones, groupings=groupings)
    document = snapshot_document(sorted_snapshot)
    if snapshot.processes is not None:
        from zonerss.views.document import process_fields

        processes = sort_records(snapshot.processes, RSS, limit)
        document["processes"] = [process_fields(process) for process in processes]
    return render_json(document)


def render(
    snapshot: Snapshot, sort: Column = RSS, limit: int | None = None, in_bytes: bool = False
) -> list[str]:
    """The tables of a snapshot, one for each grouping, and what is to be said below them."""
    lines: list[str] = []
    if snapshot.processes is not None:
        rows = sort_records(snapshot.processes, RSS, limit or _PROCESSES)
        lines += [*render_table(_process_columns(rows), rows, in_bytes), ""]
    for grouping in snapshot.groupings:
        lines += [*render_zones(grouping, sort, limit, in_bytes), ""]
    return [*lines, *footer(snapshot)]


def render_zones(grouping: Grouping, sort: Column, limit: int | None, in_bytes: bool) -> list[str]:
    """The table of one grouping; columns in which every zone has nothing (hugetlb, swap) are left out."""
    rows = sort_records(grouping.zones, sort, limit)
    columns = [*(c for c in ZONE_COLUMNS if _worth_showing(c, grouping.zones)), _zone_column(grouping.by)]
    if any(usage.uncertainty_bytes is not None for usage in grouping.zones):
        columns.insert(columns.index(RSS) + 1, UNCERTAINTY)
    return render_table(columns, rows, in_bytes)


def _process_columns(rows: Sequence[ProcessUsage]) -> list[Column]:
    return [c for c in PROCESS_COLUMNS if c not in (HUGETLB, SWAP) or any(c.value(row) for row in rows)]


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
        f"Read {snapshot.walk_pages:,} page table entries by {snapshot.source} in {took_ms:.0f} ms"
        f"{'' if snapshot.basis == 'mapped' else f'; basis {snapshot.basis}'}.",
    ]
    if snapshot.uncertainty == "net":
        lines.append("± is net, no bound: what RSS grew or shrank by; changes cannot be traced here.")
    missing = gap_sentence(snapshot.gaps)
    return [*lines, missing] if missing else lines
