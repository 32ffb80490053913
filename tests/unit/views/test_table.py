"""Rows: sorted by what is shown, and never wider than the terminal."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import process, usage

from zonerss.views.columns import CHARGED, EXCLUSIVE, RSS, ZONE, process_columns, shown
from zonerss.views.table import lay_table, render_rows, render_table, sort_records
from zonerss.views.terminal import Terminal, printing_to
from zonerss.views.text import cells, printable, shorten


def test_sorted_by_the_value_shown_unknown_last() -> None:
    rows = [usage("a", charged_bytes=None), usage("b", charged_bytes=1), usage("c", charged_bytes=2)]
    assert [u.zone for u in sort_records(rows, CHARGED)] == ["c", "b", "a"]
    assert [u.zone for u in sort_records(rows, ZONE)] == ["a", "b", "c"]
    assert [u.zone for u in sort_records(rows, RSS, 1)] == ["a"]
    assert [u.zone for u in sort_records(rows, EXCLUSIVE)] == ["a", "b", "c"]


ROWS = [
    ["7K", "libpod_pause_scope_7592a9f79", "12M", "some words that say why this is so"],
    ["1G", "web", "–", "ok"],
]
HEADERS, LEFT = ["RSS", "ZONE", "EXCL", "WHY"], [False, True, False, True]


def test_all_in_full_where_there_is_room() -> None:
    assert render_rows(HEADERS, ROWS, LEFT) == [
        "RSS  ZONE                          EXCL  WHY",
        " 7K  libpod_pause_scope_7592a9f79   12M  some words that say why this is so",
        " 1G  web                              –  ok",
    ]
    assert render_rows(HEADERS, ROWS, LEFT, width=75) == render_rows(HEADERS, ROWS, LEFT)


def test_names_are_shortened_first_and_sentences_wrapped() -> None:
    assert render_rows(HEADERS, ROWS, LEFT, prose=True, width=54) == [
        "RSS  ZONE               EXCL  WHY",
        " 7K  libpod_p…592a9f79   12M  some words that say why",
        "                                this is so",
        " 1G  web                   –  ok",
    ]


def test_then_numbers_leave_from_the_right_but_for_the_first() -> None:
    lines = render_rows(HEADERS, ROWS, LEFT, width=40)
    assert lines[0].split() == ["RSS", "ZONE", "WHY"]
    assert render_rows(HEADERS, ROWS, LEFT, width=20)[1].split()[0] == "7K"


ARGS = {123456: ("/usr/lib/postgresql/15/bin/postgres", "-D", "/var/lib/postgresql/15/main", "-c", "x" * 60)}
PROCESSES = [process(123456, zone="libpod_pause_" + "0123456789abcdef" * 4)]


def test_command_lines_get_room_before_figures_that_can_be_done_without() -> None:
    columns = shown(process_columns({0: "postgres"}, ARGS), PROCESSES)
    table = lay_table(columns, PROCESSES, width=80)
    assert table.lines[0].split() == ["PID", "USERNAME", "RSS", "EXCL", "ZONE", "ARGS"]
    assert len(table.lines[1].split("  ")[-1]) >= 30
    assert table.left_out == ["SIZE", "ANON", "FILE", "SHMEM", "PROP"]
    assert table.remark() == ["No room for SIZE ANON FILE SHMEM PROP (-o chooses columns)."]


def test_nothing_is_left_out_where_there_is_room() -> None:
    table = lay_table(process_columns({}), PROCESSES, width=200)
    assert (table.left_out, table.remark()) == ([], [])
    assert table.lines == render_table(process_columns({}), PROCESSES)


@given(
    st.lists(
        st.lists(
            st.text(st.characters(exclude_categories=("Cs",)), max_size=90).map(printable),
            min_size=4,
            max_size=4,
        )
    ),
    st.booleans(),
    st.integers(20, 200),
)
def test_no_line_is_wider_than_the_terminal(rows: list[list[str]], prose: bool, width: int) -> None:
    numbers = [[shorten(row[0], 5), row[1], shorten(row[2], 5), row[3]] for row in rows]
    with printing_to(Terminal(width)):
        lines = render_rows(HEADERS, numbers, LEFT, prose=prose)
    assert all(cells(line) <= width for line in lines)
    assert prose or len(lines) == len(rows) + 1
