"""Rows of the columns that -o names, for people or, by --tsv and --no-header, for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from zonerss.plain import dataclass, replace
from zonerss.snapshot import Snapshot
from zonerss.units import counted
from zonerss.views.columns import Column, of_machine, shown
from zonerss.views.document import time_text
from zonerss.views.footer import footer
from zonerss.views.table import lay_table
from zonerss.views.text import printable

_UNKNOWN = "-"  # not empty: a shell's read takes two tabs for one


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is to be shown."""

    columns: Sequence[Column]
    sort: Column
    limit: int | None = None
    chosen: bool = False
    """-o, --no-header or --tsv was given; else the verb shows its table as it likes best."""
    header: bool = True
    """A line of headers above the rows, and lines about the snapshot below them."""
    tsv: bool = False
    in_bytes: bool = False

    @property
    def rows_only(self) -> bool:
        """Nothing but rows, and their header perhaps: what the snapshot does not cover is then said elsewhere."""
        return self.tsv or not self.header


def render(
    layout: Layout, records: Sequence[Any], snapshot: Snapshot, watching: bool = False, left_out: int = 0
) -> list[str]:
    """
    One line for each record, in this order.

    :param watching: snapshots follow each other: rows for programs say of which one they are
    :param left_out: how many more there are, which --all shows
    """
    layout = replace(layout, columns=of_machine(layout.columns, snapshot.machine))
    if layout.tsv:
        return tsv(layout, records, time_text(snapshot.began) if watching else None)
    table = lay_table(shown(layout.columns, records), records, layout.in_bytes)
    if not layout.header:
        return table.lines[1:]
    more = [f"and {counted(left_out, 'more row')} (--all)"] if left_out else []
    return [*table.lines, *more, "", *footer(snapshot, layout.in_bytes, records), *table.remark()]


def tsv(layout: Layout, records: Iterable[Any], time: str | None = None) -> list[str]:
    r"""
    Tab-separated values: sizes in bytes, other numbers without their unit, - where unknown, control characters as
    backslash escapes (\x09, \x0a).

    :param time: the first field of each row
    """
    before = [] if time is None else [time]
    lines = [[*before, *(_field(column, record) for column in layout.columns)] for record in records]
    if layout.header:
        lines.insert(0, [*(["time"] if before else []), *(column.name for column in layout.columns)])
    return ["\t".join(line) for line in lines]


def _field(column: Column, record: Any) -> str:
    value = column.value(record)
    if value is None:
        return _UNKNOWN
    if isinstance(value, tuple):
        return ",".join(map(printable, value))
    return printable(str(value)) if column.left else _number(value)


def _number(value: float) -> str:
    """Three decimals at most, and never an exponent."""
    if isinstance(value, int):
        return str(value)
    return f"{value:z.3f}".rstrip("0").rstrip(".")
