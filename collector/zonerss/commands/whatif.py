"""What the machine would get back if some zones ended.

FREED is free at once: private memory, memfds, deleted files, shared anonymous memory. RECLAIMABLE is page cache that
nobody maps any more: the kernel takes it when it needs memory. STAYS outlives its processes: tmpfs files and System
V segments, until somebody removes them. KEPT is what other zones map, too.

Counted is what page tables map. A memfd or deleted file that a process elsewhere holds open without mapping it stays
in memory; page tables and the kernel's own memory of the processes come back besides.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from zonerss.answers.whatif import WhatIf, sets_within, whatif
from zonerss.census.usage import Member, zone_names
from zonerss.commands.options import add_limit_options, add_walk_options, one_way
from zonerss.commands.watching import add_watch_options, put, rounds
from zonerss.records import Gap
from zonerss.snapshot import Session, Snapshot
from zonerss.views.whatif import document, render
from zonerss.walk.files import ipc_namespace
from zonerss.zones.labels import find_names

NAME = "whatif"

Found = tuple[Snapshot, WhatIf, tuple[Gap, ...]]


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "--without",
        action="append",
        required=True,
        metavar="ZONE",
        help="a zone that ends; may be given several times, and all of them end together",
    )
    add_walk_options(parser)
    add_limit_options(parser, "show the N largest of what would be left and of those who keep it")
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot, work it out, print it."""
    way = one_way(args, NAME)
    without = list(dict.fromkeys(args.without))

    def show(found: Found) -> None:
        snapshot, answer, gaps = found
        put(
            args,
            lambda: document(snapshot, answer, args.limit, gaps),
            lambda: render(snapshot, answer, args.limit, args.bytes),
        )

    rounds(args, lambda session: measure(session, way, without), show)
    return 0


def measure(session: Session, way: str, without: Sequence[str]) -> Found:
    """
    What would come back if these zones ended.

    :raises UnknownZone: there is no zone of one of these names
    """
    snapshot = session.take(way, zone=without)
    names = zone_names(snapshot.members)
    without = find_names(without, names.values())
    keys = {key for key, name in names.items() if name in without}
    ending = [member for member in snapshot.members if member.key in keys]
    holdings, gaps = session.holdings(ending, sets_within(snapshot.parts, keys))
    staying = [member for member in snapshot.members if member.key not in keys]
    answer = whatif(snapshot.parts, names, without, holdings, _ending_ipc(ending, staying))
    return snapshot, answer, gaps


def _ending_ipc(ending: Sequence[Member], staying: Sequence[Member]) -> frozenset[int]:
    """IPC namespaces that only processes of the ending zones are in; a namespace ends with its last process."""
    there, elsewhere = (
        frozenset(ipc_namespace(member.task.pid) for member in members) for members in (ending, staying)
    )
    return frozenset(space for space in there - elsewhere - {ipc_namespace("self")} if space is not None)
