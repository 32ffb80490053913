"""A snapshot of the past says so, and what it proposes is asked of the same moment again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from zonerss.snapshot import Snapshot
from zonerss.views.text import printable

_UNITS = ((172_800, 86_400, "days"), (7200, 3600, "h"), (120, 60, "min"), (1, 1, "s"))


def as_of(snapshot: Snapshot) -> list[str]:
    """The line that says of when and of which host it is; none where it is of now."""
    past = snapshot.past
    if past is None:
        return []
    line = f"As of {local_time(snapshot.began)}, recorded on {printable(past.host_name)}"
    before = (past.asked - snapshot.began).total_seconds() if past.asked else 0.0
    for least, unit, name in _UNITS:
        if before >= least:
            return [f"{line}; {before / unit:.0f} {name} before the time asked for."]
    return [f"{line}."]


def local_time(moment: datetime) -> str:
    """To the second, with the offset from UTC."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S %z}"


def past_words(snapshot: Snapshot) -> tuple[str, ...]:
    """The options with which a command asks about the same moment; none where it is now."""
    if snapshot.past is None:
        return ()
    # the next millisecond: snapshots are a hundred apart at least
    at = snapshot.began.astimezone(UTC) + timedelta(microseconds=999)
    return "--from", snapshot.past.file, "--at", f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"
