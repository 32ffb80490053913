"""Who else clears accessed bits: what is found touched is then too little.

DAMON samples pages by clearing their bits (mm/damon/ops-common.c, Linux 5.15; /sys/kernel/mm/damon/admin since 5.18,
its modules under /sys/module). Reclaim clears the bits of pages that it looks at (folio_referenced(), mm/vmscan.c);
how many it has looked at is in /proc/vmstat. Other programs of ours that have the same /run note there what they do: a
lock would tell who clears bits just now, not who has come and gone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from zonerss.kernel.roots import Roots
from zonerss.records import Caveat

_MODULES = ("damon_reclaim", "damon_lru_sort", "damon_stat")
_SCANS = ("pgscan_kswapd", "pgscan_direct", "pgscan_khugepaged", "pgscan_proactive")
_NOTES = Path("run", "zonerss.cleared")
_MOST_NOTES = 1 << 20
_NOTE = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def running_damon(roots: Roots) -> tuple[str, ...]:
    """What of DAMON runs now: numbers of kdamonds, names of modules. What cannot be read is not in it."""
    return tuple(_running(roots))


def _running(roots: Roots) -> Iterator[str]:
    for state in sorted((roots.sys / "kernel" / "mm" / "damon" / "admin" / "kdamonds").glob("*/state")):
        if _reads(state, "on"):
            yield f"kdamond {state.parent.name}"
    for module in _MODULES:
        if _reads(roots.sys / "module" / module / "parameters" / "enabled", "Y"):
            yield module


def _reads(path: Path, wanted: str) -> bool:
    try:
        return path.read_text("ascii", "replace").strip() == wanted
    except OSError:
        return False


def scanned_pages(roots: Roots, scans: Sequence[str] = _SCANS) -> int | None:
    """
    How many pages reclaim has looked at since the machine began; None: it cannot be told.

    :param scans: the counters that are of interest. None of them has what MADV_PAGEOUT looks at
    """
    try:
        text = (roots.proc / "vmstat").read_text("ascii", "replace")
    except OSError:
        return None
    counts = dict(line.split(" ", 1) for line in text.splitlines() if line.startswith("pgscan_"))
    found = [int(counts[name]) for name in scans if name in counts]
    return sum(found) if found else None


def note_clearing(roots: Roots) -> int | None:
    """
    Note that bits are cleared, for others who do so: a byte more in a file in /run, which is made where there is none.

    :return: how many notes there were; None: it cannot be noted
    """
    try:
        fd = os.open(roots.host / _NOTES, _NOTE, 0o600)
    except OSError:
        return None
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            return None
        if is_full := found.st_size >= _MOST_NOTES:
            os.ftruncate(fd, 0)
        os.write(fd, b"\n")
    except OSError:
        return None
    finally:
        os.close(fd)
    return 0 if is_full else found.st_size


def others_cleared(roots: Roots, before: int | None, own: int) -> bool:
    """
    Whether others have noted since that they cleared bits.

    :param before: how many notes there were; None: not known
    :param own: how many of ours have come since
    """
    try:
        now = os.lstat(roots.host / _NOTES).st_size
    except OSError:
        return False
    return before is not None and now != before + own  # fewer: others have begun the file anew


def caveats(damon: tuple[str, ...], scanned: int | None, others: bool = False) -> tuple[Caveat, ...]:
    """
    What a reader of touched memory must know.

    :param damon: what ran of it
    :param scanned: pages that reclaim has looked at meanwhile; None: not known
    :param others: others of ours cleared bits meanwhile
    """
    said = []
    if others:
        text = "Another zonerss cleared accessed bits meanwhile: touched may be too low."
        said.append(Caveat("clearing", text))
    if damon:
        text = (
            f"DAMON ran on this host meanwhile ({', '.join(damon)}) and clears accessed bits, too: "
            "touched is too low."
        )
        said.append(Caveat("damon", text))
    if scanned:
        text = (
            f"The kernel looked for memory to reclaim meanwhile ({scanned} pages), which clears bits: "
            "touched may be too low."
        )
        said.append(Caveat("reclaim", text))
    return tuple(said)
