"""Names are anybody's: nothing of them may reach a terminal raw, nothing may be lost."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.views.text import ESCAPE, cells, encodable, printable


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


@given(st.text(st.characters(exclude_categories=()), max_size=30))
def test_json_can_carry_any_text_that_python_can_hold(text: str) -> None:
    assert json.loads(json.dumps(encodable(text))) == encodable(text)
    encodable(text).encode("utf-8")


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "koi8-r", "utf-8"])
@given(text=st.text(st.characters(exclude_categories=()), max_size=30))
def test_any_text_can_be_printed_in_any_encoding(encoding: str, text: str) -> None:
    printed = text.encode(encoding, ESCAPE).decode(encoding)
    assert printed.isascii() or encoding != "ascii"
    document = json.dumps({"text": text}, ensure_ascii=False).encode(encoding, ESCAPE).decode(encoding)
    stood_in = str.maketrans("–±·…", "-~.~")
    read = json.loads(document)["text"].translate(stood_in)
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read.encode("utf-16", "surrogatepass").decode("utf-16", "replace") == expected.translate(stood_in)


def test_what_an_output_cannot_take() -> None:
    assert "± – é 漢 😀".encode("ascii", ESCAPE) == rb"~ - \u00e9 \u6f22 \ud83d\ude00"
    assert "±é–".encode("latin-1", ESCAPE) == b"\xb1\xe9-"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", ESCAPE)
