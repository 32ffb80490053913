"""A report as a table of text, as Markdown, and as a document."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from zonerss.answers.conditions import Held
from zonerss.answers.report import Compared, Course, ProcessReport, Report, ZoneReport
from zonerss.answers.verdict import Met, Verdict, Word
from zonerss.units import counted
from zonerss.views.columns import sizes
from zonerss.views.document import Listing, time_text
from zonerss.views.past import local_time
from zonerss.views.run import seconds_text
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable, some_names

_PROCESSES = 5
"""That grow, and are shown below the zones."""
_UNSAFE_IN_MARKDOWN = "\\`*_{}[]<>()#+!|~"
_ZERO_WIDTH = "&#8203;"
"""Behind @ and #: forges look for names, addresses and numbers after the marks of Markdown are gone."""
_LINKED = r"(?i)(?<=:)(?=//)|(?<=www)(?=\.)"
"""The places within :// and www. at which they are broken: GFM makes a link of what begins so, even where a zero-width
character follows, which browsers leave out of the name of a host."""
Size = Callable[[int | None], str]


# ---- text ------------------------------------------------------------------------------------------------


def render(report: Report, limit: int | None = None, in_bytes: bool = False) -> list[str]:
    """Tables of zones and of the processes that grow, and what they rest on."""
    size = sizes(in_bytes)
    shown = report.zones[:limit]
    lines = render_rows(
        ["ZONE", "FIRST", "LAST", "PEAK", "GROWTH", "VERDICT"],
        [[printable(zone.usage.zone), *_figures(zone, size)] for zone in shown],
        [True, False, False, False, False, True],
    )
    lines += _left_out(len(report.zones) - len(shown))
    growing = _growing(report.processes)
    if growing:
        lines += ["", "Processes that grow:"]
        lines += render_rows(
            ["PID", "COMMAND", "ZONE", "FIRST", "LAST", "PEAK", "GROWTH", "VERDICT"],
            [
                [str(p.usage.pid), printable(p.usage.command), printable(p.usage.zone), *_figures(p, size)]
                for p in growing[:_PROCESSES]
            ],
            [False, True, True, False, False, False, False, True],
        )
        lines += _left_out(len(growing) - _PROCESSES, "process", "processes")
    lines += [line for zone in shown if is_told(zone) for line in ["", *_told(zone)]]
    return [*lines, "", *remarks(report)]


def _figures(course: Course, size: Size) -> list[str]:
    found = (course.first, course.last, course.peak)
    return [*(size(point.size_bytes) for point in found), pace_text(course.verdict, size), word(course)]


def word(course: Course) -> str:
    """The verdict; a dash where there is none."""
    return "–" if course.verdict.word is None else str(course.verdict.word)


def pace_text(verdict: Verdict, size: Size | None = None) -> str:
    """How fast it surely grows, a minute; of a bill that grows alone: how fast that does."""
    size = size or sizes(False)
    pace = verdict.bytes_per_second
    if verdict.word is Word.BILL_ONLY and verdict.slope is not None:
        return f"({_pace(verdict.slope.bytes_per_second, size)})"
    if pace is None:
        return "–"
    return _pace(pace, size) if pace else "="


def _pace(bytes_per_second: float, size: Size) -> str:
    whole = round(abs(bytes_per_second) * 60)
    return f"{'-' if bytes_per_second < 0 else '+'}{size(whole)}/min"


def is_told(zone: ZoneReport) -> bool:
    """Whether its verdict is worth a sentence: all but steady."""
    return zone.verdict.word not in (None, Word.STEADY)


def _told(zone: ZoneReport) -> list[str]:
    first, *rest = verdict_lines(zone.verdict)
    return [f"{printable(zone.usage.zone)} {first}", *rest]


def verdict_lines(verdict: Verdict) -> list[str]:
    """A verdict in full sentences, the first of which begins with its word."""
    return [
        f"{verdict.word}: {printable(verdict.because)}.",
        *([f"  {met_text(verdict.meets)}."] if verdict.meets else []),
        f"  What would change that: {printable(verdict.would_change)}.",
    ]


def met_text(met: Met) -> str:
    """What is met, and when."""
    what = "its limit" if met.what == "limit" else "what the machine has left"
    return f"At this pace it meets {what} in {seconds_text(met.in_seconds)}"


def _growing(processes: Sequence[ProcessReport]) -> list[ProcessReport]:
    return [process for process in processes if process.verdict.bytes_per_second]


def _left_out(count: int, one: str = "zone", more: str = "zones") -> list[str]:
    return [f"{counted(count, one, more)} more (--limit)."] if count > 0 else []


def remarks(report: Report) -> list[str]:
    """Of when and how many snapshots it is, how growth is told, and what was left out: a line each, safe to print."""
    began, ended = report.looks[0].began, report.looks[-1].began
    read = (
        ""
        if report.snapshots == len(report.looks)
        else f", of which {len(report.looks)} were looked at, at even distances; peaks are of "
        f"{'all' if report.peak_snapshots == report.snapshots else report.peak_snapshots}"
    )
    lines = [
        f"{counted(report.snapshots, 'snapshot')} of {printable(report.host_name)} from {local_time(began)} to "
        f"{local_time(ended)} ({seconds_text(report.span_seconds)}){read}.",
        "GROWTH is the robust slope a minute; =: not sure to grow; (in parentheses): of the bill alone.",
    ]
    if report.clock_jumps:
        lines.append(
            f"The clock was set {counted(report.clock_jumps, 'time')} meanwhile: times are by the clock of then, "
            "growth by one that nobody sets."
        )
    return [*lines, *(f"Left out: {printable(sentence)}." for sentence in report.damaged)]


def render_compared(rows: Sequence[Compared], limit: int | None = None, in_bytes: bool = False) -> list[str]:
    """A table of the zones of two recordings."""
    size = sizes(in_bytes)
    lines = render_rows(
        ["ZONE", "GROWTH", "BEFORE", "PEAK", "BEFORE", "LAST", "BEFORE", "VERDICT", "BEFORE"],
        [_compared(row, size) for row in rows[:limit]],
        [True, False, False, False, False, False, False, True, True],
    )
    return [*lines, *_left_out(len(rows) - len(rows[:limit]))]


def _compared(row: Compared, size: Size) -> list[str]:
    def both(text: Callable[[ZoneReport], str]) -> list[str]:
        return ["–" if side is None else text(side) for side in (row.after, row.before)]

    return [
        printable(row.zone),
        *both(lambda zone: pace_text(zone.verdict, size)),
        *both(lambda zone: size(zone.peak.size_bytes)),
        *both(lambda zone: size(zone.last.size_bytes)),
        *both(word),
    ]


def condition_lines(found: Sequence[Held]) -> list[str]:
    """Of what each condition holds, and of what that cannot be told, a line each, for standard error."""
    lines = []
    for held in found:
        for said, zones in (("holds of", held.holding), ("cannot be told of", held.unknown)):
            if zones:
                names = some_names([zone.usage.zone for zone in zones])
                lines.append(f"--fail-on {printable(held.condition.text)} {said} {names}")
    return lines


# ---- Markdown --------------------------------------------------------------------------------------------


def render_markdown(report: Report, limit: int | None = None, in_bytes: bool = False) -> list[str]:
    """The same for a comment on a change, or a page: a table, and a list of what is no steady zone."""
    size = sizes(in_bytes)
    lines = _markdown_table(
        ["zone", "first", "last", "peak", "growth", "verdict"],
        [[zone.usage.zone, *_figures(zone, size)] for zone in report.zones[:limit]],
    )
    told = [
        f"- **{escaped(zone.usage.zone)} {word(zone)}**: {escaped(zone.verdict.because)}."
        + (f" {met_text(zone.verdict.meets)}." if zone.verdict.meets else "")
        for zone in report.zones[:limit]
        if is_told(zone)
    ]
    return [*lines, *([""] if told else []), *told, "", *map(escaped, remarks(report)[:1])]


def markdown_compared(
    rows: Sequence[Compared], limit: int | None = None, in_bytes: bool = False
) -> list[str]:
    """The same of two recordings."""
    size = sizes(in_bytes)
    headers = ["zone", "growth", "before", "peak", "before", "last", "before", "verdict", "before"]
    return _markdown_table(headers, [_compared(row, size) for row in rows[:limit]])


def escaped(text: str) -> str:
    """Text for Markdown: what would be a mark of it or a link is none, and nobody is mentioned."""
    return re.sub(_LINKED, _ZERO_WIDTH, "".join(map(_plain, printable(text))))


def _plain(char: str) -> str:
    mark = f"\\{char}" if char in _UNSAFE_IN_MARKDOWN else "&amp;" if char == "&" else char
    return mark + _ZERO_WIDTH if char in "@#" else mark


def _markdown_table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    left = {0, *(at for at, header in enumerate(headers) if header == "verdict"), len(headers) - 1}
    rule = [":--" if at in left else "--:" for at in range(len(headers))]
    return [f"| {' | '.join(line)} |" for line in (headers, rule, *(list(map(escaped, row)) for row in rows))]


# ---- JSON ------------------------------------------------------------------------------------------------


def document(
    report: Report,
    conditions: Sequence[Held] = (),
    before: Report | None = None,
    rows: Sequence[Compared] | None = None,
    limit: int | None = None,
) -> dict[str, Any]:
    """``zonerss.report/1`` (docs/report.md)."""
    return Listing(
        {
            "schema": "zonerss.report/1",
            "file": encodable(report.file),
            "host_name": encodable(report.host_name),
            "by": report.by,
            "began": time_text(report.looks[0].began),
            "ended": time_text(report.looks[-1].began),
            "snapshots": report.snapshots,
            "snapshots_read": len(report.looks),
            "peak_snapshots": report.peak_snapshots,
            "zones": [_zone_fields(zone, report.time_of) for zone in report.zones[:limit]],
            "processes": [_process_fields(process, report.time_of) for process in report.processes[:limit]],
            "damaged": [encodable(sentence) for sentence in report.damaged],
            "compared_with": None if before is None else encodable(before.file),
            "compared": None if rows is None else [_compared_fields(row) for row in rows[:limit]],
            "conditions": [
                {
                    "condition": encodable(held.condition.text),
                    "holds": [encodable(zone.usage.zone) for zone in held.holding],
                    "unknown": [encodable(zone.usage.zone) for zone in held.unknown],
                }
                for held in conditions
            ],
        }
    )


def _zone_fields(zone: ZoneReport, time_of: Callable[[float], datetime]) -> dict[str, Any]:
    return {
        "zone": encodable(zone.usage.zone),
        "cgroup": None if zone.usage.cgroup is None else encodable(zone.usage.cgroup),
        **_course_fields(zone, time_of),
        **culprit_fields(zone.verdict),
        "charged_bytes": zone.usage.charged_bytes,
        "limit_bytes": zone.usage.limit_bytes,
        "meets": met_fields(zone.verdict.meets),
    }


def culprit_fields(verdict: Verdict) -> dict[str, Any]:
    """The process that a verdict names."""
    cause = verdict.cause
    return {
        "pid": None if cause is None else cause.pid,
        "command": None if cause is None or cause.command is None else encodable(cause.command),
    }


def _process_fields(process: ProcessReport, time_of: Callable[[float], datetime]) -> dict[str, Any]:
    return {
        "pid": process.usage.pid,
        "command": encodable(process.usage.command),
        "zone": encodable(process.usage.zone),
        **_course_fields(process, time_of),
        "meets": met_fields(process.verdict.meets),
    }


def _course_fields(course: Course, time_of: Callable[[float], datetime]) -> dict[str, Any]:
    def when(seconds: float) -> str:
        return time_text(time_of(seconds))

    return {
        "snapshots": course.looks,
        "first_time": when(course.first.seconds),
        "last_time": when(course.last.seconds),
        "first_bytes": course.first.size_bytes,
        "last_bytes": course.last.size_bytes,
        "peak_bytes": course.peak.size_bytes,
        "peak_time": when(course.peak.seconds),
        **verdict_fields(course.verdict),
    }


def verdict_fields(verdict: Verdict) -> dict[str, Any]:
    """A verdict, with its slope and what grows, as each document has it."""
    slope, cause = verdict.slope, verdict.cause
    return {
        "growth_bytes_per_second": None if slope is None else round(slope.bytes_per_second, 3),
        "growth_low": None if slope is None else round(slope.least, 3),
        "growth_high": None if slope is None else round(slope.most, 3),
        "verdict": None if verdict.word is None else str(verdict.word),
        "because": encodable(verdict.because),
        "would_change": encodable(verdict.would_change),
        "kind": None if cause is None else cause.kind,
        "grown_bytes": None if cause is None else cause.grown_bytes,
        "file": None if cause is None or cause.file is None else encodable(cause.file),
        "period_seconds": None if verdict.period_seconds is None else round(verdict.period_seconds, 6),
    }


def met_fields(met: Met | None) -> dict[str, Any] | None:
    """What is met first."""
    return None if met is None else {"what": met.what, "in_seconds": round(met.in_seconds, 3)}


def _compared_fields(row: Compared) -> dict[str, Any]:
    pace = row.growth_change
    return {
        "zone": encodable(row.zone),
        "before": _side_fields(row.before),
        "after": _side_fields(row.after),
        "growth_change_bytes_per_second": None if pace is None else round(pace, 3),
        "peak_change_bytes": row.peak_change,
    }


def _side_fields(zone: ZoneReport | None) -> dict[str, Any] | None:
    if zone is None:
        return None
    pace = zone.verdict.bytes_per_second
    return {
        "last_bytes": zone.last.size_bytes,
        "peak_bytes": zone.peak.size_bytes,
        "growth_bytes_per_second": None if pace is None else round(pace, 3),
        "verdict": None if zone.verdict.word is None else str(zone.verdict.word),
    }
