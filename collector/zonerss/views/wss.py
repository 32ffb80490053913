"""Working sets: tables of zones, processes and files, or a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from zonerss.answers.wss import FileTouched, ProcessTouched, TouchedBytes, WorkingSets, ZoneTouched
from zonerss.records import Cause, Gap
from zonerss.units import counted
from zonerss.views.bars import GLYPHS
from zonerss.views.columns import COMMAND, KIND, NPROC, PID, RSS, ZONE, Column, cell, sizes, user_column
from zonerss.views.document import Listing, gap_list, header, zone_identity
from zonerss.views.footer import gap_sentence
from zonerss.views.mappings import full_name
from zonerss.views.table import GAP, render_rows, render_table, sort_records
from zonerss.views.terminal import Style, here
from zonerss.views.text import cells, encodable, fit, printable, shorten

TOUCHED = Column("touched", "TOUCHED", "touched in the time", lambda record: record.touched_bytes, size=True)
_KINDS = (
    Column("anon", "ANON", "of it: anon", lambda record: record.touched_anon_bytes, size=True, spare=1),
    Column("file", "FILE", "of it: files", lambda record: record.touched_file_bytes, size=True, spare=1),
    Column("shmem", "SHMEM", "of it: shmem", lambda record: record.touched_shmem_bytes, size=True, spare=1),
)
UNKNOWN = Column(
    "unknown",
    "UNKNOWN",
    "of rss, not in touched: its bits could not be cleared",
    lambda record: record.unknown_bytes,
    size=True,
)
_IDLE = Column("idle", "IDLE", "of rss: not touched", lambda record: record.idle_bytes, size=True, spare=2)
_STALL = Column(
    "stall",
    "STALL",
    "the longest that clearing may have held up a process, in ms",
    lambda record: None if record.longest_stall_ns is None else record.longest_stall_ns / 1e6,
    text=lambda stall_ms: f"{stall_ms:.1f}",
    spare=2,
)
ZONE_COLUMNS = (ZONE, KIND, NPROC, RSS, TOUCHED, *_KINDS, UNKNOWN, _IDLE, _STALL)
_FILE_COLUMNS = (
    Column("size", "SIZE", "how much of the file is mapped", lambda record: record.bytes, size=True),
    TOUCHED,
    UNKNOWN,
    Column(
        "kind", "KIND", "file, tmpfs, memfd, ...", lambda record: record.file and record.file.kind, left=True
    ),
    Column("file", "FILE", "its name", lambda record: full_name(record.file), left=True),
)
_IDLE_GLYPH, _UNKNOWN_GLYPH = "·", "?"
_LEGEND = f"{' '.join(kind + glyph for kind, glyph in GLYPHS.items())} {_UNKNOWN_GLYPH} idle{_IDLE_GLYPH}"
_LEAST_BAR, _BEST_BAR = 10, 40
_MOST_ZONE = 40
_LIMIT = 15  # processes and files that are shown without --limit


def render(
    found: WorkingSets,
    sort: Column = TOUCHED,
    limit: int | None = None,
    in_bytes: bool = False,
    users: Mapping[int, str] | None = None,
) -> list[str]:
    """The tables, and the last lines; users: login names by user id."""
    style, width = here().style, here().width
    lines = _zones(sort_records(found.zones, sort, limit), in_bytes, width, style)
    if found.processes is not None:
        columns = process_columns({} if users is None else users)
        lines += ["", *render_table(columns, found.processes[: limit or _LIMIT], in_bytes)]
    if found.files is not None:
        files = found.files[: limit or _LIMIT]
        lines += ["", *(render_table(_FILE_COLUMNS, files, in_bytes) if files else ["No file is mapped."])]
    last = [style.paint(line, "dim") for text in last_lines(found, in_bytes) for line in fit([text], width)]
    return [*lines, "", *last]


def process_columns(users: Mapping[int, str]) -> tuple[Column, ...]:
    """The columns of processes; users: login names by user id."""
    return (PID, user_column(users), RSS, TOUCHED, *_KINDS, UNKNOWN, ZONE, COMMAND)


def _zones(zones: Sequence[ZoneTouched], in_bytes: bool, width: int | None, style: Style) -> list[str]:
    if width is None:
        return render_table(ZONE_COLUMNS, zones, in_bytes)
    columns = [RSS, TOUCHED, UNKNOWN]
    texts = [[cell(column, zone, in_bytes) for column in columns] for zone in zones]
    widths = [
        max(cells(column.header), *(cells(row[at]) for row in texts)) if texts else cells(column.header)
        for at, column in enumerate(columns)
    ]
    room = width - sum(widths) - GAP * (len(columns) + 1)
    longest = max([cells(printable(zone.zone)) for zone in zones], default=0)
    name = max(min(longest, _MOST_ZONE, room - _LEAST_BAR), cells(ZONE.header))
    length = min(room - name, _BEST_BAR)
    most = max([zone.rss_bytes for zone in zones], default=0)
    rows = [
        [style.paint(shorten(printable(zone.zone), name), "zone"), *row]
        + ([bar(zone, most, length, style)] if length >= _LEAST_BAR else [])
        for zone, row in zip(zones, texts, strict=True)
    ]
    headers = [ZONE.header, *(column.header for column in columns)]
    if length >= _LEAST_BAR:
        headers.append(_legend(length, style))
    left = [True, *(False for _ in columns), True][: len(headers)]
    return render_rows(headers, rows, left, width=width)


def _legend(width: int, style: Style) -> str:
    if width < len(_LEGEND):
        return "by kind"
    kinds = " ".join(style.paint(kind + glyph, kind) for kind, glyph in GLYPHS.items())
    return f"{kinds} {_UNKNOWN_GLYPH} {style.paint('idle' + _IDLE_GLYPH, 'dim')}"


def bar(record: TouchedBytes, most_bytes: int, width: int, style: Style) -> str:
    """
    Rss: what was touched, by kind, then what is unknown, then what is idle.

    :param most_bytes: what a bar of the whole width stands for
    """
    rss = record.rss_bytes
    length = min(max(round(width * rss / most_bytes), 1), width) if rss and most_bytes else 0
    segments = [(glyph, getattr(record, f"touched_{kind}_bytes"), kind) for kind, glyph in GLYPHS.items()]
    segments += [(_UNKNOWN_GLYPH, record.unknown_bytes, "warning"), (_IDLE_GLYPH, record.idle_bytes, "dim")]
    text, begin, so_far = "", 0, 0
    for glyph, size_bytes, name in segments:
        so_far += size_bytes
        end = round(length * so_far / max(rss, 1))
        text += style.paint(glyph * (end - begin), name)
        begin = end
    return text


# ---- the last lines -----------------------------------------------------------------------------------------


def last_lines(found: WorkingSets, in_bytes: bool = False) -> list[str]:
    """What was touched in all, how sure that is, and what is missing."""
    size, total = sizes(in_bytes), found.total
    lines = [
        f"{counted(len(found.zones), 'zone')}, {counted(total.processes, 'process', 'processes')}: "
        f"{size(total.touched_bytes)} of {size(total.rss_bytes)} touched in {found.seconds:.1f} s, each page once."
        + (
            ""
            if total.longest_stall_ns is None
            else f" The longest stall: {total.longest_stall_ns / 1e6:.1f} ms ({found.method})."
        )
    ]
    if total.unknown_bytes:
        lines.append(f"Unknown: {size(total.unknown_bytes)}, {_why_unknown(found)}.")
    lines.append(
        "A huge page is touched as a whole. Pages that only read(2) and the like have used are not seen."
    )
    lines += [printable(caveat.text) for caveat in found.snapshot.warnings]
    lines += [_unarmed(found.unarmed, found.method)] if found.unarmed else []
    missing = gap_sentence(found.gaps)
    return [*lines, *([missing] if missing else [])]


def _why_unknown(found: WorkingSets) -> str:
    if found.method == "cold":
        return (
            "of pages that are mapped more than once, locked, or a driver's: MADV_COLD leaves their bits as they are "
            "(--method clear_refs clears them)"
        )
    return "of processes whose bits were not cleared"


_SAYS = {
    Cause.REFUSED: "refused, or too large for --stall",
    Cause.BUSY: "not cleared in time",
    Cause.EXITED: "gone by then",
}
_REFUSED_BY_COLD = "refused, as all are whose first thread has ended"


def _unarmed(gaps: Iterable[Gap], method: str) -> str:
    says = _SAYS | ({Cause.REFUSED: _REFUSED_BY_COLD} if method == "cold" else {})
    causes = Counter(says.get(gap.cause, "not readable") for gap in gaps)
    said = "; ".join(
        f"{counted(number, 'process', 'processes')} {why}" for why, number in causes.most_common()
    )
    return f"Bits not cleared, so what they map is unknown: {said}."


# ---- the document -------------------------------------------------------------------------------------------


def document(found: WorkingSets, sort: Column | None = None, limit: int | None = None) -> dict[str, Any]:
    """
    ``zonerss.wss/1`` (docs/wss.md).

    :param sort: None: most touched first
    :param limit: only the first zones, processes and files
    """
    zones = sort_records(found.zones, sort or TOUCHED, limit)
    fields = header("zonerss.wss/1", found.snapshot) | {
        "seconds": round(found.seconds, 3),
        "method": found.method,
        "total": _zone_fields(found.total),
        "zones": [_zone_fields(zone) for zone in zones],
    }
    if found.processes is not None:
        fields["processes"] = [_process_fields(process) for process in found.processes[:limit]]
    if found.files is not None:
        fields["files"] = [_file_fields(file) for file in found.files[:limit]]
    fields["gaps"] = gap_list((*found.unarmed, *found.gaps))
    return Listing(fields)


def _touched_fields(record: TouchedBytes) -> dict[str, Any]:
    return {
        "rss_bytes": record.rss_bytes,
        "touched_bytes": record.touched_bytes,
        "touched_anon_bytes": record.touched_anon_bytes,
        "touched_file_bytes": record.touched_file_bytes,
        "touched_shmem_bytes": record.touched_shmem_bytes,
        "unknown_bytes": record.unknown_bytes,
        "longest_stall_ns": record.longest_stall_ns,
    }


def _zone_fields(zone: ZoneTouched) -> dict[str, Any]:
    return {
        **zone_identity(zone.zone, zone.cgroup, zone.id, zone.kind),
        "processes": zone.processes,
        **_touched_fields(zone),
    }


def _process_fields(process: ProcessTouched) -> dict[str, Any]:
    return {
        "pid": process.pid,
        "zone": encodable(process.zone),
        "uid": process.uid,
        "command": encodable(process.command),
        **_touched_fields(process),
    }


def _file_fields(usage: FileTouched) -> dict[str, Any]:
    file = usage.file
    return {
        "name": file and encodable(file.name),
        "kind": file and str(file.kind),
        "bytes": usage.bytes,
        "touched_bytes": usage.touched_bytes,
        "unknown_bytes": usage.unknown_bytes,
    }
