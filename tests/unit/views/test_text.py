"""Names are anybody's: nothing of them may reach a terminal raw, nothing may be lost."""

from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.views.terminal import Terminal, printing_to
from zonerss.views.text import ESCAPE, STAND_INS, cells, encodable, fit, printable, shorten, wrap
from zonerss.zones.labels import raw_name

NAMES = st.text(st.characters(exclude_categories=("Cs",)), max_size=60).map(printable)
"""Names as they are printed: wide and combining characters, escapes."""


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
    stood_in = str.maketrans(STAND_INS)
    read = json.loads(document)["text"].translate(stood_in)
    expected = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert read.encode("utf-16", "surrogatepass").decode("utf-16", "replace") == expected.translate(stood_in)


def test_what_an_output_cannot_take() -> None:
    assert "± – é 漢 😀".encode("ascii", ESCAPE) == rb"~ - \u00e9 \u6f22 \ud83d\ude00"
    assert "±é–".encode("latin-1", ESCAPE) == b"\xb1\xe9-"
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", ESCAPE)


def test_what_cannot_be_encoded_is_escaped_before_it_is_laid_out() -> None:
    with printing_to(Terminal(encoding="ascii")):
        assert printable("Müller 漢 –") == "M\\u00fcller \\u6f22 –"
        assert all(raw_name(printable(name)) == name for name in ("é", "漢", "😀", "\x85", "\udce9"))
    with printing_to(Terminal(encoding="latin-1")):
        assert printable("Müller 漢") == "Müller \\u6f22"


def test_names_are_shortened_in_the_middle() -> None:
    assert shorten("libpod_pause_scope_7592a9f79", 19) == "libpod_pa…7592a9f79"
    assert shorten("abcdefghij", 7) == "abc…hij"
    assert shorten("abcdefghij", 6) == "abc…ij"
    assert shorten("漢字漢字", 5) == "漢…字"
    assert [shorten("abc", width) for width in (3, 2, 1, 0)] == ["abc", "a…", "…", ""]


@given(NAMES, st.integers(0, 70))
def test_a_shortened_name_fits(name: str, width: int) -> None:
    assert cells(shorten(name, width)) <= width
    assert shorten(name, max(width, cells(name))) == name


@given(st.lists(NAMES, max_size=8).map(" ".join), st.integers(4, 70))
def test_a_wrapped_sentence_fits_and_loses_no_word(text: str, width: int) -> None:
    lines = wrap(text, width, "  ")
    assert all(cells(line) <= width for line in lines)
    words = [word for word in text.split(" ") if word and cells(word) <= width - 2]
    assert not set(words) - {word for line in lines for word in line.split(" ")}


def test_sentences_are_wrapped_at_their_own_indentation() -> None:
    assert list(fit(["  yes  it is so", "short"], 11)) == ["  yes  it", "    is so", "short"]
    assert list(fit(["any length", "x" * 999], None)) == ["any length", "x" * 999]
    assert list(fit(["\x1b[1mabc\x1b[0mdef"], 4)) == ["\x1b[1mabc\x1b[0md"]


@given(st.lists(NAMES), st.integers(8, 70))
def test_every_line_fits(lines: list[str], width: int) -> None:
    assert all(cells(line) <= width for line in fit(lines, width))


def test_styles_take_no_columns() -> None:
    assert cells("\x1b[34;2ma\x1b[0m漢") == 3
