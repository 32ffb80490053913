"""What stands out, in words, each with a command that a shell takes as it is."""

from __future__ import annotations

import re
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import MIB

from zonerss.answers.marks import Mark, Why
from zonerss.commands import VERBS
from zonerss.views.columns import ZONE, ZONE_COLUMNS, sizes
from zonerss.views.marks import COLUMN_OF, mark_lines, shell_word, sign
from zonerss.zones.labels import find_names

SIZE = sizes(False)


def line(why: Why, zone: str | None = "db", amount: int = 91 * MIB) -> str:
    (found,) = mark_lines([Mark(why, zone, amount)], {"db": 100 * MIB}, SIZE)
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
    assert mark_lines(marks, {}, SIZE, width=60) == [
        "* the bill of db, 64M, is more than twice its RSS:",
        "  zonerss explain db",
    ]
    assert len(mark_lines(marks, {}, SIZE, width=80)) == 1


def test_of_many_the_first_are_told() -> None:
    many = [Mark(Why.BILL, f"z{number}", 64 * MIB) for number in range(5)]
    lines = mark_lines(many, {}, SIZE)
    assert len(lines) == 4
    assert lines[-1].startswith("* and 2 more")
    assert len(mark_lines(many, {}, SIZE, None)) == 5


@given(st.binary(max_size=30))
def test_a_name_is_one_word_that_finds_the_zone(raw: bytes) -> None:
    zone = raw.decode("utf-8", "surrogateescape")
    (word,) = shlex.split(shell_word(zone))
    if "\\" not in zone:  # what looks like an escape is one
        assert find_names([word], {zone, "other zone"}) == (zone,)
