"""frames: from arguments to what is shown."""

from __future__ import annotations

import json

import pytest
from tests.unit.answers.test_frames import EVERYTHING

from zonerss.commands import frames, main


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "frames", lambda pid: iter([EVERYTHING] if pid == 42 else []))


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["frames", "42"]) == 0
    assert [line.split()[-1] for line in capsys.readouterr().out.splitlines()] == [
        "MAPPING",
        "/bin/x",
        "total",
    ]


@pytest.mark.parametrize(("options", "told"), [([], False), (["--pfn"], True)])
def test_frame_numbers_are_told_only_when_asked_for(
    options: list[str], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["frames", "42", "--json", *options]) == 0
    (vma,) = json.loads(capsys.readouterr().out)["vmas"]
    assert ("runs" in vma) is told
