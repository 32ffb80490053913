"""frames: how what was counted is shown."""

from __future__ import annotations

import json
from collections import Counter

from tests.unit.answers.test_frames import EVERYTHING, START
from tests.unit.builders import mapping

from zonerss.answers.frames import count_pages
from zonerss.census.kinds import Kind
from zonerss.plain import replace
from zonerss.records.mappings import MAPCOUNT_UNKNOWN
from zonerss.views.document import render_json
from zonerss.views.frames import document, histogram, render


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


def test_mappings_by_frame_number_are_unknown_and_said() -> None:
    rows = [
        count_pages(pages, False)
        for pages in (EVERYTHING, replace(mapping(START, "[vvar]", size_pages=4), pfnmap=True))
    ]
    lines = render(rows, with_runs=False)
    at = lines[0].index("DEVICE")
    assert [line[at : at + 6].strip() for line in lines[1:4]] == ["4K", "–", "4K"]
    assert lines[4:] == [
        "",
        "Not in it: device or kernel memory of 1 mapping by frame number (VM_PFNMAP, 16K); pagemap does not show it.",
    ]
    known, unknown = document(42, rows, with_runs=False, machine=None)["vmas"]
    assert (known["device_pages"], unknown["device_pages"]) == (1, None)


def test_hostile_mapping_names() -> None:
    rows = [count_pages(mapping(START, "/memfd:\x1b[2J\n", (1, 1, Kind.FILE, 0)), True)]
    assert all("\x1b" not in line and "\n" not in line for line in render(rows, with_runs=True))


def test_frame_numbers_are_told_only_when_asked_for() -> None:
    quiet = document(42, [count_pages(EVERYTHING, False)], with_runs=False, machine=None)
    assert "pfn" not in render_json(quiet)
    told = json.loads(
        render_json(document(42, [count_pages(EVERYTHING, True)], with_runs=True, machine=None))
    )
    assert told["vmas"][0]["runs"][0] == {"address": START, "pfn": 100, "pages": 3}


def test_json() -> None:
    (vma,) = document(42, [count_pages(EVERYTHING, False)], with_runs=False, machine=None)["vmas"]
    assert (vma["anon_pages"], vma["zero_pages"], vma["swap_pages"], vma["huge_pages"]) == (2, 1, 1, 1)
    assert {"mapcount": None, "pages": 1} in vma["mapcounts"]
