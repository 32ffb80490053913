"""Pages to bytes, bytes to what people read. The only conversions of the project."""

from __future__ import annotations

import os

PAGE_BYTES: int = os.sysconf("SC_PAGE_SIZE")

_KIB = 1024


def pages_to_bytes(pages: int) -> int:
    """Bytes of a number of base pages."""
    return pages * PAGE_BYTES


def memory_bytes() -> int:
    """All memory that the kernel manages, as sysconf tells it (MemTotal)."""
    return os.sysconf("SC_PHYS_PAGES") * PAGE_BYTES


def format_size(size_bytes: int | None) -> str:
    """
    A size as prstat prints it: whole K up to 9999, then whole M up to 9999, then G with one digit below 100.

    Unknown (None) is a dash. Rounded half up.
    Source: the rules of prstat's Format_size (illumos cmd/prstat/prutil.c), with G made finer: machines grew.
    """
    if size_bytes is None:
        return "–"
    kib = (size_bytes + _KIB // 2) // _KIB
    if kib < 10_000:
        return f"{kib}K"
    mib = (kib + _KIB // 2) // _KIB
    if mib < 10_000:
        return f"{mib}M"
    gib = mib / _KIB
    return f"{gib:.1f}G" if gib < 100 else f"{gib:.0f}G"


def format_percent(part: float, whole: float) -> str:
    """A share as prstat prints it: one decimal below 9.95, none above."""
    if whole <= 0:
        return "–"
    percent = 100 * part / whole
    return f"{percent:.1f}%" if percent < 9.95 else f"{percent:.0f}%"
