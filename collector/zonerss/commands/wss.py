"""Working sets: how much of its memory each zone touches in a time.

The kernel's accessed bits are cleared, and read again after --for. RSS is as in show. TOUCHED is of it what was used
through page tables in that time, each page once in a zone. UNKNOWN is of it what may have been used: bits are set that
could not be cleared. The rest is idle.

--method cold (the default) clears by MADV_COLD, in steps that hold up nobody. Pages that are mapped more than once, and
locked ones, are then unknown; the kernel reclaims what it advised first if it needs memory.
--method clear_refs sees these pages, too, but holds up each process for as long as clearing takes, about 25 ms a GiB:
processes for which that would be longer than half of --stall are left out, and are unknown. That is an estimate: once
clearing has begun nothing stops it. Waiting for a process's lock, which holds it up, too, is given up after what is
left of --stall.

How wrong it can be: a huge page counts as a whole, and a fault may map 16 pages of a file, so touched is too high by
that. Pages that only read(2) and the like have used are not seen. Where DAMON runs or memory is being reclaimed, bits
are cleared by others, and touched is too low: the last lines say so.
"""

from __future__ import annotations

import argparse
from typing import cast

from zonerss.answers.wss import WorkingSets, working_sets
from zonerss.commands.options import add_table_options, add_walk_options, add_zones, given, layout_of, one_way
from zonerss.commands.quantities import duration_within
from zonerss.commands.watching import RowPrinter, add_watch_options, rounds, wait_for
from zonerss.errors import UsageError
from zonerss.kernel.clearing import STALL_SECONDS, STALL_SECONDS_PER_PAGE
from zonerss.snapshot import Session
from zonerss.units import PAGE_BYTES
from zonerss.views.table import sort_records
from zonerss.views.wss import TOUCHED, ZONE_COLUMNS, document, render
from zonerss.walk.arming import METHODS

_GIB = STALL_SECONDS / 2 / STALL_SECONDS_PER_PAGE * PAGE_BYTES / (1 << 30)


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_zones(parser, "only these zones; the others are not touched, not even looked at")
    parser.add_argument(
        "--for",
        dest="seconds",
        type=duration_within("0.1s", "1d"),
        default=10.0,
        metavar="DURATION",
        help="how long to wait between clearing bits and reading them (default 10s)",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="cold",
        metavar="METHOD",
        help="cold (default) or clear_refs; see above",
    )
    parser.add_argument(
        "--stall",
        type=duration_within("1ms", "10s"),
        default=STALL_SECONDS,
        metavar="DURATION",
        help=f"how long --method clear_refs may hold up a process, as far as can be told before "
        f"(default {STALL_SECONDS * 1000:g}ms, which does for {_GIB:.1f} GiB)",
    )
    parser.add_argument("--processes", action="store_true", help="what each process touches, too")
    parser.add_argument("--files", action="store_true", help="what is touched of each mapped file, too")
    add_walk_options(parser)
    parser.set_defaults(recording=None, at=None)  # what was touched is in no recording
    add_table_options(parser, ZONE_COLUMNS)
    add_watch_options(parser, uncertainty=False)


def run(args: argparse.Namespace) -> int:
    """Clear bits, wait, take a snapshot, print what was touched."""
    way = one_way(args)
    layout = layout_of(args, ZONE_COLUMNS, TOUCHED)
    if (args.processes or args.files) and given(args, "columns", "no_header", "tsv"):
        raise UsageError(
            "-o, --no-header and --tsv are for one table of zones: not with --processes or --files"
        )
    printer = RowPrinter(args)

    def show(found: WorkingSets) -> None:
        printer.put(
            layout,
            lambda: document(found, layout.sort, layout.limit),
            lambda: render(found, layout.sort, layout.limit, args.bytes, found.snapshot.names.users),
            sort_records(found.zones, layout.sort, layout.limit),
            found.snapshot,
        )

    rounds(args, lambda session: measure(cast(Session, session), way, args), show)
    return 0


def measure(session: Session, way: str, args: argparse.Namespace) -> WorkingSets:
    """
    What is touched in the time.

    :raises UnknownZone: there is no such zone
    :raises CannotServe: this host does not tell what is touched; the sentence says why
    """
    zones = tuple(args.zone or ())
    armed = session.arm(way, zones, args.method, args.stall)
    wait_for(args.seconds)
    snapshot = session.take(way, zone=zones, alone=bool(zones), processes=args.processes, armed=armed)
    return working_sets(snapshot, args.processes, snapshot.ask().holdings() if args.files else None)
