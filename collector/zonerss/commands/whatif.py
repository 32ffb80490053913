"""What the machine would get back if some zones ended.

FREED is free at once: private memory, memfds, deleted files, shared anonymous memory. RECLAIMABLE is page cache that no
process maps any more: the kernel reclaims it when it needs memory. STAYS outlives its processes: tmpfs files and System
V segments, until they are removed. KEPT is what other zones map, too.

Only what page tables map is counted. A memfd or deleted file that a process of another zone holds open without mapping
it stays in memory. The page tables and other kernel memory of the processes are freed in addition.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from zonerss.answers.whatif import WhatIf, sets_within, whatif
from zonerss.census.usage import Member, zone_names
from zonerss.commands.options import add_limit_options, add_past_options, add_walk_options, add_zones, one_way
from zonerss.commands.watching import add_watch_options, put, rounds
from zonerss.errors import UsageError
from zonerss.records import Gap
from zonerss.snapshot import Observer, Snapshot
from zonerss.views.whatif import document, render
from zonerss.zones.labels import find_names

Found = tuple[Snapshot, WhatIf, tuple[Gap, ...]]


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_zones(parser, "the zones that end, all of them together", "--without")
    add_walk_options(parser)
    add_past_options(parser)
    add_limit_options(
        parser,
        "show only the N largest files, and zones that keep memory (default: 10 in text, all in JSON)",
    )
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot, work it out, print it."""
    way = one_way(args)
    if not args.without:
        raise UsageError("name the zones that would end; zonerss show lists them")

    def show(found: Found) -> None:
        snapshot, answer, gaps = found
        put(
            args,
            lambda: document(snapshot, answer, args.limit, gaps),
            lambda: render(snapshot, answer, args.limit, args.bytes),
        )

    rounds(args, lambda session: measure(session, way, args.without), show)
    return 0


def measure(session: Observer, way: str, without: Sequence[str]) -> Found:
    """
    What would come back if these zones ended.

    :raises UnknownZone: there is no zone of one of these names
    """
    snapshot = session.take(way, zone=without)
    names = zone_names(snapshot.members)
    without = tuple(dict.fromkeys(find_names(without, names.values())))  # two spellings of one zone
    owners = {owner for owner, name in names.items() if name in without}
    ending = [member for member in snapshot.members if member.owner in owners]
    evidence = snapshot.ask()
    holdings, gaps = evidence.holdings(ending, sets_within(snapshot.parts, owners))
    staying = [member for member in snapshot.members if member.owner not in owners]
    answer = whatif(
        snapshot.parts, names, without, holdings, _ending_ipc(ending, staying, evidence.ipc_namespace)
    )
    return snapshot, answer, gaps


def _ending_ipc(
    ending: Sequence[Member], staying: Sequence[Member], space_of: Callable[[int], int | None]
) -> frozenset[int]:
    """
    IPC namespaces that only processes of the ending zones are in; a namespace ends with its last process.

    :param space_of: the namespace of a process; None: our own
    """
    there, elsewhere = (
        frozenset(space_of(member.task.pid) for member in members) for members in (ending, staying)
    )
    return frozenset(space for space in there - elsewhere if space is not None)
