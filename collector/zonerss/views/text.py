"""Text that is safe to print. Names of processes and cgroups are chosen by users: they may contain newlines, escape
sequences for terminals, and bytes that are not UTF-8."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

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


def some_names(names: Sequence[str], most: int = 3) -> str:
    """The first names, safe to print, and how many more there are."""
    text = " ".join(map(printable, names[:most]))
    return f"{text} and {len(names) - most} more" if len(names) > most else text


def encodable(text: str) -> str:
    """The text for JSON; bytes that are not UTF-8 as backslash escapes."""
    if text.isascii():
        return text
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def cells(text: str) -> int:
    """How many columns of a terminal the text takes: wide characters take two, combining ones none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
