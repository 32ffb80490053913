"""What each tool prints for one zone: a table, or fields of a document."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zonerss.answers.explain.numbers import Number
from zonerss.views.columns import sizes
from zonerss.views.table import render_rows
from zonerss.views.text import printable


def render(
    zone: str, numbers: Sequence[Number], in_bytes: bool = False, below: Sequence[str] = ()
) -> list[str]:
    """
    One table: who says what, by which formula, in answer to which question.

    :param below: the zones below it, which what is read from its cgroup includes
    """
    size = sizes(in_bytes)
    rows = [[number.name, size(number.bytes), number.formula, number.answers] for number in numbers]
    table = render_rows(
        ["WHO", "BYTES" if in_bytes else "SIZE", "FORMULA", "ANSWERS"],
        rows,
        [True, False, True, True],
        prose=True,
    )
    lines = [f"zone {printable(zone)}", "", *table]
    if below and any(number.whole_cgroup for number in numbers):
        first = next(number.name for number in numbers if number.whole_cgroup)
        lines += ["", f"From {first} on, the numbers are the whole cgroup's: {_zones(below)} included."]
    return lines


def _zones(names: Sequence[str]) -> str:
    named = ", ".join(map(printable, names[:3]))
    return named if len(names) <= 3 else f"{named} and {len(names) - 3} more zones below it"


def fields(numbers: Sequence[Number]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [
        {
            "name": number.name,
            "bytes": number.bytes,
            "formula": number.formula,
            "answers": number.answers,
            "whole_cgroup": number.whole_cgroup,
        }
        for number in numbers
    ]
