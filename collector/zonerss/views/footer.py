"""The last lines below a table: all zones together, and what the reader must know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Any

from zonerss.census.kinds import rss_of
from zonerss.records import Cause, Gap, ProcessUsage
from zonerss.snapshot import Snapshot
from zonerss.units import counted, pages_to_bytes
from zonerss.views.columns import sizes
from zonerss.views.past import as_of
from zonerss.views.text import printable

_NOT, _PARTLY, _MOVED = "Not counted", "Not counted, or only in part", "Counted in the cgroup that they left"
_SAYS = {
    Cause.REFUSED: (_NOT, "that may not be read"),
    Cause.BEGAN: (_NOT, "that began after the listing"),
    Cause.REUSED: (_NOT, "whose pid was reused"),
    Cause.EXITED: (_PARTLY, "that left before the walk was done"),
    Cause.EXECED: (_PARTLY, "that called exec during the walk"),
    Cause.BUSY: (_PARTLY, "whose memory could not be read in time"),
    Cause.OUTSIDE: (_PARTLY, "with pages outside of the memory that /proc/iomem lists"),
    Cause.UNREADABLE: (_PARTLY, "that could not be read"),
    Cause.MOVED: (_MOVED, "that moved during the walk"),
}


def footer(snapshot: Snapshot, in_bytes: bool = False, shown: Sequence[Any] = ()) -> list[str]:
    """
    One line, and one more for each thing that the reader must know: uncertainty that is no bound, warnings, gaps.

    :param shown: the rows above it: of some processes the line tells what these map, otherwise what all zones do
    """
    size = sizes(in_bytes)
    lines = [f"{_together(snapshot, size, shown)} {took(snapshot.ended - snapshot.began)}"]
    if snapshot.basis != "mapped":
        lines.append(
            f"Basis {snapshot.basis}: mapped files count as far as they are cached, mapped there or not."
        )
    if snapshot.uncertainty == "net":
        lines.append("± is the net change of RSS, not a bound: changes cannot be traced on this host.")
    if snapshot.unsettled_bytes:
        lines.append(
            f"± includes {size(snapshot.unsettled_bytes)} because some processors did not come to rest in time."
        )
    return [*lines, *remarks(snapshot)]


def _together(snapshot: Snapshot, size: Callable[[int | None], str], shown: Sequence[Any]) -> str:
    """All that is shown, each page once."""
    total = snapshot.total
    rss, apart = total.rss_bytes, total.process_rss_bytes
    what = f"{_zones(snapshot)}, {counted(total.processes, 'process', 'processes')}"
    processes = {row.pid: row.rss_bytes for row in shown if isinstance(row, ProcessUsage)}
    if processes and len(processes) != total.processes:
        apart = sum(processes.values())
        what = f"{len(processes)} of {counted(total.processes, 'process', 'processes')}"
        if snapshot.past is not None:  # its owners are no address spaces: other processes are in them, too
            return f"{what}: ps adds up to {size(apart)}."
        owners = {member.owner for member in snapshot.members if member.task.pid in processes}
        rss = pages_to_bytes(rss_of(snapshot.parts.together(owners).mapped))
    return f"{what}: {size(rss)}, each page once (ps adds up to {size(apart)})."


def _zones(snapshot: Snapshot) -> str:
    return counted(sum(len(grouping.zones) for grouping in snapshot.groupings[:1]), "zone")


def took(duration: timedelta) -> str:
    """How long something took, in seconds to two digits: 0.017 s, 0.1 s, 12 s."""
    seconds = duration.total_seconds()
    digits = 0 if seconds >= 9.5 else 1 if seconds >= 0.095 else 3
    return f"{seconds:.{digits}f} s"


def remarks(snapshot: Snapshot) -> list[str]:
    """Of when it is if not of now, what holds for all of it, and what is missing: a line each."""
    missing = gap_sentence(snapshot.gaps)
    said = (printable(caveat.text) for caveat in snapshot.warnings)
    return [*as_of(snapshot), *said, *([missing] if missing else [])]


def gap_sentence(gaps: Iterable[Gap]) -> str | None:
    """One line that says what is missing, with pids where they are few; None if nothing is."""
    pids_of: dict[Cause, set[int]] = {}
    for gap in gaps:
        pids_of.setdefault(gap.cause, set()).add(gap.pid)
    said: dict[str, list[str]] = {}
    for cause, pids in sorted(pids_of.items(), key=lambda item: -len(item[1])):
        heading, phrase = _SAYS[cause]
        which = f" (pid {', '.join(map(str, sorted(pids)))})" if len(pids) <= 3 else ""
        count = counted(len(pids), "process", "processes")
        said.setdefault(heading, []).append(f"{count} {phrase}{which}")
    return " ".join(f"{heading}: {'; '.join(phrases)}." for heading, phrases in said.items()) or None
