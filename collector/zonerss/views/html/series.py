"""What the charts of a page draw, as JSON: columns of whole KiB, each figure as the change to the one before it.

Most figures of a quiet zone do not change, and a change of nothing takes two characters. Where a snapshot is missing a
column has null, and no line is drawn.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from zonerss.answers.closeup import Closeup, Portion, elsewhere_bytes
from zonerss.answers.report import MachineLook, Report, ZoneReport
from zonerss.answers.trend import evenly, holes
from zonerss.plain import dataclass
from zonerss.views.text import printable

KINDS = ("anon", "file", "shmem", "hugetlb")
"""The layers of a zone: rss, and hugetlb pages beside it."""
LAYERS = 11
"""So many zones have a layer of their own in the machine's chart."""
OTHERS, UNRECORDED = "all other zones", "zones that were not recorded"
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
    times = report.timeline()
    return {
        "times": packed([round(when.timestamp()) for when in times], 1),
        "offsets": offsets(times),
        "holes": holes(report.seconds),
        "machine": _machine(looks),
        "layers": _layers(report),
        "zone_looks": packed(chosen, 1),
        "zones": [_zone(zone, chosen) for zone in zones],
        "treemap": [] if closeup is None else _treemap(closeup),
        "heat": None if closeup is None else _heat(closeup),
    }


def offsets(moments: Sequence[datetime]) -> list[list[int]]:
    """
    By how many seconds local time is ahead of UTC: from when on, in seconds since 1970, and by how much.

    :param moments: in the order of time
    """
    seconds = [math.floor(moment.timestamp()) for moment in moments]
    found = [[seconds[0], _offset(seconds[0])]]
    for before, after in pairwise(seconds):
        ahead = _offset(after)
        if ahead != found[-1][1]:
            between = range(before, after + 1)
            turned = bisect_left(between, True, key=lambda second: _offset(second) == ahead)
            found.append([between[turned], ahead])
    return found


def _offset(second: int) -> int:
    ahead = datetime.fromtimestamp(second, UTC).astimezone().utcoffset()
    return 0 if ahead is None else round(ahead.total_seconds())


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


@dataclass(frozen=True, slots=True)
class Layer:
    """One of those that the machine's rss is made of."""

    zone: ZoneReport | None
    """None: of several zones."""
    label: str
    column: Figures
    """Bytes, one figure for each look of the machine."""


def layers(report: Report) -> list[Layer]:
    """
    The portions of the largest zones; of all others together; and of zones that were not recorded.

    A zone that was not there had nothing. They add up to the rss of all. Empty where portions are not known.
    """
    spread = {
        id(zone): column for zone in report.zones if (column := _spread(zone, len(report.looks))) is not None
    }
    elsewhere = [elsewhere_bytes(look.total) for look in report.looks]
    if len(spread) < len(report.zones) or None in elsewhere:
        return []
    largest = sorted(report.zones, key=lambda zone: -sum(spread[id(zone)]))[:LAYERS]
    if len(report.zones) == LAYERS + 1:
        largest = list(report.zones)
    found = [Layer(zone, _name(zone.usage.zone), spread[id(zone)]) for zone in largest]
    if len(largest) < len(report.zones):
        shown = [sum(column) for column in zip(*(spread[id(zone)] for zone in largest), strict=True)]
        portions = [look.total.proportional_bytes or 0 for look in report.looks]
        rest = [max(total - part, 0) for total, part in zip(portions, shown, strict=True)]
        found.append(Layer(None, OTHERS, rest))
    if any(elsewhere):
        found.append(Layer(None, UNRECORDED, elsewhere))
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
    beside = {OTHERS: LAYERS, UNRECORDED: LAYERS + 1}
    return [
        {
            "name": layer.label,
            "colour": number if layer.zone else beside[layer.label],
            "bytes": packed(layer.column),
        }
        for number, layer in enumerate(layers(report))
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
    return [[_name(portion.zone), *_sizes(portion)] for portion in closeup.portions if portion.bytes] + (
        [] if closeup.rest is None else [[UNRECORDED, *_sizes(closeup.rest)]]
    )


def _heat(closeup: Closeup) -> dict[str, Any] | None:
    if not closeup.heat:
        return None
    number = {zone: place for place, zone in enumerate(closeup.heat_zones)}
    cells = [[*(number[zone] for zone in pair.zones), *_kib(pair.bytes)] for pair in closeup.heat]
    return {"zones": [_name(zone) for zone in closeup.heat_zones], "pairs": cells}


def _sizes(portion: Portion) -> Iterable[int]:
    return _kib(portion.anon_bytes, portion.file_bytes, portion.shmem_bytes)


def _kib(*sizes: int) -> Iterable[int]:
    return (round(size / _KIB) for size in sizes)


def _name(zone: str) -> str:
    return printable(zone, "utf-8")


def hole_times(report: Report) -> list[tuple[datetime, datetime]]:
    """From which snapshot until which one there is none."""
    ends = list(pairwise(report.timeline()))
    return [ends[number] for number in holes(report.seconds)]
