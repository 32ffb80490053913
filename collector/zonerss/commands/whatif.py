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
from typing import Any

from zonerss.answers.share import WhatIf, sets_within, whatif, zone_names
from zonerss.census.usage import Member
from zonerss.commands.options import add_limit_options, add_walk_options, one_way
from zonerss.commands.show import footer
from zonerss.commands.watching import add_watch_options, put, rounds
from zonerss.records import Gap
from zonerss.snapshot import Session, Snapshot
from zonerss.units import format_size
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

NAME = "whatif"
_SHOWN = 10


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
    for snapshot, answer, gaps in rounds(args, lambda session: measure(session, way, without)):
        put(_text(snapshot, answer, gaps, args), args)
    return 0


def _text(snapshot: Snapshot, answer: WhatIf, gaps: tuple[Gap, ...], args: argparse.Namespace) -> str:
    if args.json:
        from zonerss.views.document import render_json

        return render_json(document(snapshot, answer, args.limit, gaps))
    return "\n".join([*render(answer, args.limit or _SHOWN, args.bytes), "", *footer(snapshot)])


def measure(session: Session, way: str, without: Sequence[str]) -> tuple[Snapshot, WhatIf, tuple[Gap, ...]]:
    """
    What would come back if these zones ended.

    :raises UnknownZone: there is no zone of one of these names
    """
    snapshot = session.take(way, zone=without)
    names = zone_names(snapshot.members)
    keys = {key for key, name in names.items() if name in without}
    ending = [member for member in snapshot.members if member.key in keys]
    holdings, gaps = session.holdings(ending, sets_within(snapshot.parts, keys))
    staying = [member for member in snapshot.members if member.key not in keys]
    answer = whatif(snapshot.parts, names, without, holdings, _ending_ipc(ending, staying))
    return snapshot, answer, gaps


def _ending_ipc(ending: Sequence[Member], staying: Sequence[Member]) -> frozenset[int]:
    """IPC namespaces that only processes of the ending zones are in; a namespace ends with its last process."""
    from zonerss.walk.files import ipc_namespace

    there, elsewhere = (
        frozenset(ipc_namespace(member.task.pid) for member in members) for members in (ending, staying)
    )
    return frozenset(space for space in there - elsewhere - {ipc_namespace("self")} if space is not None)


def render(answer: WhatIf, limit: int, in_bytes: bool = False) -> list[str]:
    """The four sums, what would be left of which file, and who keeps the rest."""
    size = str if in_bytes else format_size
    sums = [
        ["FREED", size(answer.freed_bytes), "free at once"],
        ["RECLAIMABLE", size(answer.reclaimable_bytes), "page cache that nobody maps any more"],
        ["STAYS", size(answer.stays_bytes), "tmpfs files and System V segments"],
        ["KEPT", size(answer.kept_bytes), "mapped by others, too"],
    ]
    if answer.swap_bytes:
        sums.append(["SWAP", size(answer.swap_bytes), "beside it: swap slots"])
    if answer.hugetlb_bytes:
        sums.append(["HUGETLB", size(answer.hugetlb_bytes), "beside it: huge pages of a pool"])
    lines = render_rows(
        ["WITHOUT", "SIZE", " ".join(map(printable, answer.without))], sums, [True, False, True]
    )
    if answer.left:
        rows = [
            [size(count), fate, kind or "–", printable(name)]
            for fate, name, kind, count in answer.left[:limit]
        ]
        lines += ["", *render_rows(["SIZE", "FATE", "KIND", "OF"], rows, [False, True, True, True])]
    if answer.kept_by:
        rows = [[size(count), printable(name)] for name, count in answer.kept_by[:limit]]
        lines += ["", *render_rows(["SIZE", "KEPT BY"], rows, [False, True])]
    return lines


def document(
    snapshot: Snapshot, answer: WhatIf, limit: int | None = None, gaps: tuple[Gap, ...] = ()
) -> dict[str, Any]:
    """``zonerss.whatif/1`` (docs/whatif.md)."""
    from zonerss.views.document import gap_list, header

    return header("zonerss.whatif/1", snapshot) | {
        "without": [encodable(name) for name in answer.without],
        "rss_bytes": answer.rss_bytes,
        "freed_bytes": answer.freed_bytes,
        "reclaimable_bytes": answer.reclaimable_bytes,
        "stays_bytes": answer.stays_bytes,
        "kept_bytes": answer.kept_bytes,
        "kept_by": [{"zone": encodable(name), "bytes": size} for name, size in answer.kept_by[:limit]],
        "swap_bytes": answer.swap_bytes,
        "hugetlb_bytes": answer.hugetlb_bytes,
        "left": [
            {
                "fate": str(fate),
                "name": encodable(name) if kind else None,
                "kind": kind and str(kind),
                "bytes": size,
            }
            for fate, name, kind, size in answer.left[:limit]
        ],
        "gaps": gap_list((*snapshot.gaps, *gaps)),
    }
