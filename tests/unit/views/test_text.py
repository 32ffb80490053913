"""Names are anybody's: nothing of them may reach a terminal raw, nothing may be lost."""

from __future__ import annotations

import json
import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from zonerss.views.text import cells, encodable, printable


def kernel_text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


@given(st.binary(max_size=60))
def test_printable_is_one_safe_line(raw: bytes) -> None:
    text = printable(kernel_text(raw))
    text.encode("utf-8")
    assert not any(unicodedata.category(char) in ("Cc", "Cs", "Cf", "Zl", "Zp") for char in text)


@given(st.binary(max_size=60))
def test_json_can_carry_any_name(raw: bytes) -> None:
    text = encodable(kernel_text(raw))
    assert json.loads(json.dumps(text)) == text
    text.encode("utf-8")


def test_what_it_looks_like() -> None:
    assert printable(kernel_text(b"a\nb\x1b[31m\xff")) == "a\\x0ab\\x1b[31m\\xff"
    assert printable("Müller ‮") == "Müller \\u202e"
    assert encodable(kernel_text(b"a\nb\xff")) == "a\nb\\xff"


def test_cells() -> None:
    assert cells("abc") == 3
    assert cells("漢字") == 4
    assert cells("é") == 1
