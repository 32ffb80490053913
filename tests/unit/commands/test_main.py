"""The command line: exit status, one line on stderr, nothing else."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path

import pytest

import zonerss.commands
from zonerss.commands import VERBS, main
from zonerss.errors import CannotServe, ZonerssError

PROJECT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["--nonsense"],
        ["--limit", "0"],
        ["--limit", "many"],
        ["--sort", "beauty"],
        ["--by", "moon"],
        ["--by", "depth=-1"],
        ["--alone"],
        ["frames"],
        ["frames", "-1"],
        ["show", "--zone"],
    ],
)
def test_wrong_usage_is_one_line_and_status_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    if os.geteuid():
        pytest.skip("needs root: without it that is said first")
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("zonerss: ")
    assert err.count("\n") == 1


def test_could_not_is_one_line_and_status_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*args: object, **options: object) -> None:
        raise CannotServe("no\x1b[2J way:\nnone")

    monkeypatch.setattr("zonerss.commands.show.snapshots", refuse)
    assert main([]) == 1
    assert capsys.readouterr() == ("", "zonerss: no\\x1b[2J way:\\x0anone\n")


def test_every_error_has_a_status() -> None:
    statuses = {ZonerssError.exit_status, *(cls.exit_status for cls in ZonerssError.__subclasses__())}
    assert statuses == {1, 2}


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_asking_about_the_command(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([word])
    assert caught.value.code == 0
    assert "zonerss" in capsys.readouterr().out


@pytest.mark.parametrize("verb", VERBS)
def test_one_word_names_the_verb_its_module_its_page_and_its_test(verb: str) -> None:
    assert (PROJECT / "collector" / "zonerss" / "commands" / f"{verb}.py").exists()
    assert verb == "help" or (PROJECT / "docs" / f"{verb}.md").exists()  # help prints docs/glossary.md
    assert list((PROJECT / "tests").rglob(f"test_{verb}.py"))
    assert import_module(f"zonerss.commands.{verb}").__doc__
    assert zonerss.commands.VERBS[verb]
