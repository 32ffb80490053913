"""--watch and --uncertainty: the same snapshot again and again, and how far it can be trusted."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from collector.commands.options import read_rules
from collector.errors import UsageError
from collector.snapshot import Session, Snapshot, take_snapshot

LEAST_INTERVAL = 0.1
"""Seconds: below this, zonerss would mostly watch itself."""


def add_watch_options(parser: argparse.ArgumentParser, uncertainty: bool = True) -> None:
    """--watch, --count, and --uncertainty where the verb can tell of it."""
    parser.set_defaults(uncertainty=None)
    if uncertainty:
        parser.add_argument(
            "--uncertainty",
            action="store_true",
            default=False,
            help="say how far each RSS can be from its value at any one moment of the walk (always with "
            "--watch); costs 0.3 s",
        )
    parser.add_argument(
        "--watch", type=interval, metavar="SECONDS", help="show it again so often, until interrupted"
    )
    parser.add_argument("--count", type=count, metavar="N", help="with --watch: N times, then end")


def interval(text: str) -> float:
    """Seconds between two snapshots, of the command line."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not LEAST_INTERVAL <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of seconds from {LEAST_INTERVAL:g} to a day (86400)"
        )
    return seconds


def count(text: str) -> int:
    """How many times, of the command line."""
    value = int(text) if text.isascii() and text.isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return value


def ticks(seconds: float, times: int | None = None) -> Iterator[int]:
    """0, 1, 2, ... at each interval's beginning; one that was missed is left out, not caught up with."""
    due, done = time.monotonic(), 0
    while times is None or done < times:
        yield done
        done += 1
        now = time.monotonic()
        due = max(due + seconds, now - (now - due) % seconds)
        if times is None or done < times:
            time.sleep(max(due - now, 0))


def snapshots(args: argparse.Namespace, by: Sequence[str], **wanted: Any) -> Iterator[Snapshot]:
    """
    The snapshot that was asked for, or with --watch one after the other.

    :param wanted: further arguments of :meth:`collector.snapshot.Session.take`
    """
    rules = read_rules(args.rules)
    if args.count and args.watch is None:
        raise UsageError("--count says how often to --watch: say how many seconds apart, too")
    if args.watch is None and not args.uncertainty:
        yield take_snapshot(by, args.source, args.basis, args.zone, rules=rules, **wanted)
        return
    lasting = args.watch is not None
    told = args.uncertainty is not None
    with Session(args.source, rules, lasting=lasting, uncertainty=told, follow=lasting) as session:
        for _ in ticks(args.watch, args.count) if lasting else (0,):
            yield session.take(by, args.basis, args.zone, **wanted)


def put(text: str, args: argparse.Namespace) -> None:
    """Print one of the snapshots: over the last one on a terminal, below it elsewhere; JSON one document a line."""
    if args.watch is None:
        print(text)
    elif args.json:
        print(json.dumps(json.loads(text)))
    elif sys.stdout.isatty():
        print(f"\x1b[H\x1b[J{text}")
    else:
        print(f"{text}\n")
    sys.stdout.flush()
