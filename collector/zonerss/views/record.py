"""What is said while a recording is made, and at its end."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from zonerss.answers.recording import Recorded
from zonerss.records.kills import BoxTally
from zonerss.units import counted, format_percent, format_size
from zonerss.views.document import time_text
from zonerss.views.run import seconds_text
from zonerss.views.screen import speed_text
from zonerss.views.text import encodable, printable


def first_line(recorded: Recorded) -> str:
    """What is recorded, how often, and where; how fast the file grows, once that is known."""
    zones = len(recorded.latest.zones) if recorded.latest else 0
    pace = recorded.bytes_an_hour()
    about = "" if pace is None else f" (about {format_size(round(pace))} an hour)"
    return (
        f"recording {counted(zones, 'zone')} every {interval_text(recorded.interval_seconds)} into "
        f"{printable(recorded.file)}{about}; Ctrl-C ends it, the file stays whole"
    )


def interval_text(seconds: float) -> str:
    """How often: 10 s, 0.5 s, 5 m."""
    if seconds % 60 == 0:
        return f"{seconds / 60:g} m"
    return f"{seconds:g} s"


def live_line(recorded: Recorded) -> str:
    """How it stands: how long, snapshots, gaps of the latest one, and what grows most."""
    gaps = len(recorded.latest.gaps) if recorded.latest else 0
    fields = [
        f"{seconds:.0f} s" if (seconds := recorded.wall_seconds) < 59.5 else seconds_text(seconds),
        counted(recorded.snapshots, "snapshot"),
        *([f"{recorded.not_kept} not kept"] if recorded.not_kept else []),
        *([f"{recorded.skipped} skipped"] if recorded.skipped else []),
        counted(gaps, "gap"),
    ]
    if most := recorded.grows_most():
        usage, pace = most
        speed = f" ({speed_text(pace).split(' ')[0]})" if pace else ""
        fields.append(f"{printable(usage.zone)} {format_size(usage.rss_bytes)}{speed}")
    return "   ".join(fields)


def event_line(now: datetime, sentence: str) -> str:
    """What happened, with the local time."""
    return f"{now.astimezone():%H:%M:%S} {printable(sentence)}"


def jump_text(jump: timedelta) -> str:
    """That the clock was set."""
    seconds = jump.total_seconds()
    return f"the clock was set {'forward' if seconds > 0 else 'back'} by {seconds_text(abs(seconds))}"


def closing_lines(recorded: Recorded) -> list[str]:
    """What was kept, and what it cost."""
    if not recorded.snapshots:
        return [f"no snapshot was kept in {printable(recorded.file)}", *_troubles(recorded)]
    each = recorded.added_bytes / recorded.snapshots
    taken = recorded.snapshots + recorded.not_kept
    looking = _looking_seconds(recorded)
    return [
        f"kept {counted(recorded.snapshots, 'snapshot')} of {seconds_text(recorded.wall_seconds)} in "
        f"{printable(recorded.file)}: {_bytes_text(each)} each, {format_size(recorded.file_bytes)} in all",
        f"cost {looking / taken:.3f} processor seconds a snapshot, "
        f"{format_percent(looking, recorded.wall_seconds)} of a processor",
        *_of_the_box(recorded),
        *_troubles(recorded),
    ]


def _looking_seconds(recorded: Recorded) -> float:
    """Processor time without the black box."""
    box = recorded.box
    return recorded.processor_seconds - (box.processor_seconds + box.keeping_seconds if box else 0.0)


def _of_the_box(recorded: Recorded) -> list[str]:
    box = recorded.box
    if box is None:
        return []
    each = box.processor_seconds / box.looks if box.looks else 0.0
    lines = [
        f"black box: {counted(box.looks, 'look')} of {each:.3f} processor seconds, "
        f"{format_percent(box.processor_seconds, recorded.wall_seconds)} of a processor; "
        f"{format_size(box.used_bytes)} of {format_size(box.ring_bytes)} used",
        f"{counted(box.kills, 'kill')} kept, with {counted(box.looks_kept, 'look')} that were before"
        + (f", in {box.keeping_seconds:.3f} processor seconds" if box.keeping_seconds else ""),
    ]
    return [*lines, *([f"{counted(box.kills_lost, 'kill')} not kept"] if box.kills_lost else [])]


def _bytes_text(size_bytes: float) -> str:
    return f"{size_bytes:.0f} bytes" if size_bytes < 10_240 else format_size(round(size_bytes))


def _troubles(recorded: Recorded) -> list[str]:
    lines = []
    if recorded.not_kept:
        lines.append(f"{counted(recorded.not_kept, 'snapshot')} not kept: there was no room")
    if recorded.skipped:
        lines.append(f"{counted(recorded.skipped, 'round')} skipped: the one before was not done in time")
    if recorded.failed:
        lines.append(f"{counted(recorded.failed, 'round')} without a snapshot: it could not be taken")
    if recorded.zones_missing:
        lines.append(
            f"{counted(recorded.zones_missing, 'round')} without any of the zones that were asked for"
        )
    if recorded.with_gaps:
        lines.append(f"{counted(recorded.with_gaps, 'snapshot')} with gaps: some process could not be read")
    if recorded.clock_jumps:
        lines.append(f"the clock was set {counted(recorded.clock_jumps, 'time')}")
    return lines


def document(recorded: Recorded) -> dict[str, Any]:
    """``zonerss.recording/1`` (docs/record.md)."""
    count, taken = recorded.snapshots, recorded.snapshots + recorded.not_kept
    looking = _looking_seconds(recorded)
    return {
        "schema": "zonerss.recording/1",
        "file": encodable(recorded.file),
        "host_name": encodable(recorded.host_name),
        "began": time_text(recorded.began),
        "ended": time_text(recorded.ended or recorded.began),
        "ended_by": recorded.ended_by,
        "interval_seconds": recorded.interval_seconds,
        "snapshots": count,
        "snapshots_not_kept": recorded.not_kept,
        "snapshots_with_gaps": recorded.with_gaps,
        "rounds_skipped": recorded.skipped,
        "rounds_failed": recorded.failed,
        "rounds_without_zones": recorded.zones_missing,
        "clock_jumps": recorded.clock_jumps,
        "snapshot_bytes": round(recorded.added_bytes / count) if count else None,
        "file_bytes": recorded.file_bytes,
        "processor_seconds": round(recorded.processor_seconds, 6),
        "processor_seconds_a_snapshot": round(looking / taken, 6) if taken else None,
        "wall_seconds": round(recorded.wall_seconds, 6),
        **({} if recorded.box is None else {"black_box": _box_fields(recorded.box)}),
    }


def _box_fields(box: BoxTally) -> dict[str, Any]:
    return {
        "span_seconds": box.span_seconds,
        "interval_seconds": box.interval_seconds,
        "looks": box.looks,
        "looks_kept": box.looks_kept,
        "kills": box.kills,
        "kills_lost": box.kills_lost,
        "ring_bytes": box.ring_bytes,
        "used_bytes": box.used_bytes,
        "processor_seconds": round(box.processor_seconds, 6),
        "keeping_seconds": round(box.keeping_seconds, 6),
    }
