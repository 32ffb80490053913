"""top: its options, and tables into a pipe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.builders import NoSession, evidence, snapshot, usage

from zonerss.commands import main, top


class Session(NoSession):
    """Stands for a session that finds two zones."""

    def take(self, by: object, basis: str = "mapped", **wanted: bool) -> Any:
        return snapshot(usage("web"), usage("db"))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "Session", Session)


def test_prstats_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "0.1", "2", "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("ZONE") for line in lines) == 2
    assert sum(line.startswith("web ") for line in lines) == 2
    assert not any(line.startswith("db ") for line in lines)


@pytest.mark.parametrize("column", [column.name for column in top.TOP_COLUMNS])
def test_any_column_sorts(column: str) -> None:
    """charged was refused, though it is a column."""
    assert main(["top", "--batch", "-n", "1", "--sort", column]) == 0


class Stream:
    """A standard stream that is a terminal, or is none."""

    def __init__(self, is_terminal: bool) -> None:
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


@pytest.mark.parametrize(
    ("term", "piped", "sentence"),
    [
        ("dumb", None, "TERM=dumb is no terminal with a screen"),
        ("", None, "TERM= is no terminal with a screen"),
        ("xterm", "stdin", "standard input is no terminal"),
        ("xterm", "stdout", "standard output is no terminal"),
        ("xterm", "stderr", "standard error is no terminal"),
    ],
)
def test_where_there_is_no_screen_a_sentence_says_so(
    term: str,
    piped: str | None,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A dumb terminal got a screen full of escapes."""
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(top.sys, name)
        monkeypatch.setattr(stream, "isatty", Stream(name != piped).isatty, raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(top, "guarded", lambda run_screen: pytest.fail("it draws"))
    assert main(["top"]) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert sentence in captured.err
    assert "--batch" in captured.err


def test_json_is_a_document_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--json", "-n", "2", "-i", "0.1"]) == 0
    read = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [len(document["zones"]) for document in read] == [2, 2]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["1", "-i", "1"], "is given twice"),
        (["--sort", "beauty"], "there is no column 'beauty'"),
        (["--by", "zone", "--by", "user"], "one --by only"),
    ],
)
def test_wrong_usage(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", *words]) == 2
    assert sentence in capsys.readouterr().err


def test_the_screen_does_not_hold_frames() -> None:
    class Kept(Session):
        def take(self, by: object, *_: Any, **wanted: bool) -> Any:
            return snapshot(evidence=evidence())

    look = top.SessionCamera(Kept, "zone").take(top.Mode.ZONES, None)
    assert look.snapshot.evidence is None
    assert look.snapshot == snapshot()


def test_the_camera_opens_its_session_late_and_closes_it() -> None:
    calls: list[str] = []

    class Noted(Session):
        def __init__(self) -> None:
            calls.append("open")

        def close(self) -> None:
            calls.append("close")

    camera = top.SessionCamera(Noted, "zone")
    camera.close()
    assert calls == []
    camera.take(top.Mode.ZONES, None)
    camera.take(top.Mode.HELP, None)
    camera.close()
    assert calls == ["open", "close"]


def test_each_page_is_made_beside_the_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sums over all parts may take long: the screen only asks for lines of a width."""
    monkeypatch.setattr(top, "pages_of", lambda *_: ["the page"])
    monkeypatch.setattr(top, "render_zone", lambda page, width, style: [f"{page} in {width}"])
    camera = top.SessionCamera(Session, "zone")
    for mode, says in (
        (top.Mode.ZONE, "the page in 80"),
        (top.Mode.PROCESSES, "Processes of web:"),
        (top.Mode.SHARING, "web shares no page with another zone."),
    ):
        page = camera.take(mode, "web").page
        assert page is not None
        assert page(80)[0] == says
        gone = camera.take(mode, "gone").page
        assert gone is not None
        assert gone(80) == ["gone has no process any more."]
    assert camera.take(top.Mode.ZONES, None).page is None
    tree = camera.take(top.Mode.TREE, None)
    assert tree.page is not None
    assert tree.rows == ()
