"""What each process maps.

RSS counts page table entries, as smaps does. EXCL is what no other process maps (USS). PROP is each frame divided by
the number of processes that map it (PSS). Both come from the page tables of all processes.
"""

from __future__ import annotations

import argparse

from zonerss.commands.options import add_table_options, add_walk_options, column_of
from zonerss.commands.watching import add_watch_options, put, snapshots
from zonerss.kernel.names import host_names
from zonerss.kernel.roots import HOST
from zonerss.snapshot import Snapshot
from zonerss.views.columns import RSS, process_columns
from zonerss.views.ps import document, render
from zonerss.views.table import sort_records


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_walk_options(parser)
    parser.add_argument(
        "--zone", action="append", metavar="NAME", help="show only processes of this zone; may be repeated"
    )
    add_table_options(parser, process_columns({}))
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot with processes and print them."""
    columns = process_columns(host_names(HOST).users)
    sort = column_of(columns, args.sort) if args.sort else RSS

    def show(snapshot: Snapshot) -> None:
        processes = sort_records(snapshot.processes or (), sort, args.limit)
        put(
            args,
            lambda: document(snapshot, processes),
            lambda: render(snapshot, processes, columns, args.bytes),
        )

    snapshots(args, args.by or ("zone",), show, processes=True)
    return 0
