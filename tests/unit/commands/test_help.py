"""help: all words, one word, and what is no word."""

from __future__ import annotations

import pytest

from zonerss.commands import main
from zonerss.views.glossary import WORDS


@pytest.mark.parametrize("words", [[], ["words"]])
def test_all_words(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", *words]) == 0
    out = capsys.readouterr().out
    assert all(f"{word} " in out for word in WORDS)


def test_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "mapped", "file"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mapped file ")
    assert " ".join(out.split()) == f"mapped file {WORDS['mapped file']}"


def test_no_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "moon"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
