"""Sentences of the log: printed once, safely, with levels for the journal."""

from __future__ import annotations

import os

import pytest

from zonerss.serve.logs import WARNING, Log


def test_what_strangers_named_cannot_draw_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    Log({}).say("zone \x1b[2Jweb\nred")
    said = capsys.readouterr().err
    assert said.startswith("zonerss: zone ")
    assert "\x1b" not in said
    assert said.count("\n") == 1


def test_the_same_is_said_once_until_it_is_over(capsys: pytest.CaptureFixture[str]) -> None:
    log = Log({})
    for sentence in ("", "a", "a", "b", "", "", "b"):
        log.say_once("walk", sentence)
    log.say_once("record", "b")
    assert capsys.readouterr().err.split() == ["zonerss:", "a", *["zonerss:", "b"] * 3]


def test_the_journal_gets_levels(capfd: pytest.CaptureFixture[str]) -> None:
    found = os.fstat(2)
    log = Log({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})
    log.say("careful", WARNING)
    assert capfd.readouterr().err == "<4>careful\n"
