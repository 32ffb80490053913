"""What stands out, in words, each with a command that a shell takes as it is."""

from __future__ import annotations

import re

import pytest
from tests.unit.builders import MIB, snapshot, usage

from zonerss.answers.marks import Mark, Why
from zonerss.commands import VERBS
from zonerss.views.columns import ZONE, ZONE_COLUMNS, sizes
from zonerss.views.marks import COLUMN_OF, mark_lines, sign

SIZE = sizes(False)
FOUND = snapshot(usage("db", limit_bytes=100 * MIB))


def line(why: Why, zone: str | None = "db", amount: int = 91 * MIB) -> str:
    (found,) = mark_lines([Mark(why, zone, amount)], FOUND, SIZE)
    return found


def test_in_words() -> None:
    assert line(Why.LIMIT) == "! db has 91M of its limit of 100M (91%): zonerss zone db"
    assert line(Why.KILLS, amount=1) == "! 1 process of db killed for want of memory: zonerss zone db"
    assert line(Why.CACHE) == "* 91M of the bill of db is page cache that nobody maps: zonerss explain db"
    assert line(Why.UNACCOUNTED, None).endswith("none of these figures: zonerss explain")


@pytest.mark.parametrize("why", Why)
def test_each_has_a_command_that_is_there(why: Why) -> None:
    command = re.search(r": zonerss (\w+)( db)?$", line(why))
    assert command
    assert command[1] in VERBS
    assert sign(Mark(why, None, 0)) in "!*"


def test_the_sign_stands_in_a_column_that_is_there() -> None:
    assert set(COLUMN_OF) == set(Why) - {Why.UNACCOUNTED}
    assert set(COLUMN_OF.values()) <= {column.name for column in (ZONE, *ZONE_COLUMNS)}


def test_a_command_is_in_one_piece() -> None:
    marks = [Mark(Why.BILL, "db", 64 * MIB)]
    assert mark_lines(marks, FOUND, SIZE, width=60) == [
        "* the bill of db, 64M, is more than twice its RSS:",
        "  zonerss explain db",
    ]
    assert len(mark_lines(marks, FOUND, SIZE, width=80)) == 1


def test_a_long_name_is_shortened_in_the_sentence_and_not_in_the_command() -> None:
    name = "/kubepods/" + "0123456789abcdef" * 3
    marks = [Mark(Why.BILL, name, 64 * MIB)]
    assert mark_lines(marks, snapshot(usage(name)), SIZE, width=80) == [
        "* the bill of /kubepods/012345…123456789abcdef, 64M, is more than twice its RSS:",
        f"  zonerss explain {name}",
    ]


def test_of_many_the_first_are_told() -> None:
    many = [Mark(Why.BILL, f"z{number}", 64 * MIB) for number in range(5)]
    lines = mark_lines(many, FOUND, SIZE)
    assert len(lines) == 4
    assert lines[-1] == "* and 2 more of that kind (--all shows them)"
    assert len(mark_lines(many, FOUND, SIZE, None)) == 5
