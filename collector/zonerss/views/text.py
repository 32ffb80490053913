"""Text that is safe to print. Names of processes and cgroups are chosen by users: they may contain newlines, escape
sequences for terminals, and bytes that are not UTF-8."""

from __future__ import annotations

import codecs
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from zonerss.views.terminal import here

ESCAPE = "zonerss.escape"
"""An error handler of codecs for output in an encoding that lacks characters: ASCII, Latin-1."""
STAND_INS = {"–": "-", "±": "~", "·": ".", "…": "~", "▲": "^", "▼": "v"}
STAND_INS |= dict(zip("█▓▒░", "#=:.", strict=True)) | dict(zip("▁▂▃▄▅▆▇", ".,:-=+*", strict=True))
"""What stands for characters of ours, of one column each, in such an encoding."""
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
_STYLE = re.compile(r"\x1b\[[0-9;]*m")


def printable(text: str, encoding: str | None = None) -> str:
    """
    The text on one line; control characters, and what the encoding lacks, as backslash escapes.

    :param encoding: None: that of the terminal
    """
    if text.isascii() and text.isprintable():
        return text
    encoding = encoding or here().encoding
    return "".join(_visible(char, encoding) for char in text)


@lru_cache(maxsize=4096)
def _visible(char: str, encoding: str) -> str:
    if unicodedata.category(char) not in _UNSAFE and (char in STAND_INS or _can_encode(char, encoding)):
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte itself, which \x80 and above stand for
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _can_encode(char: str, encoding: str) -> bool:
    try:
        char.encode(encoding)
    except (UnicodeError, LookupError):
        return False
    return True


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Stand-ins of one column for what zonerss itself prints, and escapes that are JSON's, too, for all else."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_encoded, error.object[error.start : error.end])), error.end


def _encoded(char: str) -> str:
    units = memoryview(char.encode("utf-16", "surrogatepass")).cast("H")[
        1:
    ]  # the first is the byte order mark
    return STAND_INS.get(char) or "".join(f"\\u{unit:04x}" for unit in units)


codecs.register_error(ESCAPE, _escape)


def some_names(names: Sequence[str], most: int = 3) -> str:
    """The first names, safe to print, and how many more there are."""
    text = " ".join(map(printable, names[:most]))
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def encodable(text: str) -> str:
    """The text for JSON; bytes that are not UTF-8 as backslash escapes."""
    if text.isascii():
        return text
    try:
        return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:  # a half of a surrogate pair, which stands for no byte
        return text.encode("utf-8", "backslashreplace").decode("utf-8")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters take two, combining ones and styles none."""
    if text.isascii() and "\x1b" not in text:
        return len(text)
    return sum(map(_cells_of, _STYLE.sub("", text)))


@lru_cache(maxsize=4096)
def _cells_of(char: str) -> int:
    if unicodedata.category(char) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """At most ``width`` columns of a name: an ellipsis stands for its middle, for names differ at their ends."""
    if cells(text) <= width:
        return text
    text = _STYLE.sub("", text)
    if width < 2:
        return "…"[:width]
    tail = (width - 1) // 2
    last = "".join(reversed(_first(reversed(text), tail)))
    return f"{''.join(_first(text, width - 1 - tail))}…{last}"


def _first(chars: Iterable[str], room: int) -> list[str]:
    """As many characters as fit."""
    found = []
    for char in chars:
        room -= _cells_of(char)
        if room < 0:
            break
        found.append(char)
    return found


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """A sentence on lines of at most ``width`` columns, broken at blanks; a longer word is shortened."""
    lines: list[str] = []
    line: str | None = None
    for word in text.split(" "):
        if line is not None and cells(line) + 1 + cells(word) <= width:
            line += f" {word}"
            continue
        if line is not None:
            lines.append(line.rstrip(" "))
        margin = indent if lines else ""
        line = margin + shorten(word, max(width - len(margin), 1))
    return [*lines, (line or "").rstrip(" ")]


def fit(lines: Iterable[str], width: int | None) -> Iterator[str]:
    """The lines, none wider than ``width``: sentences are wrapped, at their own indentation and two columns more."""
    for line in lines:
        if width is None or cells(line) <= width:
            yield line
        elif "\x1b" in line:
            yield _cut(line, width)
        else:
            margin = " " * min(len(line) - len(line.lstrip()), width // 2)
            yield from (margin + text for text in wrap(line.lstrip(), width - len(margin), "  "))


def _cut(line: str, width: int) -> str:
    """The first columns of a line with styles in it."""
    found, end = [], 0
    for style in (*_STYLE.finditer(line), None):
        text = line[end : style.start() if style else None]
        fits = _first(text, width)
        found += fits
        width -= cells("".join(fits)) if len(fits) == len(text) else width
        if style:
            found.append(style[0])
            end = style.end()
    return "".join(found)
