"""Is it a leak? What became of each zone and process over the time of a recording, and a verdict on each.

The verdict is steady, grows, saw-tooth, bill-only (what the kernel charges grows, what is mapped does not) or unsharing
(processes write to memory that they inherited at fork). Each says what it rests on, and what would change it. Two
recordings are compared: the worst growth first.

--html makes a page of it, with charts, that a browser opens without a network: one file with all that it needs inside.

--fail-on makes it a test: the exit status is 3 where a condition holds, as in --fail-on 'growth(web)>1M/min',
'rss(web)>80M' (its peak) or 'verdict(*)=grows'.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from zonerss.answers.closeup import Closeup, closeup
from zonerss.answers.conditions import Condition, Held, outcomes, parse_conditions
from zonerss.answers.files import FileUsage, files_usage
from zonerss.answers.report import Compared, Report, Reporter, compared
from zonerss.answers.trend import evenly
from zonerss.census.usage import zone_names
from zonerss.commands.options import count, single_way, unrefused
from zonerss.commands.past import none_readable, set_aside_what_is_of_now, times_in
from zonerss.commands.quantities import moment_of
from zonerss.commands.record import DIRECTORY, SUFFIX, own_file
from zonerss.errors import CannotServe, NotKept, UsageError
from zonerss.history.moment import GROUPINGS, Moment
from zonerss.history.recording import Recording, Timed
from zonerss.history.replay import PastSession
from zonerss.kernel.outputs import demand_replaceable, put_in_place
from zonerss.records.files import Holding
from zonerss.snapshot import Snapshot
from zonerss.units import counted, format_size
from zonerss.views.document import render_json
from zonerss.views.html.page import render as render_page
from zonerss.views.report import (
    condition_lines,
    document,
    markdown_compared,
    render,
    render_compared,
    render_markdown,
)
from zonerss.views.terminal import find_terminal, printing_to
from zonerss.views.text import fit, printable
from zonerss.zones.ways import parse_by

MOST_LOOKS = 240
"""Of a longer range so many snapshots are looked at, at even distances."""
MOST_MORE = 60
"""Of zones that were in none of these so many more snapshots are looked at."""
_TICK = timedelta(milliseconds=1)
"""Times of a recording are in nanoseconds, those of snapshots in microseconds."""
HOLDS = 3
"""The exit status where a condition of --fail-on holds."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="FILE",
        help=f"a recording (default: {DIRECTORY}/HOST{SUFFIX}); two: the second is compared with the first",
    )
    parser.add_argument(
        "--by",
        action="append",
        type=unrefused(parse_by),
        metavar="WAY",
        help="how to group processes: zone (default), cgroup, depth=N, slice, session",
    )
    parser.add_argument(
        "--since", type=moment_of, metavar="TIME", help="only snapshots from then on: 20:55, -1d, 2026-05-31"
    )
    parser.add_argument("--until", type=moment_of, metavar="TIME", help="only snapshots until then")
    parser.add_argument(
        "--fail-on",
        action="append",
        default=[],
        metavar="CONDITION",
        help="end with status 3 if it holds: 'growth(ZONE)>1M/min', 'rss(ZONE)>80M', 'verdict(*)=grows'; may be "
        "repeated (docs/report.md)",
    )
    parser.add_argument("--limit", type=count, metavar="N", help="show the first N zones, and processes")
    parser.add_argument("--bytes", action="store_true", help="whole bytes instead of K, M and G")
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--json", action="store_true", help="print JSON (docs/json.md)")
    forms.add_argument("--markdown", action="store_true", help="print Markdown, for a comment on a change")
    forms.add_argument(
        "--html",
        metavar="FILE",
        help="write a page with charts, which needs no network; -: to standard output (docs/report.md)",
    )


def run(args: argparse.Namespace) -> int:
    """Read the recordings and print what they tell."""
    conditions = [one for text in args.fail_on for one in parse_conditions(text)]
    files = args.files or [own_file()]
    if len(files) > 2:
        raise UsageError("report takes two recordings at the most: the second is compared with the first")
    if args.since and args.until and args.since > args.until:
        raise UsageError("--since is later than --until")
    if args.html is not None:
        _check_place(args.html, files)
    set_aside_what_is_of_now(args)
    way = single_way(args)
    reports = [read(file, way, args.since, args.until) for file in files]
    report, before = reports[-1], reports[0] if len(reports) == 2 else None
    found = _tested(conditions, report)
    rows = None if before is None else compared(before, report)
    if args.html is not None:
        _put(args.html, _page(args, report, before, rows, found), report)
    else:
        _print(args, report, before, rows, found)
    for line in condition_lines(found):
        print(f"zonerss: {line}", file=sys.stderr)
    return HOLDS if any(held.holding for held in found) else 0


def read(file: str, by: str, since: datetime | None = None, until: datetime | None = None) -> Report:
    """
    What a recording tells of a range of time.

    :raises UsageError: it cannot be grouped so
    :raises CannotServe: it is no recording, or has nothing of that time
    """
    with Recording(file) as recording:
        return _Reading(recording, file, by, times_in(recording, file, since, until)).report()


class _Peak(NamedTuple):
    size: int
    number: int


class _Reading:
    """One range of a recording: snapshots that are looked at, and others of which only the largest sizes count."""

    def __init__(self, recording: Recording, file: str, by: str, times: Sequence[Timed]) -> None:
        self._recording, self._file, self._by = recording, file, by
        self._numbers = [timed.number for timed in times]
        self._ages_ns = {timed.number: timed.age_ns for timed in times}
        self._clock_jumps = sum(timed.clock_was_set for timed in times[1:])
        self._damaged: list[str] = []
        self._chosen = {*_thinned(times)}
        self._peaks: dict[str, _Peak] = {}
        self._passed_over: set[int] = set()
        if by in GROUPINGS and len(self._chosen) < len(times):
            self._choose_more()

    def report(self) -> Report:
        """:raises CannotServe: nothing of it can be read"""
        reporter: Reporter | None = None
        looked: list[int] = []
        for number in self._numbers:
            if number not in self._chosen:
                continue
            try:
                moment, snapshot = self._look(number)
            except CannotServe as err:
                self._damaged.append(str(err))
                continue
            reporter = reporter or Reporter(self._by, moment.processors)
            reporter.add(snapshot, moment.boot_id, moment.bills.get, at_ns=self._ages_ns[number])
            zone_of = {process.pid: process.zone for process in snapshot.processes or ()}
            if moment.open_files is not None:
                held = moment.open_files
                reporter.opened((zone_of[file.pid], file) for file in held if file.pid in zone_of)
            looked.append(number)
        if reporter is None:
            raise none_readable(self._file, self._damaged)
        self._pass_over(reporter)
        files = _Files(self._recording, self._by, looked[0], looked[-1])
        return reporter.report(
            self._file,
            self._recording.host_name,
            len(self._numbers),
            files.of,
            self._left_out(),
            len(self._passed_over.union(looked)),
            self._clock_jumps,
        )

    def _look(self, number: int) -> tuple[Moment, Snapshot]:
        """A moment, and the snapshot of it; that of its own grouping is as it was kept."""
        if self._by == GROUPINGS[0]:
            moment = self._recording.figures(number)
            return moment, moment.snapshot
        past = PastSession(self._recording, number=number, lean=True)
        return past.moment, past.take(self._by, processes=True, controls=True)

    def _choose_more(self) -> None:
        """Find where each zone was largest, and look there, too, at those that came and went between the looks."""
        seen = set[str]()
        for number, zones in self._recording.zone_sizes(self._numbers, self._by):
            if number in self._chosen:
                seen.update(zones)
                continue
            self._passed_over.add(number)
            for zone, size in zones.items():
                if zone not in self._peaks or size > self._peaks[zone].size:
                    self._peaks[zone] = _Peak(size, number)
        unseen = sorted((peak for zone, peak in self._peaks.items() if zone not in seen), reverse=True)
        self._chosen.update(list(dict.fromkeys(peak.number for peak in unseen))[:MOST_MORE])
        if left := sum(peak.number not in self._chosen for peak in unseen):
            self._damaged.append(
                f"{counted(left, 'zone')} that came and went between the snapshots looked at"
            )

    def _pass_over(self, reporter: Reporter) -> None:
        for zone, peak in self._peaks.items():
            reporter.passed_over(self._ages_ns[peak.number], {zone: peak.size}, {})
        if self._peaks:
            rest = (number for number in self._numbers if number not in self._chosen)
            for number, processes in self._recording.process_sizes(rest):
                reporter.passed_over(self._ages_ns[number], {}, processes)

    def _left_out(self) -> list[str]:
        found = list(dict.fromkeys((*self._damaged, *self._recording.damaged)))
        more = len(found) - MOST_LOOKS
        return (
            found
            if more <= 0
            else [*found[:MOST_LOOKS], f"{counted(more, 'more snapshot')} that cannot be read"]
        )


def _thinned(times: Sequence[Timed]) -> list[int]:
    """No more than MOST_LOOKS, at even distances in time: a black box may have made many at once."""
    if len(times) <= MOST_LOOKS:
        return [timed.number for timed in times]
    seconds = [timed.age_ns / 1e9 for timed in times]
    return [times[place].number for place in evenly(seconds, MOST_LOOKS)]


class _Held:
    """What the parts of a snapshot hold of files, by the zones that map them; looked up once for all zones."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._parts, self._names = snapshot.parts, zone_names(snapshot.members)
        self._held: dict[str, dict[int, Sequence[Holding]]] = {}
        try:
            holdings, _ = snapshot.ask().holdings()
        except NotKept:
            return
        for number, rows in holdings.items():
            owners = self._parts.owners_of(number)
            for zone in {self._names[owner] for owner in owners if owner in self._names}:
                self._held.setdefault(zone, {})[number] = rows

    def files(self, zone: str) -> Sequence[FileUsage]:
        """Those that a zone maps, without what others map of them apart from it; none where they were not kept."""
        return files_usage(self._parts, self._names, self._held.get(zone, {}), zone)


class _Files:
    """The files of zones at the first and the last look; read when somebody asks."""

    def __init__(self, recording: Recording, by: str, *numbers: int) -> None:
        self._recording, self._by, self._numbers = recording, by, numbers
        self._held: list[_Held] | None = None

    def of(self, zone: str) -> tuple[Sequence[FileUsage], Sequence[FileUsage]]:
        """None at a moment of which they were not kept, or cannot be read."""
        if self._held is None:
            self._held = self._read()
        if not self._held:
            return (), ()
        before, after = (held.files(zone) for held in self._held)
        return before, after

    def _read(self) -> list[_Held]:
        try:
            snapshots = [
                PastSession(self._recording, number=number).take(self._by) for number in self._numbers
            ]
        except CannotServe:
            return []
        return [_Held(snapshot) for snapshot in snapshots]


def _tested(conditions: Sequence[Condition], report: Report) -> list[Held]:
    """
    What comes of the conditions. One that holds is enough, whatever is not known of others.

    :raises CannotServe: none holds, and one is about no zone, or cannot be told of any that it is about
    """
    found = outcomes(conditions, report)
    if any(held.holding for held in found):
        return found
    for held in found:
        condition = held.condition
        if not held.asked:
            which = (
                f"no zone {condition.zones!r}" if condition.is_name else f"no zone like {condition.zones!r}"
            )
            raise CannotServe(f"--fail-on {condition.text}: there is {which} in {report.file}")
        if len(held.unknown) == held.asked:
            zone = held.unknown[0]
            raise CannotServe(
                f"--fail-on {condition.text} cannot be told of {zone.usage.zone}: {zone.verdict.because}"
            )
    return found


# ---- the page --------------------------------------------------------------------------------------------


def _check_place(place: str, files: Sequence[str]) -> None:
    """
    Before recordings are read, which may take a while.

    :raises CannotServe: no page can be written there
    :raises UsageError: it is one of the recordings
    """
    if place == "-":
        return
    if any(os.path.exists(place) and os.path.samefile(place, file) for file in files if os.path.exists(file)):
        raise UsageError(f"--html {place} is a recording that the page is to be made from: name another file")
    try:
        demand_replaceable(place)
    except OSError as err:
        raise _cannot_write(place, err) from err


def _page(
    args: argparse.Namespace,
    report: Report,
    before: Report | None,
    rows: Sequence[Compared] | None,
    found: Sequence[Held],
) -> str:
    last = _last(report, args.limit)
    return render_page(report, last, found, before, rows, args.limit, args.bytes)


def _last(report: Report, limit: int | None) -> Closeup | None:
    """The last snapshot with all that was kept of it; None: it cannot be read so."""
    began = report.looks[-1].began
    try:
        with Recording(report.file) as recording:
            near = recording.times_between(began - _TICK, began + _TICK)
            numbers = [timed.number for timed in near if timed.began == began]
            if not numbers:
                return None
            past = PastSession(recording, file=report.file, number=numbers[-1])
            snapshot = past.take(report.by, processes=True, controls=True)
    except CannotServe:
        return None
    return closeup(snapshot, [zone.usage.zone for zone in report.zones[:limit]])


def _put(place: str, page: str, report: Report) -> None:
    """
    :raises CannotServe: it cannot be written
    """
    content = page.encode()
    if place == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
        return
    try:
        put_in_place(place, content)
    except OSError as err:
        raise _cannot_write(place, err) from err
    zones = counted(len(report.zones), "zone")
    print(
        f"{printable(place)}: {zones}, {counted(report.snapshots, 'snapshot')}, {format_size(len(content))}"
    )


def _cannot_write(place: str, err: OSError) -> CannotServe:
    return CannotServe(
        f"cannot write the page: {err.strerror or err}" + (f": {place}" if err.strerror else "")
    )


# ---- text and documents ----------------------------------------------------------------------------------


def _print(
    args: argparse.Namespace,
    report: Report,
    before: Report | None,
    rows: Sequence[Compared] | None,
    found: Sequence[Held],
) -> None:
    if args.json:
        print(render_json(document(report, found, before, rows, args.limit)))
        return
    terminal = find_terminal()
    with printing_to(terminal):
        if args.markdown:
            lines = [] if rows is None else [*markdown_compared(rows, args.limit, args.bytes), ""]
            lines += render_markdown(report, args.limit, args.bytes)
        else:
            lines = [] if rows is None else [*render_compared(rows, args.limit, args.bytes), ""]
            lines += render(report, args.limit, args.bytes)
            lines = list(fit(lines, terminal.width))
    print("\n".join(lines))
