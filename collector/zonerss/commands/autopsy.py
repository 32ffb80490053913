"""The minutes before the kernel killed a process for want of memory.

From a recording that was made with --black-box (zonerss record, zonerss serve): who was killed, whose limit was hit,
who grew from what to what, what each zone had of its own, shared, and only as cache; what of the bill was the victim's
private memory; what ending each zone would have given. See docs/autopsy.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from zonerss.answers.autopsy import Autopsy, LastLook, autopsy, choose
from zonerss.commands.options import add_output_options
from zonerss.commands.quantities import duration_within, moment_of
from zonerss.commands.record import own_file
from zonerss.commands.watching import put
from zonerss.errors import CannotServe, UsageError
from zonerss.history.recording import Recording
from zonerss.records.kills import Kill
from zonerss.snapshot import Snapshot
from zonerss.units import counted
from zonerss.views.autopsy import MOST_KILLS, document, render
from zonerss.views.text import printable

_MINUTES = 300.0


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("file", nargs="?", metavar="FILE", help="the recording (default: that of this host)")
    parser.add_argument(
        "--at",
        type=moment_of,
        metavar="TIME",
        help="the last kill by then, as in 20:55, -10m or 2026-05-31T20:55:00Z (default: the last one)",
    )
    parser.add_argument(
        "--before",
        type=duration_within("1s", "1d"),
        default=_MINUTES,
        metavar="DURATION",
        help="how long before a kill to look at; kills within this time are shown, too (default 5m)",
    )
    parser.set_defaults(watch=None)
    add_output_options(parser)


def run(args: argparse.Namespace) -> int:
    """Tell of the last kill."""
    if args.at is not None and args.at > datetime.now(UTC):
        raise UsageError(f"--at {args.at:%Y-%m-%d %H:%M:%S} UTC is still to come")
    file = own_file() if args.file is None else args.file
    with Recording(file) as recording:
        kills = recording.kills()
        chosen = choose(kills, args.at, args.before)
        if not chosen:
            raise CannotServe(_nothing(file, kills, args.at))
        shown = chosen if args.json else chosen[-MOST_KILLS:]
        found = _autopsies(recording, shown, args.before)
        host_name, damaged = recording.host_name, tuple(dict.fromkeys(recording.damaged))
    remarks = [f"Left out: {printable(sentence)}." for sentence in damaged]
    put(
        args,
        lambda: document(found, file, host_name, damaged),
        lambda: [
            *render(found, file, len(chosen) - len(shown), len(kills) - len(chosen), args.bytes),
            *remarks,
        ],
    )
    return 0


def _nothing(file: str, kills: Sequence[Kill], at: datetime | None) -> str:
    if not kills:
        return (
            f"{file} has no kill in it: zonerss record --black-box 5m/2s keeps them, and nothing was killed while it "
            "did so"
        )
    return (
        f"{file} has no kill by {at:%Y-%m-%d %H:%M:%S} UTC: the first of {counted(len(kills), 'kill')} is of "
        f"{kills[0].time:%Y-%m-%d %H:%M:%S} UTC"
    )


def _autopsies(recording: Recording, kills: Sequence[Kill], seconds: float) -> list[Autopsy]:
    """
    What was before each of some kills; each look is read once, and no more than one has its parts.

    :param kills: one at least, in the order of time
    :param seconds: how long before each
    """
    before = timedelta(seconds=seconds)
    found: list[Autopsy] = []
    looks: list[Snapshot] = []
    last: LastLook | None = None

    def tell(kill: Kill) -> None:
        since = kill.time - before
        there = last if last is not None and last.snapshot.began >= since else None
        found.append(autopsy(kill, [look for look in looks if look.began >= since], there))

    times = [kill.time for kill in kills]
    for moment in recording.moments(min(times) - before, max(times)):
        while len(found) < len(kills) and kills[len(found)].time < moment.snapshot.ended:
            tell(kills[len(found)])
        if len(found) == len(kills):
            break
        looks.append(moment.snapshot.without_evidence())
        last = LastLook(moment.snapshot, moment.holdings, moment.charged, moment.bills)
    for kill in kills[len(found) :]:
        tell(kill)
    return found
