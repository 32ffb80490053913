"""Gaps in a sentence: how many processes a snapshot does not cover, and why."""

from __future__ import annotations

from collections.abc import Iterable

from zonerss.records import Cause, Gap

_NOT, _PARTLY, _MOVED = "Not counted", "Not counted, or only in part", "Counted in the cgroup that they left"
_SAYS = {
    Cause.REFUSED: (_NOT, "that may not be read"),
    Cause.BEGAN: (_NOT, "that began after the listing"),
    Cause.REUSED: (_NOT, "whose pid was reused"),
    Cause.EXITED: (_PARTLY, "that left before the walk was done"),
    Cause.EXECED: (_PARTLY, "that called exec during the walk"),
    Cause.BUSY: (_PARTLY, "whose page tables kept changing"),
    Cause.UNREADABLE: (_PARTLY, "that could not be read"),
    Cause.MOVED: (_MOVED, "that moved during the walk"),
}


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
