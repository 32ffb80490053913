"""Numbers as the kernel writes them into its text files."""

from __future__ import annotations

_MOST_DIGITS = 20
"""Of a 64-bit number. int() refuses thousands of digits; it takes signs, underscores, blanks, other scripts' digits."""


def whole_number(text: bytes) -> int | None:
    """The number that stands there, in ASCII digits and nothing else; None: there is none of at most 20 digits."""
    return int(text) if len(text) <= _MOST_DIGITS and text.isdigit() else None
