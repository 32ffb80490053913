"""Who shares what with whom.

Two tables: how much memory each pair of zones has in common, and the largest parts (a set of zones, and what exactly
these zones map). On a terminal the pairs are a heat map. Elsewhere, with NO_COLOR set, TERM dumb or in a narrow
terminal, they are a list.

A page shared by A, B and C is listed once as the set {A,B,C}, and again in the pairs AB, AC and BC. Sets add up; pairs
do not. What is less than 1 % of all that is shared, and the vdso, which every process maps, is one line.

With ZONE: with whom this zone shares, how much, and what. With --by-image: what containers of one image share, and what
they would take without sharing.

-o, --sort, --no-header and --tsv make one table: of the pairs (with ZONE of its neighbours, with --by-image of the
images), or with --parts of the parts.
"""

from __future__ import annotations

import argparse
import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from zonerss.answers.images import ImageSharing, group_by_image, images_usage, named
from zonerss.answers.share import (
    Own,
    Pair,
    SharedPart,
    Sharing,
    cover,
    neighbours,
    pairs,
    pairs_among,
    shared_parts,
    with_any,
)
from zonerss.census.usage import Member, one_of_each_mm, zone_names
from zonerss.commands.options import (
    add_past_options,
    add_table_options,
    add_walk_options,
    add_zones,
    given,
    layout_of,
    one_way,
    set_aside,
)
from zonerss.commands.watching import RowPrinter, add_watch_options, put, rounds
from zonerss.errors import NotKept, UsageError
from zonerss.plain import replace
from zonerss.records import Gap
from zonerss.records.files import Holdings
from zonerss.snapshot import Observer, Snapshot
from zonerss.views.images import MORE_IMAGE_COLUMNS, image_columns
from zonerss.views.images import document as image_document
from zonerss.views.images import render as render_images
from zonerss.views.rows import Layout
from zonerss.views.share import (
    HEAT_ZONES,
    MORE_PART_COLUMNS,
    NOISE,
    PAIR_COLUMNS,
    Row,
    document,
    own_columns,
    part_columns,
    render,
)
from zonerss.views.table import sort_records
from zonerss.views.terminal import find_terminal
from zonerss.zones.schemes import is_of_image, user_of

_SHOWN = 10
_PAIRS = 1000  # in JSON
_NAMING_BUDGET = 0.03  # of the walk's pages: how many may be walked again to name parts beyond those shown


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_zones(parser, "what these zones share, and with whom (default: all)")
    add_walk_options(parser)
    add_past_options(parser)
    parser.add_argument(
        "--by-image",
        action="store_true",
        help="what containers of one image share, image by image: what one base image saves",
    )
    parser.add_argument(
        "--parts", action="store_true", help="one table, of the parts that two zones or more map"
    )
    add_table_options(
        parser,
        (*own_columns(), *part_columns({}), *MORE_PART_COLUMNS, *image_columns(), *MORE_IMAGE_COLUMNS),
        limit_help="show only the N largest parts and pairs, or the first N rows of the table that was asked for "
        "(default: 10 in text; in JSON and --tsv all parts, 1,000 pairs)",
    )
    parser.add_argument(
        "--all", action="store_true", help="show all parts and pairs, however small: there may be millions"
    )
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Take a snapshot, name its largest parts, print them."""
    if args.by_image:
        return _run_by_image(args)
    way = one_way(args)
    _layout(args, {})  # is wrong before the walk, if it is
    if not args.json and (args.parts or given(args, "columns", "sort", "no_header", "tsv")):
        return _run_table(args, way)
    limit = args.limit or (None if args.all or args.json else _SHOWN)
    pair_limit = args.limit or (None if args.all else _PAIRS if args.json else _SHOWN)
    width = 0 if args.json else _colour_width(args)
    noise = 0.0 if args.all or args.limit else NOISE

    def look(session: Observer) -> Sharing:
        with _no_garbage_collection():
            if args.zone:
                return measure_own(session, way, args.zone)
            return measure(session, way, args.limit or _SHOWN, pair_limit, HEAT_ZONES if width else 0)

    def show(sharing: Sharing) -> None:
        with _no_garbage_collection():
            put(
                args,
                lambda: document(sharing, limit),
                lambda: render(sharing, limit, width, args.bytes, noise),
            )

    rounds(args, look, show)
    return 0


def _run_by_image(args: argparse.Namespace) -> int:
    set_aside(args, by=None, zone=None, parts=False)
    way = one_way(args)
    if way != "zone" or args.zone or args.parts:
        raise UsageError(
            "share --by-image looks at all containers: it takes no ZONE, no --parts, and no --by but zone"
        )
    columns, more = image_columns(args.tsv or args.bytes), MORE_IMAGE_COLUMNS
    layout, printer = layout_of(args, columns, columns[3], more), RowPrinter(args)
    is_table = given(args, "columns", "sort", "no_header", "tsv")
    limit = args.limit or (None if args.all or args.json else _SHOWN)

    def show(sharing: ImageSharing) -> None:
        rows = sort_records(sharing.images, layout.sort, layout.limit)
        printer.put(
            replace(layout, chosen=is_table),
            lambda: image_document(sharing, limit),
            lambda: render_images(sharing, limit, args.bytes, args.all),
            rows,
            sharing.snapshot,
        )

    rounds(args, lambda session: measure_images(session, args.limit or _SHOWN), show)
    return 0


def _run_table(args: argparse.Namespace, way: str) -> int:
    """One table: pairs, the neighbours of some zones, or parts."""
    printer, sort = RowPrinter(args), _layout(args, {}).sort
    is_pairs = not args.parts and not args.zone
    limit = args.limit or (None if args.all else _SHOWN if not args.tsv else _PAIRS if is_pairs else None)
    # Of pairs only the largest are kept: those that another order has first may not be among them.
    pair_limit = limit if is_pairs and sort.name == "shared" and sort.descends else None if is_pairs else 0

    def look(session: Observer) -> Sharing:
        with _no_garbage_collection():
            if args.zone:
                return measure_own(session, way, args.zone)
            return measure(session, way, args.limit or _SHOWN, pair_limit)

    def show(sharing: Sharing) -> None:
        with _no_garbage_collection():
            layout, rows = _layout(args, sharing.holdings), _rows(args, sharing)
            kept = sort_records(rows, layout.sort, limit)
            count = sharing.pair_count if is_pairs else len(rows)
            printer.put(layout, dict, list, kept, sharing.snapshot, count - len(kept))

    rounds(args, look, show)
    return 0


def _layout(args: argparse.Namespace, holdings: Holdings) -> Layout:
    in_bytes = args.tsv or args.bytes
    if args.parts:
        columns = part_columns(holdings, in_bytes)
        return replace(layout_of(args, columns, columns[0], MORE_PART_COLUMNS), chosen=True)
    columns = own_columns(in_bytes) if args.zone else PAIR_COLUMNS
    return replace(layout_of(args, columns, columns[0]), chosen=True)


def _rows(args: argparse.Namespace, sharing: Sharing) -> Sequence[object]:
    if args.parts:
        return [part for part in sharing.parts if len(part.zones) > 1]
    if args.zone:
        return [Row(own.usage, one) for own in sharing.own for one in own.neighbours]
    return sharing.pairs


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


def _colour_width(args: argparse.Namespace) -> int:
    """Columns of the terminal that we write to; 0: it is none, or is to have no colours."""
    terminal = find_terminal(getattr(args, "color", "auto"))
    return terminal.width or 0 if terminal.style.colour else 0


def measure(
    session: Observer, way: str, surely: int = _SHOWN, pair_limit: int | None = None, heat_zones: int = 0
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
    holdings, gaps = _name(snapshot, parts, surely)
    return Sharing(snapshot, parts, most, pair_count, holdings, gaps, heat)


def measure_own(session: Observer, way: str, zones: Sequence[str]) -> Sharing:
    """
    Take a snapshot and find what some zones share, with whom.

    :raises UnknownZone: there is no such zone
    """
    snapshot = session.take(way, zone=zones)
    chosen = [usage.zone for usage in snapshot.zones]
    parts = with_any(shared_parts(snapshot.parts, zone_names(snapshot.members)), chosen)
    # Each of these parts is mapped by one of them, which is all that has to be walked again.
    holdings, gaps = _holdings(
        snapshot,
        [member for member in snapshot.members if member.zones[0].name in chosen],
        [part.number for part in parts],
    )
    own = [Own(usage, neighbours(parts, holdings, usage.zone)) for usage in snapshot.zones]
    both = {
        Pair((min(zone, other), max(zone, other)), size)
        for zone, other, size in ((o.usage.zone, n.zone, n.bytes) for o in own for n in o.neighbours)
    }
    order = sorted(both, key=lambda pair: (-pair.bytes, pair.zones))
    return Sharing(snapshot, parts, order, len(order), holdings, gaps, own=own)


def measure_images(session: Observer, surely: int = _SHOWN) -> ImageSharing:
    """
    Take a snapshot and find what containers of one image share.

    :param surely: of so many images it is told at any cost what is shared; of others where that costs little
    """
    snapshot = session.take("zone")
    parts = shared_parts(snapshot.parts, zone_names(snapshot.members))
    find_image = snapshot.ask().images()
    users = {usage.zone: user_of(usage.cgroup or "") for usage in snapshot.zones}
    image_of = {
        usage.zone: find_image(usage.id, users[usage.zone])
        for usage in snapshot.zones
        if usage.id and is_of_image(usage.kind, usage.id)
    }
    of_users = {zone for zone, user in users.items() if user is not None}
    unknown = tuple(sorted(zone for zone, image in image_of.items() if image is None))
    found, total = images_usage(parts, group_by_image(image_of, of_users), unknown)
    by_number = {part.number: part for part in parts}
    order = list(dict.fromkeys(number for usage in found for number in usage.numbers))
    certain = len({number for usage in found[:surely] for number in usage.numbers})
    holdings, gaps = _name(snapshot, [by_number[number] for number in order], certain)
    told = [replace(usage, holds=named(usage, by_number, holdings)) for usage in found]
    return ImageSharing(snapshot, told, total, unknown, gaps)


def _name(snapshot: Snapshot, parts: Sequence[SharedPart], surely: int) -> tuple[Holdings, tuple[Gap, ...]]:
    """What parts hold: of the first so many, and of others where that costs little."""
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
        return {}, ()
    return _holdings(snapshot, [m for m in snapshot.members if m.owner in chosen], wanted)


def _holdings(
    snapshot: Snapshot, members: Sequence[Member], wanted: Sequence[int]
) -> tuple[Holdings, tuple[Gap, ...]]:
    """None where a recording was made without them."""
    try:
        return snapshot.ask().holdings(members, wanted)
    except NotKept:
        return {}, ()
