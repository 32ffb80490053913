"""ps: its options."""

from __future__ import annotations

import json

import pytest
from tests.unit.builders import KIB, process, snapshot

from zonerss.commands import main


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (process(7, uid=1), process(8, uid=None, rss_bytes=97 * KIB))
    monkeypatch.setattr(
        "zonerss.commands.ps.snapshots", lambda args, by, show, **k: show(snapshot(processes=rows))
    )


def test_largest_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps"]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()[:3]] == ["PID", "8", "7"]


def test_sort_and_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--sort", "pid", "--limit", "1", "--bytes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["8", "–", str(1024 * KIB), str(97 * KIB)]
    assert lines[2] == ""


def test_json_is_sorted_likewise(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--json", "--sort", "user"]) == 0
    assert [row["pid"] for row in json.loads(capsys.readouterr().out)["processes"]] == [7, 8]
