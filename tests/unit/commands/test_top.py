"""top: its options, and tables into a pipe."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.builders import NoSession, snapshot, usage

from zonerss.census.census import Census
from zonerss.commands import main, top


class Session(NoSession):
    """Stands for a session that finds two zones."""

    def take(self, by: object, basis: str) -> Any:
        return snapshot(usage("web"), usage("db"))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(top, "Session", Session)


def test_prstats_form(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["top", "0.1", "2", "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("PROCS") for line in lines) == 2
    assert sum(line.endswith(" web") for line in lines) == 2
    assert not any(line.endswith(" db") for line in lines)


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
        def take(self, by: object, processes: bool = False) -> Any:
            return snapshot(frames=Census(1))

    look = top.SessionCamera(Kept(), "zone").take(top.Mode.ZONES, None)
    assert look.snapshot.frames is None
    assert look.snapshot == snapshot()
