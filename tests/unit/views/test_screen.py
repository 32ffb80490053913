"""The first screen: as wide and as high as the terminal, the zones first, the most telling columns."""

from __future__ import annotations

import re
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import BEGAN, KIB, MACHINE, MIB, members, snapshot, usage
from tests.unit.views.test_text import NAMES

from zonerss.answers.growth import Growth
from zonerss.answers.marks import Mark, Why, marks_of
from zonerss.census.parts import Parts
from zonerss.plain import replace
from zonerss.records import Usage
from zonerss.snapshot import Snapshot
from zonerss.views.columns import RSS
from zonerss.views.screen import machine_line, speed_text
from zonerss.views.show import render
from zonerss.views.terminal import Style, Terminal, printing_to
from zonerss.views.text import cells

LONG = "libpod_pause_" + "0123456789abcdef" * 4
WIDTHS = (40, 60, 80, 120, 200)


def zones() -> tuple[Usage, ...]:
    return (
        usage("/workers", anon_bytes=190 * MIB, exclusive_bytes=187 * MIB, charged_bytes=181 * MIB),
        usage(
            LONG,
            kind="podman",
            charged_bytes=264 * MIB,
            limit_bytes=512 * MIB,
            cache_unmapped_bytes=200 * MIB,
        ),
        usage("web", charged_bytes=None, exclusive_bytes=None, proportional_bytes=None),
    )


def screen(terminal: Terminal, found: Snapshot | None = None, **options: Any) -> list[str]:
    found = found or snapshot(*zones())
    with printing_to(terminal):
        return render(found, marks=marks_of(found), **options)


def test_at_80_columns() -> None:
    lines = screen(Terminal(80, 24))
    assert lines[0].startswith(" vm  ")
    assert lines[1].split() == ["ZONE", "RSS", "anon█", "file▓", "shmem░", "EXCL", "CHARGED", "LIMIT", "USED"]
    assert lines[2].split()[0] == "/workers"
    assert [line.split()[-3:] for line in lines[2:5]] == [
        ["181M", "–", "–"],
        ["264M*", "512M", "52%"],
        ["–", "–", "–"],
    ]
    assert lines[5] == ""
    assert lines[6].startswith("3 zones, 3 processes: ")
    assert "* 200M of the bill of" in "\n".join(lines[7:])


def test_wider_terminals_show_more() -> None:
    headers = [set(screen(Terminal(width))[1].split()) for width in WIDTHS]
    for narrow, wide in pairwise(headers):
        assert narrow - {"█▓░"} <= wide
    assert {"KIND", "PROCS", "SHARED", "PROP"} <= headers[WIDTHS.index(120)]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("coloured", [False, True])
def test_no_line_is_wider(width: int, coloured: bool) -> None:
    growth = Growth()
    growth.add(snapshot(*zones()))
    for line in screen(Terminal(width, 24, Style(coloured)), growth=growth):
        assert cells(line) <= width


@given(st.lists(NAMES, min_size=1, max_size=5, unique=True), st.sampled_from(WIDTHS), st.booleans())
def test_whatever_the_zones_are_called(names: list[str], width: int, in_bytes: bool) -> None:
    usages = [usage(name, limit_bytes=60 * KIB, oom_kills=1) for name in names]
    lines = screen(Terminal(width), snapshot(*usages), in_bytes=in_bytes, every=True)
    assert all(cells(line) <= width for line in lines)
    rows = lines[lines.index("", 0) - len(names) : lines.index("")]
    assert len(rows) == len(names)


def test_a_name_is_shortened_in_the_middle() -> None:
    (row,) = (line for line in screen(Terminal(60)) if line.startswith("libpod") and "…" in line)
    name = row.split()[0]
    head, tail = name.removesuffix("…").split("…")
    assert LONG.startswith(head)
    assert LONG.endswith(tail)
    assert LONG in "\n".join(screen(Terminal(200)))


def test_as_many_rows_as_there_is_room_for_and_one_that_counts_the_others() -> None:
    names = [f"z{number:02}" for number in range(30)]
    pages = {(number,): [30 - number, 0, 0, 0, 0] for number in range(30)}
    many = snapshot(
        *(usage(name, anon_bytes=4 * KIB * (30 - number)) for number, name in enumerate(names)),
        parts=Parts.of(30, pages),
        members=members(*names),
        machine=None,
    )
    lines = screen(Terminal(80, 24), many)
    assert len(lines) == 23
    (row,) = (number for number, line in enumerate(lines) if " more " in line)
    left = 30 - (row - 1)
    assert lines[row].split() == [str(left), "more", f"{4 * left * (left + 1) // 2}K"]
    assert len(screen(Terminal(80, 24), many, every=True)) == 33
    assert len(screen(Terminal(80, 24), many, taken=5)) == 18
    assert len(screen(Terminal(80), many)) == 33
    assert "more" in screen(Terminal(80), many, limit=7)[8]


def test_elsewhere_all_columns_of_all_zones_in_full() -> None:
    lines = render(snapshot(*zones()), marks=(Mark(Why.BILL, "/workers", 1),))
    assert lines[0].split()[:4] == ["ZONE", "KIND", "PROCS", "RSS"]
    assert LONG in lines[2]
    assert "*" not in "".join(lines[:4])
    assert not set("█▓░…\x1b") & set("".join(lines))


def test_colours_repeat_what_is_there_without_them() -> None:
    plain, coloured = (screen(Terminal(100, 24, Style(on))) for on in (False, True))
    assert [re.sub(r"\x1b\[[0-9;]*m", "", line).rstrip() for line in coloured] == plain


def test_a_limit_that_is_near() -> None:
    full = usage("db", charged_bytes=95 * KIB, limit_bytes=100 * KIB)
    lines = screen(Terminal(100, 24, Style(True)), snapshot(full))
    assert "\x1b[31m95%!\x1b[0m" in lines[2]
    near = usage("db", charged_bytes=80 * KIB, limit_bytes=100 * KIB)
    assert "\x1b[33m80%" in screen(Terminal(100, 24, Style(True)), snapshot(near))[2]


def test_the_machine() -> None:
    taken = snapshot(parts=Parts.of(1, {(0,): [10_000, 0, 0, 0, 0]}))
    (line,) = machine_line(taken, 160, Style())
    for words in (
        " vm  ",
        "zones 39M █",
        "page cache 331M ▒",
        "kernel 47M ▒",
        "free 211M",
        "swap 4",
        "pressure 1.2",
    ):
        assert words in line
    assert "█" not in machine_line(taken, 80, Style())[0]
    assert machine_line(snapshot(machine=None), 80, Style()) == []


@pytest.mark.parametrize("width", range(10, 130, 7))
def test_the_machine_has_one_line(width: int) -> None:
    named = replace(MACHINE, host_name="漢字\x1b" * 40)
    (line,) = machine_line(snapshot(machine=named), width, Style(True))
    assert cells(line) <= max(width, 40)


def test_growth_in_words() -> None:
    assert speed_text(15 * MIB) == "+15M/min ▲"
    assert speed_text(-15 * MIB) == "-15M/min ▼"
    assert speed_text(0.3) == "="


def test_growth_is_there_from_the_eighth_look_on() -> None:
    growth = Growth()
    for number in range(8):
        more = [usage("/workers", anon_bytes=(190 + 20 * number) * MIB), *zones()[1:]]
        look = snapshot(*more, began=BEGAN + timedelta(seconds=20 * number))
        growth.add(look)
        lines = screen(Terminal(80), look, growth=growth)
        assert lines[1].endswith("GROWS") == (number == 7)
    assert lines[2].endswith("+60M/min ▲")
    assert lines[3].endswith("=")


def test_a_column_of_nothing_is_left_out() -> None:
    users = snapshot(usage("root", cgroup=None, kind="user", charged_bytes=None))
    assert "CHARGED" not in screen(Terminal(200), users, sort=RSS)[1]
