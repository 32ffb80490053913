"""explain: what it refuses, and what it says where the kernel does not tell who pays."""

from __future__ import annotations

from types import TracebackType

import pytest

import zonerss.commands.explain as explain
from zonerss.commands import main


class NoSession:
    """Stands for a session on a host without root and kernel."""

    def __init__(self, *_: object, **options: object) -> None:
        pass

    def __enter__(self) -> NoSession:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        pass


@pytest.fixture(autouse=True)
def no_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.commands.watching.Session", NoSession)
    monkeypatch.setattr(explain, "pay_matrix", lambda *_: None)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "explain which zone?"),
        (["web", "--basis", "incore"], "explain starts from what page tables map"),
        (["web", "--by", "zone", "--by", "user"], "explain takes one --by"),
        (["web", "--pid", "1"], "a zone or a --pid, one at a time"),
        (["--pid", "0"], "is no process id"),
        (["--pid", "-7"], "is no process id"),
        (["--pid", "x"], "'x' is no process id"),
        (["web", "--numbers", "--private-shared"], "not allowed with"),
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
