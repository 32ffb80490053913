"""Who shares what with whom.

Two tables: how much memory each pair of zones has in common, and the largest parts (a set of zones, and what exactly
these zones map). On a terminal the pairs are a heat map. Elsewhere, with NO_COLOR set or in a narrow terminal, they are
a list.

A page shared by A, B and C is listed once as the set {A,B,C}, and again in the pairs AB, AC and BC. Sets add up; pairs
do not.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zonerss.answers.share import Sharing, cover, pairs, pairs_among, shared_parts
from zonerss.census.usage import one_of_each_mm, zone_names
from zonerss.commands.options import add_limit_options, add_walk_options, one_way
from zonerss.commands.watching import add_watch_options, put, rounds
from zonerss.snapshot import Session
from zonerss.views.share import HEAT_ZONES, document, render

_SHOWN = 10
_PAIRS = 1000  # in JSON
_NAMING_BUDGET = 0.03  # of the walk's pages: how many may be walked again to name parts beyond those shown


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_walk_options(parser)
    add_limit_options(
        parser,
        "show only the N largest parts and pairs (default: 10 in text; in JSON all parts, 1,000 pairs)",
    )
    parser.add_argument("--all", action="store_true", help="show all parts and pairs: there may be millions")
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot, name its largest parts, print them."""
    way = one_way(args)
    limit = args.limit or (None if args.all or args.json else _SHOWN)
    pair_limit = args.limit or (None if args.all else _PAIRS if args.json else _SHOWN)
    width = 0 if args.json else _colour_width()

    def look(session: Session) -> Sharing:
        with _no_garbage_collection():
            return measure(session, way, args.limit or _SHOWN, pair_limit, HEAT_ZONES if width else 0)

    def show(sharing: Sharing) -> None:
        with _no_garbage_collection():
            put(
                args,
                lambda: document(sharing, limit),
                lambda: render(sharing, limit, width, args.bytes),
            )

    rounds(args, look, show)
    return 0


# There may be a hundred thousand tuples. They have no cycles, and looking for some takes longer than making the tuples.
@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _colour_width() -> int:
    """Columns of the terminal that we write to; 0: it is none, or is to have no colours (no-color.org)."""
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return 0
    return shutil.get_terminal_size().columns


def measure(
    session: Session, way: str, surely: int = _SHOWN, pair_limit: int | None = None, heat_zones: int = 0
) -> Sharing:
    """
    Take a snapshot and find what its parts hold.

    :param surely: so many of the largest shared parts are named at any cost; others where that costs little
    :param pair_limit: at most so many pairs
    :param heat_zones: and all pairs of so many of the largest zones
    """
    snapshot = session.take(way)
    names = zone_names(snapshot.members)
    parts = shared_parts(snapshot.parts, names)
    most, pair_count = pairs(snapshot.parts, names, pair_limit)
    largest = [usage.zone for usage in snapshot.zones[:heat_zones]]
    heat = pairs_among(snapshot.parts, names, largest) if largest else []
    # Private memory needs no name: where it is shared, a fork shares it.
    unknown = [part for part in parts if len(part.owners) > 1 and part.file_bytes + part.shmem_bytes]
    cost_of: dict[int, int] = {}
    for member in one_of_each_mm(snapshot.members):
        cost_of[member.owner] = cost_of.get(member.owner, 0) + member.rss_pages
    chosen, wanted = cover(
        [(part.number, part.owners) for part in unknown],
        cost_of,
        surely,
        round(snapshot.walk_pages * _NAMING_BUDGET),
    )
    if not wanted:
        return Sharing(snapshot, parts, most, pair_count, {}, (), heat)
    holdings, gaps = snapshot.holdings([m for m in snapshot.members if m.owner in chosen], wanted)
    return Sharing(snapshot, parts, most, pair_count, holdings, gaps, heat)
