"""The last lines below a table, as prstat ends with its totals: all zones together, the walk, and the gaps."""

from __future__ import annotations

from collections.abc import Iterable

from zonerss.records import Cause, Gap
from zonerss.snapshot import Snapshot
from zonerss.units import format_percent, format_size, memory_bytes
from zonerss.views.columns import ANON, FILE, SHMEM
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


def footer(snapshot: Snapshot) -> list[str]:
    """Two lines, and one more for each thing that the reader must know: uncertainty that is no bound,
    warnings, gaps."""
    total = snapshot.total
    kinds = ", ".join(f"{format_size(column.value(total))} {column.name}" for column in (ANON, FILE, SHMEM))
    took_ms = (snapshot.ended - snapshot.began).total_seconds() * 1000
    lines = [
        f"Total: {total.processes} processes, {format_size(total.rss_bytes)} ({kinds}), "
        f"{format_percent(total.rss_bytes, memory_bytes())} of memory; "
        f"{format_size(total.process_rss_bytes)} by summing process RSS.",
        f"Read {snapshot.walk_pages:,} page table entries by {snapshot.source} in {took_ms:.0f} ms"
        f"{'' if snapshot.basis == 'mapped' else f'; basis {snapshot.basis}'}.",
    ]
    if snapshot.uncertainty == "net":
        lines.append("± is the net change of RSS, not a bound: changes cannot be traced on this host.")
    if snapshot.unsettled_bytes:
        lines.append(
            f"± includes {format_size(snapshot.unsettled_bytes)} because some processors did not come to rest in time."
        )
    return [*lines, *remarks(snapshot)]


def remarks(snapshot: Snapshot) -> list[str]:
    """What holds for all of the snapshot, and what is missing: a line each."""
    missing = gap_sentence(snapshot.gaps)
    return [*(printable(caveat.text) for caveat in snapshot.warnings), *([missing] if missing else [])]


def gap_sentence(gaps: Iterable[Gap]) -> str | None:
    """One line that says what is missing, with pids where they are few; None if nothing is."""
    pids_of: dict[Cause, set[int]] = {}
    for gap in gaps:
        pids_of.setdefault(gap.cause, set()).add(gap.pid)
    said: dict[str, list[str]] = {}
    for cause, pids in sorted(pids_of.items(), key=lambda item: -len(item[1])):
        heading, phrase = _SAYS[cause]
        which = f" (pid {', '.join(map(str, sorted(pids)))})" if len(pids) <= 3 else ""
        count = "1 process" if len(pids) == 1 else f"{len(pids)} processes"
        said.setdefault(heading, []).append(f"{count} {phrase}{which}")
    return " ".join(f"{heading}: {'; '.join(phrases)}." for heading, phrases in said.items()) or None
