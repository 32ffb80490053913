"""Text that is safe to print. Names of processes and cgroups are chosen by users: they may contain newlines, escape
sequences for terminals, and bytes that are not UTF-8."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Sequence

ESCAPE = "zonerss.escape"
"""An error handler of codecs for output in an encoding that lacks characters: ASCII, Latin-1."""
_STAND_INS = {"–": "-", "±": "~", "·": ".", "…": "~"}
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def printable(text: str) -> str:
    """The text on one line; control characters and the like as backslash escapes."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_visible(char) for char in text)


def _visible(char: str) -> str:
    if unicodedata.category(char) not in _UNSAFE:
        return char
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # surrogateescape: the byte itself
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape(error: UnicodeError) -> tuple[str, int]:
    """Stand-ins of one column for what zonerss itself prints, and escapes that are JSON's, too, for all else."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_encoded, error.object[error.start : error.end])), error.end


def _encoded(char: str) -> str:
    units = memoryview(char.encode("utf-16", "surrogatepass")).cast("H")[
        1:
    ]  # the first is the byte order mark
    return _STAND_INS.get(char) or "".join(f"\\u{unit:04x}" for unit in units)


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
    """How many columns of a terminal the text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
