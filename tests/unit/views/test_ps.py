"""ps: the table and the document."""

from __future__ import annotations

from tests.unit.builders import KIB, members, process, snapshot

from zonerss.census.parts import Parts
from zonerss.plain import replace
from zonerss.records import Mapcounts
from zonerss.snapshot import Past
from zonerss.views.columns import process_columns
from zonerss.views.ps import document, render
from zonerss.views.terminal import Terminal, printing_to
from zonerss.views.text import cells

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


def test_the_last_line_is_about_the_processes_that_are_shown() -> None:
    parts = Parts.of(3, {(0,): (2, 0, 0, 0, 0), (0, 1): (0, 5, 0, 0, 0), (2,): (64, 0, 0, 0, 0)})
    three = members("web", "web", "db")
    whole = snapshot(parts=parts, members=three, total=snapshot().zones[0])  # of three processes
    rows = [process(1, rss_bytes=28 * KIB), process(2, rss_bytes=20 * KIB), process(3)]
    assert render(whole, rows, COLUMNS)[-1].startswith("1 zone, 3 processes: 61K, each page once")
    assert render(whole, rows[:2], COLUMNS)[-1] == (
        "2 of 3 processes: 28K, each page once (ps adds up to 48K). 0.017 s"
    )


def test_of_a_recording_only_the_sum_of_some_processes_is_known() -> None:
    """Its owners are a zone and a cgroup, in which processes are that are not shown."""
    parts = Parts.of(2, {(0,): (999, 0, 0, 0, 0), (1,): (64, 0, 0, 0, 0)})
    three = replace(members("web", "web", "db")[1], owner=0), *members("web", "web", "db")[::2]
    whole = snapshot(parts=parts, members=three, total=snapshot().zones[0], past=Past("f.zrec", "vm"))
    rows = [process(1, rss_bytes=28 * KIB), process(2, rss_bytes=20 * KIB), process(3)]
    assert render(whole, rows[:2], COLUMNS)[-2] == "2 of 3 processes: ps adds up to 48K. 0.017 s"
    assert render(whole, rows, COLUMNS)[-2].startswith("1 zone, 3 processes: 61K, each page once")


def test_a_narrow_terminal_says_what_it_has_no_room_for() -> None:
    with printing_to(Terminal(60, 24)):
        lines = render(snapshot(), [process(), process(43), process(44)], COLUMNS)
    assert all(cells(line) <= 60 for line in lines[:5])
    assert lines[-1] == "No room for SIZE PROP (-o chooses columns)."


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


COUNTED = Mapcounts((11 * KIB, 13 * KIB, 17 * KIB, 19 * KIB, 23 * KIB), 0)


def test_mapcounts_have_columns_where_they_are_asked_for() -> None:
    columns = process_columns({}, mapcounts=True)
    rows = [process(7, mapcounts=COUNTED), process(8)]
    header, *lines = [line.split() for line in render(snapshot(), rows, columns)[:3]]
    at = header.index("MAP1")
    assert header[at - 1 : at + 6] == ["PROP", "MAP1", "MAP2", "MAP3-9", "MAP10-99", "MAP100+", "ZONE"]
    assert lines[0][at : at + 5] == ["11K", "13K", "17K", "19K", "23K"]
    assert lines[1][at : at + 5] == ["–"] * 5


def test_what_is_unknown_of_mapcounts_has_a_column_where_there_is_any() -> None:
    row = process(mapcounts=Mapcounts((0,) * 5, 29 * KIB))
    header, line = (
        line.split() for line in render(snapshot(), [row], process_columns({}, mapcounts=True))[:2]
    )
    assert line[header.index("MAP?")] == "29K"


def test_mapcounts_in_the_document() -> None:
    known, unknown = document(snapshot(), [process(mapcounts=COUNTED), process()], mapcounts=True)[
        "processes"
    ]
    assert known["mapcounts"] == [
        {"least": 1, "most": 1, "bytes": 11 * KIB},
        {"least": 2, "most": 2, "bytes": 13 * KIB},
        {"least": 3, "most": 9, "bytes": 17 * KIB},
        {"least": 10, "most": 99, "bytes": 19 * KIB},
        {"least": 100, "most": None, "bytes": 23 * KIB},
    ]
    assert known["mapcount_unknown_bytes"] == 0
    assert unknown["mapcounts"] is unknown["mapcount_unknown_bytes"] is None
