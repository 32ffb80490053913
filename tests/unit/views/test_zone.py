"""The page of a zone: its figures, and none of its lines wider than the terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit import documents
from tests.unit.builders import KIB, MIB, process, snapshot, usage
from tests.unit.cap.test_status import FORECAST
from tests.unit.views.test_text import NAMES

from zonerss.answers.files import FileUsage
from zonerss.answers.zone import Page
from zonerss.plain import replace
from zonerss.records import Cause, Gap, Mapcounts
from zonerss.records.files import FileKind, MappedFile
from zonerss.views.cap import forecast_text
from zonerss.views.document import render_json
from zonerss.views.terminal import Style
from zonerss.views.text import cells
from zonerss.views.zone import document, render

LIMITED = usage(
    limit_bytes=2 * MIB,
    high_bytes=1792 * KIB,
    charged_bytes=1536 * KIB,
    pressure_some=1.5,
    pressure_full=None,
    oom_kills=2,
    swap_bytes=8 * KIB,
)


def file(name: str, size: int) -> FileUsage:
    return FileUsage(MappedFile(name, FileKind.FILE, True), size, size // 2, (("web", size), ("db", size)))


def page(name: str = "web", **fields: Any) -> Page:
    shown = replace(LIMITED, zone=name)
    given_ = Page(
        snapshot=snapshot(shown),
        usage=shown,
        processes=[process(pid, zone=name) for pid in range(41, 48)],
        arguments={41: ("httpd", "-D", "one\ntwo")},
        files=[file(f"/usr/lib/lib{number}.so", 20 * KIB) for number in range(6)],
        shared_with=[("db", 12 * KIB), ("cache", 4 * KIB)],
        chain=documents.account(documents.BILL_2).chain,
        growth=None,
        gaps=(Gap(43, "maps", Cause.EXITED),),
    )
    return replace(given_, **fields)


def test_the_page() -> None:
    text = "\n".join(" ".join(line.split()) for line in render(page(), 110))
    for words in (
        "web cgroup, 3 processes",
        "RSS 61K █",
        "anon █: private memory that no file backs",
        "EXCL 41K no other zone maps it",
        "SHARED 20K 2 other zones map some of it",
        "the kernel's bill, 75% of its limit of 2",
        "slowed down from",
        "page cache and tmpfs that nobody maps",
        "kernel memory",
        "KILLS 2 processes killed for want of memory (OOM)",
        "PRESSURE 1.5% of the latest 10 s some task waited for memory; all waited: –",
        "httpd -D one\\x0atwo",
        "[httpd]",
        "and 2 more processes: zonerss ps web",
        "/usr/lib/lib0.so",
        "and 1 more file: zonerss files web",
        "WITH",
    ):
        assert words in text, words


def test_how_often_its_pages_are_mapped() -> None:
    assert not [line for line in render(page(), 110) if line.startswith("MAP1")]
    counted = Mapcounts((23 * KIB, 0, 8 * KIB, 0, 16 * KIB), 4 * KIB)
    (line,) = (line for line in render(page(mapcounts=counted), 110) if line.startswith("MAP1"))
    says = "mapped once on the whole machine; 8K 3-9 times, 16K 100+ times, 4K nobody knows how often"
    assert line.split(maxsplit=2) == ["MAP1", "23K", says]


def test_in_a_pipe_there_is_no_bar() -> None:
    text = "\n".join(render(page()))
    assert not set("█▓░\x1b") & set(text)
    assert "anon 23K, file 31K, shmem 7K" in text


def test_what_is_not_known_is_not_there() -> None:
    bare = replace(usage(charged_bytes=None), cgroup=None)
    text = "\n".join(render(page(usage=bare, chain=None, files=(), shared_with=()), 80))
    assert "It has no bill of its own" in text
    for word in ("KILLS", "PRESSURE", "FILE", "WITH", "SWAP", "GROWS"):
        assert word not in text
    unknown = "\n".join(render(page(chain=None), 80))
    assert "CHARGED" in unknown
    assert "page cache and tmpfs" not in unknown


def test_growth() -> None:
    (line,) = (line for line in render(page(growth=15.0 * MIB), 80) if line.startswith("GROWS"))
    assert line.split()[1:3] == ["+15M/min", "▲"]


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
@given(name=NAMES, command=NAMES, in_bytes=st.booleans(), coloured=st.booleans())
def test_no_line_is_wider(width: int, name: str, command: str, in_bytes: bool, coloured: bool) -> None:
    shown = page(
        name or "x",
        arguments={41: (command,) * 9},
        files=[file(f"/{command}" * 7, MIB)],
        shared_with=[(command or "y", KIB)],
    )
    lines = render(shown, width, Style(coloured), in_bytes=in_bytes, most=3)
    assert all(cells(line) <= width for line in lines)


def test_several_pages_are_one_document() -> None:
    read = json.loads(render_json(document([page(), page("db", chain=None)])))
    assert read["schema"] == "zonerss.zone/1"
    web, db = read["zones"]
    assert (web["zone"], db["zone"]) == ("web", "db")
    assert db["bill"] is None
    assert web["bill"]["charged_bytes"] == 1536 * KIB
    assert sum(web["bill"][f"{name}_bytes"] for name in ("mapped", "cache", "kernel", "other")) == 1536 * KIB
    total = web["process_rss_bytes"] and sum(step["bytes"] for step in web["steps"]) + web["residual_bytes"]
    assert total == 1536 * KIB - 500 * KIB  # of the chain, whose processes have 500K
    assert [row["pid"] for row in web["largest_processes"]] == [*range(41, 48)]
    assert web["largest_processes"][0]["args"] == ["httpd", "-D", "one\ntwo"]
    assert web["largest_processes"][1]["args"] is None
    assert len(web["largest_files"]) == 6
    assert web["shared_with"] == [{"zone": "db", "bytes": 12 * KIB}, {"zone": "cache", "bytes": 4 * KIB}]
    assert [gap["pid"] for gap in read["gaps"]] == [43]


def test_a_limit_is_of_each_list() -> None:
    (web,) = document([page()], 1)["zones"]
    assert [len(web[name]) for name in ("largest_processes", "largest_files", "shared_with")] == [1, 1, 1]


def test_how_old_its_details_are() -> None:
    assert "The bill, files and MAP1 are of 8 s ago." in render(page(details_age_seconds=8.2), 80)
    assert not [line for line in render(page(), 80) if "ago" in line]


def test_a_zone_with_a_cap() -> None:
    lines = render(page(), forecast=FORECAST)
    (cap,) = [line for line in lines if line.startswith("CAP ")]
    assert cap.split(None, 2)[1:] == ["0K", f"{forecast_text(FORECAST)}."]
    assert not any(line.startswith("CAP ") for line in render(page()))
    assert max(map(len, render(page(), 60, forecast=FORECAST))) <= 60
    zones = document([page(), page("db")], forecasts={"web": FORECAST})["zones"]
    assert [zone["forecast"] and zone["forecast"]["excess_bytes"] for zone in zones] == [7, None]
