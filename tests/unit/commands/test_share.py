"""share: from arguments to what is shown."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from tests.unit.builders import NoSession, members, snapshot, usage

from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.commands import main

NAMES = ("a", "b", "c")


class Session(NoSession):
    """Three zones; the first shares two pages with the second, and three with the third."""

    def take(self, way: str) -> Any:
        assert not gc.isenabled()
        census = Census(3)
        census.mark(0, range(10), [Kind.ANON] * 10)
        census.mark(1, range(2), [Kind.ANON] * 2)
        census.mark(2, range(2, 5), [Kind.ANON] * 3)
        return snapshot(*map(usage, NAMES), parts=census.parts(), members=members(*NAMES))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.commands.watching.Session", Session)


def test_the_largest_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["SHARED", "ZONE", "ZONE"],
        ["12K", "a", "c"],
        ["and", "1", "more", "pairs"],
    ]
    assert gc.isenabled()


def test_json_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [part["zones"] for part in read["parts"]] == [["a"], ["a", "c"], ["a", "b"]]
    assert [pair["bytes"] for pair in read["pairs"]] == [3 * 4096, 2 * 4096]
    assert read["pair_count"] == 2


def test_json_has_the_thousand_largest_pairs_and_says_how_many_there_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zonerss.commands.share._PAIRS", 1)
    assert main(["share", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [pair["bytes"] for pair in read["pairs"]] == [3 * 4096]
    assert (read["pair_count"], len(read["parts"])) == (2, 3)
    assert main(["share", "--json", "--all"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pairs"]) == 2


def test_all_in_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.commands.share._SHOWN", 1)
    assert main(["share"]) == 0
    assert "and 1 more pairs" in capsys.readouterr().out
    assert main(["share", "--all"]) == 0
    assert "more pairs" not in capsys.readouterr().out
