"""Rows as -o, --no-header and --tsv ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.unit.builders import KIB, MACHINE, snapshot, usage

from zonerss.records import Cause, Gap
from zonerss.views.columns import CHARGED, KIND, MEMORY, RSS, SWAP, UNCERTAINTY, ZONE, Column
from zonerss.views.rows import Layout, render, tsv

ROWS = (usage("a\tb\n\x1b[2J", uncertainty_bytes=5), usage("naïve", charged_bytes=None))


def layout(*columns: Column, **how: Any) -> Layout:
    return Layout(columns or (ZONE, RSS, SWAP), RSS, chosen=True, **how)


def test_a_table_with_its_last_lines() -> None:
    gap = Gap(1, "open", Cause.REFUSED)
    lines = render(layout(), ROWS, snapshot(gaps=(gap,)))
    assert [line.split() for line in lines[:3]] == [
        ["ZONE", "RSS"],
        ["a\\x09b\\x0a\\x1b[2J", "61K"],
        ["naïve", "61K"],
    ]
    assert lines[3] == ""
    assert lines[-1] == "Not counted: 1 process that may not be read (pid 1)."


def test_without_header_there_are_rows_only() -> None:
    how = layout(header=False, in_bytes=True)
    assert how.rows_only
    assert [line.split()[-1] for line in render(how, ROWS, snapshot())] == [str(61 * KIB)] * 2


def test_tab_separated_values() -> None:
    how = layout(ZONE, RSS, SWAP, CHARGED, UNCERTAINTY, tsv=True)
    assert tsv(how, ROWS) == [
        "zone\trss\tswap\tcharged\tuncertainty",
        f"a\\x09b\\x0a\\x1b[2J\t{61 * KIB}\t0\t{53 * KIB}\t5",
        f"naïve\t{61 * KIB}\t0\t-\t-",
    ]
    assert render(how, ROWS, snapshot()) == tsv(how, ROWS)
    assert tsv(layout(ZONE, header=False, tsv=True), ROWS[1:]) == ["naïve"]
    assert all(len(line.split("\t")) == 5 for line in tsv(how, ROWS))


def test_rows_of_rounds_begin_with_their_time() -> None:
    lines = render(layout(KIND, MEMORY, tsv=True), ROWS, snapshot(), watching=True)
    assert lines[0] == "time\tkind\tmemory"
    assert [line.split("\t")[0] for line in lines[1:]] == ["2026-11-22T12:00:00.000250Z"] * 2


def test_memory_is_a_share_of_the_machine_that_was_looked_at() -> None:
    """It was one of the machine that zonerss runs on, also of a recording of another one."""
    how = layout(ZONE, MEMORY, header=False)
    small = replace(MACHINE, memory_bytes=610 * KIB)
    assert [line.split()[-1] for line in render(how, ROWS, snapshot(machine=small))] == ["10%"] * 2
    assert [line.split()[-1] for line in render(how, ROWS, snapshot(machine=None))] == ["–"] * 2


def test_several_names_in_one_field() -> None:
    column = Column(
        "names", "NAMES", "", lambda record: ("a", "b\t"), left=True, text=lambda names: "a and 1 more"
    )
    assert tsv(layout(column, tsv=True), ROWS[:1])[1] == "a,b\\x09"
