"""--watch: what it refuses, how rounds follow each other, and what is said of a zone that is gone."""

from __future__ import annotations

import argparse
import re
import sys
import weakref
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import snapshot

from zonerss.commands import main, watching
from zonerss.errors import UnknownZone
from zonerss.views.terminal import PLAIN, here

TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d{4}, every 1 s")

VERBS = (
    ["show"],
    ["ps"],
    ["share"],
    ["files"],
    ["zone", "web"],
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
        self.went_on: list[bool] = []
        """Whether it was to tell the uncertainty from then on, each time it was to go on."""
        Session.made.append(self)

    def __enter__(self) -> Session:
        self.is_open = True
        return self

    def __exit__(self, *_: object) -> None:
        self.is_open = False

    def go_on(self, uncertainty: bool) -> None:
        self.went_on.append(uncertainty)

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
    usual = {
        "watch": 1.0,
        "count": 3,
        "patience": 2.0,
        "threads": None,
        "json": False,
        "uncertainty": None,
        "zone": None,
    }
    return argparse.Namespace(
        **(
            usual
            | {"source": "auto", "rules": None, "basis": "mapped", "recording": None, "at": None}
            | given
        )
    )


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--count", "2"], "--count needs --watch"),
        (["--watch", "0"], "is no duration from 0.1s to 1d"),
        (["--watch", "nan"], "is no duration from 0.1s to 1d"),
        (["--watch", "2d"], "is no duration from 0.1s to 1d"),
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
    assert session.options == {"lasting": True, "patience": 2.0, "threads": None, "uncertainty": False}
    assert session.went_on == [False]


@pytest.mark.parametrize(
    ("asked", "watch", "told", "later"),
    [
        (None, 1.0, False, [False]),
        (False, 1.0, False, [True]),
        (True, 1.0, True, [True]),
        (False, None, False, []),
        (True, None, True, []),
    ],
)
def test_uncertainty_is_told_where_asked_for_and_after_the_first_round_of_a_verb_that_tells_it(
    asked: bool | None, watch: float | None, told: bool, later: list[bool]
) -> None:
    given = options(uncertainty=asked, watch=watch, count=watch and 2)
    watching.rounds(given, lambda session: None, lambda found: None)
    (session,) = Session.made
    assert (bool(session.options["uncertainty"]), session.went_on) == (told, later)


def test_the_first_round_is_shown_before_anything_more_is_loaded() -> None:
    went_on: list[Any] = []
    watching.rounds(options(), lambda session: session, lambda session: went_on.append(list(session.went_on)))
    assert went_on == [[], [False], [False]]


def test_for_one_round_nothing_more_is_loaded() -> None:
    watching.rounds(options(count=1), lambda session: None, lambda found: None)
    assert Session.made[0].went_on == []


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
    out, err = capsys.readouterr()
    assert err == ("zonerss: gone\\x1b\n" if json else "")
    assert out == "" if json else out.endswith("every 1 s\ngone\\x1b\n\n")


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
    time, *lines = capsys.readouterr().out.split("\n")
    assert TIME.fullmatch(time)
    assert lines == ["a", "b", "", ""]
    put(watch=None)
    assert capsys.readouterr().out == "a\nb\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    put()
    drawn = capsys.readouterr().out
    assert drawn.startswith("\x1b[H\x1b[J")
    assert drawn.endswith(", every 1 s\na\nb\n")
    monkeypatch.setenv("TERM", "dumb")
    put()
    assert "\x1b" not in capsys.readouterr().out


def test_lines_are_as_wide_as_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options(watch=None)
    watching.put(given, dict, lambda: [f"{here().width}", "word " * 9])
    assert capsys.readouterr().out == f"None\n{'word ' * 9}\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "20")
    watching.put(given, dict, lambda: [f"{here().width}", "word " * 9])
    assert capsys.readouterr().out.splitlines() == [
        "20",
        "word word word word",
        "  word word word",
        "  word word",
    ]
    assert here() is PLAIN


@pytest.mark.parametrize(
    ("lines", "height", "shown"),
    [
        (["h", "1", "2", "", "f"], None, ["h", "1", "2", "", "f"]),
        (["h", "1", "2", "", "f"], 6, ["h", "1", "2", "", "f"]),
        (["h", "1", "2", "3", "", "f"], 6, ["h", "1", "and 2 more lines", "", "f"]),
        (["h", "1", "2", "3"], 4, ["h", "1", "and 2 more lines"]),
        (["h", "", "1", "2", "3", "4"], 5, ["h", "", "1", "and 3 more lines"]),
    ],
)
def test_a_round_that_is_drawn_over_the_last_one_does_not_scroll(
    lines: list[str], height: int | None, shown: list[str]
) -> None:
    assert watching.screenful(lines, height) == shown


@given(st.lists(st.sampled_from(["a", ""]), max_size=60), st.integers(2, 50))
def test_a_screenful_leaves_the_last_row_free(lines: list[str], height: int) -> None:
    found = watching.screenful(lines, height)
    assert len(found) == min(len(lines), height - 1)
    assert found[:1] == lines[:1] or height == 2


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


class Clock:
    """Time that passes only where it is told to, and processor time beside it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.spent = 1000.0, 5.0
        monkeypatch.setattr(watching.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(watching.time, "process_time", lambda: self.spent)
        monkeypatch.setattr(watching.time, "sleep", self.pass_)

    def pass_(self, seconds: float, spent: float = 0.0) -> None:
        self.now += seconds
        self.spent += spent


@pytest.mark.parametrize(
    ("share", "began"),
    [(None, [0, 1, 2, 3]), (0.5, [0, 1, 2, 3]), (0.01, [0, 20, 40, 60])],
    ids=["as much as it needs", "it needs less", "it needs more"],
)
def test_a_round_is_paid_for_by_the_pause_behind_it(
    share: float | None, began: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    cost, found = watching.OwnCost(share), []
    for _ in watching.ticks(1.0, 4, cost.stretched):
        found.append(clock.now - 1000)
        clock.pass_(0.3, spent=0.2)
    assert found == pytest.approx(began)
    assert cost.share == pytest.approx(4 * 0.2 / (began[-1] + 0.3))


def test_a_late_round_is_skipped_at_any_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    found = []
    for number in watching.ticks(1.0, 4):
        found.append(clock.now - 1000)
        clock.pass_(2.5 if number == 1 else 0.1)
    assert found == pytest.approx([0, 1, 3.5, 4])


@pytest.mark.parametrize("number", ["0", "65", "-1", "x", "1.0", "", "9" * 5000])
def test_a_wrong_number_of_threads(number: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", f"--threads={number}"]) == 2
    assert "is not a whole number from 1 to 64" in capsys.readouterr().err


def test_so_many_threads_are_asked_for() -> None:
    watching.rounds(options(threads=3), lambda session: None, lambda found: None)
    assert Session.made[0].options["threads"] == 3
