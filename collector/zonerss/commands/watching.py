"""--watch, --count and --uncertainty: rounds of looking and showing, and the one way of printing what was found."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeVar

from zonerss.answers.paces import stretched
from zonerss.commands.options import count, given, read_rules
from zonerss.commands.quantities import duration_within
from zonerss.errors import UnknownZone, UsageError
from zonerss.plain import replace
from zonerss.snapshot import Observer, Session, Snapshot
from zonerss.units import counted
from zonerss.views.document import render_json
from zonerss.views.footer import remarks
from zonerss.views.rows import Layout, render
from zonerss.views.terminal import Terminal, find_terminal, printing_to
from zonerss.views.text import fit, printable

if TYPE_CHECKING:
    import argparse

    from zonerss.answers.growth import Growth

Found = TypeVar("Found")

interval = duration_within("0.1s", "1d")
"""Seconds between two snapshots. With shorter intervals most of what changes would be zonerss itself."""


def add_watch_options(parser: argparse.ArgumentParser, uncertainty: bool = True) -> None:
    """--watch, --count, and --uncertainty where the verb shows it."""
    parser.set_defaults(uncertainty=None)
    if uncertainty:
        parser.add_argument(
            "--uncertainty",
            action="store_true",
            default=False,
            help="show how far each RSS can be from its value at any one moment of the walk; adds 0.3 s (with --watch "
            "always on from the second round on)",
        )
    parser.add_argument(
        "--watch",
        type=interval,
        metavar="DURATION",
        help="repeat so often, as in 0.5s, 10 (seconds) or 5m, until interrupted",
    )
    parser.add_argument("--count", type=count, metavar="N", help="with --watch: stop after N rounds")


class OwnCost:
    """What zonerss itself costs in processor time, and how long it has to rest for that."""

    def __init__(self, share: float | None = None) -> None:
        """:param share: of one processor's time that it may take, 0.01 for 1 %; None: as much as it needs"""
        self._share = share
        self._began = self._latest = time.process_time()
        self._began_monotonic = time.monotonic()

    @property
    def share(self) -> float:
        """Of one processor's time, since this was made."""
        elapsed = time.monotonic() - self._began_monotonic
        return (time.process_time() - self._began) / elapsed if elapsed > 0 else 0.0

    def stretched(self, seconds: float) -> float:
        """So long from the beginning of the round that ends now to the next one; at least ``seconds``."""
        before, self._latest = self._latest, time.process_time()
        return stretched(seconds, self._latest - before, self._share)


def ticks(
    seconds: float, times: int | None = None, lengthened: Callable[[float], float] = lambda seconds: seconds
) -> Iterator[int]:
    """
    0, 1, 2, ... at the beginning of each interval. A late round is skipped, not queued.

    :param lengthened: how long an interval is, at the end of each round
    """
    due, done = time.monotonic(), 0
    while times is None or done < times:
        yield done
        done += 1
        wait, now = lengthened(seconds), time.monotonic()
        due = max(due + wait, now - (now - due) % wait)
        if times is None or done < times:
            time.sleep(max(due - now, 0))


def turns(args: argparse.Namespace) -> Iterator[int]:
    """
    The number of each round: 0 only, or with --watch 0, 1, 2, ... when each is due.

    :raises UsageError: --count without --watch
    """
    if args.watch is not None:
        return ticks(args.watch, args.count)
    if given(args, "count"):
        raise UsageError("--count needs --watch DURATION")
    return iter((0,))


def _past(args: argparse.Namespace) -> AbstractContextManager[Observer] | None:
    """What looks at a recording, where --from names one."""
    if args.recording is None:
        if given(args, "at"):
            raise UsageError("--at needs --from FILE: it says at which moment of a recording to look")
        return None
    from zonerss.commands import past

    return past.opened(args)


def growth_of(args: argparse.Namespace, way: str) -> Growth | None:
    """
    What is known of the growth of zones before the first look, to which each look is to be added.

    None where there is but one look, or too little was recorded.

    :param way: the grouping of the zones
    """
    if args.recording is None:
        if args.watch is None:
            return None
        from zonerss.answers.growth import Growth

        return Growth()
    from zonerss.commands import past

    return past.growth_before(args, way)


def rounds(
    args: argparse.Namespace, look: Callable[[Observer], Found], show: Callable[[Found], None]
) -> None:
    """
    Look and show what was found, once or with --watch again and again, all with one session.

    The first round waits neither for the kernel's events nor, without --uncertainty, for what tells of changes.
    What one round found is forgotten before the next round looks: a snapshot owns the memory of its frames.

    A zone that does not exist in the first round is an error. One that is gone later may come back (a container that
    is restarted): that is said, and the watch goes on.

    :raises UnknownZone: a zone that was named does not exist in the first round
    """
    due, lasting = turns(args), args.watch is not None
    told = args.uncertainty is not None and (lasting or args.uncertainty)
    with _past(args) or Session(
        args.source,
        read_rules(args.rules),
        lasting=lasting,
        threads=args.threads,
        patience=args.patience,
        uncertainty=told and bool(args.uncertainty),
    ) as session:
        for number in due:
            try:
                found = look(session)
            except UnknownZone as gone:
                if number == 0:
                    raise
                _put_sentence(str(gone), args)
                continue
            show(found)
            del found
            if lasting and number == 0 and args.count != 1 and isinstance(session, Session):
                session.go_on(uncertainty=told)


def snapshots(
    args: argparse.Namespace, by: Sequence[str], show: Callable[[Snapshot], None], **wanted: Any
) -> None:
    """
    Show the snapshot that was asked for, or with --watch one after the other; see :func:`rounds`.

    Of several zones that were named, those that are gone in a later round are left out of it.

    :param wanted: further arguments of :meth:`zonerss.snapshot.Session.take`
    """
    is_first = True

    def look(session: Observer) -> Snapshot:
        nonlocal is_first
        names = list(args.zone or ())
        while True:
            try:
                found = session.take(by, args.basis, names, **wanted)
            except UnknownZone as gone:
                if is_first or len(names) == 1:
                    raise
                names.remove(gone.zone)
                continue
            is_first = False
            return found

    rounds(args, look, show)


def put(
    args: argparse.Namespace, document: Callable[[], dict[str, Any]], lines: Callable[[], Sequence[str]]
) -> None:
    """
    Print what one round found, as the document or as lines, whichever --json asks for; the other one is not made.

    Lines are laid out for the terminal. With --watch a document is one line; lines have the time above them, and go
    over those of the last round on a terminal, below them elsewhere.
    """
    watching = args.watch is not None
    if args.json:
        print(render_json(document(), compact=watching))
    else:
        terminal = find_terminal(getattr(args, "color", "auto"))
        with printing_to(terminal):
            found = [*([time_line(args.watch)] if watching else []), *fit(lines(), terminal.width)]
        _put_text(found, watching, terminal)
    sys.stdout.flush()


class RowPrinter:
    """Prints what rounds found, and as -o, --no-header and --tsv ask for it where they are given."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._args, self._is_first = args, True

    def put(
        self,
        layout: Layout,
        document: Callable[[], dict[str, Any]],
        lines: Callable[[], Sequence[str]],
        records: Sequence[Any],
        snapshot: Snapshot,
        left_out: int = 0,
    ) -> None:
        """
        As :func:`put`; rows for programs follow each other in all rounds, below one header, and what the snapshot does
        not cover is said on standard error.

        :param lines: the verb's own table
        :param records: that are to be shown, in this order
        :param left_out: how many more there are, which --all shows
        """
        args = self._args
        if args.json or not layout.rows_only:
            put(
                args,
                document,
                lambda: render(layout, records, snapshot, left_out=left_out) if layout.chosen else lines(),
            )
            return
        rows = layout if self._is_first else replace(layout, header=False)
        self._is_first = False
        for line in render(rows, records, snapshot, args.watch is not None):
            print(line)
        sys.stdout.flush()
        more = [f"{counted(left_out, 'more row')} left out: --all prints all"] if left_out else []
        for remark in (*more, *remarks(snapshot)):
            print(f"zonerss: {remark}", file=sys.stderr)


def wait_for(seconds: float) -> None:
    """A line on a terminal says that it takes its time, and goes again."""
    if not sys.stderr.isatty() or not sys.stdout.isatty():
        time.sleep(seconds)
        return
    print(f"waiting for {seconds:g} s ...", end="", file=sys.stderr, flush=True)
    try:
        time.sleep(seconds)
    finally:
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def time_line(seconds: float) -> str:
    """When this round is, with the offset from UTC, and how often there is one."""
    return f"{datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}, every {seconds:g} s"


def _put_text(lines: Sequence[str], watching: bool, terminal: Terminal) -> None:
    if not watching:
        print("\n".join(lines))
    elif terminal.redraws:
        print("\x1b[H\x1b[J" + "\n".join(screenful(lines, terminal.height)))
    else:
        print("\n".join(lines), end="\n\n")


def screenful(lines: Sequence[str], height: int | None) -> list[str]:
    """As many of the lines as a screen holds: of too many those before the last blank line are cut short."""
    room = len(lines) if height is None else height - 1
    if len(lines) <= room:
        return list(lines)
    blank = max((number for number, line in enumerate(lines) if not line), default=len(lines))
    below = lines[blank:] if len(lines) - blank <= room // 2 else []
    kept = max(room - len(below) - 1, 1)
    return [*lines[:kept], f"and {len(lines) - kept - len(below)} more lines", *below][: max(room, 1)]


def _put_sentence(sentence: str, args: argparse.Namespace) -> None:
    """In place of a round; with --json on standard error, so that standard output holds documents only."""
    if args.json:
        print(f"zonerss: {printable(sentence)}", file=sys.stderr)
    else:
        put(args, dict, lambda: [printable(sentence)])
