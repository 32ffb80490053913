"""What a stream is: how wide, whether it shows colours, whether the cursor moves."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from typing import TextIO

import pytest

from zonerss.errors import ZonerssError
from zonerss.views.terminal import COLOURS, PLAIN, Style, Terminal, find_terminal, here, printing_to


@pytest.fixture
def screen() -> Iterator[TextIO]:
    """A terminal of 61 columns and 17 rows."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 17, 61, 0, 0))
    with os.fdopen(slave, "w", encoding="utf-8") as stream:
        yield stream
    os.close(master)


class Said(io.StringIO):
    """Says that it is a terminal, and has no file number."""

    def isatty(self) -> bool:
        return True


def test_a_pipe_has_no_width_and_no_colours() -> None:
    found = find_terminal(stream=io.StringIO(), environment={"TERM": "xterm", "COLUMNS": "70"})
    assert found == PLAIN


def test_a_terminal_has_its_size(screen: TextIO) -> None:
    found = find_terminal(stream=screen, environment={"TERM": "xterm"})
    assert found == Terminal(61, 17, Style(True), "utf-8", True)


@pytest.mark.parametrize(
    ("environment", "size"),
    [({}, (80, 24)), ({"COLUMNS": "70", "LINES": "x"}, (70, 24)), ({"COLUMNS": "-1", "LINES": "9"}, (80, 9))],
)
def test_a_terminal_that_does_not_tell_its_size(environment: dict[str, str], size: tuple[int, int]) -> None:
    found = find_terminal(stream=Said(), environment=environment)
    assert (found.width, found.height) == size


@pytest.mark.parametrize(
    ("colour", "environment", "coloured"),
    [
        ("auto", {"TERM": "xterm"}, True),
        ("auto", {"TERM": "xterm", "NO_COLOR": ""}, True),
        ("auto", {"TERM": "xterm", "NO_COLOR": "1"}, False),
        ("auto", {"TERM": "dumb"}, False),
        ("auto", {}, False),
        ("always", {"TERM": "dumb", "NO_COLOR": "1"}, True),
        ("never", {"TERM": "xterm"}, False),
    ],
)
def test_colours(colour: str, environment: dict[str, str], coloured: bool) -> None:
    assert colour in COLOURS
    assert find_terminal(colour, Said(), environment).style.colour is coloured


def test_colours_in_a_pipe_only_where_they_are_asked_for() -> None:
    assert not find_terminal("auto", io.StringIO(), {"TERM": "xterm"}).style.colour
    assert find_terminal("always", io.StringIO(), {}).style.colour


def test_the_cursor_of_a_dumb_terminal_does_not_move() -> None:
    assert not find_terminal(stream=Said(), environment={"TERM": "dumb"}).redraws


def test_a_style_ends_where_its_text_ends() -> None:
    assert Style(True).paint("a", "anon", "shared") == "\x1b[34;2ma\x1b[0m"
    assert Style(True).paint("", "anon") == ""
    assert Style(True).paint("a") == "a"
    assert Style().paint("a", "alarm") == "a"


def test_text_is_made_for_one_terminal_at_a_time() -> None:
    inner = Terminal(40)
    with printing_to(Terminal(60)):
        with printing_to(inner):
            assert here() is inner
        assert here() == Terminal(60)


def test_and_for_none_where_it_fails() -> None:
    def fail() -> None:
        with printing_to(Terminal(60)):
            raise ZonerssError("no")

    with pytest.raises(ZonerssError):
        fail()
    assert here() is PLAIN
