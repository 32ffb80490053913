"""Where text goes: how wide and high it is, whether it shows colours, which characters it has.

A table is laid out for the terminal that :func:`here` names. Everything else, a pipe, a file or a test, is PLAIN: rows
in full, without colours. Colours only repeat what glyphs and marks say.

Source: no-color.org; console_codes(4), "ECMA-48 Select Graphic Rendition".
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TextIO

COLOURS = ("auto", "always", "never")
"""What --color takes."""
_CODES = {
    "zone": "1",  # bold
    "anon": "34",  # blue
    "file": "32",  # green
    "shmem": "35",  # magenta
    "other": "36",  # cyan
    "shared": "2",  # dim, beside one of the above
    "dim": "2",
    "warning": "33",  # yellow
    "alarm": "31",  # red
}
_USUAL = (80, 24)


class Style(NamedTuple):
    """How parts of a line are told apart."""

    colour: bool = False

    def paint(self, text: str, *names: str) -> str:
        """The text in a style, as "zone" or "alarm", or in two of them; unchanged without colours."""
        if not self.colour or not text or not names:
            return text
        return f"\x1b[{';'.join(_CODES[name] for name in names)}m{text}\x1b[0m"


class Terminal(NamedTuple):
    """Where text goes."""

    width: int | None = None
    """In columns; None: no limit."""
    height: int | None = None
    """In rows; None likewise."""
    style: Style = Style()
    encoding: str = "utf-8"
    redraws: bool = False
    """Whether the cursor can be moved, so that a round of --watch goes over the last one."""


PLAIN = Terminal()
_here = PLAIN


def here() -> Terminal:
    """Where the text that is being made goes."""
    return _here


@contextmanager
def printing_to(terminal: Terminal) -> Iterator[None]:
    """Text that is made meanwhile goes there; not for several threads."""
    global _here
    before, _here = _here, terminal
    try:
        yield
    finally:
        _here = before


def find_terminal(
    colour: str = "auto", stream: TextIO | None = None, environment: Mapping[str, str] = os.environ
) -> Terminal:
    """
    What a stream, standard output by default, is.

    :param colour: as --color takes it; auto: on a terminal, unless NO_COLOR is set or TERM is dumb
    """
    stream = sys.stdout if stream is None else stream
    on_terminal = stream.isatty()
    redraws = on_terminal and environment.get("TERM", "dumb") != "dumb"
    wanted = redraws and not environment.get("NO_COLOR")
    columns, lines = _size(stream, environment) if on_terminal else (None, None)
    return Terminal(
        columns,
        lines,
        Style(wanted if colour == "auto" else colour == "always"),
        getattr(stream, "encoding", None) or "utf-8",
        redraws,
    )


def _size(stream: TextIO, environment: Mapping[str, str]) -> tuple[int, int]:
    """Columns and rows, by the kernel, else by the environment, else as terminals usually are."""
    try:
        size: tuple[int, int] = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        size = (0, 0)
    said = (environment.get(name, "") for name in ("COLUMNS", "LINES"))
    given = (int(text) if text.isascii() and text.isdigit() else 0 for text in said)
    columns, lines = (one or other or usual for one, other, usual in zip(size, given, _USUAL, strict=True))
    return columns, lines
