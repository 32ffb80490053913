"""whatif: from arguments to what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.builders import NoSession, evidence, members, snapshot

from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.commands import main


class Session(NoSession):
    """Two zones that share three pages; the first has five of its own."""

    def take(self, way: str, zone: list[str]) -> Any:
        census = Census(2)
        census.mark(0, range(8), [Kind.ANON] * 8)
        census.mark(1, range(5, 8), [Kind.ANON] * 3)
        asked = evidence(holdings=holdings, ipc_namespace=lambda pid: None)
        return snapshot(parts=census.parts(), members=members("a\nb", "db"), evidence=asked)


def holdings(members: Any, wanted: list[int]) -> Any:
    assert [member.zones[0].name for member in members] == ["a\nb"]
    return {}, ()


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.commands.watching.Session", Session)


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatif", "--without", r"a\x0ab", "--bytes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[:2]] == [["WITHOUT", "SIZE"], ["FREED", "20480"]]


@pytest.mark.parametrize("words", [["--without", "a\nb", "--without", "a\nb"], ["a\nb"], [r"a\x0ab", "a\nb"]])
def test_json(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatif", *words, "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert (read["without"], read["freed_bytes"], read["kept_bytes"]) == (["a\nb"], 5 * 4096, 3 * 4096)


def test_a_zone_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["whatif"]) == 2
    assert "name the zones that would end" in capsys.readouterr().err
