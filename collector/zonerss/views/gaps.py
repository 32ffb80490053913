"""Gaps in a sentence: how many processes a snapshot does not cover, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from zonerss.records import Cause, Gap

_SAYS = {
    Cause.EXITED: "left before they were walked",
    Cause.EXECED: "replaced their memory in mid-walk",
    Cause.BEGAN: "began after the listing",
    Cause.MOVED: "changed their cgroup in mid-walk",
    Cause.REUSED: "had their pid taken by another",
    Cause.REFUSED: "may not be read, even by us",
    Cause.BUSY: "kept changing under the reader",
    Cause.UNREADABLE: "could not be read",
}


def gap_sentence(gaps: Iterable[Gap]) -> str | None:
    """One line that says what is missing, with pids where they are few; None if nothing is."""
    gaps = tuple(gaps)
    if not gaps:
        return None
    by_cause = Counter(gap.cause for gap in gaps)
    phrases = []
    for cause, count in by_cause.most_common():
        pids = sorted({gap.pid for gap in gaps if gap.cause == cause})
        which = f" (pid {', '.join(map(str, pids))})" if len(pids) <= 3 else ""
        phrases.append(f"{count} {_SAYS[cause]}{which}")
    return f"Gaps: {'; '.join(phrases)}."
