"""Who else clears accessed bits: what is found touched is then too little.

DAMON samples pages by clearing their bits (mm/damon/ops-common.c, Linux 5.15; /sys/kernel/mm/damon/admin since 5.18,
its modules under /sys/module). Reclaim clears the bits of pages that it looks at (folio_referenced(), mm/vmscan.c);
how many it has looked at is in /proc/vmstat.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from zonerss.kernel.roots import Roots
from zonerss.records import Caveat

_MODULES = ("damon_reclaim", "damon_lru_sort", "damon_stat")
_SCANS = ("pgscan_kswapd", "pgscan_direct", "pgscan_khugepaged", "pgscan_proactive")


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


def scanned_pages(roots: Roots) -> int | None:
    """How many pages reclaim has looked at since the machine began; None: it cannot be told."""
    try:
        text = (roots.proc / "vmstat").read_text("ascii", "replace")
    except OSError:
        return None
    counts = dict(line.split(" ", 1) for line in text.splitlines() if line.startswith("pgscan_"))
    found = [int(counts[name]) for name in _SCANS if name in counts]
    return sum(found) if found else None


def caveats(damon: tuple[str, ...], scanned: int | None) -> tuple[Caveat, ...]:
    """
    What a reader of touched memory must know.

    :param damon: what ran of it
    :param scanned: pages that reclaim has looked at meanwhile; None: not known
    """
    said = []
    if damon:
        text = (
            f"DAMON runs on this host ({', '.join(damon)}) and clears accessed bits, too: touched is too low."
        )
        said.append(Caveat("damon", text))
    if scanned:
        text = (
            f"The kernel looked for memory to reclaim meanwhile ({scanned} pages), which clears bits: "
            "touched may be too low."
        )
        said.append(Caveat("reclaim", text))
    return tuple(said)
