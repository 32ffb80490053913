"""Which files are mapped: how much of each a zone maps, how much no other zone maps, and who else does.

Files are told apart by their frames, so the lower file of several overlay mounts is one file, whatever its name and
device number in each. Deleted files, memfds, tmpfs files, System V segments and shared anonymous memory are listed,
too: KIND says which.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from zonerss.answers.files import FileUsage, files_usage
from zonerss.census.usage import zone_names
from zonerss.commands.options import add_past_options, add_table_options, add_walk_options, layout_of, one_way
from zonerss.commands.watching import RowPrinter, add_watch_options, rounds
from zonerss.records import Gap
from zonerss.snapshot import Observer, Snapshot
from zonerss.views.files import MORE_FILE_COLUMNS, document, file_columns, render
from zonerss.views.rows import Layout
from zonerss.views.table import sort_records
from zonerss.zones.labels import find_names

Found = tuple[Snapshot, Sequence[FileUsage], tuple[Gap, ...], str | None]
"""The last one is the name of the zone, in full."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("zone", nargs="?", metavar="ZONE", help="the files of this zone (default: of all)")
    add_walk_options(parser)
    add_past_options(parser)
    add_table_options(parser, (*file_columns(None), *file_columns("")), MORE_FILE_COLUMNS)
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot, look which files its parts hold, print them."""
    way = one_way(args)
    printer = RowPrinter(args)
    _layout(args, args.zone)  # is wrong before the walk, if it is

    def show(found: Found) -> None:
        snapshot, files, gaps, zone = found
        layout = _layout(args, zone)
        files = sort_records(files, layout.sort, layout.limit)
        printer.put(
            layout,
            lambda: document(snapshot, zone, files, gaps),
            lambda: render(snapshot, files, zone, args.bytes),
            files,
            snapshot,
        )

    rounds(args, lambda session: measure(session, way, args.zone), show)
    return 0


def _layout(args: argparse.Namespace, zone: str | None) -> Layout:
    columns = file_columns(zone)
    return layout_of(args, columns, columns[0], MORE_FILE_COLUMNS)


def measure(session: Observer, way: str, zone: str | None) -> Found:
    """
    The mapped files of a zone, or of all.

    :raises UnknownZone: there is no such zone
    """
    snapshot = session.take(way, zone=zone)
    holdings, gaps = snapshot.ask().holdings()
    names = zone_names(snapshot.members)
    if zone is not None:
        (zone,) = find_names((zone,), names.values())
    return snapshot, files_usage(snapshot.parts, names, holdings, zone), gaps, zone
