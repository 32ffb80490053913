"""check: its exit status."""

from __future__ import annotations

import json

import pytest

from zonerss.commands import check, main
from zonerss.records.facts import Probe


@pytest.mark.parametrize("serves", [True, False])
def test_status_says_whether_frames_can_be_read(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], serves: bool
) -> None:
    probes = (Probe("pagemap", serves, ()), Probe("pagetable", False, ()), Probe("cgroups", True, ()))
    monkeypatch.setattr(check, "probe_host", lambda: probes)
    assert main(["check", "--json"]) == (0 if serves else 1)
    assert json.loads(capsys.readouterr().out)["schema"] == "zonerss.check/1"
