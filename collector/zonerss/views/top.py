"""What top shows: zones with bars, growth and trend; for one zone its processes, and with whom it shares.

Pure: from snapshots to cells and lines of text. The screen is :mod:`zonerss.views.top_app`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
from typing import Any

from zonerss.answers.growth import Growth
from zonerss.answers.marks import Mark
from zonerss.answers.wss import ZoneTouched
from zonerss.cap.status import ZoneStatus
from zonerss.census.tree import TreeNode
from zonerss.plain import dataclass, replace
from zonerss.records import ProcessUsage, Usage
from zonerss.snapshot import Snapshot
from zonerss.units import counted, format_percent, format_size
from zonerss.views.bars import bar, legend
from zonerss.views.cap import CAP, COLD, EXCESS, NOVER, POUT, REFAULT, WORKING_SET
from zonerss.views.columns import (
    COMMAND,
    EXCLUSIVE,
    MORE_ZONE_COLUMNS,
    NPROC,
    PID,
    PROPORTIONAL,
    RSS,
    SHARED,
    SIZE,
    UNCERTAINTY,
    ZONE,
    ZONE_COLUMNS,
    Column,
    cell,
    choose,
    of_machine,
    shown,
    sort_column,
    user_column,
)
from zonerss.views.footer import remarks, took
from zonerss.views.screen import (
    BARS,
    ORDER,
    fitted,
    natural_width,
    signs_of,
    speed_text,
    styles_of,
    texts_of,
)
from zonerss.views.table import GAP, render_rows, render_table, sort_records
from zonerss.views.terminal import PLAIN, Style
from zonerss.views.text import cells, printable, shorten, wrap
from zonerss.views.wss import TOUCHED, UNKNOWN

_LEVELS = "▁▂▃▄▅▆▇█"
TREND_LENGTH = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A zone as top shows it; it has all fields of its usage, too."""

    usage: Usage
    churn_bytes: float | None = None
    """How much its rss moved up and down from snapshot to snapshot, in bytes a second; None: not known yet."""
    growth_bytes: float | None = None
    """By how much its rss grows a minute, 0 where that is not sure; None: not known yet."""
    trend: str = ""
    capped: ZoneStatus | None = None
    """What a capper that runs says of it; None: none runs, or it has no cap."""
    touched: ZoneTouched | None = None
    """What it has touched since the snapshot before; None: not asked for, or not known yet."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self.usage, name)


CHURN = Column(
    "churn",
    "CHURN/s",
    "how much rss moved up and down between snapshots, a second",
    lambda row: None if row.churn_bytes is None else round(row.churn_bytes),
    size=True,
)
GROWS = Column(
    "grows",
    "GROWS",
    "by how much rss grows a minute, over the latest 30 snapshots; =: not surely at all",
    lambda row: row.growth_bytes,
    text=speed_text,
)
TREND = Column(
    "trend",
    "TREND",
    "rss in the latest snapshots, between its least and greatest",
    lambda row: row.trend,
    left=True,
)

CAP_COLUMNS = tuple(
    replace(column, value=partial(lambda value, row: row.capped and value(row.capped), column.value))
    for column in (CAP, EXCESS, NOVER, POUT, REFAULT, COLD, WORKING_SET)
)
"""Of zones under a cap, by what a capper that runs says (docs/cap.md); shown where they are asked for."""

WSS_COLUMNS = tuple(
    replace(
        column,
        help=text,
        value=partial(lambda value, row: row.touched and value(row.touched), column.value),
    )
    for column, text in (
        (TOUCHED, "touched since the snapshot before: accessed bits are cleared after each (wss)"),
        (UNKNOWN, "of rss, not in touched: its accessed bits could not be cleared (wss)"),
    )
)
"""Of working sets (docs/wss.md); accessed bits are cleared only where one of them is asked for."""

SORTED_BY = {TREND.name: GROWS, BARS.name: RSS}
"""What a column of pictures is sorted by."""
TOP_COLUMNS = (*ZONE_COLUMNS, *MORE_ZONE_COLUMNS, CHURN, GROWS, *CAP_COLUMNS, *WSS_COLUMNS)
"""What zones can be sorted by."""
SHOWN = (*ORDER, CHURN, GROWS, TREND)
"""From left to right, where there is room."""
_FIRST = ("zone", "rss", "kinds", "grows", "exclusive", "charged", "limit", "trend", "uncertainty", "used")
_THEN = (
    "churn",
    "oom",
    "pressure",
    "hugetlb",
    "swap",
    "processes",
    "shared",
    "kind",
    "proportional",
    "process_rss",
)
"""In which order they get room."""
BATCH = tuple(column for column in SHOWN if column not in (BARS, TREND))

_USUAL_SIZE, _USUAL_SPEED = len("1023M"), len("+9.9M/min ▲")
"""Columns are as wide as these at least, so that they seldom move."""


class Mode(StrEnum):
    """What is on the screen."""

    ZONES = "zones"
    ZONE = "zone"
    PROCESSES = "processes"
    SHARING = "sharing"
    EXPLAIN = "explain"
    TREE = "tree"
    HELP = "help"

    @property
    def of_one_zone(self) -> bool:
        """Whether it is about the zone that was chosen."""
        return self in (Mode.ZONE, Mode.PROCESSES, Mode.SHARING, Mode.EXPLAIN)


Lines = Callable[[int], Sequence[str]]
"""Lines for a terminal of so many columns, painted or plain."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of one look at the machine."""

    snapshot: Snapshot
    rows: tuple[Row, ...] = ()
    """Its zones; none in the mode TREE, where they are cgroups."""
    page: Lines | None = None
    """What all modes but ZONES and HELP show."""
    marks: tuple[Mark, ...] = ()
    """What stands out among its zones."""


def find_order(name: str) -> Column:
    """
    What --sort asks for.

    :raises UsageError: there is no such column
    """
    column = sort_column(name, (*TOP_COLUMNS, BARS, TREND))
    return replace(SORTED_BY.get(column.name, column), reverse=column.reverse)


def find_columns(names: str, default: Sequence[Column]) -> tuple[Column, ...]:
    """
    What -o asks for.

    :param default: to which a + adds
    :raises UsageError: there is no such column
    """
    return choose(names, default, (*TOP_COLUMNS, BARS, TREND))


def named_first(names: str) -> tuple[str, ...]:
    """
    The names of the columns that -o names, which get room before all others.

    :raises UsageError: there is no such column
    """
    return tuple(column.name for column in choose(names.removeprefix("+"), (), (*TOP_COLUMNS, BARS, TREND)))


def sorted_by(sort: Column, column: Column) -> Column:
    """The order after a column was chosen for it; by the same one again: the other way round."""
    column = SORTED_BY.get(column.name, column)
    return replace(column, reverse=column.name == sort.name and not sort.reverse)


# ---- over several snapshots ----


def rows_of(
    snapshot: Snapshot,
    growth: Growth,
    caps: Mapping[str, ZoneStatus] | None = None,
    touched: Mapping[str, ZoneTouched] | None = None,
) -> tuple[Row, ...]:
    """
    The zones of a snapshot with all that is known of them.

    :param growth: of the snapshots before; this one is added to it
    :param caps: what a capper that runs says of those that have a cap
    :param touched: what they have touched since the snapshot before, where that is known
    """
    growth.add(snapshot)
    return tuple(
        Row(
            usage,
            growth.churn(usage.zone),
            growth.bytes_per_minute(usage.zone),
            sparkline(growth.sizes(usage.zone, TREND_LENGTH)),
            (caps or {}).get(usage.zone),
            (touched or {}).get(usage.zone),
        )
        for usage in snapshot.zones
    )


def sparkline(values: Sequence[int]) -> str:
    """Bars between the least and the greatest value; the lowest ones where all are equal."""
    if not values:
        return ""
    least, range_ = min(values), (max(values) - min(values)) or 1
    return "".join(_LEVELS[round((value - least) / range_ * (len(_LEVELS) - 1))] for value in values)


def matching_rows(rows: Sequence[Row], sort: Column, matching: str) -> list[Row]:
    """The zones whose name has ``matching`` in it, whatever the case, in order."""
    wanted = matching.casefold()
    return sort_records([row for row in rows if wanted in row.zone.casefold()], sort)


# ---- the table of zones ----


@dataclass(frozen=True, slots=True)
class Table:
    """The zones, laid out for a width."""

    columns: tuple[Column, ...]
    headers: tuple[str, ...]
    widths: tuple[int, ...]
    zones: tuple[str, ...]
    """Of each row."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, painted."""
    left_out: tuple[str, ...] = ()
    """Headers of columns that were asked for and have no room."""


def lay_out(
    rows: Sequence[Row],
    sort: Column,
    width: int,
    columns: Sequence[Column] | None = None,
    style: Style = PLAIN.style,
    *,
    in_bytes: bool = False,
    first: Sequence[str] = (),
    marks: Sequence[Mark] = (),
) -> Table:
    """
    The columns that a width has room for; those of least worth leave first.

    :param columns: the user's choice; None: ours
    :param in_bytes: show sizes in whole bytes
    :param first: names of columns that get room before others: those that the user named
    :param marks: have a sign behind the figure that they are about
    """
    signs = signs_of(marks)
    wanted = {column.name: column for column in columns or _ours(SHOWN, rows)}
    texts = {
        name: texts_of(column, rows, in_bytes, signs) for name, column in wanted.items() if name != BARS.name
    }
    full = {name: _width(column, texts.get(name, ()), signs) for name, column in wanted.items()}
    widths = fitted(full, width - GAP, dict.fromkeys((*first, *_FIRST)), _THEN)
    chosen = tuple(column for column in wanted.values() if column.name in widths)
    most = max((row.rss_bytes for row in rows), default=0)

    def painted(column: Column, number: int) -> str:
        room = widths[column.name]
        if column.name == BARS.name:
            return bar(rows[number].usage, most, room, style)
        text = shorten(texts[column.name][number], room)
        return style.paint(text, *styles_of(column, rows[number].usage, text))

    return Table(
        chosen,
        tuple(_header(column, widths[column.name], sort, style) for column in chosen),
        tuple(widths[column.name] for column in chosen),
        tuple(row.zone for row in rows),
        tuple(tuple(painted(column, number) for column in chosen) for number in range(len(rows))),
        tuple(wanted[name].header for name in first if name in wanted and name not in widths),
    )


def _ours(columns: Sequence[Column], rows: Sequence[Row]) -> Sequence[Column]:
    """Without the optional ones of which no row has anything, and without the uncertainty where nobody asked for it."""
    is_known = any(row.usage.uncertainty_bytes is not None for row in rows)
    return shown([column for column in columns if is_known or column.name != UNCERTAINTY.name], rows)


def _width(column: Column, texts: Sequence[str], signs: Mapping[tuple[str, str], str]) -> int:
    """Of all that it shows; of its header, the mark of the order, and the blank above signs."""
    if column.name == TREND.name:
        return TREND_LENGTH
    usual = _USUAL_SIZE if column.size else _USUAL_SPEED if column.name == GROWS.name else 1
    has_sign = any(name == column.name for name, _ in signs) and not column.left
    return max(natural_width(column, column.header + " " * (1 + has_sign), texts), usual)


def _header(column: Column, width: int, sort: Column, style: Style) -> str:
    if column.name == BARS.name:
        return legend(width, style)
    return column.header + ("" if column.name != sort.name else "▼" if sort.descends else "▲")


# ---- the line above ----


def _size_and_doubt(total: Usage, in_bytes: bool) -> str:
    size = cell(RSS, total, in_bytes)
    return size if total.uncertainty_bytes is None else f"{size} {cell(UNCERTAINTY, total, in_bytes)}"


def headline(
    snapshot: Snapshot,
    width: int | None = None,
    paused: bool = False,
    matching: str = "",
    left_out: Sequence[str] = (),
    in_bytes: bool = False,
) -> str:
    """
    One line: all zones together, and what the user has set.

    :param width: in columns; what is worth least is left out. None: all of it
    :param left_out: headers of columns that were asked for and have no room
    :param in_bytes: show sizes in whole bytes
    """
    total, memory = snapshot.total, snapshot.machine.memory_bytes if snapshot.machine else 0
    parts = [  # what it is worth, and it
        (3, counted(len(snapshot.zones), "zone")),
        (5, counted(total.processes, "process", "processes")),
        (2, _size_and_doubt(total, in_bytes)),
        (4, f"{format_percent(total.rss_bytes, memory)} of memory" if memory else ""),
        (7, f"{took(snapshot.ended - snapshot.began)} by {snapshot.source}"),
        (6, counted(len(snapshot.gaps), "gap") if snapshot.gaps else ""),
        (8, "± net only" if snapshot.uncertainty == "net" else ""),
        (1, f"/{shorten(printable(matching), 20)}" if matching else ""),
        (1, f"no room for {' '.join(left_out)}" if left_out else ""),
        (0, "PAUSED" if paused else ""),
    ]
    parts = [part for part in parts if part[1]]
    while width is not None and len(parts) > 1 and cells(_joined(parts)) > width:
        parts.remove(max(parts))
    return _joined(parts)


def _joined(parts: Sequence[tuple[int, str]]) -> str:
    return ", ".join(text for _, text in parts)


# ---- pages ----


def process_lines(
    zone: str, processes: Sequence[ProcessUsage], users: Mapping[int, str], width: int | None = None
) -> list[str]:
    """The processes of a zone, largest first; users: login names by user id."""
    columns = (PID, user_column(users), SIZE, RSS, EXCLUSIVE, PROPORTIONAL, COMMAND)
    title = f"Processes of {printable(zone)}:"
    return [
        title if width is None else shorten(title, width),
        "",
        *render_table(columns, sort_records(processes, RSS), width=width),
    ]


def sharing_lines(zone: str, shared: Sequence[tuple[str, int]], width: int | None = None) -> list[str]:
    """With whom a zone shares how many bytes, most first (:func:`zonerss.answers.zone.shared_with`)."""
    name = printable(zone) if width is None else shorten(printable(zone), max(width - 34, 8))
    if not shared:
        return [f"{name} shares no page with another zone."]
    rows = [[format_size(size), printable(other)] for other, size in shared]
    return [f"What {name} and another zone both map:", "", *_table(("SHARED", "WITH"), rows, width)]


def tree_lines(nodes: Sequence[TreeNode], width: int | None = None) -> list[str]:
    """The cgroups that hold processes, each with all below it, largest first."""
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
    return _table((NPROC.header, "RSS", "EXCL", "SHARED", "CGROUP"), rows, width)


def _table(headers: Sequence[str], rows: Sequence[Sequence[str]], width: int | None) -> list[str]:
    return render_rows(headers, rows, [False] * (len(headers) - 1) + [True], width=width)


def help_lines(keys: Sequence[tuple[str, str]], width: int) -> list[str]:
    """The keys, and what the columns mean."""
    columns = [(column.header, column.help) for column in SHOWN if column is not ZONE]
    margin = max(len(name) for name, _ in (*keys, *columns))
    lines = [*keys, ("", ""), *columns, ("", ""), *_SIGNS, ("", ""), ("mouse", _MOUSE)]
    return [line for name, what in lines for line in _paragraph(name, what, margin, width)]


_SIGNS = (
    ("!", "behind a figure: near its limit, or processes of it were killed for want of memory"),
    ("*", "it is charged more than twice its RSS, or for cgroups that are gone; Enter and e tell more"),
)
_MOUSE = (
    "a click chooses a zone, a double click opens its page; a click on a header sorts by it, another one the other way "
    "round"
)


def _paragraph(name: str, text: str, margin: int, width: int) -> list[str]:
    wrapped = wrap(text, max(width - margin - 2, 10)) or [""]
    heads = [name, *[""] * (len(wrapped) - 1)]
    return [f"{head:>{margin}}  {line}".rstrip() for head, line in zip(heads, wrapped, strict=True)]


def batch_lines(
    snapshot: Snapshot,
    growth: Growth,
    sort: Column,
    limit: int | None = None,
    columns: Sequence[Column] | None = None,
    width: int | None = None,
    style: Style = PLAIN.style,
    *,
    in_bytes: bool = False,
    first: Sequence[str] = (),
    marks: Sequence[Mark] = (),
    caps: Mapping[str, ZoneStatus] | None = None,
    touched: Mapping[str, ZoneTouched] | None = None,
    own_share: float | None = None,
) -> list[str]:
    """
    A snapshot for a pipe or a file: the table, then prstat's kind of last line.

    :param growth: of the snapshots before; this one is added to it
    :param columns: None: all that are text
    :param width: of the terminal that it is printed on; None: it is none
    :param in_bytes: as of :func:`lay_out`, and so are first and marks; a pipe has all columns and no signs
    :param caps: as of :func:`rows_of`, and so is touched
    :param own_share: of one processor's time that zonerss itself takes; None: not known
    """
    rows = sort_records(rows_of(snapshot, growth, caps, touched), sort, limit)
    left_out: Sequence[str] = ()
    columns = columns and of_machine(columns, snapshot.machine)
    if width is None:
        wanted = [column for column in columns or _ours(BATCH, rows) if column.name != BARS.name]
        lines = render_table(shown(wanted, rows), rows, in_bytes)
    else:
        table = lay_out(rows, sort, width + GAP, columns, style, in_bytes=in_bytes, first=first, marks=marks)
        headers = [header.rstrip("▲▼") for header in table.headers]
        lines = render_rows(headers, table.rows, [column.left for column in table.columns])
        left_out = table.left_out
    total = f"Total: {headline(snapshot, width and width - 7, left_out=left_out, in_bytes=in_bytes)}"
    own = (
        []
        if own_share is None
        else [f"zonerss itself: {100 * own_share:.1f}% of a processor since it began."]
    )
    return [*lines, total, *own, *remarks(snapshot), ""]
