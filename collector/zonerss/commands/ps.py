"""What each process maps.

RSS counts page table entries, as smaps does. EXCL is what no other process maps (USS), PROP each frame divided by
the number of processes that map it (PSS), both from the page tables of all processes.
"""

from __future__ import annotations

import argparse

from zonerss.commands.options import add_table_options, add_walk_options, column_of
from zonerss.commands.show import footer
from zonerss.commands.watching import add_watch_options, put, snapshots
from zonerss.snapshot import Snapshot
from zonerss.views.columns import HUGETLB, PROCESS_COLUMNS, RSS, SWAP, Column
from zonerss.views.table import render_table, sort_records

NAME = "ps"


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_walk_options(parser)
    parser.add_argument(
        "--zone", action="append", metavar="NAME", help="show processes of this zone only; may be repeated"
    )
    add_table_options(parser, PROCESS_COLUMNS)
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot with processes and print them."""
    sort = column_of(PROCESS_COLUMNS, args.sort) if args.sort else RSS
    for snapshot in snapshots(args, args.by or ("zone",), processes=True):
        put(_text(snapshot, sort, args), args)
    return 0


def _text(snapshot: Snapshot, sort: Column, args: argparse.Namespace) -> str:
    rows = sort_records(snapshot.processes or (), sort, args.limit)
    if args.json:
        from zonerss.views.document import processes_document, render_json

        return render_json(processes_document(snapshot, rows))
    columns = [c for c in PROCESS_COLUMNS if c not in (HUGETLB, SWAP) or any(c.value(row) for row in rows)]
    return "\n".join([*render_table(columns, rows, args.bytes), "", *footer(snapshot)])
