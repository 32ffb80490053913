"""wss: from arguments to what is shown."""

from __future__ import annotations

import argparse
import json
from typing import Any

import pytest
from tests.unit.answers.test_wss import ARMED, taken
from tests.unit.builders import NoSession, evidence

from zonerss.answers.wss import WorkingSets, working_sets
from zonerss.commands import main, wss


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[argparse.Namespace]:
    found: list[argparse.Namespace] = []

    def measure(session: object, way: str, args: argparse.Namespace) -> WorkingSets:
        found.append(args)
        return working_sets(taken(), args.processes)

    monkeypatch.setattr("zonerss.commands.watching.Session", NoSession)
    monkeypatch.setattr(wss, "measure", measure)
    return found


def test_defaults(asked: list[argparse.Namespace], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wss"]) == 0
    (args,) = asked
    assert (args.seconds, args.method, args.stall) == (10, "cold", 0.010)
    assert capsys.readouterr().out.startswith("ZONE")


def test_json(asked: list[argparse.Namespace], capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["wss", "--json", "--for", "2s", "--method", "clear_refs", "--stall", "50ms", "--processes"])
        == 0
    )
    (args,) = asked
    assert (args.seconds, args.method, args.stall) == (2, "clear_refs", 0.050)
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["seconds"]) == ("zonerss.wss/1", 3.5)
    assert [zone["zone"] for zone in document["zones"]] == ["web", "db"]
    assert len(document["processes"]) == 3


def test_rows(asked: list[argparse.Namespace], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["wss", "--tsv", "-o", "zone,touched,unknown", "--sort", "zone"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "zone\ttouched\tunknown",
        "db\t0\t45056",
        "web\t20480\t12288",
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--for", "0"], "from 0.1s to 1d"),
        (["--method", "magic"], "invalid choice"),
        (["--processes", "--tsv"], "one table of zones"),
        (["--from", "x.zrec"], "unrecognized arguments: --from"),
        (["--basis", "incore"], "no --basis but mapped"),
        (["--by", "zone", "--by", "user"], "one --by only"),
    ],
)
def test_what_is_wrong_is_said(
    words: list[str], said: str, asked: list[argparse.Namespace], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["wss", *words]) == 2
    assert said in capsys.readouterr().err
    assert not asked


def test_bits_are_cleared_then_there_is_a_while_then_they_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []

    class Session:
        def arm(self, *how: Any) -> Any:
            done.append(how)
            return ARMED

        def take(self, *args: Any, **how: Any) -> Any:
            done.append(how)
            return taken(evidence=evidence(holdings=lambda: ({}, ())))

    monkeypatch.setattr("time.sleep", done.append)
    args = argparse.Namespace(
        zone=["web"], method="cold", stall=0.01, seconds=7.0, processes=False, files=True
    )
    found = wss.measure(Session(), "zone", args)
    assert done == [
        ("zone", ("web",), "cold", 0.01),
        7.0,
        {"zone": ("web",), "alone": True, "processes": False, "armed": ARMED},
    ]
    assert found.files == ()
