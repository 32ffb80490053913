"""What each zone uses, live: the zones with bars by kind, growth and a trend.

Keys: arrows, Enter (all about a zone), p (its processes), m (with whom it shares), e (explain), t (tree), s (sort),
/ (filter), Space (pause), Esc (back), ? (help), q. With --batch or a count tables are printed one below the other, as
prstat does: `zonerss top 5 12` prints twelve of them, five seconds apart.

With --from a recording is played: Space (play, pause), left and right (step), Home, End, + and - (speed).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from zonerss.answers.explain.account import explain_zone
from zonerss.answers.growth import LOOKS, Growth
from zonerss.answers.marks import marks_of, wanted
from zonerss.answers.watched import PAST_LOOKS, Watched
from zonerss.answers.wss import ZoneTouched, working_sets
from zonerss.answers.zone import Page, shared_with
from zonerss.cap.status import ZoneStatus, caps_of
from zonerss.census.tree import tree_usage
from zonerss.commands.options import (
    add_past_options,
    add_walk_options,
    count,
    given,
    one_way,
    read_rules,
    unrefused,
)
from zonerss.commands.quantities import percent
from zonerss.commands.watching import OwnCost, interval, ticks
from zonerss.commands.zone import note_past, pages_of, renewed
from zonerss.errors import CannotServe, UsageError
from zonerss.kernel.parent import end_with
from zonerss.records import Usage, Wanted
from zonerss.snapshot import Observer, Session, Snapshot
from zonerss.views.columns import CONTROLS_OF, RSS, Column
from zonerss.views.document import render_json
from zonerss.views.explain import chain
from zonerss.views.player import Player
from zonerss.views.show import document
from zonerss.views.terminal import COLOURS, Style, Terminal, find_terminal, printing_to
from zonerss.views.text import fit, printable, shorten
from zonerss.views.top import (
    CAP_COLUMNS,
    SHOWN,
    TOP_COLUMNS,
    WSS_COLUMNS,
    Lines,
    Look,
    Mode,
    batch_lines,
    find_columns,
    find_order,
    named_first,
    process_lines,
    rows_of,
    sharing_lines,
    tree_lines,
)
from zonerss.views.zone import render as render_zone
from zonerss.zones.rules import Rule

if TYPE_CHECKING:
    from zonerss.history.recording import Recording
    from zonerss.history.replay import PastSession
    from zonerss.views.top_app import TopApp
    from zonerss.walk.arming import Armed

_INTERVAL = 2.0
_LAST_WAIT_SECONDS = 0.2
DETAILS_SECONDS = 10.0
"""How old the bill, files and mapping counts of a zone's page may be before they are read again."""
_NO_SCREEN = ("", "dumb", "unknown")
"""Values of TERM."""
# Undo what a full-screen program asks of a terminal: synchronized output, mouse, focus, paste and key reports, the
# hidden cursor, the other screen.
_SANE = (
    b"\x1b[?2026l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?1015l\x1b[?1004l\x1b[?2004l\x1b[<u"
    b"\x1b[0m\x1b[?25h\x1b[?1049l"
)


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    add_walk_options(parser)
    add_past_options(parser)
    names = ", ".join(column.name for column in TOP_COLUMNS)
    parser.add_argument(
        "-o",
        "--columns",
        type=unrefused(lambda names: find_columns(names, SHOWN)),
        metavar="COLUMNS",
        help="show these columns, in this order, as in -o zone,rss,kinds; with + before the first, add them to the "
        f"others. The columns are {names}; kinds and trend are pictures",
    )
    parser.add_argument(
        "--sort",
        type=unrefused(find_order),
        metavar="COLUMN",
        default=RSS.name,
        help="sort by any column: numbers largest first, text from A on; with - before it the other way round",
    )
    parser.add_argument(
        "--color",
        choices=COLOURS,
        default="auto",
        metavar="WHEN",
        help="auto (default: unless NO_COLOR is set or TERM is dumb), always or never",
    )
    parser.add_argument("--limit", type=count, metavar="N", help="in tables: only the first N zones")
    parser.add_argument("--bytes", action="store_true", help="in tables: whole bytes instead of K, M and G")
    parser.add_argument(
        "--batch",
        action="store_true",
        help="print tables one below the other, also where there is no terminal",
    )
    parser.add_argument("--json", action="store_true", help="like --batch: print JSON, one snapshot per line")
    parser.add_argument(
        "--interval",
        "-i",
        dest="every",
        type=interval,
        metavar="DURATION",
        help=f"between snapshots, as in 0.5s, 10 (seconds) or 5m (default {_INTERVAL:g}s)",
    )
    parser.add_argument(
        "-n", dest="times", type=count, metavar="N", help="like --batch: stop after N snapshots"
    )
    parser.add_argument(
        "--max-cpu",
        type=percent,
        metavar="PERCENT",
        help="look less often where this program would take more of one processor's time, as in 1%%",
    )
    parser.add_argument("interval", nargs="?", type=interval, help="the same as --interval, as prstat has it")
    parser.add_argument("count", nargs="?", type=count, help="the same as -n")


def run(args: argparse.Namespace) -> int:
    """Show zones until told to stop."""
    if (args.every and args.interval) or (args.times and args.count):
        raise UsageError("the interval or the count is given twice: give it as an option or as an argument")
    sort = find_order(args.sort)
    columns = None if args.columns is None else find_columns(args.columns, SHOWN)
    first = () if args.columns is None else named_first(args.columns)
    way = one_way(args)
    if args.recording is not None:
        return _past(args, way, _Order(sort, columns, first))
    if given(args, "at"):
        raise UsageError("--at needs --from FILE: it says at which moment of a recording to begin")
    seconds, times = args.every or args.interval or _INTERVAL, args.times or args.count
    rules = read_rules(args.rules)
    if args.batch or args.json or times:
        with _session(args, rules) as session:
            return _batch(session, way, _Order(sort, columns, first), seconds, times, args)
    if reason := _cannot_draw():
        raise CannotServe(
            f"{reason}: top needs one. `zonerss top --batch` prints tables, and so does `show --watch`"
        )
    order = _Order(sort, columns, first)
    camera = SessionCamera(
        lambda: _session(args, rules),
        way,
        order.controls,
        order.caps,
        lambda: Session(args.source, rules, threads=args.threads, patience=args.patience),
        order.touched,
    )
    return guarded(
        lambda leaving: _screen(
            camera, args, leaving, lambda style: _live_app(camera, seconds, order, style, args.max_cpu)
        )
    )


class _Order(NamedTuple):
    """Which columns are shown, and by which they are sorted."""

    sort: Column
    columns: Sequence[Column] | None
    first: Sequence[str]
    """Names of those that get room before others."""

    @property
    def controls(self) -> Wanted:
        """What has to be read of cgroups for the table."""
        names = (column.name for column in (*(self.columns or SHOWN), self.sort))
        return wanted(CONTROLS_OF[name] for name in names if name in CONTROLS_OF)

    @property
    def touched(self) -> bool:
        """Whether a column needs to know what was touched."""
        names = {column.name for column in (*(self.columns or SHOWN), self.sort)}
        return not names.isdisjoint(column.name for column in WSS_COLUMNS)

    def caps(self, snapshot: Snapshot) -> Mapping[str, ZoneStatus]:
        """What the capper of that time says of the zones under a cap, where a column needs it."""
        names = {column.name for column in (*(self.columns or SHOWN), self.sort)}
        if names.isdisjoint(column.name for column in CAP_COLUMNS):
            return {}
        return caps_of(snapshot)


def _cannot_draw() -> str | None:
    """Why there is no screen; None: there is one. textual reads standard input and draws on standard error."""
    for name, stream in (("input", sys.stdin), ("output", sys.stdout), ("error", sys.stderr)):
        if stream is None or not stream.isatty():
            return f"standard {name} is no terminal"
    kind = os.environ.get("TERM", "")
    return f"TERM={kind} is no terminal with a screen" if kind in _NO_SCREEN else None


def _session(args: argparse.Namespace, rules: Sequence[Rule]) -> Session:
    how = {"threads": args.threads, "patience": args.patience}
    return Session(args.source, rules, **how, uncertainty=True, follow=True)


class _Touching:
    """Clears accessed bits after each snapshot, so that the next one tells what was touched meanwhile."""

    def __init__(self, way: str, wanted: bool) -> None:
        """:param wanted: False: it does nothing"""
        self._way, self._wanted = way, wanted
        self.armed: Armed | None = None
        """What to ask the next snapshot for."""

    def clear(self, session: Observer) -> None:
        """
        After a snapshot; of a recording there is nothing to clear.

        :raises CannotServe: this host does not tell what is touched; the sentence says why
        """
        if self._wanted and isinstance(session, Session):
            self.armed = session.arm(self._way)

    @staticmethod
    def told(snapshot: Snapshot) -> Mapping[str, ZoneTouched]:
        """What a snapshot tells of each zone; nothing where it was not asked for."""
        if snapshot.touches is None:
            return {}
        return {zone.zone: zone for zone in working_sets(snapshot).zones}


def _batch(
    session: Session,
    way: str,
    order: _Order,
    seconds: float,
    times: int | None,
    args: argparse.Namespace,
) -> int:
    growth, cost = Growth(), OwnCost(args.max_cpu)
    touching = _Touching(way, order.touched and not args.json)
    controls = Wanted() if args.json else order.controls
    for _ in ticks(seconds, times, cost.stretched):
        snapshot = session.take(way, args.basis, controls=controls, armed=touching.armed)
        touching.clear(session)
        _show(snapshot, growth, order, args, cost)
    return 0


def _show(
    snapshot: Snapshot, growth: Growth, order: _Order, args: argparse.Namespace, cost: OwnCost | None = None
) -> None:
    if args.json:
        print(render_json(document(snapshot, limit=args.limit), compact=True))
    else:
        terminal = find_terminal(args.color)
        lines = batch_lines(
            snapshot,
            growth,
            order.sort,
            args.limit,
            order.columns,
            terminal.width,
            terminal.style,
            in_bytes=args.bytes,
            first=order.first,
            marks=marks_of(snapshot),
            caps=order.caps(snapshot),
            touched=_Touching.told(snapshot),
            own_share=None if cost is None else cost.share,
        )
        print("\n".join(fit(lines, terminal.width)))
    sys.stdout.flush()


class SessionCamera:
    """Takes the snapshots of the screen with one session, which is opened at the first."""

    def __init__(
        self,
        open_session: Callable[[], Observer],
        way: str,
        controls: Wanted | None = None,
        caps: Callable[[Snapshot], Mapping[str, ZoneStatus]] = lambda snapshot: {},
        open_first: Callable[[], Session] | None = None,
        touched: bool = False,
    ) -> None:
        """
        :param way: the grouping
        :param controls: what the table of zones needs; None: all
        :param caps: what a capper says of the zones of a snapshot
        :param open_first: opens a session that loads sooner, for the first snapshot; None: there is none
        :param touched: tell what was touched since the snapshot before
        """
        self._touching = _Touching(way, touched)
        self._caps, self._open_first = caps, open_first
        self._open, self._way, self._controls = open_session, way, controls or Wanted()
        self._session: Observer | None = None
        self._growth = Growth()
        self._kept: tuple[Page, float] | None = None
        """The page that is shown, and when its details were read, by the monotonic clock."""
        self._watched = Watched()
        """The looks at its zone."""
        self.style = Style(colour=True)
        """Of pages."""

    def take(self, mode: Mode, zone: str | None) -> Look:
        """See :class:`zonerss.views.top_app.Camera`. All that takes long is done here, beside the keyboard."""
        if self._open_first and self._session is None:
            opened, self._open_first = self._open_first, None
            with opened() as first:
                return self._taken(first, mode, zone)
        self._session = self._session or self._open()
        return self._taken(self._session, mode, zone)

    def _taken(self, session: Observer, mode: Mode, zone: str | None) -> Look:
        if mode is Mode.TREE:
            snapshot = session.take("cgroup").without_evidence()
            nodes = tree_usage(snapshot.parts, snapshot.members, lambda path: None)
            return Look(snapshot, (), partial(tree_lines, nodes))
        # First: what it walks is given back before the next walk.
        explained = self._explained(session, zone) if mode is Mode.EXPLAIN and zone else None
        processes = mode in (Mode.ZONE, Mode.PROCESSES)
        controls = Wanted() if mode is Mode.ZONE else self._controls
        armed = self._touching.armed
        snapshot = session.take(self._way, processes=processes, controls=controls, armed=armed)
        self._touching.clear(session)
        rows = rows_of(snapshot, self._growth, self._caps(snapshot), _Touching.told(snapshot))
        page = explained or (self._page(mode, zone, snapshot) if zone else None)
        if mode is not Mode.ZONE:
            self._kept = None
        # The screen keeps it while the next one is taken.
        return Look(snapshot.without_evidence(), rows, page, marks_of(snapshot))

    def _explained(self, session: Observer, zone: str) -> Lines:
        account = explain_zone(session, zone, self._way)

        def lines(width: int) -> list[str]:
            with printing_to(Terminal(width)):
                return list(fit(chain.render(account), width))

        return lines

    def _page(self, mode: Mode, zone: str, snapshot: Snapshot) -> Lines:
        usage = next((usage for usage in snapshot.zones if usage.zone == zone), None)
        if usage is None:
            return lambda width: [f"{shorten(printable(zone), width - 24)} has no process any more."]
        if mode is Mode.SHARING:
            return partial(sharing_lines, zone, shared_with(snapshot, zone))
        if mode is Mode.PROCESSES:
            processes = [process for process in snapshot.processes or () if process.zone == zone]
            return partial(process_lines, zone, processes, snapshot.names.users)
        page = self._zone_page(snapshot, usage)
        return lambda width: render_zone(page, width, self.style)

    def _zone_page(self, snapshot: Snapshot, usage: Usage) -> Page:
        """The page of a zone. Its details take several times as long as the walk: they are read now and then."""
        now = time.monotonic()
        page, read = self._kept or (None, now)
        if page is None or page.usage.zone != usage.zone:
            page, self._watched = None, self._watched_until(usage.zone)
        if page is not None and now - read < DETAILS_SECONDS:
            page = renewed(page, snapshot, usage, self._growth, self._watched, now - read)
        else:
            (page,), read = pages_of(snapshot, [usage], self._growth, self._watched), now
        self._kept = page, read
        return page

    def _watched_until(self, zone: str) -> Watched:
        """The looks at a zone before its page is opened: none, for its processes were not asked for."""
        return Watched()

    def close(self) -> None:
        """See :class:`zonerss.views.top_app.Camera`."""
        if isinstance(self._session, Session):
            self._session.close()


class _Before(NamedTuple):
    """A look before the one that is shown."""

    session: PastSession
    snapshot: Snapshot
    """By the grouping that is shown, without its evidence."""


class PastCamera(SessionCamera):
    """
    Takes the snapshots of a recording that a player is at, each with the growth of those before it.

    What it tells of a place follows from the looks until there, however one got there.
    """

    def __init__(self, open_recording: Callable[[], Recording], player: Player, way: str, file: str) -> None:
        """
        :param open_recording: called in the thread that reads it
        :param way: the grouping
        :param file: what the recording is called
        """
        super().__init__(lambda: self._at(player.time), way, caps=caps_of)
        self._open_recording, self._player, self._file = open_recording, player, file
        self._recording: Recording | None = None
        self._looks: dict[int, _Before | None] = {}
        """Of the moments that were kept before, by their numbers. None: damaged."""

    def take(self, mode: Mode, zone: str | None) -> Look:
        """The one that the player is at now. It may go on meanwhile."""
        now = self._at(self._player.time)
        before = self._opened().before(now.moment.snapshot.began, LOOKS - 1)
        self._looks = {
            number: self._looks[number] if number in self._looks else self._look(number) for number in before
        }
        self._growth, self._session, self._kept = Growth(), now, None
        for look in self._looks_until(now):
            self._growth.add(look.snapshot)
        return super().take(mode, zone)

    def _looks_until(self, now: PastSession) -> list[_Before]:
        """Those of the same boot; as :func:`zonerss.commands.past.looks_until`."""
        found = (look for look in self._looks.values() if look is not None)
        return [look for look in found if look.session.moment.boot_id == now.moment.boot_id]

    def _watched_until(self, zone: str) -> Watched:
        """The same looks as those of its growth, and no more, as :func:`zonerss.commands.zone.watched_of` has them."""
        from zonerss.history.replay import PastSession

        watched = Watched(PAST_LOOKS)
        assert isinstance(self._session, PastSession)
        for look in self._looks_until(self._session):
            with contextlib.suppress(CannotServe):
                note_past(watched, look.session, self._way, [zone])
        return watched

    def _look(self, number: int) -> _Before | None:
        from zonerss.history.replay import PastSession

        try:
            session = PastSession(self._opened(), number=number, lean=True)
            return _Before(session, session.take(self._way).without_evidence())
        except CannotServe:
            return None

    def _at(self, when: datetime) -> PastSession:
        from zonerss.history.replay import PastSession

        return PastSession(self._opened(), when, self._file)

    def _opened(self) -> Recording:
        self._recording = self._recording or self._open_recording()
        return self._recording

    def close(self) -> None:
        """See :class:`zonerss.views.top_app.Camera`."""
        if self._recording:
            self._recording.close()


def _past(args: argparse.Namespace, way: str, order: _Order) -> int:
    """The screen of a recording, or a table for each of its snapshots from --at on."""
    from zonerss.commands.past import check_past
    from zonerss.history.recording import Recording

    check_past(args)
    if args.every or args.interval or args.max_cpu:
        raise UsageError("--from takes no interval: + and - play a recording faster and slower")
    with Recording(args.recording) as recording:
        times, last = recording.times(), recording.latest()
    begun = [number for number, time in enumerate(times) if time <= (args.at or last)]
    player = Player(times, begun[-1] if begun else 0)
    camera = PastCamera(lambda: Recording(args.recording), player, way, args.recording)
    if args.batch or args.json or args.times or args.count:
        first = player.at if args.at else 0
        return _past_batch(camera, player, range(first, len(times))[: args.times or args.count], order, args)
    if reason := _cannot_draw():
        raise CannotServe(f"{reason}: top needs one. `zonerss top --from FILE --batch` prints tables")
    return guarded(
        lambda leaving: _screen(
            camera, args, leaving, lambda style: _replay_app(camera, player, order, style)
        )
    )


def _past_batch(
    camera: PastCamera, player: Player, chosen: Sequence[int], order: _Order, args: argparse.Namespace
) -> int:
    growth, shown = Growth(), 0
    with contextlib.closing(camera):
        for player.at in chosen:
            try:
                look = camera.take(Mode.ZONES, None)
            except CannotServe as err:  # damaged: the others are not
                print(f"zonerss: left out: {printable(str(err))}", file=sys.stderr)
            else:
                _show(look.snapshot, growth, order, args)
                shown += 1
    return 0 if shown or not chosen else 1


def _replay_app(camera: PastCamera, player: Player, order: _Order, style: Style) -> TopApp:
    from zonerss.views.top_app import ReplayApp

    return ReplayApp(camera, player, order.sort, order.columns, order.first, style)


def _live_app(
    camera: SessionCamera, seconds: float, order: _Order, style: Style, max_cpu: float | None
) -> TopApp:
    from zonerss.views.top_app import TopApp

    app = TopApp(camera, seconds, order.sort, order.columns, order.first, style)
    app.stretched = OwnCost(
        max_cpu
    ).stretched  # in the process that draws: the time of its parent is not its own
    return app


def _screen(
    camera: SessionCamera,
    args: argparse.Namespace,
    leaving: _Leaving,
    make_app: Callable[[Style], TopApp],
) -> int:
    try:
        import zonerss.views.top_app  # noqa: F401
    except ImportError as err:
        raise CannotServe("textual is missing: run vm/provision, or use top --batch") from err
    # readline puts these into the environment. textual takes them for the terminal's size and does not follow a change.
    for name in ("COLUMNS", "LINES"):
        os.environ.pop(name, None)
    # What textual itself paints heeds only this.
    if args.color == "always":
        os.environ.pop("NO_COLOR", None)
    elif args.color == "never":
        os.environ["NO_COLOR"] = "1"
    style = Style(colour=args.color != "never")
    camera.style = style
    app = make_app(style)
    leaving.leave = app.leave
    try:
        app.run()
    finally:
        ended = app.stop(_LAST_WAIT_SECONDS)
    if app.error:
        raise app.error
    status = app.return_code or 0
    if not ended:  # a walk is under way: the kernel takes back all that it holds
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def guarded(run_screen: Callable[[_Leaving], int]) -> int:
    """
    Run a full-screen program in a child process, so that the terminal is restored however it ends.

    A program that is killed cannot restore the terminal; its parent can. Where the parent is killed, the shell takes
    the terminal back, and the child restores it and ends at once.

    :raises KeyboardInterrupt: it was interrupted before it could leave in order
    """
    terminal = _Terminal()
    guard = os.getpid()
    pid = os.fork()
    if pid == 0:
        leaving = _Leaving(terminal, guard)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, leaving)
        end_with(guard, signal.SIGTERM)
        return run_screen(leaving)
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)  # the child handles these
    signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if status < 0:
        terminal.restore()
        if -status == signal.SIGINT:
            raise KeyboardInterrupt
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


class _Leaving:
    """What SIGTERM and SIGINT do in the process that draws."""

    def __init__(self, terminal: _Terminal, guard: int) -> None:
        """:param guard: the process that waits for this one"""
        self._terminal, self._guard = terminal, guard
        self.leave: Callable[[], bool] = lambda: False
        """Ends the screen in order; False: there is none yet."""

    def __call__(self, *_: object) -> None:
        if os.getppid() != self._guard:
            with contextlib.suppress(OSError, termios.error):  # it may be gone as well
                self._terminal.restore()
            os._exit(1)
        if not self.leave():
            raise KeyboardInterrupt
