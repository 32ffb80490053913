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
from zonerss.commands.options import add_limit_options, add_walk_options, one_way
from zonerss.commands.watching import add_watch_options, put, rounds
from zonerss.records import Gap
from zonerss.snapshot import Session, Snapshot
from zonerss.views.files import document, render
from zonerss.zones.labels import find_names

Found = tuple[Snapshot, Sequence[FileUsage], tuple[Gap, ...]]


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("zone", nargs="?", metavar="ZONE", help="the files of this zone (default: of all)")
    add_walk_options(parser)
    add_limit_options(parser, "show only the N largest files")
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot, look which files its parts hold, print them."""
    way = one_way(args)

    def show(found: Found) -> None:
        snapshot, files, gaps = found
        files = files[: args.limit]
        put(
            args,
            lambda: document(snapshot, args.zone, files, gaps),
            lambda: render(snapshot, files, args.zone, args.bytes),
        )

    rounds(args, lambda session: measure(session, way, args.zone), show)
    return 0


def measure(session: Session, way: str, zone: str | None) -> Found:
    """
    The mapped files of a zone, or of all.

    :raises UnknownZone: there is no such zone
    """
    snapshot = session.take(way, zone=zone)
    holdings, gaps = snapshot.holdings()
    names = zone_names(snapshot.members)
    if zone is not None:
        (zone,) = find_names((zone,), names.values())
    return snapshot, files_usage(snapshot.parts, names, holdings, zone), gaps
