"""The tables of a page that have a row for each zone or process."""

from __future__ import annotations

from collections.abc import Sequence

from zonerss.answers.closeup import Closeup
from zonerss.answers.explain.numbers import Number
from zonerss.answers.report import Course, ProcessReport, Report, ZoneReport
from zonerss.units import counted
from zonerss.views.columns import sizes
from zonerss.views.html.elements import (
    NOTHING,
    Head,
    Markup,
    details,
    paragraph,
    short_name,
    table,
    tag,
    text,
)
from zonerss.views.html.sections import more, section, verdict_word
from zonerss.views.past import local_time
from zonerss.views.report import pace_text, word

MOST_PROCESSES = 100
"""Besides those that grow, so many of the largest."""


def when(report: Report, seconds: float) -> str:
    """A time of the recording, as people read it."""
    return local_time(report.time_of(seconds))


# ---- zones -----------------------------------------------------------------------------------------------

_ZONES = (
    Head("ZONE", True),
    Head("FIRST", help="RSS at its first snapshot"),
    Head("LAST", help="RSS at its last snapshot"),
    Head("±", help="how far RSS can be from its value at one moment of the last walk"),
    Head("PEAK"),
    Head("PEAK AT", True),
    Head(
        "GROWTH", help="the robust slope a minute; =: not sure to grow; (in parentheses): of the bill alone"
    ),
    Head("VERDICT", True),
    Head("PROCS", help="processes at its last snapshot"),
    Head("ANON"),
    Head("FILE"),
    Head("SHMEM"),
    Head("HUGETLB"),
    Head("SWAP"),
    Head("EXCL", help="mapped by no other zone"),
    Head("SHARED", help="other zones map it, too"),
    Head("PROP", help="each page divided by the zones that map it; adds up over zones"),
    Head("CHARGED", help="what the kernel bills its cgroup"),
    Head("LIMIT"),
)
_WHERE_ANY = ("±", "HUGETLB", "SWAP", "LIMIT")
"""Columns that are there where a zone has any of it."""


def of_zones(report: Report, zones: Sequence[ZoneReport], in_bytes: bool) -> Markup:
    """Every figure of every zone."""
    cells = [_zone(report, number, zone, in_bytes) for number, zone in enumerate(zones)]
    nothing = (text("–"), text(sizes(in_bytes)(0)))
    kept = [
        place
        for place, head in enumerate(_ZONES)
        if head.name not in _WHERE_ANY or any(row[place] not in nothing for row in cells)
    ]
    heads = [_ZONES[place] for place in kept]
    rows = ([row[place] for place in kept] for row in cells)
    return section(
        "zones",
        tag(
            "label",
            text("Only zones like "),
            tag("input", type="search", id="filter", autocomplete="off"),
            class_="scripted",
        ),
        table("RSS over the time, and all of each zone at its last snapshot", heads, rows, id="table"),
        more(len(report.zones) - len(zones)),
    )


def _zone(report: Report, number: int, zone: ZoneReport, in_bytes: bool) -> list[Markup]:
    size, usage = sizes(in_bytes), zone.usage
    after = (
        *(usage.anon_bytes, usage.file_bytes, usage.shmem_bytes, usage.hugetlb_bytes, usage.swap_bytes),
        *(usage.exclusive_bytes, usage.shared_bytes, usage.proportional_bytes),
        *(usage.charged_bytes, usage.limit_bytes),
    )
    return [
        tag("a", short_name(usage.zone), href=f"#zone-{number}"),
        text(size(zone.first.size_bytes)),
        text(size(zone.last.size_bytes)),
        text(size(usage.uncertainty_bytes)),
        text(size(zone.peak.size_bytes)),
        tag("time", text(when(report, zone.peak.seconds))),
        text(pace_text(zone.verdict, size)),
        verdict_word(zone),
        text(str(usage.processes)),
        *(text(size(amount)) for amount in after),
    ]


# ---- everyone's numbers ----------------------------------------------------------------------------------


def numbers(zones: Sequence[ZoneReport], closeup: Closeup | None, in_bytes: bool) -> Markup:
    """What each tool prints of each zone, and by which formula."""
    rows = {} if closeup is None else closeup.numbers
    shown = [zone.usage.zone for zone in zones if zone.usage.zone in rows]
    if not shown:
        return NOTHING
    size = sizes(in_bytes)
    titles = max((rows[zone] for zone in shown), key=_told)
    known = [
        place for place in range(len(titles)) if any(rows[zone][place].bytes is not None for zone in shown)
    ]
    heads = [
        Head("ZONE", True),
        *(
            Head(titles[place].name, help=f"{titles[place].formula}: {titles[place].answers}")
            for place in known
        ),
    ]
    cells = ([short_name(zone), *(text(size(rows[zone][place].bytes)) for place in known)] for zone in shown)
    missing = [one.name for place, one in enumerate(titles) if place not in known]
    return section(
        "numbers",
        paragraph("What each tool prints, by its own formula, at the last snapshot.", class_="note"),
        table("Everyone's numbers", heads, cells),
        paragraph(f"Not known from a recording: {', '.join(missing)}.", class_="note")
        if missing
        else NOTHING,
        details(text("The formulas"), _formulas(titles)),
    )


def _told(numbers: Sequence[Number]) -> int:
    return sum(number.bytes is not None for number in numbers)


def _formulas(titles: Sequence[Number]) -> Markup:
    heads = [Head("WHO", True), Head("FORMULA", True), Head("ANSWERS", True), Head("OF", True)]
    rows = (
        [
            *(text(part) for part in (one.name, one.formula, one.answers)),
            text("its cgroup with the zones below it" if one.whole_cgroup else "the zone's own processes"),
        ]
        for one in titles
    )
    return table("By which formula each tool counts", heads, rows)


# ---- processes -------------------------------------------------------------------------------------------

_PROCESSES = (
    Head("PID"),
    Head("COMMAND", True),
    Head("ZONE", True),
    *(Head(title) for title in ("FIRST", "LAST", "PEAK", "GROWTH")),
    Head("VERDICT", True),
    *(Head(title) for title in ("EXCL", "PROP", "SWAP")),
    Head("BECAUSE", True),
)


def processes(report: Report, limit: int | None, in_bytes: bool) -> Markup:
    """Those that grow, and the largest."""
    found = report.processes[:limit]
    if not found:
        return NOTHING
    growing = [process for process in found if process.verdict.bytes_per_second]
    others = [process for process in found if not process.verdict.bytes_per_second][:MOST_PROCESSES]
    left = len(report.processes) - len(growing) - len(others)
    return section(
        "processes",
        table(
            "Those that grow, the fastest first; then the largest",
            _PROCESSES,
            (_process(process, in_bytes) for process in (*growing, *others)),
        ),
        paragraph(f"{counted(left, 'process', 'processes')} more.", class_="note") if left else NOTHING,
    )


def _process(process: ProcessReport, in_bytes: bool) -> list[Markup]:
    size, usage = sizes(in_bytes), process.usage
    return [
        text(str(usage.pid)),
        short_name(usage.command),
        short_name(usage.zone),
        *(text(figure) for figure in _course(process, in_bytes)),
        *(
            text(size(amount))
            for amount in (usage.exclusive_bytes, usage.proportional_bytes, usage.swap_bytes)
        ),
        text(process.verdict.because if process.verdict.bytes_per_second else ""),
    ]


def _course(course: Course, in_bytes: bool) -> list[str]:
    size = sizes(in_bytes)
    points = (course.first, course.last, course.peak)
    return [*(size(point.size_bytes) for point in points), pace_text(course.verdict, size), word(course)]
