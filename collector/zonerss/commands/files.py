"""Which files are mapped: how much of each a zone maps, how much no other zone maps, and who else does.

Files are told apart by their frames, so one lower file of several overlay mounts is one file, by whatever name and
device it goes in each. Deleted files, memfds, tmpfs files, System V segments and shared anonymous memory are files
here, too: KIND says which.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from zonerss.answers.share import FileUsage, files_usage, zone_names
from zonerss.commands.options import add_limit_options, add_walk_options, one_way
from zonerss.commands.show import footer
from zonerss.commands.watching import add_watch_options, put, rounds
from zonerss.records import Gap
from zonerss.snapshot import Session, Snapshot
from zonerss.units import format_size
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

NAME = "files"
_NAMED = 3


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("zone", nargs="?", metavar="ZONE", help="the files of this zone; without it, of all")
    add_walk_options(parser)
    add_limit_options(parser, "show the N largest files only")
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot, look which files its parts hold, print them."""
    way = one_way(args, NAME)
    for snapshot, files, gaps in rounds(args, lambda session: measure(session, way, args.zone)):
        put(_text(snapshot, files[: args.limit], gaps, args), args)
    return 0


def _text(
    snapshot: Snapshot, files: Sequence[FileUsage], gaps: tuple[Gap, ...], args: argparse.Namespace
) -> str:
    if args.json:
        from zonerss.views.document import render_lines

        return render_lines(document(snapshot, args.zone, files, gaps))
    return "\n".join([*render(files, args.zone, args.bytes), "", *footer(snapshot)])


def measure(
    session: Session, way: str, zone: str | None
) -> tuple[Snapshot, Sequence[FileUsage], tuple[Gap, ...]]:
    """
    The mapped files of a zone, or of all.

    :raises UnknownZone: there is no such zone
    """
    snapshot = session.take(way, zone=zone)
    holdings, gaps = session.holdings(snapshot.members)
    files = files_usage(snapshot.parts, zone_names(snapshot.members), holdings, zone)
    return snapshot, files, gaps


def render(files: Sequence[FileUsage], zone: str | None, in_bytes: bool = False) -> list[str]:
    """The table: one row for each file."""
    if not files:
        return ["No file is mapped."]
    size = str if in_bytes else format_size
    rows = [
        [
            size(usage.bytes),
            size(usage.exclusive_bytes),
            usage.file.kind if usage.file else "–",
            printable(usage.file.name) if usage.file else "(not found again)",
            _others(usage, zone),
        ]
        for usage in files
    ]
    headers = ["SIZE", "EXCL", "KIND", "FILE", "MAPPED BY" if zone is None else "ALSO MAPPED BY"]
    return render_rows(headers, rows, [False, False, True, True, True])


def _others(usage: FileUsage, zone: str | None) -> str:
    others = [name for name, _ in usage.mapped_by if name != zone]
    text = " ".join(map(printable, others[:_NAMED]))
    return f"{text} and {len(others) - _NAMED} more" if len(others) > _NAMED else text or "–"


def document(
    snapshot: Snapshot, zone: str | None, files: Sequence[FileUsage], gaps: tuple[Gap, ...] = ()
) -> dict[str, Any]:
    """``zonerss.files/1`` (docs/files.md)."""
    from zonerss.views.document import gap_list, header

    return header("zonerss.files/1", snapshot) | {
        "zone": None if zone is None else encodable(zone),
        "files": [_fields(usage) for usage in files],
        "gaps": gap_list((*snapshot.gaps, *gaps)),
    }


def _fields(usage: FileUsage) -> dict[str, Any]:
    file = usage.file
    return {
        "name": file and encodable(file.name),
        "kind": file and str(file.kind),
        "aliases": [encodable(name) for name in file.aliases] if file else [],
        "inode": file and file.inode,
        "size_bytes": file and file.size_bytes,
        "bytes": usage.bytes,
        "exclusive_bytes": usage.exclusive_bytes,
        "shared_bytes": usage.bytes - usage.exclusive_bytes,
        "mapped_by": [{"zone": encodable(name), "bytes": size} for name, size in usage.mapped_by],
    }
