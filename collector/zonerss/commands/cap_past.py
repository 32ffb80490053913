"""`cap ZONE=SIZE --from FILE`: what a cap would have done with a recording."""

from __future__ import annotations

import argparse
import sys

from zonerss.cap.playback import replay
from zonerss.cap.records import Settings
from zonerss.cap.rules import Caps, share
from zonerss.commands.options import given, one_way, set_aside
from zonerss.commands.quantities import moment_of
from zonerss.commands.watching import put
from zonerss.errors import UsageError
from zonerss.history.moment import GROUPINGS
from zonerss.history.recording import Recording
from zonerss.views.cap_simulation import document, render
from zonerss.views.text import printable

_REFUSED = {
    "enforce": "what is past cannot be changed",
    "once": "a recording is played to its end",
    "status": "that is about the capper that runs now",
    "watch": "a recording does not change",
    "rules": "zones have the names under which they were recorded",
}
"""Options that make no sense for a recording, by where they are kept; and why."""


def add_past_options(parser: argparse.ArgumentParser) -> None:
    """--from, --since, --until and --assume-cold."""
    parser.add_argument(
        "--from",
        dest="recording",
        metavar="FILE",
        help="what these caps would have done with a recording that `zonerss record` made (docs/cap-policy.md)",
    )
    parser.add_argument(
        "--since",
        type=moment_of,
        metavar="TIME",
        help="with --from: from then on, as in 20:55, -1d, 2026-05-31",
    )
    parser.add_argument("--until", type=moment_of, metavar="TIME", help="with --from: until then")
    parser.add_argument(
        "--assume-cold",
        type=share,
        metavar="SHARE",
        help="with --from: how much of what only a zone maps is taken to be cold, which no recording tells "
        "(default 100%%: what would have been paged out at most)",
    )


def check_past(args: argparse.Namespace) -> None:
    """
    See whether the options go together.

    :raises UsageError: they do not
    """
    if args.recording is None:
        for name in ("since", "until", "assume_cold"):
            if getattr(args, name) is not None:
                raise UsageError(f"--{name.replace('_', '-')} is about a recording: say --from FILE, too")
        return
    for name, why in _REFUSED.items():
        if given(args, name):
            raise UsageError(f"--from takes no --{name}: {why}")


def simulate(args: argparse.Namespace, caps: Caps, settings: Settings) -> int:
    """
    Print what the caps would have done with the recording that --from names.

    :param settings: --cold and --threshold
    :raises CannotServe: there is no such recording, or nothing in it of that time
    :raises UnknownZone: a zone that was not there
    :raises UsageError: a grouping that was not recorded, a name that can mean several zones
    """
    if not set(args.by or ()) <= set(GROUPINGS):
        set_aside(args, by=None)
    otherwise = f"zonerss report {args.recording} lists the zones"
    cold_share = 1.0 if args.assume_cold is None else args.assume_cold
    with Recording(args.recording) as recording:
        found = replay(
            recording.moments(args.since, args.until),
            lambda zones: caps.of(zones, must_match=True, otherwise=otherwise),
            one_way(args),
            settings,
            cold_share,
        )
        for sentence in recording.damaged:
            print(f"zonerss: left out: {printable(sentence)}", file=sys.stderr)
    put(args, lambda: document(found), lambda: render(found, getattr(args, "bytes", False)))
    return 0
