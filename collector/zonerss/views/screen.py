"""The first screen: one line for the machine, one for each zone, as wide and as high as the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zonerss.answers.marks import Mark, Split, split_of
from zonerss.census.usage import rss_together
from zonerss.records import Grouping, Usage
from zonerss.records.machine import Machine
from zonerss.snapshot import Snapshot
from zonerss.views.bars import LEGEND, bar, legend
from zonerss.views.columns import (
    CHARGED,
    EXCLUSIVE,
    HUGETLB,
    KIND,
    LIMIT,
    NPROC,
    OOM,
    PRESSURE,
    PROCESS_RSS,
    PROPORTIONAL,
    RSS,
    SHARED,
    SWAP,
    UNCERTAINTY,
    USED,
    ZONE,
    Column,
    cell,
    sizes,
)
from zonerss.views.marks import COLUMN_OF, sign
from zonerss.views.table import GAP, render_rows, sort_records
from zonerss.views.terminal import Style
from zonerss.views.text import cells, printable, shorten

if TYPE_CHECKING:
    from zonerss.answers.growth import Growth

BARS = Column("kinds", LEGEND, "rss by kind, as a bar; its dim end is shared", lambda usage: None, left=True)
ORDER = (
    ZONE,
    KIND,
    NPROC,
    RSS,
    UNCERTAINTY,
    BARS,
    EXCLUSIVE,
    SHARED,
    PROPORTIONAL,
    HUGETLB,
    SWAP,
    CHARGED,
    LIMIT,
    USED,
    PRESSURE,
    OOM,
    PROCESS_RSS,
)
"""From left to right; growth comes last."""
_FIRST = ("zone", "rss", "exclusive", "charged", "kinds", "limit", "grows", "uncertainty", "used")
"""What gets room first, until at 60 columns the first six are left."""
_THEN = ("oom", "pressure", "hugetlb", "swap", "kind", "processes", "shared", "proportional", "process_rss")
"""What gets room where names and bars have enough."""
_LEAST = {ZONE.name: 16, BARS.name: 10}
_GOOD = {ZONE.name: 24, BARS.name: len(LEGEND)}
_BEST = {ZONE.name: 80, BARS.name: 40}


def growth_column(growth: Growth) -> Column:
    """How fast a zone grows, over the latest looks at it."""
    return Column(
        "grows",
        "GROWS",
        "by how much rss grows a minute, over the latest looks; =: not surely at all",
        lambda usage: growth.bytes_per_minute(usage.zone),
        text=speed_text,
    )


def speed_text(bytes_per_minute: float) -> str:
    """A growth as a table shows it; ``=``: none that is sure."""
    size_bytes = round(abs(bytes_per_minute))
    if not size_bytes:
        return "="
    sign, arrow = ("+", "▲") if bytes_per_minute > 0 else ("-", "▼")
    return f"{sign}{sizes(False)(size_bytes)}/min {arrow}"


# ---- the machine -----------------------------------------------------------------------------------------


def machine_line(snapshot: Snapshot, width: int, style: Style, in_bytes: bool = False) -> list[str]:
    """Where the machine's memory is, in one line; none where that is not known."""
    split, machine = split_of(snapshot), snapshot.machine
    if split is None or machine is None:
        return []
    size = sizes(in_bytes)
    head = f" {shorten(printable(machine.host_name), 24)}  {size(split.memory)}"
    shown, more = _as_fit(head, segments(split), size, machine_facts(machine, size), width)
    texts = [f"{word} {size(amount)}" for word, amount, _ in shown]
    # a blank before each bar
    room = width - cells(head) - sum(cells(text) + 2 for text in (*texts, *more)) - len(texts)
    parts = [head]
    for text, (_, amount, glyph) in zip(texts, shown, strict=True):
        drawn = glyph * round(min(room, 40) * amount / max(split.memory, 1)) if room > 6 else ""
        parts.append(f"{text} {style.paint(drawn, 'other')}".rstrip() if drawn else text)
    line = "  ".join([*parts, *more])
    return [line if cells(line) <= width else "  ".join([head, *texts, *more])]


def machine_facts(machine: Machine, size: Callable[[int | None], str]) -> list[str]:
    """What stands beside the parts of its memory: swap, and pressure where the kernel tells it."""
    in_use = f"{size(machine.swap_bytes - machine.swap_free_bytes)} of {size(machine.swap_bytes)}"
    facts = [f"swap {in_use}" if machine.swap_bytes else "no swap"]
    if machine.pressure_some is not None:
        facts.append(f"memory pressure {machine.pressure_some:.1f}")
    return facts


Segment = tuple[str, int, str]
"""What it is, how much of it there is, and the glyph of its bar."""
_BY_WORTH = ("zones", "free", "page cache", "kernel", "tmpfs", "hugetlb")


def segments(split: Split) -> list[Segment]:
    """The parts of the machine's memory that are worth a word."""
    small = split.memory // 100
    rows = [("zones", split.zones, "█"), ("page cache", split.page_cache, "▒")]
    rows += [("tmpfs", split.tmpfs, "▒")] if split.tmpfs > small else []
    rows += [("hugetlb", split.hugetlb, "▒")] if split.hugetlb else []
    return [*rows, ("kernel", split.kernel, "▒"), ("free", split.free, "")]


def _as_fit(
    head: str, shown: list[Segment], size: Callable[[int | None], str], more: list[str], width: int
) -> tuple[list[Segment], list[str]]:
    """As many of these as a line has room for, the most telling first."""
    room, kept = width - cells(head), []
    for segment in sorted(shown, key=lambda segment: _BY_WORTH.index(segment[0])):
        room -= cells(f"{segment[0]} {size(segment[1])}") + 2
        if room < 0:
            return [one for one in shown if one in kept], []
        kept.append(segment)
    said = []
    for text in more:
        room -= cells(text) + 2
        said += [text] if room >= 0 else []
    return shown, said


# ---- the zones -------------------------------------------------------------------------------------------


def zone_rows(
    snapshot: Snapshot,
    position: int,
    grouping: Grouping,
    zone: Column,
    sort: Column,
    width: int,
    style: Style,
    *,
    limit: int | None = None,
    rows: int | None = None,
    in_bytes: bool = False,
    marks: Sequence[Mark] = (),
    growth: Growth | None = None,
) -> list[str]:
    """
    The headers, and a line for each zone.

    :param position: of the grouping in the snapshot
    :param zone: the column of the zones' names
    :param limit: at most so many zones; None: all
    :param rows: at most so many lines, of which the last one counts the other zones; None likewise
    """
    usages, left = _as_many(sort_records(grouping.zones, sort), limit, rows)
    every = {column.name: column for column in (*ORDER, *([growth_column(growth)] if growth else []))}
    signs = signs_of(marks)
    texts = {
        name: texts_of(column, usages, in_bytes, signs)
        for name, column in every.items()
        if column is not BARS and is_known(column, usages)
    }
    headers = {name: _header(column, zone, signs) for name, column in every.items()}
    rest: dict[str, str] = {}
    if left:
        together = sizes(in_bytes)(
            rss_together(snapshot.parts, snapshot.members, position, (usage.zone for usage in left))
        )
        rest = {ZONE.name: f"{len(left)} more", RSS.name: together}
    shown = {name: [*found, rest.get(name, "")] for name, found in texts.items()}
    natural = {name: natural_width(every[name], headers[name], found) for name, found in shown.items()}
    widths = fitted(natural | {BARS.name: _BEST[BARS.name]}, width, _FIRST, _THEN)
    columns = [column for column in every.values() if column.name in widths]
    most = max((usage.rss_bytes for usage in usages), default=0)

    def painted(column: Column, number: int) -> str:
        if column is BARS:
            return bar(usages[number], most, widths[BARS.name], style)
        text = texts[column.name][number]
        if column is ZONE:
            text = shorten(text, widths[ZONE.name])
        return style.paint(text, *styles_of(column, usages[number], text))

    table = [[painted(column, number) for column in columns] for number in range(len(usages))]
    if rest:
        table.append([style.paint(rest.get(column.name, ""), "dim") for column in columns])
    above = [
        legend(widths[BARS.name], style) if column is BARS else headers[column.name] for column in columns
    ]
    return render_rows(above, table, [column.left for column in columns], width=width)


def _as_many(usages: list[Usage], limit: int | None, rows: int | None) -> tuple[list[Usage], list[Usage]]:
    """Those that are shown, and those that one line counts."""
    count = len(usages) if limit is None else min(limit, len(usages))
    if rows is not None and count + (count < len(usages)) > rows:
        count = max(rows - 1, 1)
    return usages[:count], usages[count:]


def is_known(column: Column, usages: Iterable[Usage]) -> bool:
    """Columns that say nothing of any zone are left out: limits where there are none, exclusive where unknown."""
    values = [column.value(usage) for usage in usages]
    return any(values) if column.optional else column is ZONE or any(value is not None for value in values)


def signs_of(marks: Iterable[Mark]) -> dict[tuple[str, str], str]:
    """The sign behind the figure of a column and zone, where there is one."""
    found: dict[tuple[str, str], str] = {}
    for mark in marks:
        if mark.zone is not None:
            found.setdefault((COLUMN_OF[mark.why], mark.zone), sign(mark))
    return found


def texts_of(
    column: Column, usages: Sequence[Any], in_bytes: bool, signs: Mapping[tuple[str, str], str]
) -> list[str]:
    """The cells of a column of zones; where one has a sign, the others have a blank in its place."""
    blank = " " if any(name == column.name for name, _ in signs) and not column.left else ""
    return [
        f"{cell(column, usage, in_bytes)}{signs.get((column.name, usage.zone), blank)}" for usage in usages
    ]


def _header(column: Column, zone: Column, signs: Mapping[tuple[str, str], str]) -> str:
    if column is ZONE:
        return zone.header
    return column.header + (" " if any(name == column.name for name, _ in signs) else "")


def natural_width(column: Column, header: str, texts: Iterable[str]) -> int:
    """How wide a column would be, with its header above its cells."""
    return _BEST[BARS.name] if column.name == BARS.name else max(map(cells, (header, *texts)))


def fitted(
    natural: Mapping[str, int], width: int, first: Iterable[str], then: Iterable[str] = ()
) -> dict[str, int]:
    """
    The columns that there is room for, and how wide each is.

    :param natural: how wide each would be
    :param first: what gets room first, the most telling first, beside names and bars that are short
    :param then: what gets room where these have enough
    """

    def at(limits: Mapping[str, int]) -> Callable[[str], int]:
        return lambda name: min(natural[name], limits.get(name, natural[name]))

    chosen: list[str] = []

    def choose(names: Iterable[str], size: Callable[[str], int]) -> None:
        for name in names:
            more = [*chosen, name]
            if name in natural and sum(map(size, more)) + GAP * (len(more) - 1) <= width:
                chosen.append(name)

    choose(first, at(_LEAST))
    choose(then, at(_GOOD))
    widths = {name: at(_LEAST)(name) for name in chosen or list(natural)[:1]}
    for limits in (_GOOD, _BEST):
        for name in (ZONE.name, BARS.name):
            if name in widths:
                spare = width - sum(widths.values()) - GAP * (len(widths) - 1)
                widths[name] += max(min(at(limits)(name) - widths[name], spare), 0)
    return widths


def styles_of(column: Column, usage: Usage, text: str) -> tuple[str, ...]:
    """What a figure looks like, by how it compares with others of its zone."""
    if column.name == ZONE.name:
        return ("zone",)
    if column.name == CHARGED.name and usage.charged_bytes is not None:
        strange = usage.charged_bytes > 2 * usage.rss_bytes or usage.charged_bytes < usage.rss_bytes / 2
        return ("warning",) if strange else ()
    if column.name in (LIMIT.name, USED.name):
        percent = USED.value(usage) or 0
        return ("alarm",) if percent >= 90 else ("warning",) if percent >= 75 else ()
    return ("alarm",) if column.name == "grows" and "▲" in text else ()
