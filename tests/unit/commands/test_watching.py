"""--watch: what it refuses, how rounds follow each other, and what is said of a zone that is gone."""

from __future__ import annotations

import argparse
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from tests.unit.builders import snapshot

from zonerss.commands import main, watching
from zonerss.errors import UnknownZone

VERBS = (
    ["show"],
    ["ps"],
    ["share"],
    ["files"],
    ["whatif", "--without", "web"],
    ["explain", "web"],
    ["explain", "--payers"],
    ["explain", "--pid", "1"],
)


class Session:
    """Stands for a session; knows which zones are there in which of its looks."""

    made: list[Session]
    there: list[set[str]]

    def __init__(self, source: str, rules: object, **options: bool) -> None:
        self.options, self.is_open, self.took = options, False, 0
        self.asked: list[list[str]] = []
        Session.made.append(self)

    def __enter__(self) -> Session:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    def take(self, by: object, basis: str, zone: list[str], **wanted: Any) -> Any:
        """Of zones that are not there: as the real one does."""
        self.asked.append(list(zone))
        for name in zone:
            if name not in Session.there[self.took]:
                raise UnknownZone(f"there is no {name}\n", name)
        self.took += 1
        return snapshot()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    Session.made, Session.there = [], []
    monkeypatch.setattr(watching, "Session", Session)
    monkeypatch.setattr(watching.time, "sleep", lambda seconds: None)
    yield
    assert not any(session.is_open for session in Session.made)


def options(**given: Any) -> argparse.Namespace:
    usual = {"watch": 1.0, "count": 3, "patience": 2.0, "json": False, "uncertainty": None, "zone": None}
    return argparse.Namespace(**(usual | {"source": "auto", "rules": None, "basis": "mapped"} | given))


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--count", "2"], "--count needs --watch"),
        (["--watch", "0"], "not a number of seconds"),
        (["--watch", "nan"], "not a number of seconds"),
        (["--watch", "90000"], "not a number of seconds"),
        (["--watch", "1", "--count", "0"], "not a whole number"),
    ],
)
def test_wrong_usage_is_one_sentence(
    words: list[str], more: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, *more]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_one_session_that_follows_for_all_rounds() -> None:
    numbers, shown = iter(range(3)), []
    watching.rounds(options(), lambda session: next(numbers), shown.append)
    assert shown == [0, 1, 2]
    (session,) = Session.made
    assert session.options == {"lasting": True, "patience": 2.0, "follow": True, "uncertainty": False}


@pytest.mark.parametrize(
    ("asked", "watch", "told"),
    [(None, 1.0, False), (False, 1.0, True), (False, None, False), (True, None, True)],
)
def test_uncertainty_is_told_where_asked_for_and_in_a_watch_of_a_verb_that_tells_it(
    asked: bool | None, watch: float | None, told: bool
) -> None:
    given = options(uncertainty=asked, watch=watch, count=watch and 2)
    watching.rounds(given, lambda session: None, lambda found: None)
    assert [session.options["uncertainty"] for session in Session.made] == [told]


def test_a_zone_that_is_not_there_at_first_ends_it() -> None:
    Session.there = [set()]
    with pytest.raises(UnknownZone):
        watching.snapshots(options(zone=["web"]), ("zone",), lambda snapshot: None)


@pytest.mark.parametrize("json", [False, True])
def test_a_zone_that_is_gone_is_told_and_may_come_back(
    json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    there = iter([True, False, True])

    def look(session: Session) -> str:
        if next(there):
            return "here"
        raise UnknownZone("gone\x1b", "web")

    shown: list[str] = []
    watching.rounds(options(json=json), look, shown.append)
    assert shown == ["here", "here"]
    assert capsys.readouterr() == (("", "zonerss: gone\\x1b\n") if json else ("gone\\x1b\n\n", ""))


def test_of_several_zones_those_that_are_gone_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    Session.there = [{"web", "db"}, {"db"}, {"web", "db"}]
    shown: list[Any] = []
    watching.snapshots(options(zone=["web", "db"]), ("zone",), shown.append)
    assert len(shown) == 3
    (session,) = Session.made
    assert session.asked == [["web", "db"], ["web", "db"], ["db"], ["web", "db"]]
    assert capsys.readouterr() == ("", "")


def test_a_round_is_a_line_of_json_a_text_below_or_a_text_over_the_last(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def put(**given: Any) -> None:
        watching.put(options(**given), lambda: {"a": [1]}, lambda: ["a", "b"])

    put(json=True)
    assert capsys.readouterr().out == '{"a": [1]}\n'
    put(json=True, watch=None)
    assert capsys.readouterr().out == '{\n  "a": [\n    1\n  ]\n}\n'
    put()
    assert capsys.readouterr().out == "a\nb\n\n"
    put(watch=None)
    assert capsys.readouterr().out == "a\nb\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    put()
    assert capsys.readouterr().out == "\x1b[H\x1b[Ja\nb\n"


class Memory:
    """Stands for what a snapshot holds."""


def test_what_one_round_found_is_gone_when_the_next_one_looks() -> None:
    last: list[weakref.ref[Memory]] = []

    def look(session: Session) -> Memory:
        assert [held() for held in last] == [None] * len(last)
        found = Memory()
        last.append(weakref.ref(found))
        return found

    watching.rounds(options(), look, lambda found: None)
    assert len(last) == 3
