"""What a cap would have done: rss against cap as a picture of text, or a document."""

from __future__ import annotations

from bisect import bisect_right
from datetime import datetime
from itertools import pairwise
from typing import Any

from zonerss.cap.playback import Replayed
from zonerss.cap.records import Cap
from zonerss.cap.simulate import Point, Simulated
from zonerss.units import counted, format_size
from zonerss.views.columns import sizes
from zonerss.views.document import Listing, time_text
from zonerss.views.run import seconds_text
from zonerss.views.table import render_rows
from zonerss.views.terminal import here
from zonerss.views.text import encodable, printable

RSS, TAKEN, CAP = "█", "░", "–"
"""What a zone would have had; what more it had without the cap; the cap, where neither is."""
_HEIGHT = 9
_MARGIN = 11
_USUAL_WIDTH, _MOST_WIDTH = 80, 120
_EVENTS = 12
"""So many things that were done are told of each zone, the first and the last ones."""


def render(found: Replayed, in_bytes: bool = False) -> list[str]:
    """For each zone a picture and what was done, then a table, then what it rests on."""
    lines = []
    width = min(here().width or _USUAL_WIDTH, _MOST_WIDTH) - _MARGIN
    for zone in found.simulated.caps:
        lines += [printable(zone), *chart(found.simulated, zone, width), *_times(found, width), ""]
        lines += [*_events(found, zone), ""]
    return [*lines, *table(found.simulated, in_bytes), "", *_remarks(found)]


def chart(found: Simulated, zone: str, width: int) -> list[str]:
    """
    The rss of a zone over time, and what it would have been without its cap.

    :param width: columns, its labels not counted
    """
    cap_bytes = found.caps[zone].cap_bytes
    bins = _binned(found, zone, width)
    most = max([cap_bytes, *(without for _, without in bins)])
    cap_row = max(-(-cap_bytes * _HEIGHT // most), 1) if most else 1
    lines = []
    for row in range(_HEIGHT, 0, -1):
        least = most * (row - 0.5) / _HEIGHT
        fill = CAP if row == cap_row else " "
        cells = (RSS if rss >= least else TAKEN if without >= least else fill for rss, without in bins)
        lines.append(f"{_label(row, cap_row, most, cap_bytes):>{_MARGIN - 1}} {''.join(cells)}".rstrip())
    return lines


def _label(row: int, cap_row: int, most: int, cap_bytes: int) -> str:
    if row == cap_row:
        return f"cap {format_size(cap_bytes)}"
    return format_size(most) if row == _HEIGHT else ""


def _binned(found: Simulated, zone: str, width: int) -> list[tuple[int, int]]:
    """For each column the greatest rss in its time, with and without the cap."""
    points = found.points[zone]
    span = max(found.ended_ns - found.began_ns, 1)
    edges = [found.began_ns + span * column // width for column in range(width)]
    edges.append(found.ended_ns + 1)  # what was seen last is in the last column
    bins = []
    for begin, end in pairwise(edges):
        first = max(bisect_right(points, begin, key=lambda point: point.at_ns) - 1, 0)
        last = bisect_right(points, max(end - 1, begin), key=lambda point: point.at_ns)
        within = points[first : max(last, first + 1)]
        rss = max((point.rss_bytes for point in within), default=0)
        bins.append((rss, max((point.without_bytes for point in within), default=0)))
    return bins


def _times(found: Replayed, width: int) -> list[str]:
    same_day = found.began.date() == found.ended.date()
    how = "%H:%M:%S" if same_day else "%Y-%m-%d %H:%M"
    first, last = (when.strftime(how) for when in (found.began, found.ended))
    return [" " * _MARGIN + first + last.rjust(max(width - len(first), len(last) + 1))]


def _events(found: Replayed, zone: str) -> list[str]:
    """What was done, in the order of time."""
    events = [event for event in found.simulated.events if event.zone == zone]
    lines = [f"  {found.time(event.at_ns):%H:%M:%S}  {printable(event.text)}" for event in events]
    if len(lines) <= _EVENTS:
        return lines or ["  nothing would have been done"]
    half = _EVENTS // 2
    return [*lines[:half], f"  ... {len(lines) - 2 * half} more ...", *lines[-half:]]


def table(found: Simulated, in_bytes: bool = False) -> list[str]:
    """The zones and what was done to them."""
    size = sizes(in_bytes)
    rows = []
    for zone, cap in found.caps.items():
        state, points = found.states[zone], found.points[zone]
        rows.append(
            [
                printable(zone),
                size(cap.cap_bytes),
                str(state.nover),
                size(state.pout_bytes),
                size(state.refault_bytes),
                seconds_text(over_seconds(found, zone, with_cap=False)),
                seconds_text(over_seconds(found, zone, with_cap=True)),
                size(points[-1].rss_bytes if points else 0),
                str(found.walks[zone]),
            ]
        )
    headers = ["ZONE", "CAP", "NOVER", "POUT", "REFAULT", "OVER WITHOUT", "OVER WITH", "RSS", "WALKS"]
    return render_rows(headers, rows, [True, *[False] * 8])


def over_seconds(found: Simulated, zone: str, with_cap: bool) -> float:
    """For how long a zone was above its cap."""
    points, cap = found.points[zone], found.caps[zone].cap_bytes
    total = 0
    for number, point in enumerate(points):
        until_ns = points[number + 1].at_ns if number + 1 < len(points) else found.ended_ns
        size_bytes = point.rss_bytes if with_cap else point.without_bytes
        total += until_ns - point.at_ns if size_bytes > cap else 0
    return total / 1e9


def _remarks(found: Replayed) -> list[str]:
    share = f"{100 * found.cold_share:g} %"
    most = " So it is the most that would have been paged out." if found.cold_share == 1 else ""
    return [
        f"From {counted(found.snapshots, 'snapshot')} of {printable(found.host_name)}. No recording tells which pages "
        f"are cold, or mapped by several processes of one zone: this is how it would have been if {share} of what only "
        f"the zone maps had been cold, and all of it mapped once.{most}",
        f"{RSS} RSS  {TAKEN} what it had besides, without the cap",
    ]


def document(found: Replayed) -> dict[str, Any]:
    """``zonerss.cap-simulation/1`` (docs/cap-policy.md)."""
    simulated = found.simulated
    return Listing(
        {
            "schema": "zonerss.cap-simulation/1",
            "host_name": encodable(found.host_name),
            "began": time_text(found.began),
            "ended": time_text(found.ended),
            "snapshots": found.snapshots,
            "cold_share": found.cold_share,
            "cold_seconds": found.settings.cold_ns / 1e9,
            "threshold": found.settings.threshold,
            "zones": [_zone(found, zone, cap) for zone, cap in simulated.caps.items()],
        }
    )


def _zone(found: Replayed, zone: str, cap: Cap) -> dict[str, Any]:
    simulated = found.simulated
    state, points = simulated.states[zone], simulated.points[zone]
    return {
        "zone": encodable(zone),
        "cap_bytes": cap.cap_bytes,
        "floor_bytes": cap.floor_bytes,
        "nover": state.nover,
        "pout_bytes": state.pout_bytes,
        "refault_bytes": state.refault_bytes,
        "over_seconds": round(over_seconds(simulated, zone, with_cap=True), 3),
        "over_seconds_without_cap": round(over_seconds(simulated, zone, with_cap=False), 3),
        "walks": simulated.walks[zone],
        "points": [_point(point, found.time(point.at_ns)) for point in points],
        "actions": [
            {"time": time_text(found.time(event.at_ns)), "text": encodable(event.text)}
            for event in simulated.events
            if event.zone == zone
        ],
    }


def _point(point: Point, time: datetime) -> dict[str, Any]:
    return {
        "time": time_text(time),
        "rss_bytes": point.rss_bytes,
        "rss_bytes_without_cap": point.without_bytes,
        "pout_bytes": point.pout_bytes,
        "refault_bytes": point.refault_bytes,
        "phase": point.phase.value,
    }
