"""What each zone uses, live: the zones with their uncertainty, how fast their memory changes, and a trend.

Keys: arrows, Enter (processes), m (with whom it shares), e (explain), t (tree), s (sort), / (filter), Space (pause),
? (help), q. With --batch, or where the output is not a terminal, tables are printed one below the other, as prstat
does: `zonerss top 5 12` prints twelve of them, five seconds apart.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import sys
import termios
from collections.abc import Callable

from zonerss.answers.explain.account import explain_zone
from zonerss.census.tree import tree_usage
from zonerss.commands.options import add_walk_options, column_of, count, one_way, read_rules
from zonerss.commands.watching import interval, ticks
from zonerss.errors import CannotServe, UsageError
from zonerss.kernel.names import host_names
from zonerss.kernel.roots import HOST
from zonerss.snapshot import Session, Snapshot
from zonerss.views.columns import RSS, Column
from zonerss.views.document import render_json
from zonerss.views.explain import chain
from zonerss.views.show import document
from zonerss.views.top import TOP_COLUMNS, History, Look, Mode, batch_lines, tree_lines

_PR_SET_PDEATHSIG = 1
_INTERVAL = 2.0
# Undo what a full-screen program asks of a terminal: synchronized output, mouse, focus, paste and key reports, the
# hidden cursor, the other screen.
_SANE = (
    b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[<u"
    b"\x1b[0m\x1b[?25h\x1b[?1049l"
)


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_walk_options(parser)
    names = ", ".join(column.name for column in TOP_COLUMNS)
    parser.add_argument(
        "--sort", metavar="COLUMN", default=RSS.name, help=f"largest first by one of: {names}"
    )
    parser.add_argument("--limit", type=count, metavar="N", help="with --batch: only the first N zones")
    parser.add_argument("--batch", action="store_true", help="print tables one below the other")
    parser.add_argument("--json", action="store_true", help="with --batch: print JSON, one snapshot per line")
    parser.add_argument(
        "--interval",
        "-i",
        dest="every",
        type=interval,
        metavar="S",
        help=f"seconds between snapshots (default {_INTERVAL:g})",
    )
    parser.add_argument(
        "-n", dest="times", type=count, metavar="N", help="with --batch: stop after N snapshots"
    )
    parser.add_argument("interval", nargs="?", type=interval, help="the same as --interval, as prstat has it")
    parser.add_argument("count", nargs="?", type=count, help="the same as -n")


def run(args: argparse.Namespace) -> int:
    """Show zones until told to stop."""
    if (args.every and args.interval) or (args.times and args.count):
        raise UsageError("the interval or the count is given twice: give it as an option or as an argument")
    sort = column_of(TOP_COLUMNS, args.sort)
    way = one_way(args)
    seconds, times = args.every or args.interval or _INTERVAL, args.times or args.count
    # textual reads from standard input and draws on standard error.
    on_terminal = all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr))
    if args.batch or args.json or not on_terminal:
        with _session(args) as session:
            return _batch(session, way, sort, seconds, times, args)
    if times:
        raise UsageError("a count needs --batch: on a terminal, q ends top")
    return guarded(lambda: _screen(way, sort, seconds, args))


def _session(args: argparse.Namespace) -> Session:
    rules = read_rules(args.rules)
    return Session(args.source, rules, patience=args.patience, uncertainty=True, follow=True)


def _batch(
    session: Session, way: str, sort: Column, seconds: float, times: int | None, args: argparse.Namespace
) -> int:
    history = History()
    for _ in ticks(seconds, times):
        _show(session.take((way,), args.basis), history, sort, args)
    return 0


def _show(snapshot: Snapshot, history: History, sort: Column, args: argparse.Namespace) -> None:
    history.add(snapshot)
    if args.json:
        print(render_json(document(snapshot, limit=args.limit), compact=True))
    else:
        print("\n".join(batch_lines(snapshot, history, sort, args.limit)))
    sys.stdout.flush()


class SessionCamera:
    """Takes the snapshots of the screen with one session."""

    def __init__(self, session: Session, way: str) -> None:
        """:param way: the grouping"""
        self._session, self._way = session, way

    def take(self, mode: Mode, zone: str | None) -> Look:
        """See :class:`zonerss.views.top_app.Camera`."""
        way, lines = ("cgroup" if mode is Mode.TREE else self._way), list[str]()
        if mode is Mode.EXPLAIN and zone is not None:
            lines = chain.render(explain_zone(self._session, zone, way))
        # The screen keeps it while the next one is taken.
        snapshot = self._session.take((way,), processes=mode is Mode.PROCESSES).without_frames()
        if mode is Mode.TREE:
            lines = tree_lines(tree_usage(snapshot.parts, snapshot.members, lambda path: None))
        return Look(snapshot, lines)


def _screen(way: str, sort: Column, seconds: float, args: argparse.Namespace) -> int:
    try:
        from zonerss.views.top_app import TopApp
    except ImportError as err:
        raise CannotServe("textual is missing: run vm/provision, or use top --batch") from err
    # readline puts these into the environment. textual takes them for the terminal's size and does not follow a change.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    with _session(args) as session:
        app = TopApp(SessionCamera(session, way), seconds, host_names(HOST).users)
        app.sort = sort
        try:
            failure = app.run()
        finally:
            app.stop()
    if failure:
        raise CannotServe(failure)
    return app.return_code or 0


def guarded(run_screen: Callable[[], int]) -> int:
    """
    Run a full-screen program in a child process, so that the terminal is restored however it ends.

    A program that is killed cannot restore the terminal; its parent can. Where the parent is killed, the shell takes
    the terminal back, and the child restores it and ends at once.
    """
    terminal = _Terminal()
    guard = os.getpid()
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, lambda *_: _end(terminal, guard))
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != guard:
            os._exit(1)
        return run_screen()
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the child handles these
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        terminal.restore()
        raise CannotServe(f"top was ended by signal {-status} ({signal.strsignal(-status)})")
    return status


class _Terminal:
    """The terminal that we were started on, and how it was."""

    def __init__(self) -> None:
        self._stdin, self._stdout = sys.stdin.fileno(), sys.stdout.fileno()
        self._before = termios.tcgetattr(self._stdin)

    def restore(self) -> None:
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # we may be in the background
        os.write(self._stdout, _SANE)
        # A shell that edits its own command line has made its own settings by then, and Ctrl-C works in them.
        if not termios.tcgetattr(self._stdin)[3] & termios.ISIG:
            termios.tcsetattr(self._stdin, termios.TCSANOW, self._before)


def _end(terminal: _Terminal, guard: int) -> None:
    if os.getppid() == guard:
        raise KeyboardInterrupt
    with contextlib.suppress(OSError, termios.error):  # it may be gone as well
        terminal.restore()
    os._exit(1)
