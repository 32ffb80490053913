"""What a cap would have done with a recording, from arguments to what is printed."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest
from tests.unit.cap import recorded

from zonerss.cap.records import Settings
from zonerss.cap.rules import caps_of_words
from zonerss.commands.cap_past import add_past_options, check_past, simulate
from zonerss.commands.quantities import size
from zonerss.errors import CannotServe, UnknownZone, UsageError
from zonerss.history.keeper import Keeper

USUAL = {"by": None, "basis": "mapped", "verb": "cap", "json": False, "watch": None, "bytes": False}
USUAL |= {"enforce": False, "once": False, "status": False, "rules": None}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("cap") / "host.zrec"
    with Keeper(path) as keeper:
        for moment in recorded.growing():
            keeper.add(moment)
    return path


def arguments(*words: object, **more: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_past_options(parser)
    args = parser.parse_args([str(word) for word in words])
    for name, value in (USUAL | more).items():
        setattr(args, name, value)
    return args


def run(args: argparse.Namespace, *caps: str) -> int:
    check_past(args)
    return simulate(args, caps_of_words(caps, size), Settings())


def test_a_picture(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments("--from", file, "--assume-cold", "60%"), "web=400M") == 0
    out = capsys.readouterr().out
    assert "cap 400M –––" in out
    assert "60 % of what only the zone maps had been cold" in out


def test_a_document_and_a_span(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = arguments("--from", file, "--until", "2026-11-22T12:07:30Z", json=True)
    assert run(args, "web=400M", "db=1G") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["snapshots"] == 8
    assert [zone["zone"] for zone in found["zones"]] == ["web", "db"]
    assert found["zones"][0]["pout_bytes"] > 0


def test_what_is_wrong_is_said(file: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownZone, match=r"'nowhere'; zonerss report .*host.zrec lists the zones"):
        run(arguments("--from", file), "nowhere=1M")
    with pytest.raises(CannotServe, match="there is no"):
        run(arguments("--from", tmp_path / "none.zrec"), "web=1M")
    with pytest.raises(UsageError, match="--by user"):
        run(arguments("--from", file, by=["user"]), "web=1M")
    with pytest.raises(UsageError, match="say --from FILE, too"):
        run(arguments("--assume-cold", "50%"), "web=1M")


@pytest.mark.parametrize(
    ("name", "value"), [("enforce", True), ("once", True), ("status", True), ("watch", 5.0), ("rules", "x")]
)
def test_what_makes_no_sense_of_a_recording_is_refused(file: Path, name: str, value: object) -> None:
    with pytest.raises(UsageError, match=f"--from takes no --{name}: "):
        run(arguments("--from", file, **{name: value}), "web=1M")
