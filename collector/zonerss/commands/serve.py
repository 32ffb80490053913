"""Metrics for Prometheus and others, and a page for people: a walk every interval, served to whoever asks.

A scrape gets the figures of the last walk and how old they are; it never starts one. /metrics has them in Prometheus'
text format or in OpenMetrics, / shows them to people, /snapshot.json is what `zonerss --json` prints. Sockets that a
service manager hands over are used in place of the default address. SIGHUP reads rules and the web configuration
again. Needs the extra serve: `pip install 'zonerss[serve]'`. See docs/serve.md.
"""

from __future__ import annotations

import argparse
import os
import signal
from typing import TYPE_CHECKING, NoReturn

from zonerss.commands.options import (
    add_recording_limits,
    add_walk_options,
    most_bytes,
    read_rules,
    set_aside,
    single_way,
)
from zonerss.commands.quantities import black_box, duration_within, percent
from zonerss.errors import CannotServe, UsageError
from zonerss.kernel.privileges import close_files_but
from zonerss.serve.addresses import DEFAULT, parse_address
from zonerss.serve.sockets import passed_count
from zonerss.views.text import printable

if TYPE_CHECKING:
    from zonerss.serve.server import Settings

_STANDARD = (0, 1, 2)


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "--listen",
        action="append",
        metavar="ADDRESS",
        help=f"where to listen: an IPv4 or [IPv6] address and a port, :PORT for all addresses, or unix:/PATH for a "
        f"socket of mode 0660; may be repeated (default: {DEFAULT}, which only this host reaches)",
    )
    parser.add_argument(
        "--interval",
        type=duration_within("0.1s", "1d"),
        default=30.0,
        metavar="TIME",
        help="time from one walk to the next, as in 15s or 5m (default: 30s)",
    )
    parser.add_argument(
        "--max-cpu",
        type=percent,
        default=0.01,
        metavar="PERCENT",
        help="walk less often where walks would take more of one processor's time (default: 1%%)",
    )
    parser.add_argument(
        "--pairs",
        type=pairs,
        default=20,
        metavar="N",
        help="tell of the N pairs of zones that share most (default: 20; 0: none)",
    )
    parser.add_argument(
        "--web.config.file",
        dest="web_config_file",
        metavar="FILE",
        help="TLS, passwords and headers, in the format of Prometheus' exporter-toolkit (docs/serve.md)",
    )
    add_walk_options(parser)
    parser.add_argument(
        "--record", metavar="FILE", help="keep every walk in a recording, too (docs/history.md)"
    )
    add_recording_limits(parser, "with --record: ")
    parser.add_argument(
        "--black-box",
        type=black_box,
        metavar="SPAN/INTERVAL",
        help="with --record: look more often, as in 5m/2s, for half of --max-cpu, and keep these looks in memory only, "
        "but for what was before the kernel killed a process for want of memory",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="open and load everything, say which capabilities are kept and why, and end",
    )


def pairs(text: str) -> int:
    """How many pairs, from the command line."""
    if not (text.isascii() and text.isdigit() and int(text) <= 10_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0 to 10000")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Serve until told to end."""
    settings = _settings(args)
    signal.signal(signal.SIGTERM, _leave)
    signal.signal(signal.SIGINT, _leave)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    close_files_but((*_STANDARD, *range(3, 3 + passed_count(os.environ, os.getpid()))))
    from zonerss.serve.logs import Log
    from zonerss.serve.server import Server

    server = Server(settings, Log(os.environ))
    if not args.check:
        return server.run()
    for line in server.report():
        print(printable(line))
    server.close()
    return 0


def _settings(args: argparse.Namespace) -> Settings:
    if args.record is not None:
        set_aside(args, by=None, basis="mapped")
    way = single_way(args)
    if args.record is not None and (way != "zone" or args.basis != "mapped"):
        raise UsageError(
            "--record keeps what is mapped by zones and cgroups: it takes no --by and no --basis"
        )
    if args.record is None and (args.keep is not None or args.max_size is not None):
        raise UsageError("--keep and --max-size are for a recording: they need --record FILE")
    if args.record is None and args.black_box is not None:
        raise UsageError("--black-box needs --record FILE: there it keeps what was before a kill")
    addresses = [parse_address(text) for text in args.listen or ()]
    if not addresses and not passed_count(os.environ, os.getpid()):
        addresses = [parse_address(DEFAULT)]
    try:
        from zonerss.serve.server import Settings
    except ImportError as err:
        raise CannotServe(
            f"{err.name or 'a library'} is missing: install what serve needs, `pip install 'zonerss[serve]'`"
        ) from err
    return Settings(
        listen=addresses,
        interval_seconds=args.interval,
        share=args.max_cpu,
        pairs=args.pairs,
        web_config_file=args.web_config_file,
        read_rules=lambda: read_rules(args.rules),
        source=args.source,
        way=way,
        basis=args.basis,
        patience_seconds=args.patience,
        threads=args.threads,
        record=args.record,
        keep_seconds=args.keep,
        max_bytes=most_bytes(args),
        black_box=args.black_box,
    )


def _leave(*_: object) -> NoReturn:
    """Before there is anything to end in order."""
    raise SystemExit(0)
