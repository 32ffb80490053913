"""ps: the table of processes."""

from __future__ import annotations

import pytest
from tests.unit.builders import KIB, process, snapshot

from zonerss.commands import main

HEADERS = ["PID", "USERNAME", "SIZE", "RSS", "ANON", "FILE", "SHMEM", "EXCL", "PROP", "ZONE", "PROCESS"]


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = (process(7, command="a\x1b[2J\nb"), process(8, uid=None, rss_bytes=97 * KIB))
    monkeypatch.setattr("zonerss.commands.ps.snapshots", lambda *a, **k: [snapshot(processes=rows)])


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "PID",
        "USERNAME",
        "SIZE",
        "RSS",
        "ANON",
        "FILE",
        "SHMEM",
        "EXCL",
        "PROP",
        "ZONE",
        "PROCESS",
    ]
    assert lines[1].split() == ["8", "–", "1024K", "97K", "23K", "31K", "7K", "11K", "29K", "web", "httpd"]
    assert lines[2].endswith("a\\x1b[2J\\x0ab")
    assert lines[3] == ""


def test_sort_and_limit(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--sort", "pid", "--limit", "1", "--bytes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:4] == ["8", "–", str(1024 * KIB), str(97 * KIB)]
    assert lines[2] == ""
