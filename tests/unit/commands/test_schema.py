"""schema: the list, one document's, and what is no document."""

from __future__ import annotations

import json

import pytest

from zonerss.commands import main
from zonerss.schemas import names, schema_of
from zonerss.views.terminal import Terminal


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [f"zonerss.{name}/1" for name in names()]
    assert lines[0].split() == ["DOCUMENT", "PRINTED", "BY"]


@pytest.mark.parametrize("width", [60, 80])
def test_the_list_is_no_wider_than_the_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zonerss.commands.schema.find_terminal", lambda: Terminal(width, 24))
    assert main(["schema"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    assert "explain ZONE --since TIME" in " ".join(" ".join(lines).split())


@pytest.mark.parametrize("spelled", ["snapshot", "snapshot/1", "zonerss.snapshot/1"])
def test_one(spelled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", spelled]) == 0
    assert json.loads(capsys.readouterr().out) == schema_of("snapshot")


@pytest.mark.parametrize("spelled", ["snapshots", "words", "snapshot/2", "../words", ""])
def test_no_document(spelled: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", spelled]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "`zonerss schema` lists them" in err


def test_the_nearest_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema", "snapshto"]) == 2
    assert "did you mean snapshot?" in capsys.readouterr().err
