"""ps: the table and the document."""

from __future__ import annotations

from tests.unit.builders import KIB, process, snapshot

from zonerss.views.columns import process_columns
from zonerss.views.ps import document, render

COLUMNS = process_columns({0: "root"})


def test_table() -> None:
    rows = [process(8, uid=None, rss_bytes=97 * KIB), process(7, command="a\x1b[2J\nb"), process(9, uid=12)]
    lines = render(snapshot(), rows, COLUMNS)
    assert [line.split() for line in lines[:2]] == [
        ["PID", "USERNAME", "SIZE", "RSS", "ANON", "FILE", "SHMEM", "EXCL", "PROP", "ZONE", "PROCESS"],
        ["8", "–", "1.0M", "97K", "23K", "31K", "7K", "11K", "29K", "web", "httpd"],
    ]
    assert lines[2].split()[:2] == ["7", "root"]
    assert lines[2].endswith("a\\x1b[2J\\x0ab")
    assert lines[3].split()[:2] == ["9", "12"]
    assert lines[4] == ""


def test_swap_and_hugetlb_have_columns_where_there_is_any() -> None:
    assert "SWAP" in render(snapshot(), [process(swap_bytes=KIB)], COLUMNS)[0]


def test_the_document() -> None:
    read = document(snapshot(), [process()])
    assert read["schema"] == "zonerss.processes/1"
    assert read["processes"] == [
        {
            "pid": 42,
            "zone": "web",
            "uid": 0,
            "command": "httpd",
            "size_bytes": 1024 * KIB,
            "rss_bytes": 61 * KIB,
            "anon_bytes": 23 * KIB,
            "file_bytes": 31 * KIB,
            "shmem_bytes": 7 * KIB,
            "hugetlb_bytes": 0,
            "exclusive_bytes": 11 * KIB,
            "proportional_bytes": 29 * KIB,
            "swap_bytes": 0,
        }
    ]
