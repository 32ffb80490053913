"""Hold zones under a cap by their real RSS: what they do not use is paged out, nothing is stopped or limited.

`zonerss cap web=400M` is a dry run: it tells by how much each zone is over, and what could be had without pain. With
--enforce it acts: of a zone that is over, pages that this zone alone maps, once, and that were not touched for --cold
are paged out until the excess and 5 % of the cap are gone. Pages that other zones map, locked ones and hugetlb are left
alone. Without free swap only files' pages go. What comes back within 5 s is counted as refault; where half comes back
the working set is above the cap, and the zone is left alone for a while.

Caps are ZONE=SIZE, or those of /etc/zonerss/caps.toml, which is read again when it changes (docs/cap.md).
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack

from zonerss.cap.command import Commands
from zonerss.cap.hands import Hands
from zonerss.cap.loop import LEAST_COLD_SECONDS, Capper, LiveCaps, settings_of
from zonerss.cap.records import Settings
from zonerss.cap.rules import CAPS, Caps, Spelling, caps_of_words, read_caps, share
from zonerss.cap.status import Status, StatusFile, read_status
from zonerss.commands.cap_past import add_past_options, check_past, simulate
from zonerss.commands.ending import Ending, Leave
from zonerss.commands.options import add_output_options, add_walk_options, one_way, read_rules
from zonerss.commands.quantities import duration, duration_within, size
from zonerss.commands.watching import interval, put
from zonerss.errors import CannotServe, UsageError
from zonerss.kernel.privileges import allow_files
from zonerss.plain import replace
from zonerss.views.cap import document, render, render_since
from zonerss.views.text import printable

COLD_SECONDS = 3.0
_MOMENT_SECONDS = 0.01
_FILES = 4096
"""Of those that may be open at a time: what a walk has open of processes, and the triggers."""
OWNERS = (0,)
"""User ids that may have written a file of caps."""
clock = time.monotonic_ns
_BASE = Settings(cold_ns=round(COLD_SECONDS * 1e9))
_SPELLING = Spelling(size, duration)


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "caps",
        nargs="*",
        metavar="ZONE=SIZE",
        help="a zone, or a pattern of names with * and ?, and its cap, as in web.service=400M",
    )
    parser.add_argument(
        "--caps",
        dest="caps_file",
        metavar="FILE",
        help=f"a TOML file of caps, besides those that are arguments (default: {CAPS}, without arguments)",
    )
    parser.add_argument("--enforce", action="store_true", help="act; without it nothing is paged out")
    parser.add_argument(
        "--once",
        action="store_true",
        help="end when nothing is under way any more; with 0, also where a zone is over",
    )
    parser.add_argument("--status", action="store_true", help="show what the capper that runs says of itself")
    parser.add_argument(
        "--watch",
        type=interval,
        metavar="DURATION",
        help="show so often what was tried and what left since, as rcapstat does",
    )
    parser.add_argument(
        "--cold",
        type=duration_within("0s", "1h"),
        metavar="DURATION",
        help=f"a page is cold that was not touched for so long (default {COLD_SECONDS:g}s); 0s: a dry run touches "
        "nothing, and does not tell what is cold",
    )
    parser.add_argument(
        "--threshold",
        type=share,
        metavar="SHARE",
        help="do nothing while less of the machine's memory is in use, as in 80%% (default 0%%)",
    )
    add_past_options(parser)
    add_walk_options(parser)
    add_output_options(parser)


def run(args: argparse.Namespace) -> int:
    """Hold caps until told to end."""
    way = one_way(args)
    check_past(args)
    if args.recording is not None:
        caps = _caps_reader(args)()
        return simulate(args, caps, settings_of(caps, _BASE, args.cold, args.threshold))
    if args.status:
        return _show_status(args)
    if args.enforce and args.cold is not None and args.cold < LEAST_COLD_SECONDS:
        raise UsageError(f"--enforce takes what is cold: --cold is {LEAST_COLD_SECONDS:g}s at least")
    with Ending() as ending:
        try:
            with ending.interruptible():
                return _hold(args, way)
        except Leave:
            sys.stdout.flush()
            return 0


def _caps_reader(args: argparse.Namespace) -> Callable[[], Caps]:
    """What reads the caps, now and again."""
    words = caps_of_words(args.caps, size)
    file = args.caps_file or (None if args.caps else CAPS)
    if file is None:
        return lambda: words
    if args.caps_file is None and not os.path.lexists(CAPS):
        raise UsageError(f"no cap is given: say zonerss cap ZONE=400M, or write {CAPS} (docs/cap.md)")

    def read() -> Caps:
        found = read_caps(file, _SPELLING, OWNERS)
        if found is None:
            raise UsageError(f"there is no file {file}; name one that is there")
        cold = found.cold_seconds
        if args.enforce and args.cold is None and cold is not None and cold < LEAST_COLD_SECONDS:
            raise UsageError(
                f"{file}: --enforce takes what is cold: cold is {LEAST_COLD_SECONDS:g}s at least"
            )
        return found.below(words)

    return read


def _hold(args: argparse.Namespace, way: str) -> int:
    caps = LiveCaps(_caps_reader(args))
    base = replace(_BASE, enforce=args.enforce)
    news = _News(args)
    allow_files(_FILES)
    with ExitStack() as stack:
        file = _status_file(args, stack)
        hands = stack.enter_context(
            Hands(way, args.source, read_rules(args.rules), args.patience, threads=args.threads)
        )
        commands = Commands()
        stack.callback(commands.close)
        caps.check(hands.bounds())
        capper = Capper(
            hands,
            caps,
            lambda said: settings_of(said, base, args.cold, args.threshold),
            commands,
            news.say,
            clock,
            way,
        )
        return _rounds(args, capper, file, news)


def _status_file(args: argparse.Namespace, stack: ExitStack) -> StatusFile | None:
    """Only one capper acts at a time, and tells of itself. A dry run does not: it would keep the service out."""
    if not args.enforce:
        return None
    try:
        return stack.enter_context(StatusFile())
    except OSError as err:
        raise CannotServe(f"cannot keep the capper's status: {err}; make /run writable for it") from err


def _rounds(args: argparse.Namespace, capper: Capper, file: StatusFile | None, news: _News) -> int:
    shown: Status | None = None
    due = time.monotonic()
    while True:
        rests = capper.round()
        status = capper.status()
        if file is not None:
            file.write(status)
        if args.once:
            if rests:
                _show(args, status)
                return 0
        elif args.watch:
            if time.monotonic() >= due:
                _show_since(args, status, shown)
                shown, due = status, max(due + args.watch, time.monotonic())
        elif rests and shown is None:
            _show(args, status)
            shown, news.speaks = status, True
        if args.watch:
            capper.wait(max(due - time.monotonic(), _MOMENT_SECONDS))
        else:
            capper.wait()


def _show(args: argparse.Namespace, status: Status) -> None:
    once = argparse.Namespace(**{**vars(args), "watch": None})
    put(once, lambda: document(status), lambda: render(status, args.bytes))


def _show_since(args: argparse.Namespace, status: Status, before: Status | None) -> None:
    put(args, lambda: document(status), lambda: render_since(status, before, args.bytes))


class _News:
    """What is said while it goes on: a line each, on standard error, below the first table."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._is_quiet = args.watch is not None
        self.speaks = args.enforce

    def say(self, sentence: str) -> None:
        """A sentence without its end."""
        if self.speaks and not self._is_quiet:
            print(f"{time.strftime('%H:%M:%S')} {printable(sentence)}", file=sys.stderr, flush=True)


def _show_status(args: argparse.Namespace) -> int:
    if args.caps or args.enforce or args.once:
        raise UsageError("--status shows what runs: it takes no caps, no --enforce and no --once")
    before: Status | None = None
    while True:
        status = read_status()
        if status is None:
            raise CannotServe("no capper runs: `zonerss cap ZONE=SIZE` is one, zonerss-cap.service another")
        if args.watch is None:
            _show(args, status)
            return 0
        _show_since(args, status, before)
        before = status
        time.sleep(args.watch)
