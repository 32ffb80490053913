"""What the charts of a page draw, as JSON: columns of whole KiB, each figure as the change to the one before it.

Most figures of a quiet zone do not change, and a change of nothing takes two characters. Where a snapshot is missing a
column has null, and no line is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any

from zonerss.answers.closeup import Closeup
from zonerss.answers.report import MachineLook, Report, ZoneReport
from zonerss.answers.trend import evenly, holes
from zonerss.views.text import printable

KINDS = ("anon", "file", "shmem", "hugetlb")
"""The layers of a zone: rss, and hugetlb pages beside it."""
LAYERS = 11
"""So many zones have a layer of their own in the machine's chart."""
_POINTS = 60_000
"""Of all zones together; so a page with a thousand of them can be opened."""
_LEAST_POINTS = 60
_KIB = 1024
Figures = Sequence[int | None]


def charts(report: Report, closeup: Closeup | None, zones: Sequence[ZoneReport]) -> dict[str, Any]:
    """
    All that the charts draw.

    :param zones: those that have a section, in its order
    """
    looks, chosen = report.looks, looks_of_zones(report, len(zones))
    return {
        "times": packed([round(look.began.timestamp()) for look in looks], 1),
        "offset": _offset_seconds(looks[-1].began),
        "holes": holes(report.seconds),
        "machine": _machine(looks),
        "layers": _layers(report),
        "zone_looks": packed(chosen, 1),
        "zones": [_zone(zone, chosen) for zone in zones],
        "treemap": [] if closeup is None else _treemap(closeup),
        "heat": None if closeup is None else _heat(closeup),
    }


def _offset_seconds(when: datetime) -> int:
    offset = when.astimezone().utcoffset()
    return 0 if offset is None else round(offset.total_seconds())


def packed(figures: Figures, unit: int = _KIB) -> list[int | None]:
    """In units, rounded; each but the first as the change to the last one that is known."""
    found: list[int | None] = []
    before = 0
    for figure in figures:
        if figure is None:
            found.append(None)
            continue
        rounded = round(figure / unit)
        found.append(rounded - before)
        before = rounded
    return found


def _columns(**columns: Figures) -> dict[str, list[int | None]]:
    """Those in which there is anything."""
    return {name: packed(column) for name, column in columns.items() if any(column)}


# ---- the machine -----------------------------------------------------------------------------------------


def _machine(looks: Sequence[MachineLook]) -> dict[str, Any]:
    return _columns(
        **{kind: [getattr(look.total, f"{kind}_bytes") for look in looks] for kind in KINDS},
        swap=[look.total.swap_bytes for look in looks],
        uncertainty=[look.total.uncertainty_bytes for look in looks],
    )


def layers(report: Report) -> list[tuple[ZoneReport | None, Figures]]:
    """
    What the machine's rss is made of: the portions of the largest zones, and of all others together (None).

    A zone that was not there had nothing. Empty where portions are not known, since only some zones were recorded.
    """
    totals = [look.total.rss_bytes for look in report.looks]
    spread = {id(zone): column for zone in report.zones if (column := _spread(zone, len(totals))) is not None}
    if len(spread) < len(report.zones):
        return []
    largest = sorted(report.zones, key=lambda zone: -sum(spread[id(zone)]))[:LAYERS]
    if len(report.zones) == LAYERS + 1:
        largest = list(report.zones)
    found: list[tuple[ZoneReport | None, Figures]] = [(zone, spread[id(zone)]) for zone in largest]
    if len(largest) < len(report.zones):
        shown = [sum(column) for column in zip(*(spread[id(zone)] for zone in largest), strict=True)]
        rest = [max(total - part, 0) for total, part in zip(totals, shown, strict=True)]
        found.append((None, rest))
    return found


def _spread(zone: ZoneReport, count: int) -> list[int] | None:
    """Its portions, one for each look of the machine; None: one of them is not known."""
    found = [0] * count
    for look, portion in zip(zone.rows.column("look"), zone.rows.column("proportional"), strict=True):
        if portion is None or look is None:
            return None
        found[look] = portion
    return found


def _layers(report: Report) -> list[dict[str, Any]]:
    return [
        {"name": None if zone is None else _name(zone.usage.zone), "bytes": packed(column)}
        for zone, column in layers(report)
    ]


# ---- zones -----------------------------------------------------------------------------------------------


def looks_of_zones(report: Report, zones: int) -> list[int]:
    """The numbers of the looks that the charts of zones have: fewer, the more zones there are."""
    most = max(_POINTS // max(zones, 1), _LEAST_POINTS)
    return evenly(report.seconds, most)


def _zone(zone: ZoneReport, looks: Sequence[int]) -> dict[str, Any]:
    rows = zone.rows
    place = {look: row for row, look in enumerate(rows.column("look"))}
    chosen = [(number, place[look]) for number, look in enumerate(looks) if look in place]
    there: dict[str, Any] = {}
    if len(chosen) < len(looks):
        there["at"] = packed([number for number, _ in chosen], 1)

    def column(name: str) -> Figures:
        values = rows.column(name)
        return [values[row] for _, row in chosen]

    return there | _columns(
        **{name: column(name) for name in (*KINDS, "swap", "charged", "uncertainty")},
    )


# ---- the last snapshot -----------------------------------------------------------------------------------


def _treemap(closeup: Closeup) -> list[list[Any]]:
    return [
        [_name(portion.zone), *(_kib(portion.anon_bytes, portion.file_bytes, portion.shmem_bytes))]
        for portion in closeup.portions
        if portion.bytes
    ]


def _heat(closeup: Closeup) -> dict[str, Any] | None:
    if not closeup.heat:
        return None
    number = {zone: place for place, zone in enumerate(closeup.heat_zones)}
    cells = [[*(number[zone] for zone in pair.zones), *_kib(pair.bytes)] for pair in closeup.heat]
    return {"zones": [_name(zone) for zone in closeup.heat_zones], "pairs": cells}


def _kib(*sizes: int) -> Iterable[int]:
    return (round(size / _KIB) for size in sizes)


def _name(zone: str) -> str:
    return printable(zone, "utf-8")


def hole_times(report: Report) -> list[tuple[datetime, datetime]]:
    """From which snapshot until which one there is none."""
    ends = list(pairwise(look.began for look in report.looks))
    return [ends[number] for number in holes(report.seconds)]
