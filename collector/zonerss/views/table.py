"""Tables of text: headers, aligned columns, one row a line; on a terminal none wider than it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from zonerss.views.columns import Column, cell
from zonerss.views.terminal import here
from zonerss.views.text import cells, shorten, wrap

_NAME, _PROSE = 16, 24
"""To how many columns names and sentences may be squeezed before others leave the table."""
GAP = 2
"""Blanks between two columns."""


class Table(NamedTuple):
    """A table, and what it lacks."""

    lines: list[str]
    left_out: list[str]
    """Headers of the columns that there was no room for."""

    def remark(self) -> list[str]:
        """A line that names these columns; none where all are there."""
        columns = " ".join(self.left_out)
        return [f"No room for {columns} (-o chooses columns)."] if columns else []


def lay_table(
    columns: Sequence[Column], records: Iterable[Any], in_bytes: bool = False, width: int | None = None
) -> Table:
    """One line for the headers and one for each record; the last column is not padded. width: see below."""
    rows = [[cell(column, record, in_bytes) for column in columns] for record in records]
    lines = [[column.header for column in columns], *rows]
    left, width = [column.left for column in columns], here().width if width is None else width
    natural = _natural(lines)
    widths = dict(enumerate(natural))
    if width is not None:
        numbers = [i for i, column in enumerate(columns) if not column.left][1:]
        leaving = sorted(numbers, key=lambda i: columns[i].spare)
        least = [max(cells(column.header), column.least) for column in columns]
        widths = _squeezed(natural, left, least, leaving, width)
    return Table(
        [text for line in lines for text in _lines(line, widths, left, None)],
        [column.header for i, column in enumerate(columns) if i not in widths],
    )


def render_table(
    columns: Sequence[Column], records: Iterable[Any], in_bytes: bool = False, width: int | None = None
) -> list[str]:
    """The lines of :func:`lay_table`."""
    return lay_table(columns, records, in_bytes, width).lines


def render_rows(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    left: Sequence[bool],
    *,
    prose: bool = False,
    width: int | None = None,
) -> list[str]:
    """
    The same of ready text.

    Where there is too little room, text is shortened in its middle, then numbers leave from the right; the first number
    stays. Of a table of columns those that can be done without leave before others.

    :param left: which columns are aligned to the left: text
    :param prose: the last column holds sentences, which are wrapped, and not names, which never are
    :param width: columns of the terminal; None: as :func:`zonerss.views.terminal.here` says
    """
    lines = [headers, *rows]
    natural = _natural(lines)
    width = here().width if width is None else width
    widths, last = dict(enumerate(natural)), len(headers) - 1
    if width is not None:
        least = [
            max(cells(header), _PROSE if prose and i == last else _NAME) for i, header in enumerate(headers)
        ]
        widths = _squeezed(natural, left, least, [i for i in range(len(headers)) if not left[i]][1:], width)
    wraps = last if prose and last in widths else None
    return [text for line in lines for text in _lines(line, widths, left, wraps)]


def _natural(lines: Sequence[Sequence[str]]) -> list[int]:
    """How wide each column would be."""
    return [max(map(cells, column)) for column in zip(*lines, strict=True)]


def _squeezed(
    natural: Sequence[int], left: Sequence[bool], least: Sequence[int], leaving: Sequence[int], width: int
) -> dict[int, int]:
    """
    How wide each column is, without those that have no room.

    :param least: how narrow a text may become before numbers leave
    :param leaving: what may leave; the last one leaves first
    """
    kept, leaving = list(range(len(natural))), list(leaving)
    texts = {i: min(natural[i], least[i]) for i in kept if left[i]}
    while True:
        room = width - GAP * (len(kept) - 1)
        widths = {i: natural[i] for i in kept}
        _take_from_texts(widths, texts, room)
        if sum(widths.values()) <= room or not leaving:
            break
        kept.remove(leaving.pop())
    _take_from_texts(widths, dict.fromkeys(texts, 1), room)
    return widths


def _take_from_texts(widths: dict[int, int], least: dict[int, int], room: int) -> None:
    """Make the widest texts narrower, until all fits or each is as narrow as it may be."""
    excess = sum(widths.values()) - room
    while excess > 0 and (wide := [i for i in least if widths[i] > least[i]]):
        widths[max(wide, key=lambda i: widths[i])] -= 1
        excess -= 1


def _lines(line: Sequence[str], widths: dict[int, int], left: Sequence[bool], wraps: int | None) -> list[str]:
    """One row: one line, and more where its last column is a sentence that has to be wrapped."""
    texts = {i: [shorten(line[i], widths[i])] for i in widths if i != wraps}
    if wraps is not None:
        texts[wraps] = wrap(line[wraps], widths[wraps], "  ") if widths[wraps] > 2 else [""]
    return [
        (" " * GAP)
        .join(
            _pad(found[number] if number < len(found) else "", widths[i], left[i])
            for i, found in texts.items()
        )
        .rstrip()
        for number in range(max(map(len, texts.values())))
    ]


def _pad(text: str, width: int, left: bool) -> str:
    space = " " * (width - cells(text))
    return text + space if left else space + text


def sort_records(records: Iterable[Any], column: Column, limit: int | None = None) -> list[Any]:
    """By what the column shows: see :attr:`Column.descends`; unknown last; at most ``limit`` of them."""
    known: list[Any] = []
    unknown: list[Any] = []
    for record in records:
        (unknown if column.value(record) is None else known).append(record)
    known.sort(key=column.value, reverse=column.descends)
    return [*known, *unknown][:limit]
