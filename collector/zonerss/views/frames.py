"""The pages of a process: a table of its mappings, or a document."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from zonerss.answers.frames import COUNTED, MappingPages
from zonerss.records.machine import Machine
from zonerss.records.mappings import MAPCOUNT_UNKNOWN, Vma
from zonerss.units import pages_to_bytes
from zonerss.views.columns import Column, shown, sizes
from zonerss.views.document import machine_fields
from zonerss.views.table import render_table
from zonerss.views.text import encodable, printable

_BUCKETS = ((1, "1"), (2, "2"), (4, "3-4"), (8, "5-8"), (16, "9-16"), (64, "17-64"), (256, "65-256"))


def _pages_column(name: str, optional: bool) -> Column:
    return Column(
        name, name.upper(), name, lambda row: pages_to_bytes(row.pages[name]), size=True, optional=optional
    )


_ADDRESS = Column("address", "ADDRESS", "where", lambda row: f"{row.vma.start:x}-{row.vma.end:x}", left=True)
_PERM = Column("perm", "PERM", "permissions", lambda row: row.vma.permissions, left=True)
_SIZE = Column("size", "SIZE", "size", lambda row: row.vma.end - row.vma.start, size=True)
_MAPPED = Column("mapcount", "MAPPED", "times mapped: pages", lambda row: histogram(row.mapcounts), left=True)
_DEVICE = Column(
    "device",
    "DEVICE",
    "device",
    lambda row: None if row.device_pages is None else pages_to_bytes(row.device_pages),
    size=True,
    optional=True,
)
_NAME = Column("name", "MAPPING", "file or kind", lambda row: row.vma.name or "[anon]", left=True)
_COLUMNS = (
    _ADDRESS,
    _PERM,
    _SIZE,
    *(_pages_column(name, optional=False) for name in ("anon", "file", "shmem")),
    *(_pages_column(name, optional=True) for name in ("huge", "hugetlb", "zero", "swap")),
    _DEVICE,
    _MAPPED,
    _NAME,
)


def histogram(mapcounts: Counter[int]) -> str:
    """Mapcounts as text: ``1:23 3-4:7`` is 23 pages mapped once and 7 mapped three or four times; ?: unknown."""
    buckets: Counter[str] = Counter()
    for mapcount, pages in mapcounts.items():
        if mapcount == MAPCOUNT_UNKNOWN:
            buckets["?"] += pages
        else:
            label = next((label for top, label in _BUCKETS if mapcount <= top), ">256") if mapcount else "0"
            buckets[label] += pages
    order = ["0", *(label for _, label in _BUCKETS), ">256", "?"]
    return " ".join(f"{label}:{buckets[label]}" for label in order if buckets[label])


def render(rows: Sequence[MappingPages], with_runs: bool, in_bytes: bool = False) -> list[str]:
    """The table, a total below it, what is not in it, and the runs of frames if they were asked for."""
    total = MappingPages(Vma(0, sum(row.vma.end - row.vma.start for row in rows), "", 0, (0, 0), 0, "total"))
    for row in rows:
        total.pages += row.pages
        total.mapcounts += row.mapcounts
    lines = render_table(shown(_COLUMNS, [total]), [*rows, total], in_bytes)
    lines[-1] = lines[-1].replace(_ADDRESS.value(total), " " * len(_ADDRESS.value(total)), 1)
    if pfnmaps := [row for row in rows if row.pfnmap]:
        lines += ["", _not_shown(pfnmaps, in_bytes)]
    return lines if not with_runs else [*lines, "", *_run_lines(rows)]


def _not_shown(pfnmaps: Sequence[MappingPages], in_bytes: bool) -> str:
    size = sizes(in_bytes)(sum(row.vma.end - row.vma.start for row in pfnmaps))
    mappings = f"{len(pfnmaps)} mapping{'s' * (len(pfnmaps) > 1)}"
    return (
        f"Not in it: device or kernel memory of {mappings} by frame number (VM_PFNMAP, {size}); "
        "pagemap does not show it."
    )


def _run_lines(rows: Sequence[MappingPages]) -> Iterator[str]:
    yield "ADDRESS           PFN         PAGES"
    for row in rows:
        for address, pfn, pages in row.runs:
            yield f"{address:016x}  {pfn:<10}  {pages:<6}  {printable(row.vma.name or '[anon]')}"


def document(
    pid: int, rows: Sequence[MappingPages], with_runs: bool, machine: Machine | None
) -> dict[str, Any]:
    """``zonerss.frames/1``: pages of each mapping, in base pages; machine: where the process is."""
    return {
        "schema": "zonerss.frames/1",
        "pid": pid,
        "page_size": pages_to_bytes(1),
        "machine": machine_fields(machine),
        "vmas": [_vma_fields(row, with_runs) for row in rows],
    }


def _vma_fields(row: MappingPages, with_runs: bool) -> dict[str, Any]:
    vma = row.vma
    fields: dict[str, Any] = {
        "start": vma.start,
        "end": vma.end,
        "permissions": vma.permissions,
        "offset": vma.offset,
        "inode": vma.inode,
        "name": encodable(vma.name),
        **{f"{name}_pages": row.pages[name] for name in (*COUNTED, "huge")},
        "device_pages": row.device_pages,
        "mapcounts": [
            {"mapcount": None if mapcount == MAPCOUNT_UNKNOWN else mapcount, "pages": pages}
            for mapcount, pages in sorted(row.mapcounts.items())
        ],
    }
    if with_runs:
        fields["runs"] = [{"address": a, "pfn": pfn, "pages": pages} for a, pfn, pages in row.runs]
    return fields
