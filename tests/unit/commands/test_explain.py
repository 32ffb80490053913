"""explain: what it refuses, and what it says where the kernel does not tell who pays."""

from __future__ import annotations

import pytest
from tests.unit.builders import NoSession

import zonerss.commands.explain as explain
from zonerss.commands import main


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.commands.watching.Session", NoSession)
    monkeypatch.setattr(explain, "pay_matrix", lambda *_: None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["web", "--tmpfs"], "it takes no zone"),
        (["--numbers"], "name the zone whose numbers"),
        (["--private-shared"], "name the zone whose numbers"),
        (["web", "--basis", "incore"], "explain counts what page tables map"),
        (["web", "--by", "zone", "--by", "user"], "explain takes one --by"),
        (["web", "--pid", "1"], "a zone or a --pid, not both"),
        (["--pid", "0"], "is not a process id"),
        (["--pid", "-7"], "is not a process id"),
        (["--pid", "x"], "'x' is not a process id"),
        (["web", "--numbers", "--private-shared"], "not allowed with"),
        (["web", "--numbers", "--since", "-30s"], "not allowed with"),
        (["--since", "-30s"], "--since needs a ZONE"),
        (["web", "--since", "-30s", "--watch", "1"], "--since or --watch, not both"),
        (["web", "--since", "12:00"], "add --from FILE; or say how long to look"),
        (["web", "--since", "-2d"], "looks twice, 0.1 s to 24 h apart"),
        (["web", "--since", "-0s"], "looks twice, 0.1 s to 24 h apart"),
        (["web", "--since", "30"], "'30' is no time"),
    ],
)
def test_wrong_usage_is_one_sentence(arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]):
    assert main(["explain", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_without_kpagecgroup_there_is_no_matrix(capsys: pytest.CaptureFixture[str]):
    assert main(["explain", "--payers"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert "it has no /proc/kpagecgroup" in err
    assert len(err.splitlines()) == 1
