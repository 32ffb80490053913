"""zone: from arguments to pages."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from tests.unit import documents
from tests.unit.builders import NoSession

from zonerss.answers.zone import Page
from zonerss.commands import main, zone


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    asked: list[Any] = []

    def measure(
        session: object, way: str, names: Sequence[str], growth: object, watched: object, count: int | None
    ) -> list[Page]:
        asked.append((way, list(names), count))
        return [documents.page(documents.BILL_2) for _ in names]

    monkeypatch.setattr("zonerss.commands.watching.Session", NoSession)
    monkeypatch.setattr(zone, "measure", measure)
    return asked


def test_a_page_for_each_zone(machine: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zone", "web", "db", "web", "--by", "cgroup", "--bytes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert machine == [("cgroup", ["web", "db"], zone.SHOWN)]
    assert sum(line.startswith("RSS ") for line in lines) == 2
    assert sum(str(61 * 1024) in line for line in lines if line.startswith("RSS ")) == 2


def test_a_limit_is_of_rows(machine: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zone", "web", "--limit", "1"]) == 0
    assert machine[0][2] == 1
    assert "and 2 more processes" in capsys.readouterr().out


def test_json_has_all(machine: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zone", "web", "db", "--json"]) == 0
    assert machine[0][2] is None
    read = json.loads(capsys.readouterr().out)
    assert read["schema"] == "zonerss.zone/1"
    assert [len(one["largest_processes"]) for one in read["zones"]] == [3, 3]


@pytest.mark.parametrize(
    "words", [[], ["web", "--basis", "incore"], ["web", "--by", "zone", "--by", "user"]], ids=str
)
def test_wrong_usage(words: list[str], machine: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["zone", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert not machine
