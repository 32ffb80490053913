"""The pages of one process, mapping by mapping.

For each mapping: pages present by kind, in huge pages, of the zero page, in swap; and how many pages are mapped how
often, on the whole machine (the kernel's mapcount). --pfn lists runs of frames: they are a secret of the host's.
"""

from __future__ import annotations

import argparse
import struct
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from zonerss.census.census import Kind
from zonerss.units import pages_to_bytes
from zonerss.views.columns import Column
from zonerss.views.document import render_json
from zonerss.views.table import render_table
from zonerss.views.text import encodable, printable
from zonerss.walk.frames import (
    MAPCOUNT_UNKNOWN,
    PAGE_DEVICE,
    PAGE_STRUCT,
    PAGE_ZERO,
    Vma,
    VmaPages,
    frames,
)

NAME = "frames"

_COUNTED = {
    "anon": Kind.ANON,
    "file": Kind.FILE,
    "shmem": Kind.SHMEM,
    "hugetlb": Kind.HUGETLB,
    "swap": Kind.SWAP,
    "zero": PAGE_ZERO,
    "device": PAGE_DEVICE,
}
_BUCKETS = ((1, "1"), (2, "2"), (4, "3-4"), (8, "5-8"), (16, "9-16"), (64, "17-64"), (256, "65-256"))


@dataclass(slots=True)
class Row:
    """One mapping, counted."""

    vma: Vma
    pages: Counter[str] = field(default_factory=Counter)
    """Pages by the names of _COUNTED, and "huge"."""
    mapcounts: Counter[int] = field(default_factory=Counter)
    """How many frames of memory are mapped how often, machine-wide."""
    runs: list[tuple[int, int, int]] = field(default_factory=list)
    """Runs of frames: address, first pfn, pages."""


def prepare(parser: argparse.ArgumentParser) -> None:
    """Add the options of this verb."""
    parser.add_argument("pid", type=_pid, metavar="PID", help="the process")
    parser.add_argument(
        "--pfn", action="store_true", help="list runs of frame numbers: a secret of the host's"
    )
    parser.add_argument("--bytes", action="store_true", help="whole bytes instead of K, M and G")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _pid(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 31):
        raise argparse.ArgumentTypeError(f"{text!r} is no process id")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Read the pages of the process and print what was counted."""
    rows = [count_pages(pages, args.pfn) for pages in frames(args.pid)]
    if args.json:
        print(render_json(document(args.pid, rows, args.pfn)))
    else:
        print("\n".join(render(rows, args.pfn, args.bytes)))
    return 0


def count_pages(pages: VmaPages, with_runs: bool) -> Row:
    """Count the pages of one mapping."""
    row = Row(pages.vma)
    names = {int(kind): name for name, kind in _COUNTED.items()}
    for address, pfn, mapcount, kind, huge in struct.iter_unpack(PAGE_STRUCT, pages.buffer):
        row.pages[names[kind]] += 1
        if kind not in (Kind.SWAP, PAGE_ZERO, PAGE_DEVICE):
            row.pages["huge"] += huge
            row.mapcounts[mapcount] += 1
        if with_runs and kind != Kind.SWAP:
            _extend_runs(row.runs, address, pfn)
    return row


def _extend_runs(runs: list[tuple[int, int, int]], address: int, pfn: int) -> None:
    if runs:
        start, first, count = runs[-1]
        if pfn == first + count and address == start + pages_to_bytes(count):
            runs[-1] = (start, first, count + 1)
            return
    runs.append((address, pfn, 1))


def _pages_column(name: str) -> Column:
    return Column(name, name.upper(), name, lambda row: pages_to_bytes(row.pages[name]), size=True)


_ADDRESS = Column("address", "ADDRESS", "where", lambda row: f"{row.vma.start:x}-{row.vma.end:x}", left=True)
_PERM = Column("perm", "PERM", "permissions", lambda row: row.vma.permissions, left=True)
_SIZE = Column("size", "SIZE", "size", lambda row: row.vma.end - row.vma.start, size=True)
_MAPPED = Column("mapcount", "MAPPED", "times mapped: pages", lambda row: histogram(row.mapcounts), left=True)
_NAME = Column("name", "MAPPING", "file or kind", lambda row: row.vma.name or "[anon]", left=True)
_ALWAYS = ("anon", "file", "shmem")
_SOMETIMES = ("huge", "hugetlb", "zero", "swap", "device")


def histogram(mapcounts: Counter[int]) -> str:
    """Mapping counts in words: ``1:23 3-4:7`` is 23 pages mapped once and 7 three or four times; ?: unknown."""
    buckets: Counter[str] = Counter()
    for mapcount, pages in mapcounts.items():
        if mapcount == MAPCOUNT_UNKNOWN:
            buckets["?"] += pages
        else:
            label = next((label for top, label in _BUCKETS if mapcount <= top), ">256") if mapcount else "0"
            buckets[label] += pages
    order = ["0", *(label for _, label in _BUCKETS), ">256", "?"]
    return " ".join(f"{label}:{buckets[label]}" for label in order if buckets[label])


def render(rows: list[Row], with_runs: bool, in_bytes: bool = False) -> list[str]:
    """The table, a total below it, and the runs of frames if they were asked for."""
    total = Row(Vma(0, sum(row.vma.end - row.vma.start for row in rows), "", 0, (0, 0), 0, "total"))
    for row in rows:
        total.pages += row.pages
        total.mapcounts += row.mapcounts
    shown = [*_ALWAYS, *(name for name in _SOMETIMES if total.pages[name])]
    columns = [_ADDRESS, _PERM, _SIZE, *(_pages_column(name) for name in shown), _MAPPED, _NAME]
    lines = render_table(columns, [*rows, total], in_bytes)
    lines[-1] = lines[-1].replace(_ADDRESS.value(total), " " * len(_ADDRESS.value(total)), 1)
    return lines if not with_runs else [*lines, "", *_run_lines(rows)]


def _run_lines(rows: list[Row]) -> Iterator[str]:
    yield "ADDRESS           PFN         PAGES"
    for row in rows:
        for address, pfn, pages in row.runs:
            yield f"{address:016x}  {pfn:<10}  {pages:<6}  {printable(row.vma.name or '[anon]')}"


def document(pid: int, rows: list[Row], with_runs: bool) -> dict[str, Any]:
    """``zonerss.frames/1``: pages of each mapping, in base pages."""
    return {
        "schema": "zonerss.frames/1",
        "pid": pid,
        "page_size": pages_to_bytes(1),
        "vmas": [_vma_fields(row, with_runs) for row in rows],
    }


def _vma_fields(row: Row, with_runs: bool) -> dict[str, Any]:
    vma = row.vma
    fields: dict[str, Any] = {
        "start": vma.start,
        "end": vma.end,
        "permissions": vma.permissions,
        "offset": vma.offset,
        "inode": vma.inode,
        "name": encodable(vma.name),
        **{f"{name}_pages": row.pages[name] for name in (*_COUNTED, "huge")},
        "mapcounts": [
            {"mapcount": None if mapcount == MAPCOUNT_UNKNOWN else mapcount, "pages": pages}
            for mapcount, pages in sorted(row.mapcounts.items())
        ],
    }
    if with_runs:
        fields["runs"] = [{"address": a, "pfn": pfn, "pages": pages} for a, pfn, pages in row.runs]
    return fields
