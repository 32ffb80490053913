"""Commands that lines propose: a shell takes each as it is, however long the zone's name and narrow the terminal."""

from __future__ import annotations

import shlex
import subprocess

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import members, snapshot, usage
from tests.unit.views.test_text import NAMES

from zonerss.views.advice import advise, shell_word
from zonerss.views.text import cells
from zonerss.zones.labels import find_names

OTHER = "other zone"


def advice(zone: str, width: int | None = None, verb: str = "explain", by: str = "zone") -> list[str]:
    return advise("* much", verb, zone, snapshot(usage(zone), usage(OTHER), by=by), width)


def words(lines: list[str]) -> list[str]:
    """What a shell makes of the command."""
    text = "\n".join(lines).removeprefix("* much:")
    script = "zonerss() { printf '%s\\0' \"$@\"; }\n"
    found = subprocess.run(["sh", "-c", script + text], capture_output=True, check=True)
    assert not found.stderr
    return found.stdout.decode().split("\0")[:-1]


def test_on_the_same_line_where_there_is_room() -> None:
    assert advice("db") == ["* much: zonerss explain db"]
    assert advice("db", 26) == ["* much: zonerss explain db"]
    assert advice("db", 25) == ["* much:", "  zonerss explain db"]


def test_by_a_shorter_name_on_the_same_line() -> None:
    assert advice("shop/db.service", 30) == ["* much: zonerss explain db"]
    assert advice("shop/db.service", 25) == ["* much:", "  zonerss explain db"]


def test_by_the_shortest_name_where_the_full_one_has_no_room() -> None:
    name = "shop/" + "x" * 40 + "/postgresql@15-main.service"
    assert advice(name, 30) == ["* much:", "  zonerss explain postgresql"]
    assert advice(name, 200) == [f"* much: zonerss explain {name}"]
    among = snapshot(usage(name), members=members(name, "postgresql@16.service"))
    assert advise("* much", "explain", name, among, 38) == ["* much:", "  zonerss explain postgresql@15-main"]


def test_on_several_lines_where_no_name_has_room() -> None:
    lines = advice("x" * 50, 30)
    assert lines[:3] == ["* much:", "zonerss explain \\", "x" * 29 + "\\"]
    assert words(lines) == ["explain", "x" * 50]


def test_in_the_grouping_that_is_looked_at() -> None:
    assert advice("/a/b", by="cgroup") == ["* much: zonerss explain --by cgroup /a/b"]


def test_what_would_be_no_zone() -> None:
    assert advice("7", verb="ps") == ["* much: zonerss ps --zone 7"]
    assert advice("7", verb="files") == ["* much: zonerss files 7"]
    assert advice("-x", verb="zone") == ["* much: zonerss zone -- -x"]


def test_about_none() -> None:
    assert advise("* much", "explain", None, snapshot(by="cgroup"), 80) == ["* much: zonerss explain"]


@given(
    st.one_of(NAMES, st.text("ab/@'-. 7漢", min_size=1)),
    st.sampled_from(["ps", "zone"]),
    st.integers(20, 100),
)
def test_a_shell_takes_it(zone: str, verb: str, width: int) -> None:
    zone = zone or "x"
    lines = advice(zone, width, verb)
    assert all(cells(line) <= width for line in lines)
    *_, word = words(lines)
    if "\\" not in zone and zone != OTHER:  # what looks like an escape is one
        assert find_names([word], {zone, OTHER}) == (zone,)


@given(st.binary(max_size=30))
def test_a_name_is_one_word_that_finds_the_zone(raw: bytes) -> None:
    zone = raw.decode("utf-8", "surrogateescape")
    (word,) = shlex.split(shell_word(zone))
    if "\\" not in zone:
        assert find_names([word], {zone, OTHER}) == (zone,)
