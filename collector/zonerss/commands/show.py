"""What each zone uses: every frame once per zone, charged in full to every zone that maps it.

RSS is the zone's memory by that rule. EXCL is what no other zone maps (zonerss whatif shows how much of it would be
freed). SHARED is what other zones map, too. PSRSS is the sum of its processes' RSS, as ps tells it, which counts a
shared page once per process. CHARGED is the cgroup's bill: the first cgroup to touch a page is charged for all of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from zonerss.answers.marks import Mark, Why, marks_of, wanted
from zonerss.commands.options import (
    add_past_options,
    add_table_options,
    add_walk_options,
    add_zones,
    given,
    layout_of,
    set_aside,
)
from zonerss.commands.watching import RowPrinter, add_watch_options, growth_of, put, snapshots
from zonerss.errors import CannotServe, UsageError
from zonerss.records import Names, Wanted
from zonerss.snapshot import Snapshot
from zonerss.views.columns import CONTROLS_OF, KIND, MORE_ZONE_COLUMNS, RSS, ZONE, ZONE_COLUMNS, Column
from zonerss.views.rows import Layout
from zonerss.views.show import document, render
from zonerss.views.table import sort_records
from zonerss.zones.schemes import find_container
from zonerss.zones.ways import COLLECTIVES

if TYPE_CHECKING:
    import argparse

    from zonerss.answers.growth import Growth
    from zonerss.census.tree import TreeNode

_COLUMNS = (ZONE, KIND, *ZONE_COLUMNS)


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_walk_options(parser)
    add_past_options(parser)
    add_zones(parser, "show only these zones")
    parser.add_argument(
        "--alone",
        action="store_true",
        help="with ZONE: walk only the processes of these zones, which is faster; EXCL, SHARED and PROP are then "
        "unknown, because they need a walk of all processes",
    )
    _add_collectives(parser)
    parser.add_argument(
        "--tree", action="store_true", help="every cgroup with all below it, each frame counted once"
    )
    parser.add_argument(
        "--all",
        action="store_true",
        help="every zone and all that stands out, also where the terminal has less room (elsewhere: always)",
    )
    add_table_options(parser, _COLUMNS, MORE_ZONE_COLUMNS)
    add_watch_options(parser)


def _add_collectives(parser: argparse.ArgumentParser) -> None:
    """The options of prstat; several of them make several tables, all from one walk."""
    group = parser.add_argument_group("collectives, as prstat has them")
    for option, way, help in (
        ("-Z", "zone", "zones: --by zone"),
        ("-J", "slice", "projects: --by slice"),
        ("-T", "session", "tasks: --by session"),
        ("-t", "user", "users: --by user"),
    ):
        group.add_argument(option, dest="by", action="append_const", const=way, help=help)
    group.add_argument(
        "-a",
        dest="processes",
        action="store_true",
        help="processes, and users below them (--from: without users)",
    )
    group.add_argument(
        "--collectives",
        dest="by",
        action="store_const",
        const=list(COLLECTIVES),
        help="all groupings that getvmusage has: zones, slices, sessions, users and effective users, "
        "in each zone and on the whole host",
    )


def run(args: argparse.Namespace) -> int:
    """Take a snapshot and print it."""
    layout = layout_of(args, _COLUMNS, RSS, MORE_ZONE_COLUMNS)
    if args.tree:
        set_aside(args, by=None, zone=None, alone=False)
    elif len(args.by or ()) > 1 and given(args, "columns", "no_header", "tsv"):
        set_aside(args, by=None)
    if args.alone and not args.zone:
        raise UsageError("--alone needs a zone: it walks only the processes of the zones that are named")
    if args.tree and (args.by or args.zone or args.processes):
        raise UsageError("--tree shows all cgroups: it takes no --by, no zone and no -a")
    ways = _ways(args)
    is_one_table = not args.tree and not args.processes and len(ways) == 1
    if not is_one_table and given(args, "columns", "no_header", "tsv"):
        raise UsageError(
            "-o, --no-header and --tsv are for one table of zones: not with --tree, -a or a second --by"
        )
    if layout.chosen and is_one_table:
        show = partial(_show_rows, RowPrinter(args), layout)
    else:
        growth = None if args.json or args.tree else growth_of(args, ways[0])
        show = partial(_show_tree if args.tree else partial(_show, growth), layout.sort, args)
    snapshots(args, ways, show, alone=args.alone, processes=args.processes, controls=_controls(args, layout))
    return 0


def _controls(args: argparse.Namespace, layout: Layout) -> Wanted:
    """What has to be read of cgroups: for JSON all, for rows what their columns show, on the screen the marks, too."""
    if args.json:
        return Wanted()
    fields = {
        CONTROLS_OF[column.name] for column in (*layout.columns, layout.sort) if column.name in CONTROLS_OF
    }
    if args.tree:
        return Wanted(frozenset())
    return Wanted(frozenset(fields)) if layout.chosen else wanted(fields)


def _show_rows(printer: RowPrinter, layout: Layout, snapshot: Snapshot) -> None:
    printer.put(
        layout,
        lambda: document(snapshot, layout.sort, layout.limit),
        lambda: render(snapshot, layout.sort, layout.limit),
        sort_records(snapshot.zones, layout.sort, layout.limit),
        snapshot,
    )


def _ways(args: argparse.Namespace) -> Sequence[str]:
    if args.tree:
        return ("cgroup",)
    # The first grouping says of each process in which zone it is.
    return tuple(args.by or (("zone", "user") if args.processes and not args.recording else ("zone",)))


def _show(growth: Growth | None, sort: Column, args: argparse.Namespace, snapshot: Snapshot) -> None:
    if growth is not None:
        growth.add(snapshot)

    def lines() -> list[str]:
        return render(
            snapshot,
            sort,
            args.limit,
            args.bytes,
            snapshot.names.users,
            first=1 if args.processes and not args.by else 0,  # -a is processes and users: not their zones
            every=args.all,
            taken=0 if args.watch is None else 1,  # the time
            marks=_marks(snapshot),
            growth=growth,
        )

    put(args, lambda: document(snapshot, sort, args.limit), lines)


def _marks(snapshot: Snapshot) -> tuple[Mark, ...]:
    """What stands out. Who pays for whom is looked up only where page cache does not explain a strange bill."""
    marks = marks_of(snapshot)
    strange = [mark.zone for mark in marks if mark.why is Why.BILL and mark.zone is not None]
    if strange:
        from zonerss.answers.explain.account import paid_for_others

        with suppress(OSError, CannotServe):
            return marks_of(snapshot, paid_for_others(snapshot, strange))
    return marks


def _show_tree(sort: Column, args: argparse.Namespace, snapshot: Snapshot) -> None:
    from zonerss.census.tree import tree_usage
    from zonerss.views import tree

    nodes = tree_usage(snapshot.parts, snapshot.members, snapshot.ask().charged)
    put(
        args,
        lambda: tree.document(snapshot, nodes),
        lambda: tree.render(
            snapshot, nodes, sort, args.limit, args.bytes, _container_names(nodes, snapshot.names)
        ),
    )


def _container_names(nodes: Sequence[TreeNode], called: Names) -> dict[str, str]:
    """What the engines call the containers among the cgroups, by path."""
    zones = (find_container(node.usage.zone, called) for node in nodes)
    return {zone.cgroup: zone.name for zone in zones if zone and zone.cgroup and zone.id}
