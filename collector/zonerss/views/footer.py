"""The last lines below a table, as prstat ends with its totals: all zones together, the walk, and what is missing."""

from __future__ import annotations

from zonerss.snapshot import Snapshot
from zonerss.units import format_percent, format_size, memory_bytes
from zonerss.views.columns import ANON, FILE, SHMEM
from zonerss.views.gaps import gap_sentence


def footer(snapshot: Snapshot) -> list[str]:
    """Two lines, and one more for each thing that the reader must know: uncertainty that is no bound, gaps."""
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
    missing = gap_sentence(snapshot.gaps)
    return [*lines, missing] if missing else lines
