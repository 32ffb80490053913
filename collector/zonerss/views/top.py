"""What top shows: zones with trend, churn and uncertainty; for one zone its processes and with whom it shares.

Pure: from snapshots to rows and lines of text. The screen is :mod:`zonerss.views.top_app`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from zonerss.answers.share import pairs
from zonerss.census.tree import TreeNode
from zonerss.census.usage import zone_names
from zonerss.records import Usage
from zonerss.snapshot import Snapshot
from zonerss.units import format_percent, format_size, memory_bytes
from zonerss.views.columns import (
    CHARGED,
    COMMAND,
    EXCLUSIVE,
    NPROC,
    PID,
    PROPORTIONAL,
    RSS,
    SHARED,
    SIZE,
    UNCERTAINTY,
    ZONE,
    Column,
    cell,
    user_column,
)
from zonerss.views.footer import remarks
from zonerss.views.table import render_rows, render_table, sort_records
from zonerss.views.text import printable

_BARS = "▁▂▃▄▅▆▇█"
TREND_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A zone as top shows it."""

    usage: Usage
    churn_bytes: float | None
    """What changed around the walk, in bytes a second; None: not known."""
    trend: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.usage, name)


CHURN = Column(
    "churn",
    "CHURN/s",
    "memory that was mapped or unmapped during the walk, per second",
    lambda row: row.churn_bytes,
    text=lambda value: format_size(round(value)),
)
TREND = Column("trend", "TREND", "rss in the latest snapshots, from 0", lambda row: row.trend, left=True)

TOP_COLUMNS = (RSS, UNCERTAINTY, CHURN, EXCLUSIVE, SHARED, NPROC)
"""What zones can be sorted by, in the order of the key."""
SHOWN = (NPROC, RSS, UNCERTAINTY, CHURN, EXCLUSIVE, SHARED, TREND, ZONE)
WIDE = 100
"""Columns of a terminal from which on CHARGED and PROP are shown as well."""


class Mode(StrEnum):
    """What is on the screen."""

    ZONES = "zones"
    TREE = "tree"
    PROCESSES = "processes"
    SHARING = "sharing"
    EXPLAIN = "explain"
    HELP = "help"


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one look at the machine."""

    snapshot: Snapshot
    lines: Sequence[str] = ()
    """Of the modes that need more than the snapshot (tree, explain)."""


def shown_columns(width: int) -> tuple[Column, ...]:
    """The columns of the zones that a terminal of this width has room for; below 80 the lesser ones go."""
    if width >= WIDE:
        return (NPROC, RSS, UNCERTAINTY, CHURN, EXCLUSIVE, SHARED, PROPORTIONAL, CHARGED, TREND, ZONE)
    if width < 70:
        return (RSS, UNCERTAINTY, CHURN, TREND, ZONE)
    return SHOWN


class History:
    """The latest rss of each zone, for the trend."""

    def __init__(self, length: int = TREND_LENGTH) -> None:
        self._length = length
        self._of: dict[str, deque[int]] = {}

    def add(self, snapshot: Snapshot) -> None:
        """Note a snapshot; zones that are no more are forgotten."""
        new = {}
        for usage in snapshot.zones:
            line = self._of.get(usage.zone, deque(maxlen=self._length))
            line.append(usage.rss_bytes)
            new[usage.zone] = line
        self._of = new

    def trend(self, zone: str) -> str:
        """A bar for each snapshot, the newest on the right."""
        return sparkline(tuple(self._of.get(zone, ())))


def sparkline(values: Sequence[int]) -> str:
    """Bars between 0 and the largest value."""
    most = max(values, default=0)
    if not most:
        return _BARS[0] * len(values)
    return "".join(_BARS[round(value / most * (len(_BARS) - 1))] for value in values)


def zone_rows(snapshot: Snapshot, history: History, sort: Column, matching: str = "") -> list[Row]:
    """The zones whose name has ``matching`` in it, whatever the case, largest first."""
    seconds = (snapshot.ended - snapshot.began).total_seconds()
    rows = [
        Row(usage, churn_of(usage, seconds), history.trend(usage.zone))
        for usage in snapshot.zones
        if matching.casefold() in usage.zone.casefold()
    ]
    return sort_records(rows, sort)


def churn_of(usage: Usage, seconds: float) -> float | None:
    """What changed in a zone while it was looked at, as a rate in bytes a second."""
    if usage.uncertainty_bytes is None or seconds <= 0:
        return None
    return usage.uncertainty_bytes / seconds


def headline(snapshot: Snapshot, sort: Column, paused: bool = False, matching: str = "") -> str:
    """One line above the table: all zones together."""
    total = snapshot.total
    parts = [
        f"{len(snapshot.zones)} zones",
        f"{total.processes} processes",
        f"{format_size(total.rss_bytes)} {cell(UNCERTAINTY, total)} "
        f"({format_percent(total.rss_bytes, memory_bytes())})",
        f"{(snapshot.ended - snapshot.began).total_seconds() * 1000:.0f} ms by {snapshot.source}",
        f"by {sort.name}",
    ]
    if snapshot.uncertainty == "net":
        parts.append("± net only")
    if snapshot.gaps:
        parts.append(f"{len(snapshot.gaps)} gaps")
    if matching:
        parts.append(f"/{printable(matching)}")
    if paused:
        parts.append("PAUSED")
    return ", ".join(parts)


def sharing_lines(snapshot: Snapshot, zone: str) -> list[str]:
    """With whom a zone shares how much, most first."""
    found, _ = pairs(snapshot.parts, zone_names(snapshot.members))
    rows = []
    for pair in found:
        if zone in pair.zones and pair.bytes:
            other = pair.zones[1] if pair.zones[0] == zone else pair.zones[0]
            rows.append([format_size(pair.bytes), printable(other)])
    if not rows:
        return [f"{printable(zone)} shares no page with another zone."]
    return [f"What {printable(zone)} and another zone both map:", "", *_table(("SHARED", "WITH"), rows)]


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return render_rows(headers, rows, [False] * (len(headers) - 1) + [True])


def process_lines(snapshot: Snapshot, zone: str, users: Mapping[int, str]) -> list[str]:
    """The processes of a zone, largest first; users: login names by user id."""
    rows = [process for process in snapshot.processes or () if process.zone == zone]
    if not rows:
        return [f"{printable(zone)} has no process any more."]
    columns = (PID, user_column(users), SIZE, RSS, EXCLUSIVE, PROPORTIONAL, COMMAND)
    return render_table(columns, sort_records(rows, RSS))


def tree_lines(nodes: Sequence[TreeNode]) -> list[str]:
    """The cgroups that hold processes, each with all below it, largest first; narrow enough for 80 columns."""
    below: dict[str | None, list[TreeNode]] = {}
    for node in sorted(nodes, key=lambda node: node.usage.rss_bytes):
        below.setdefault(node.parent, []).append(node)
    rows, todo = [], list(below.get(None, ()))
    while todo:
        node = todo.pop()
        todo += below.get(node.usage.zone, ())
        sizes = (cell(column, node.usage) for column in (NPROC, RSS, EXCLUSIVE, SHARED))
        name = node.usage.zone.rpartition("/")[2] or "/"
        rows.append([*sizes, "  " * node.depth + printable(name)])
    return _table(("NPROC", "RSS", "EXCL", "SHARED", "CGROUP"), rows)


def help_lines(keys: Sequence[tuple[str, str]]) -> list[str]:
    """The keys, and what the columns mean."""
    columns = [(column.header, column.help) for column in (*SHOWN[:-1], PROPORTIONAL, CHARGED)]
    width = max(len(name) for name, _ in (*keys, *columns))
    return [
        *(f"{name:>{width}}  {what}" for name, what in keys),
        "",
        *(f"{name:>{width}}  {what}" for name, what in columns),
        "",
        "The mouse chooses a row; a click on a column's header sorts by it.",
    ]


def batch_lines(snapshot: Snapshot, history: History, sort: Column, limit: int | None) -> list[str]:
    """A snapshot for a pipe or a file: the table, then prstat's kind of last line."""
    rows = zone_rows(snapshot, history, sort)[:limit]
    columns = tuple(column for column in SHOWN if column is not TREND)
    table = [[cell(column, row) for column in columns] for row in rows]
    lines = render_rows([c.header for c in columns], table, [c.left for c in columns])
    return [*lines, f"Total: {headline(snapshot, sort)}", *remarks(snapshot), ""]
