"""Tables of text: headers, aligned columns, one row a line."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from zonerss.views.columns import Column, cell
from zonerss.views.text import cells


def render_table(columns: Sequence[Column], records: Iterable[Any], in_bytes: bool = False) -> list[str]:
    """One line for the headers and one for each record; the last column is not padded."""
    rows = [[cell(column, record, in_bytes) for column in columns] for record in records]
    return render_rows([column.header for column in columns], rows, [column.left for column in columns])


def render_rows(headers: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool]) -> list[str]:
    """The same of ready text. left: which columns are aligned to the left."""
    lines = [headers, *rows]
    widths = [max(cells(line[i]) for line in lines) for i in range(len(headers))]
    return [
        "  ".join(_pad(line[i], widths[i], left[i]) for i in range(len(headers))).rstrip() for line in lines
    ]


def _pad(text: str, width: int, left: bool) -> str:
    space = " " * (width - cells(text))
    return text + space if left else space + text


def sort_records(records: Iterable[Any], column: Column, limit: int | None = None) -> list[Any]:
    """Largest first by what the column shows, text ascending, unknown last; at most ``limit`` of them."""
    known: list[Any] = []
    unknown: list[Any] = []
    for record in records:
        (unknown if column.value(record) is None else known).append(record)
    known.sort(key=column.value, reverse=not column.left)
    return [*known, *unknown][:limit]
