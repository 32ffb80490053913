"""Rows as -o, --no-header and --tsv ask for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit.builders import KIB, MACHINE, snapshot, usage

from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.views import files, images, share, wss
from zonerss.views.columns import (
    CHARGED,
    KIND,
    LIMIT,
    MEMORY,
    MORE_ZONE_COLUMNS,
    PRESSURE,
    PRESSURE_FULL,
    RSS,
    SWAP,
    UNCERTAINTY,
    USED,
    ZONE,
    ZONE_COLUMNS,
    Column,
    process_columns,
)
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


def test_a_share_is_a_plain_number_for_programs() -> None:
    """It was shown as people read it: 87%."""
    full = usage(charged_bytes=349, limit_bytes=400, pressure_some=1.25, pressure_full=0.0)
    none = usage(charged_bytes=349, limit_bytes=None, pressure_some=None, pressure_full=None)
    how = layout(USED, MEMORY, PRESSURE, PRESSURE_FULL, LIMIT, tsv=True, header=False)
    small = replace(MACHINE, memory_bytes=6100 * KIB)
    assert render(how, (full, none), snapshot(machine=small)) == [
        "87.25\t1\t1.25\t0\t400",
        "-\t1\t-\t-\t-",
    ]
    assert render(how, (none,), snapshot(machine=None)) == ["-\t-\t-\t-\t-"]
    how = layout(USED, MEMORY, header=False)
    assert [line.split() for line in render(how, (full,), snapshot(machine=small))] == [["87%", "1.0%"]]


TABLES: dict[str, Sequence[Column]] = {
    "zones": (*ZONE_COLUMNS, *MORE_ZONE_COLUMNS),
    "processes": process_columns({}, {}, mapcounts=True),
    "files": (*files.file_columns(None), *files.MORE_FILE_COLUMNS),
    "pairs": share.PAIR_COLUMNS,
    "neighbours": share.own_columns(True),
    "parts": (*share.part_columns({}, True), *share.MORE_PART_COLUMNS),
    "images": (*images.image_columns(True), *images.MORE_IMAGE_COLUMNS),
    "working sets": wss.ZONE_COLUMNS,
}


@pytest.mark.parametrize(
    "column",
    [pytest.param(c, id=f"{table}-{c.name}") for table in TABLES for c in TABLES[table] if not c.left],
)
@pytest.mark.parametrize(
    ("value", "field"),
    [
        (0, "0"),
        (7, "7"),
        (-7, "-7"),
        (0.0, "0"),
        (-0.0001, "0"),
        (87.25, "87.25"),
        (2 / 3, "0.667"),
        (-1e9, "-1000000000"),
        (1e22, "10000000000000000000000"),
        (None, "-"),
    ],
)
def test_numbers_of_every_column_are_plain(column: Column, value: float | None, field: str) -> None:
    """Whatever sign, unit or arrow people are shown."""
    how = layout(replace(column, value=lambda record: value), tsv=True, header=False)
    assert tsv(how, [object()]) == [field]
