"""How large zones and processes were at a moment, read without all the rest of it. Pure.

A report looks at some of many moments, but the largest size may be in any of them: for it a few columns are decoded,
and the others passed over.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import cast

from zonerss.history.content import (
    MOST_SIZE,
    PROCESS_FIGURES,
    SHAPES,
    ZONE_FIGURES,
    Things,
    demand_within,
    read_other,
)
from zonerss.history.figures import Malformed, Table
from zonerss.units import PAGE_BYTES

_RSS_AT = tuple(map(ZONE_FIGURES.index, ("anon_bytes", "file_bytes", "shmem_bytes")))
_PAGES_AT, _SHOWN_AT = map(PROCESS_FIGURES.index, ("pages", "anon_bytes"))
"""What of a process that is not shown is unknown stands for whether it is."""
WANTED: Mapping[str, tuple[Collection[int], ...]] = {
    "zones": (_RSS_AT, *[()] * (len(SHAPES["zones"]) - 1)),
    "processes": ((_PAGES_AT, _SHOWN_AT), *[()] * (len(SHAPES["processes"]) - 1)),
}
"""The sections that have sizes, and of each of their tables the columns that are needed."""


def zone_sizes(tables: Sequence[Table], position: int, things: Things) -> dict[str, int]:
    """
    The RSS of each zone of one grouping, in bytes.

    :param tables: of section zones
    :param position: which grouping
    :raises ValueError: they are of no moment
    """
    table = tables[0]
    things.fetch("zones", (number for _, number in table.keys))
    rows = zip(table.keys, *(_known(table.columns[at], MOST_SIZE) for at in _RSS_AT), strict=True)
    return {things.zone(number).name: sum(rss) for (grouping, number), *rss in rows if grouping == position}


def process_sizes(tables: Sequence[Table], other: bytes, things: Things) -> dict[tuple[str, int, int], int]:
    """
    The RSS of each process that was shown, in bytes, by the boot's id, the pid, and when it was started.

    :param tables: of section processes
    :param other: what stands beside the tables
    :raises ValueError: they are of no moment
    """
    table, boot_id = tables[0], read_other(other).text("boot_id")
    things.fetch("processes", (number for (number,) in table.keys))
    pages = _known(table.columns[_PAGES_AT], MOST_SIZE // PAGE_BYTES)
    return {
        (boot_id, *things.process_key(number)): count * PAGE_BYTES
        for (number,), count, shown in zip(table.keys, pages, table.columns[_SHOWN_AT], strict=True)
        if shown is not None
    }


def _known(column: Sequence[int | None], most: int) -> Sequence[int]:
    if None in column:
        raise Malformed("an unknown figure that must be known")
    demand_within(most, column)
    return cast(Sequence[int], column)
