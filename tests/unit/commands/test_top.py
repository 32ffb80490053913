"""top: its options, and tables into a pipe."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from tests.unit.builders import NoSession, evidence, process, snapshot, usage

from zonerss.answers.zone import Page
from zonerss.commands import main, top
from zonerss.views.terminal import Style, Terminal


class Session(NoSession):
    """Stands for a session that finds two zones."""

    def take(self, by: object, basis: str = "mapped", **wanted: bool) -> Any:
        return snapshot(usage("web"), usage("db"))

    def arm(self, *_: object) -> None:
        """Nothing is cleared."""


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
    monkeypatch.setattr(top, "DETAILS_SECONDS", 0.0)
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


def test_details_of_a_page_are_read_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refresh read all mappings of the zone again, and who pays for its frames."""
    read: list[str] = []
    now = [100.0]

    class Kept(Session):
        def take(self, by: object, *_: Any, **wanted: Any) -> Any:
            rows = (process(41, zone="web"), process(42, zone="web"))
            return snapshot(usage("web"), usage("db"), processes=rows, evidence=asked)

    asked = evidence(bill=lambda cgroup: None)

    def pages_of(found: Any, usages: Any, growth: Any, watched: Any) -> list[Page]:
        read.append(usages[0].zone)
        return [Page(found, usages[0], (), {}, (), (), None, None)]

    monkeypatch.setattr(top, "pages_of", pages_of)
    monkeypatch.setattr(top.time, "monotonic", lambda: now[0])
    camera = top.SessionCamera(Kept, "zone")

    def shown(zone: str = "web", after: float = 0.0) -> list[str]:
        now[0] += after
        page = camera.take(top.Mode.ZONE, zone).page
        assert page is not None
        return list(page(80))

    assert not [line for line in shown() if "ago" in line]
    later = shown(after=4.0)
    assert any("The bill, files and MAP1 are of 4 s ago." in line for line in later)
    assert any(line.lstrip().startswith("42 ") for line in later)  # its processes are those of now
    assert read == ["web"]
    assert not [line for line in shown(after=6.0) if "ago" in line]
    shown("db")
    camera.take(top.Mode.ZONES, None)
    shown("db")  # opened anew
    assert read == ["web", "web", "db", "db"]


@pytest.mark.parametrize(("words", "codes"), [([], "\x1b["), (["--color", "never"], "")])
def test_colours_of_tables_on_a_terminal(
    words: list[str], codes: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def terminal(colour: str) -> Terminal:
        return Terminal(80, 24, Style(colour != "never"))

    monkeypatch.setattr(top, "find_terminal", terminal)
    assert main(["top", "-n", "1", *words]) == 0
    out = capsys.readouterr().out
    assert ("\x1b[" in out) == bool(codes)


def test_the_first_look_is_taken_by_a_session_that_loads_sooner() -> None:
    told: list[str] = []

    class Named(Session):
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            told.append(f"{self.name} closed")

        def __exit__(self, *_: object) -> None:
            self.close()

        def take(self, by: object, *_: Any, **wanted: bool) -> Any:
            told.append(self.name)
            return snapshot(evidence=evidence())

    camera = top.SessionCamera(lambda: Named("whole"), "zone", open_first=lambda: Named("first"))
    for _ in range(3):
        camera.take(top.Mode.ZONES, None)
    camera.close()
    assert told == ["first", "first closed", "whole", "whole", "whole closed"]


def test_batch_says_what_it_costs_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--batch", "-n", "1", "--max-cpu", "100%"]) == 0
    assert re.search(
        r"^zonerss itself: \d+\.\d% of a processor since it began\.$", capsys.readouterr().out, re.M
    )


def test_a_budget_is_a_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "--batch", "-n", "1", "--max-cpu", "much"]) == 2
    assert "'much' is no share of a processor" in capsys.readouterr().err


def test_bits_are_cleared_after_each_look_where_a_column_of_what_is_touched_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[object] = []

    class Armed(top.Session):
        def __init__(self) -> None:
            pass

        def close(self) -> None:
            pass

        def arm(self, by: str, *_: Any, **__: Any) -> Any:
            told.append(f"cleared by {by}")
            return f"armed {len(told)}"

        def take(self, by: object, *_: Any, **wanted: Any) -> Any:
            told.append(wanted["armed"])
            return snapshot(evidence=evidence())

    for wanted, expected in (
        (False, [None, None]),
        (True, [None, "cleared by zone", "armed 2", "cleared by zone"]),
    ):
        told.clear()
        camera = top.SessionCamera(Armed, "zone", touched=wanted)
        for _ in range(2):
            camera.take(top.Mode.ZONES, None)
        assert told == expected


def test_what_is_touched_is_asked_for_by_its_columns() -> None:
    def order(sort: Any = top.RSS, columns: Any = None) -> bool:
        return top._Order(sort, columns, ()).touched

    touched, unknown = top.WSS_COLUMNS
    assert (order(), order(columns=[top.RSS])) == (False, False)
    assert (order(touched), order(columns=[top.RSS, unknown])) == (True, True)
