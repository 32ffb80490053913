"""--from and --at: a moment of a recording in the place of the machine as it is now."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from zonerss.answers.growth import LOOKS, Growth
from zonerss.answers.trend import LEAST_POINTS
from zonerss.commands.options import set_aside
from zonerss.errors import CannotServe, Damaged, UsageError
from zonerss.history.recording import Recording, Timed
from zonerss.history.replay import PastSession, can_group
from zonerss.kernel.patience import PATIENCE_SECONDS

_OF_NOW = "it is about looking at the machine as it is now"
_REFUSED = {
    "source": _OF_NOW,
    "rules": "zones have the names under which they were recorded",
    "patience": _OF_NOW,
    "threads": _OF_NOW,
    "watch": "a recording does not change; `zonerss top --from FILE` plays it",
    "count": "a recording does not change",
    "uncertainty": "a recording has it where it was recorded with it",
    "alone": "a recording has all processes",
    "mapcounts": "a recording does not keep how often pages are mapped",
    "tmpfs": "a recording does not keep shared memory that nobody maps",
    "private_shared": "a recording does not keep how much address space was reserved",
}
"""Options that make no sense for a recording, by where they are kept; and why."""


def check_past(args: argparse.Namespace) -> None:
    """
    See whether the options of a command with --from go together.

    :raises UsageError: one of them does not
    """
    defaults = {"source": "auto", "patience": PATIENCE_SECONDS}
    for name, why in _REFUSED.items():
        value = getattr(args, name, None)
        is_given = value not in (None, False, defaults.get(name)) and name not in getattr(
            args, "configured", ()
        )
        if is_given and getattr(value, "named", True):  # rules of the configuration
            raise UsageError(f"--from takes no --{name.replace('_', '-')}: {why}")
    if args.basis != "mapped":
        raise UsageError("--from takes no --basis: a recording keeps what page tables map")
    if args.at is not None and args.at > datetime.now(UTC):
        raise UsageError(f"--at {_spelled(args.at)} is still to come")


def set_aside_what_is_of_now(args: argparse.Namespace) -> None:
    """Leave out what the configuration has and a recording does not tell: another basis, groupings not kept."""
    set_aside(args, basis="mapped")
    if not all(can_group(way) for way in args.by or ()):
        set_aside(args, by=None)


@contextmanager
def opened(args: argparse.Namespace) -> Iterator[PastSession]:
    """
    The moment that --from and --at name.

    :raises UsageError: options that do not go with them
    :raises CannotServe: there is no such recording, or nothing in it so early
    """
    check_past(args)
    with Recording(args.recording) as recording:
        try:
            session = PastSession(recording, args.at, args.recording)
        except Damaged as err:
            raise CannotServe(f"{err}; name another time by --at") from err
        yield session


@contextmanager
def earlier(args: argparse.Namespace, now: PastSession, since: float | datetime) -> Iterator[PastSession]:
    """
    The moment that --since names, of the recording that --from names.

    :param now: the later moment, with which it is compared
    :raises UsageError: it is later than that
    :raises CannotServe: there is nothing in the recording so early, or nothing between the two
    """
    end = now.moment.snapshot.began
    when = since if isinstance(since, datetime) else end - timedelta(seconds=since)
    if when > end:
        raise UsageError(
            f"--since {_spelled(when)} is later than the snapshot of {_spelled(end)}, with which it is compared"
        )
    with Recording(args.recording) as recording:
        before = PastSession(recording, when, args.recording)
    if before.moment.snapshot.began == end:
        raise CannotServe(
            f"{args.recording} has no other snapshot from {_spelled(when)} to {_spelled(end)}: name an earlier --since"
        )
    yield before


def times_in(
    recording: Recording, file: str, since: datetime | None, until: datetime | None
) -> Sequence[Timed]:
    """
    The numbers and times of the snapshots of a range; one at the least.

    :param file: what the recording is called
    :raises CannotServe: there is none; says what there is
    """
    times = recording.times_between(since, until)
    if not times:
        first, last = recording.span()
        raise CannotServe(
            f"{file} has no snapshot in this range: it goes from {first:%Y-%m-%d %H:%M:%S} to {_spelled(last)}"
        )
    return times


def none_readable(file: str, damaged: Sequence[str]) -> CannotServe:
    """
    All snapshots of a range are damaged.

    :param damaged: a sentence about each; none: they went while it was read
    """
    why = damaged[0] if damaged else "they are not kept any more"
    return CannotServe(f"of {file} no snapshot of this range can be read: {why}")


def _spelled(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"


def growth_before(args: argparse.Namespace, way: str) -> Growth | None:
    """
    How zones grew until the moment that is asked about, the moment itself left out.

    None where too little was recorded to tell.

    :param way: the grouping of the zones
    """
    with opened(args) as now, Recording(args.recording) as recording:
        return growth_until(recording, now, way)


def growth_until(recording: Recording, now: PastSession, way: str) -> Growth | None:
    """
    The growth over the looks that were kept before a moment, as far as they are of the same boot and not damaged.

    :return: None where these and the moment are too few to tell
    """
    growth, count = Growth(), 1
    for look in looks_until(recording, now):
        growth.add(look.take(way))
        count += 1
    return growth if count >= LEAST_POINTS else None


def looks_before(args: argparse.Namespace) -> Iterator[PastSession]:
    """The latest looks that were kept before the moment that is asked about, as :func:`looks_until`."""
    with opened(args) as now, Recording(args.recording) as recording:
        yield from looks_until(recording, now)


def looks_until(recording: Recording, now: PastSession) -> Iterator[PastSession]:
    """The latest looks that were kept before a moment, as far as they are of the same boot and not damaged."""
    for number in recording.before(now.moment.snapshot.began, LOOKS - 1):
        try:
            look = PastSession(recording, number=number)
        except CannotServe:
            continue
        if look.moment.boot_id == now.moment.boot_id:
            yield look
