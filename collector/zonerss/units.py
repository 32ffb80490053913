"""Pages to bytes, bytes to what people read. The only conversions of the project."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE")

_KIB = 1024
_UNITS = (("K", 0), ("M", 10), ("G", 100), ("T", 100), ("P", 100), ("E", 100))
"""From the least on, and below how many of it one decimal is shown."""


def pages_to_bytes(pages: int) -> int:
    """Bytes of a number of base pages."""
    return pages * PAGE_BYTES


def nanoseconds_of(when: datetime) -> int:
    """Since 1970, UTC, of a time that knows its offset from it; of whole microseconds."""
    return int(when.replace(microsecond=0).timestamp()) * 1_000_000_000 + when.microsecond * 1000


def counted(number: int, one: str, many: str | None = None) -> str:
    """``1 zone``, ``2 zones``."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def format_size(size_bytes: int | None) -> str:
    """
    A size in at most five characters: whole K, then M with one decimal below 10, then G and above with one below 100.

    1023K, 1.0M, 9.9M, 10M, 1023M, 1.0G, 99.9G, 100G, 1023G, 1.0T. A K has no decimals, because memory comes in pages.
    Rounded half up; so a greater size is never shown as a smaller one. Negative sizes have a minus before them. Unknown
    (None) is a dash.
    """
    if size_bytes is None:
        return "–"
    if size_bytes < 0:
        return f"-{format_size(-size_bytes)}"
    unit_bytes = _KIB
    for unit, decimals_below in _UNITS:
        tenths = (10 * size_bytes + unit_bytes // 2) // unit_bytes
        if tenths < 10 * decimals_below:
            return f"{tenths // 10}.{tenths % 10}{unit}"
        whole = (size_bytes + unit_bytes // 2) // unit_bytes
        if whole < _KIB or unit == _UNITS[-1][0]:
            return f"{whole}{unit}"
        unit_bytes *= _KIB
    raise AssertionError("the last unit takes all")


def format_percent(part: float, whole: float) -> str:
    """A share as prstat prints it: one decimal below 9.95, none above."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.1f}%" if percent < 9.95 else f"{percent:.0f}%"
