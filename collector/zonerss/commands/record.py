"""Keep snapshots in a file, from which other verbs answer later (--from FILE): what was when.

`zonerss record -- COMMAND` runs a command in a cgroup of its own and says, when it has ended, how much memory it used
and with whom it shared it; it ends with the command's status.

SIGINT (Ctrl-C), SIGTERM and SIGHUP end a recording with status 0. Snapshots are on the disk when they are counted: what
ends zonerss, the last one at most is lost.
"""

from __future__ import annotations

import argparse
import errno
import os
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, TextIO

from zonerss.answers.recording import ClockWatch, Pace, Recorded, Refusals
from zonerss.commands.ending import Ending, Leave
from zonerss.commands.options import (
    add_recording_limits,
    add_walk_options,
    add_zones,
    demand_mapped,
    given,
    most_bytes,
    read_rules,
)
from zonerss.commands.quantities import black_box, duration_within, moment_of
from zonerss.commands.running import run_command
from zonerss.commands.watching import interval
from zonerss.errors import EXHAUSTED, AmbiguousZone, CannotServe, StoreFull, UnknownZone, UsageError
from zonerss.history.blackbox import BlackBox, Kills, opening_sentences
from zonerss.history.keeper import Keeper
from zonerss.history.moment import Moment, take_moment
from zonerss.history.recording import Recording
from zonerss.history.ring import Ring
from zonerss.kernel.private import make_private_directory
from zonerss.snapshot import Session
from zonerss.views.document import render_json
from zonerss.views.record import closing_lines, document, event_line, first_line, jump_text, live_line
from zonerss.views.terminal import find_terminal, printing_to
from zonerss.views.text import fit
from zonerss.zones.labels import find_names

if TYPE_CHECKING:
    from zonerss.commands.parser import Parser

DIRECTORY = "/var/lib/zonerss"
"""Of the recording of this host, where none is named."""
SUFFIX = ".zrec"
_INTERVAL = 10.0
_MINUTE = 60.0


def prepare(parser: Parser) -> None:
    """Add the options of this verb."""
    parser.set_defaults(command=None)
    parser.takes_command = True
    parser.usage = (
        f"{parser.prog} [OPTIONS] [ZONE ...]\n       {parser.prog} [OPTIONS] -- COMMAND [ARGUMENTS]"
    )
    add_zones(parser, "tell of these zones only")
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help=f"the recording; one of this host that is there is continued (default: {DIRECTORY}/HOST{SUFFIX}; with "
        "COMMAND: nothing is kept)",
    )
    parser.add_argument(
        "--interval",
        "-i",
        type=interval,
        metavar="DURATION",
        help=f"from one snapshot to the next, 0.1s at the least (default {_INTERVAL:g}s; with COMMAND: a 20th of how "
        "long it has run, 0.02s to 5s)",
    )
    span = parser.add_mutually_exclusive_group()
    span.add_argument(
        "--for", dest="span", type=duration_within("0.1s", "36500d"), metavar="DURATION", help="for so long"
    )
    span.add_argument(
        "--until",
        type=lambda text: moment_of(text, coming=True),
        metavar="TIME",
        help="until then: 20:55, +10m, or 2026-05-31T20:55:00Z",
    )
    add_recording_limits(parser)
    parser.add_argument(
        "--lean",
        action="store_true",
        help="leave out which files are mapped and who is charged: a cheaper look, of which files, whatif and explain "
        "cannot be asked later",
    )
    parser.add_argument(
        "--black-box",
        type=black_box,
        metavar="SPAN/INTERVAL",
        help="look more often, as in 5m/2s, and keep these looks in memory only, but for what was before the kernel "
        "killed a process for want of memory",
    )
    add_walk_options(parser, by=False)
    parser.add_argument(
        "--json",
        action="store_true",
        help="at the end, print JSON (docs/json.md); progress then goes to standard error",
    )
    parser.add_argument(
        "--bytes", action="store_true", help="with COMMAND: whole bytes instead of K, M and G"
    )
    parser.add_argument(
        "--report",
        metavar="FILE",
        help="with COMMAND: where it is told what it used (default: standard error; - is standard output)",
    )


def run(args: argparse.Namespace) -> int:
    """Record until told to stop, or run a command and look at it."""
    demand_mapped(args)
    if args.output == "":
        raise UsageError("the name of the recording is empty: name a file")
    if args.command is not None:
        return _run_command(args)
    for option, spelled in (("report", "--report FILE"), ("bytes", "--bytes")):
        if given(args, option):
            raise UsageError(f"--{option} needs a command: zonerss record {spelled} -- COMMAND")
    path = args.output or default_file()
    demand_this_host(path)
    rules = read_rules(args.rules)
    with ExitStack() as stack:
        ending = stack.enter_context(Ending())
        try:
            with ending.interruptible():
                session = stack.enter_context(
                    Session(args.source, rules, threads=args.threads, patience=args.patience, follow=True)
                )
                _demand_zones(session, args.zone or ())
            keeper = stack.enter_context(Keeper(path, args.keep, most_bytes(args)))
        except Leave:
            return 0
        progress = Progress(args.json)
        box = _black_box(args, keeper, progress, stack, ending)
        recorder = Recorder(session, keeper, progress, args, path, box=box)
        recorder.record(ending)
    recorder.tell()
    return 0


def _demand_zones(session: Session, names: Sequence[str]) -> None:
    """
    See that the zones are there, before a file is made for them.

    :raises UnknownZone: one of them is not
    """
    if not names:
        return
    try:
        find_names(names, {zones[0].name for _, zones in session.place()[1]})
    except AmbiguousZone:
        raise
    except UnknownZone as err:
        raise UnknownZone(f"{err}; a command stands after --: zonerss record -- COMMAND", err.zone) from err


def _black_box(
    args: argparse.Namespace, keeper: Keeper, progress: Progress, stack: ExitStack, ending: Ending
) -> BlackBox | None:
    if args.black_box is None:
        return None
    span, interval = args.black_box
    ring, kills = stack.enter_context(Ring(span)), Kills()
    stack.callback(kills.close)
    for sentence in opening_sentences(ring, kills):
        progress.say(sentence)
    return BlackBox(keeper, ring, kills, interval, progress.say, lambda: ending.signal is not None)


def _run_command(args: argparse.Namespace) -> int:
    if not args.command:
        raise UsageError("there is no command after --: zonerss record -- COMMAND")
    for option in ("span", "until", "zone", "black_box"):
        if given(args, option):
            name = {"span": "--for", "zone": "a ZONE"}.get(option, f"--{option.replace('_', '-')}")
            raise UsageError(f"{name} is not for a command: it is looked at until it ends, with all zones")
    if args.output is None:
        for option in ("keep", "max_size", "lean"):
            if given(args, option):
                raise UsageError(
                    f"--{option.replace('_', '-')} needs -o FILE: without it nothing is kept of a command"
                )
        return run_command(args, None)
    demand_this_host(args.output)
    with Keeper(args.output, args.keep, most_bytes(args)) as keeper:
        return run_command(args, keeper)


def default_file() -> str:
    """
    The recording of this host; its directory is made where it is not there.

    :raises CannotServe: the directory cannot be made, or is not ours alone
    """
    try:
        make_private_directory(DIRECTORY)
    except OSError as err:
        raise CannotServe(
            f"cannot keep recordings in {DIRECTORY}: {err.strerror or err}; name a file by -o"
        ) from err
    return own_file()


def own_file() -> str:
    """Where the recording of this host is."""
    host = re.sub(r"[^A-Za-z0-9._-]", "_", os.uname().nodename).lstrip(".") or "host"
    return os.path.join(DIRECTORY, f"{host}{SUFFIX}")


def demand_this_host(path: str) -> None:
    """
    Refuse to continue a recording of another host.

    :raises UsageError: it is one
    :raises CannotServe: it is no recording
    """
    if not file_bytes(path):
        return
    with Recording(path) as recording:
        theirs, ours = recording.host_name, os.uname().nodename
    if theirs and theirs != ours:
        raise UsageError(f"{path} is of the host {theirs}, and this is {ours}: name another file")


def file_bytes(path: str) -> int:
    """How large a file and its log are; 0 where there is none."""
    found = 0
    for name in (path, f"{path}-wal"):
        try:
            found += os.stat(name).st_size
        except OSError:
            continue
    return found


class Progress:
    """
    Lines about a recording: drawn over again on a terminal, one a minute elsewhere.

    A line that cannot be printed, because the disk is full or the reader has gone, is dropped: a recording goes on.
    """

    def __init__(self, json: bool) -> None:
        """:param json: standard output is for the document"""
        self._stream: TextIO = sys.stderr if json else sys.stdout
        self._terminal = find_terminal("never", self._stream)
        self._drawn = 0
        self._said_first = False
        self._said_at = 0.0

    def show(self, recorded: Recorded) -> None:
        """How it stands after a round."""
        with printing_to(self._terminal):
            if self._terminal.redraws:
                self._draw(list(fit([first_line(recorded), live_line(recorded)], self._terminal.width)))
                return
            if not self._said_first and recorded.bytes_an_hour() is not None:
                self._said_first = True
                self._print(first_line(recorded))
            if recorded.wall_seconds - self._said_at >= _MINUTE:
                self._said_at = recorded.wall_seconds
                self._print(event_line(datetime.now(UTC), live_line(recorded)))

    def say(self, sentence: str) -> None:
        """Something that happened, with the time."""
        self.clear()
        with printing_to(self._terminal):
            line = event_line(datetime.now(UTC), sentence)
        self._print(line)

    def close(self, recorded: Recorded, lines: Sequence[str]) -> None:
        """What is said in the end, below the last line."""
        if not (self._drawn or self._said_first) and recorded.snapshots:
            self._print(first_line(recorded))
        if self._drawn:
            self._print("")
            self._drawn = 0
        for line in fit(lines, self._terminal.width):
            self._print(line)

    def clear(self) -> None:
        """Take away what was drawn."""
        if self._drawn:
            self._write(self._home())
            self._drawn = 0

    def _home(self) -> str:
        up = f"\x1b[{self._drawn - 1}A" if self._drawn > 1 else ""
        return f"\r{up}\x1b[J"

    def _draw(self, lines: Sequence[str]) -> None:
        self._write((self._home() if self._drawn else "") + "\n".join(lines))
        self._drawn = len(lines)

    def _print(self, line: str) -> None:
        self._write(f"{line}\n")

    def _write(self, text: str) -> None:
        with suppress(OSError):
            self._stream.write(text)
            self._stream.flush()


class Clocks:
    """Those that a recording goes by."""

    def now(self) -> datetime:
        """The time of day, which may be set."""
        return datetime.now(UTC)

    def boot(self) -> float:
        """Seconds since boot."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def monotonic(self) -> float:
        """Seconds while the machine was not suspended."""
        return time.monotonic()


class Recorder:
    """Takes snapshots and keeps them, round by round."""

    def __init__(
        self,
        session: Session,
        keeper: Keeper,
        progress: Progress,
        args: argparse.Namespace,
        path: str,
        *,
        look: Callable[[Session, bool, Sequence[str]], Moment] = take_moment,
        sleep: Callable[[float], None] = time.sleep,
        clocks: Clocks | None = None,
        box: BlackBox | None = None,
    ) -> None:
        self._session, self._keeper, self._progress, self._args = session, keeper, progress, args
        self._look_at, self._sleep, self._clocks = look, sleep, clocks or Clocks()
        self._clock_watch = ClockWatch()
        self._began, self._processor = self._clocks.monotonic(), processor_seconds()
        self._refusals = Refusals()
        self._is_blind = False
        self._box = box
        self._box_pace = Pace(box.tally.interval_seconds, self._began) if box else None
        self.recorded = Recorded(
            file=path,
            host_name=os.uname().nodename,
            interval_seconds=args.interval or _INTERVAL,
            began=self._clocks.now(),
            box=box.tally if box else None,
        )

    def record(self, ending: Ending) -> None:
        """
        Round after round, until the time is over or a signal comes.

        :raises UnknownZone: a zone that was named is not there in the first round
        :raises CannotServe: nothing can be walked, or the file cannot be written for another reason than room
        """
        pace = Pace(self.recorded.interval_seconds, self._began)
        end = None if self._args.span is None else self._began + self._args.span
        try:
            while True:
                self._round(ending)
                self.recorded.skipped += pace.done(self._clocks.monotonic())
                if end is not None and pace.due > end:
                    self.recorded.ended_by = "for"
                    break
                if self._is_over(pace.due):
                    self.recorded.ended_by = "until"
                    break
                self._wait(pace.due, ending)
        except Leave:
            assert ending.signal is not None
            self.recorded.ended_by = ending.signal.name
        except BaseException:
            self._progress.clear()  # what is said of it gets a line of its own
            raise
        if self._box is not None:
            self._box.keep_kills()
        self._measure()

    def tell(self) -> None:
        """What was kept, and what it cost; once the file is closed."""
        recorded = self.recorded
        recorded.ended, recorded.file_bytes = self._clocks.now(), file_bytes(recorded.file)
        self._progress.close(recorded, closing_lines(recorded))
        if self._args.json:
            print(render_json(document(recorded)))

    def _is_over(self, due: float) -> bool:
        if self._args.until is None:
            return False
        until: datetime = self._args.until
        return self._clocks.now() + timedelta(seconds=due - self._clocks.monotonic()) > until

    def _wait(self, due: float, ending: Ending) -> None:
        """Until the next round; meanwhile the black box looks."""
        box, pace = self._box, self._box_pace
        while box and pace and pace.due < due:
            with ending.interruptible():
                self._sleep(max(pace.due - self._clocks.monotonic(), 0))
            self._box_look(box, ending)
            pace.done(self._clocks.monotonic())
            self._measure()
        with ending.interruptible():
            self._sleep(max(due - self._clocks.monotonic(), 0))

    def _box_look(self, box: BlackBox, ending: Ending) -> None:
        try:
            box.look(self._session, processor_seconds, ending.interruptible)
        except (OSError, MemoryError) as err:
            if not self._is_blind:
                self._progress.say(f"cannot look, and goes on: {str(err) or EXHAUSTED[errno.ENOMEM]}")
            self._is_blind = True

    def _round(self, ending: Ending) -> None:
        if jump := self._clock_watch.look(self._clocks.now(), self._clocks.boot()):
            self.recorded.clock_jumps += 1
            self._progress.say(jump_text(jump))
        with ending.interruptible():
            moment = self._try_to_look()
        if moment is not None:
            if self._box is not None:
                self._box.seen(moment)
            self._keep(moment)
        self._measure()
        self._progress.show(self.recorded)

    def _try_to_look(self) -> Moment | None:
        """None: it could not be done, or there is nothing to keep. What the first look lacks ends the recording."""
        try:
            moment = self._look()
        except (OSError, MemoryError) as err:
            if self.recorded.latest is None:
                raise
            self.recorded.failed += 1
            if not self._is_blind:
                self._progress.say(f"cannot look, and goes on: {str(err) or EXHAUSTED[errno.ENOMEM]}")
            self._is_blind = True
            return None
        if self._is_blind:
            self._progress.say("can look again")
        self._is_blind = False
        return moment

    def _look(self) -> Moment | None:
        """None: of the zones that were named none is there any more."""
        names = list(self._args.zone or ())
        while True:
            try:
                return self._look_at(self._session, self._args.lean, names)
            except UnknownZone as gone:
                if self.recorded.latest is None:
                    raise
                names.remove(gone.zone)
                if not names:
                    self.recorded.zones_missing += 1
                    return None

    def _keep(self, moment: Moment) -> None:
        try:
            took_bytes = self._keeper.add(moment)
        except StoreFull as err:
            self.recorded.not_kept += 1
            self.recorded.seen(moment.snapshot)
            if self._refusals.refused(err):
                self._progress.say(str(err))
            return
        if over := self._refusals.kept():
            self._progress.say(over)
        self.recorded.note(moment.snapshot, took_bytes)

    def _measure(self) -> None:
        self.recorded.wall_seconds = self._clocks.monotonic() - self._began
        self.recorded.processor_seconds = processor_seconds() - self._processor


def processor_seconds() -> float:
    """That this process has used so far, in the kernel, too."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
