"""What a command used while it ran: lines below its own output, or a document."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from zonerss.answers.run import Run, Seen
from zonerss.units import PAGE_BYTES, counted
from zonerss.views.columns import sizes
from zonerss.views.document import gap_list, time_text, usage_fields
from zonerss.views.files import file_fields
from zonerss.views.mappings import full_name
from zonerss.views.screen import speed_text
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable, some_names

SHOWN = 5
"""Files, and zones, that the lines name."""
_MOST_WORDS = 60


def render(run: Run, in_bytes: bool = False) -> list[str]:
    """The lines."""
    size = sizes(in_bytes)
    rows = [
        *_memory(run, size),
        *_growth(run, size),
        *_files(run, size),
        *_sharers(run, size),
    ]
    facts = render_rows(["", "", ""], rows, [True, False, True], prose=True)[1:]
    return [_ended(run), *facts, *_remarks(run)]


def seconds_text(seconds: float) -> str:
    """How long something took: 0.012 s, 3.4 s, 12 m 10 s, 2 h 5 m, 3 d 4 h."""
    if seconds < 59.95:
        return f"{seconds:.3f} s" if seconds < 0.9995 else f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, whole_seconds = divmod(whole, 60)
    hours, minutes_left = divmod(minutes, 60)
    days, hours_left = divmod(hours, 24)
    if days:
        return f"{days} d {hours_left} h"
    return f"{hours} h {minutes_left} m" if hours else f"{minutes} m {whole_seconds} s"


def command_text(command: Sequence[str]) -> str:
    """Its words, the last ones left out where they are too many."""
    text = printable(" ".join(command))
    return text if len(text) <= _MOST_WORDS else f"{text[: _MOST_WORDS - 1]}…"


def _ended(run: Run) -> str:
    how = f"was ended by signal {run.signal}" if run.signal is not None else f"ended with status {run.status}"
    return (
        f"{command_text(run.command)} {how} after {seconds_text(run.wall_seconds)} "
        f"(user {seconds_text(run.user_seconds)}, system {seconds_text(run.system_seconds)})"
    )


def _memory(run: Run, size: Callable[[int | None], str]) -> list[list[str]]:
    peak = run.seen.peak
    if peak is None:
        rows = [["PEAK RSS", size(None), _unseen(run)]]
    else:
        usage = peak.usage
        kinds = (
            f"anon {size(usage.anon_bytes)}, file {size(usage.file_bytes)}, shmem {size(usage.shmem_bytes)}"
        )
        rows = [
            ["PEAK RSS", size(usage.rss_bytes), f"after {seconds_text(peak.seconds)}: {kinds}"],
            ["", size(usage.exclusive_bytes), "of it no other zone maps"],
        ]
        if usage.hugetlb_bytes:
            rows.append(["", size(usage.hugetlb_bytes), "besides: huge pages of a pool"])
        if usage.swap_bytes:
            rows.append(["", size(usage.swap_bytes), "besides: in swap"])
    if run.largest_process_bytes is not None:
        says = "RSS of its largest process, as time(1) has it"
        if peak is not None and run.largest_process_bytes > peak.usage.rss_bytes:
            says += ": more than any look saw, so its peak was between two looks"
        rows.append(["PROCESS", size(run.largest_process_bytes), says])
    bill = "the kernel's own peak: page cache and kernel memory count, what others were charged for does not"
    if run.peak_charged_bytes is None:
        bill = (
            "unknown: its cgroup has no bill of its own"
            if not run.has_bill
            else "unknown: this kernel does not tell"
        )
    rows.append(["PEAK BILL", size(run.peak_charged_bytes), bill])
    return rows


def _unseen(run: Run) -> str:
    tried = counted(run.seen.missed, "look", "looks")
    bound = "" if run.peak_charged_bytes is None else "; its bill bounds what it had of its own"
    return f"unknown: it was over before a look could see it ({tried}){bound}"


def _growth(run: Run, size: Callable[[int | None], str]) -> list[list[str]]:
    first, last = run.seen.first, run.seen.last
    if first is None or last is None or first is last:
        return []
    pace = run.seen.bytes_per_minute()
    change = last.usage.rss_bytes - first.usage.rss_bytes
    steady = f", {speed_text(pace)}" if pace else ", not steadily" if change and pace is not None else ""
    says = f"from {size(first.usage.rss_bytes)} at first to {size(last.usage.rss_bytes)} at last{steady}"
    return [["GROWTH", size(change), f"{says}; {counted(run.seen.count, 'look')}"]]


def _files(run: Run, size: Callable[[int | None], str]) -> list[list[str]]:
    return _titled(
        "FILES", [["", size(usage.bytes), full_name(usage.file)] for usage in run.seen.files[:SHOWN]]
    )


def _sharers(run: Run, size: Callable[[int | None], str]) -> list[list[str]]:
    return _titled(
        "SHARED", [["", size(shared), printable(name)] for name, shared in run.seen.shared_with[:SHOWN]]
    )


def _titled(title: str, rows: list[list[str]]) -> list[list[str]]:
    return [[title if number == 0 else "", *row[1:]] for number, row in enumerate(rows)]


def _remarks(run: Run) -> list[str]:
    lines = []
    if run.oom_kills:
        lines.append(
            f"{counted(run.oom_kills, 'process', 'processes')} of it killed for want of memory (OOM)."
        )
    if run.seen.not_kept:
        taken = run.seen.not_kept + (run.seen.kept or 0)
        lines.append(f"{run.seen.not_kept} of {counted(taken, 'snapshot')} could not be kept.")
    if run.left:
        names = some_names([str(pid) for pid in run.left])
        lines.append(
            f"It left {counted(len(run.left), 'process', 'processes')} behind ({names}), "
            f"and so its cgroup {printable(run.cgroup)}."
        )
    return lines


def document(run: Run) -> dict[str, Any]:
    """``zonerss.run/1`` (docs/record.md)."""
    seen, pace = run.seen, run.seen.bytes_per_minute()
    return {
        "schema": "zonerss.run/1",
        "command": [encodable(word) for word in run.command],
        "began": time_text(run.began),
        "ended": time_text(run.ended),
        "wall_seconds": round(run.wall_seconds, 6),
        "user_seconds": round(run.user_seconds, 6),
        "system_seconds": round(run.system_seconds, 6),
        "exit_status": run.status,
        "signal": run.signal,
        "zone": encodable(run.zone),
        "cgroup": encodable(run.cgroup),
        "source": seen.source,
        "page_size": PAGE_BYTES,
        "looks": seen.count,
        "looks_missed": seen.missed,
        "snapshots": seen.kept,
        "snapshots_not_kept": seen.not_kept,
        "first": _seen_fields(seen.first),
        "peak": _seen_fields(seen.peak),
        "last": _seen_fields(seen.last),
        "growth_bytes_per_minute": None if pace is None else round(pace),
        "peak_charged_bytes": run.peak_charged_bytes,
        "largest_process_bytes": run.largest_process_bytes,
        "oom_kills": run.oom_kills,
        "files_seconds": None if seen.files_seen is None else round(seen.files_seen.seconds, 6),
        "files": [file_fields(usage) for usage in seen.files],
        "shared_with": [{"zone": encodable(name), "bytes": shared} for name, shared in seen.shared_with],
        "left_processes": list(run.left),
        "gaps": gap_list(seen.gaps),
    }


def _seen_fields(seen: Seen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    return {"seconds": round(seen.seconds, 6), "began": time_text(seen.moment), **usage_fields(seen.usage)}
