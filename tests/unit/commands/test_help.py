"""help: all words, one word, and what is no word."""

from __future__ import annotations

import pytest

from zonerss.commands import VERBS, main
from zonerss.commands.parser import verb_parser
from zonerss.views.glossary import WORDS


def test_all_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "words"]) == 0
    out = capsys.readouterr().out
    assert all(f"{word} " in out for word in WORDS)


def test_one_word(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", "mapped", "file"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mapped file ")
    assert " ".join(out.split()) == f"mapped file {WORDS['mapped file']}"


@pytest.mark.parametrize(
    ("word", "hint"), [("moon", "`zonerss help words`"), ("exlusive", "exclusive"), ("pss", "ps")]
)
def test_no_word(word: str, hint: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", word]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert hint in err


def test_alone_it_lists_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help"]) == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in VERBS)
    assert "`zonerss help words`" in out


def test_each_verb_has_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was too long was folded."""
    monkeypatch.setenv("COLUMNS", "80")
    with pytest.raises(SystemExit):
        main(["--help"])
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 79] == []
    assert all(f"  {verb:<9} {summary}" in lines for verb, summary in VERBS.items())


@pytest.mark.parametrize("verb", VERBS)
def test_what_keeps_colours_away_is_said_wherever_they_are(verb: str) -> None:
    for action in verb_parser(verb)._actions:
        if "--color" in action.option_strings:
            assert "unless NO_COLOR is set or TERM is dumb" in (action.help or "")


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["help", verb]) == 0
    out = capsys.readouterr().out
    assert f"usage: zonerss {verb} " in out
    assert ("zone  " in out.partition("usage:")[0]) == (verb in WORDS)
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    assert out.endswith(capsys.readouterr().out)
    assert "`zonerss help words` says what the words mean" in out
