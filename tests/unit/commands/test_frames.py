"""frames: what is counted of each mapping, and how it is shown."""

from __future__ import annotations

import json
import struct
from collections import Counter

from zonerss.census.census import Kind
from zonerss.commands.frames import count_pages, document, histogram, render
from zonerss.views.document import render_json
from zonerss.walk.frames import MAPCOUNT_UNKNOWN, PAGE_DEVICE, PAGE_STRUCT, PAGE_ZERO, Vma, VmaPages

START = 0x400000


def pages(*entries: tuple[int, int, int, int], name: str = "/bin/x") -> VmaPages:
    """Entries of (pfn, mapcount, kind, huge), one page after the other."""
    raw = b"".join(
        struct.pack(PAGE_STRUCT, START + 4096 * i, pfn, mapcount, kind, huge)
        for i, (pfn, mapcount, kind, huge) in enumerate(entries)
    )
    return VmaPages(Vma(START, START + (16 << 12), "rw-p", 0, (8, 1), 7, name), len(entries), memoryview(raw))


EVERYTHING = pages(
    (100, 1, Kind.ANON, 0),
    (101, 3, Kind.ANON, 1),
    (102, 900, Kind.FILE, 0),
    (50, MAPCOUNT_UNKNOWN, Kind.SHMEM, 0),
    (1, 5, PAGE_ZERO, 0),
    (9, MAPCOUNT_UNKNOWN, PAGE_DEVICE, 0),
    (77, MAPCOUNT_UNKNOWN, Kind.SWAP, 0),
)


def test_counts() -> None:
    row = count_pages(EVERYTHING, with_runs=True)
    assert row.pages == Counter(anon=2, file=1, shmem=1, zero=1, device=1, swap=1, huge=1)
    assert row.mapcounts == Counter({1: 1, 3: 1, 900: 1, MAPCOUNT_UNKNOWN: 1})
    assert row.runs == [
        (START, 100, 3),
        (START + 0x3000, 50, 1),
        (START + 0x4000, 1, 1),
        (START + 0x5000, 9, 1),
    ]


def test_histogram() -> None:
    assert (
        histogram(Counter({1: 23, 3: 4, 4: 3, 257: 1, MAPCOUNT_UNKNOWN: 2, 0: 5}))
        == "0:5 1:23 3-4:7 >256:1 ?:2"
    )
    assert histogram(Counter()) == ""


def test_table() -> None:
    lines = render([count_pages(EVERYTHING, False)], with_runs=False)
    assert lines[0].split() == [
        *(
            [
                "ADDRESS",
                "PERM",
                "SIZE",
                "ANON",
                "FILE",
                "SHMEM",
                "HUGE",
                "ZERO",
                "SWAP",
                "DEVICE",
                "MAPPED",
                "MAPPING",
            ]
        ),
    ]
    assert lines[1].split()[:9] == ["400000-410000", "rw-p", "64K", "8K", "4K", "4K", "4K", "4K", "4K"]
    assert lines[2].split()[0] == "64K"
    assert lines[2].endswith("total")


def test_hostile_mapping_names() -> None:
    rows = [count_pages(pages((1, 1, Kind.FILE, 0), name="/memfd:\x1b[2J\n"), True)]
    assert all("\x1b" not in line and "\n" not in line for line in render(rows, with_runs=True))


def test_frame_numbers_are_told_only_when_asked_for() -> None:
    quiet = document(42, [count_pages(EVERYTHING, False)], with_runs=False)
    assert "pfn" not in render_json(quiet)
    told = json.loads(render_json(document(42, [count_pages(EVERYTHING, True)], with_runs=True)))
    assert told["vmas"][0]["runs"][0] == {"address": START, "pfn": 100, "pages": 3}


def test_json() -> None:
    (vma,) = document(42, [count_pages(EVERYTHING, False)], with_runs=False)["vmas"]
    assert (vma["anon_pages"], vma["zero_pages"], vma["swap_pages"], vma["huge_pages"]) == (2, 1, 1, 1)
    assert {"mapcount": None, "pages": 1} in vma["mapcounts"]
