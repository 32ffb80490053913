"""What each tool prints for one zone: a table, or fields of a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zonerss.answers.explain.numbers import Number
from zonerss.views.columns import sizes
from zonerss.views.table import render_rows
from zonerss.views.text import printable


def render(zone: str, numbers: Sequence[Number], in_bytes: bool = False) -> list[str]:
    """One table: who says what, by which formula, in answer to which question."""
    size = sizes(in_bytes)
    rows = [[number.name, size(number.bytes), number.formula, number.answers] for number in numbers]
    table = render_rows(
        ["WHO", "BYTES" if in_bytes else "SIZE", "FORMULA", "ANSWERS"], rows, [True, False, True, True]
    )
    return [f"zone {printable(zone)}", "", *table]


def fields(numbers: Sequence[Number]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [
        {"name": number.name, "bytes": number.bytes, "formula": number.formula, "answers": number.answers}
        for number in numbers
    ]
