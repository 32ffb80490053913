"""cap: from arguments to what is done and shown, with hands that only pretend."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.cap.recorded import growing
from tests.unit.cap.test_loop import MIB, Pretend, Zone
from tests.unit.cap.test_status import STATUS

from zonerss.cap import status as status_module
from zonerss.cap.status import StatusFile
from zonerss.commands import cap, main
from zonerss.history.keeper import Keeper

OVER = {"web.service": Zone(350 * MIB, 252 * MIB), "db.service": Zone(100 * MIB, 0)}


class Hands(Pretend):
    """As cap.hands has them; the clock of the loop is theirs."""

    now: Hands
    stop_after = 1000

    def __init__(self, by: str, source: str, rules: object, patience: float, threads: int | None) -> None:
        super().__init__({name: Zone(zone.hot, zone.cold) for name, zone in OVER.items()})
        self.by, self.source, self.waited = by, source, 0
        Hands.now = self

    def __enter__(self) -> Hands:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def wait(self, zones: Any, seconds: float) -> set[str]:
        self.waited += 1
        if self.waited >= Hands.stop_after:
            os.kill(os.getpid(), signal.SIGTERM)
        return super().wait(zones, seconds)


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the status is kept."""
    directory = tmp_path / "run"
    monkeypatch.setattr(cap, "Hands", Hands)
    monkeypatch.setattr(cap, "CAPS", str(tmp_path / "caps.toml"))
    monkeypatch.setattr(cap, "StatusFile", lambda: StatusFile(str(directory)))
    monkeypatch.setattr(
        cap, "read_status", lambda: status_module.read_status(str(directory), (os.geteuid(),))
    )
    monkeypatch.setattr(cap, "clock", lambda: Hands.now.now_ns)
    monkeypatch.setattr(Hands, "stop_after", 1000)
    if os.geteuid():
        monkeypatch.setattr(cap, "OWNERS", (os.geteuid(),))
    return directory


def printed(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


def test_once_is_a_dry_run_and_ends_with_0(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cap", "web=400M", "db.service=1G", "--once"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].split()[:3] == ["ZONE", "RSS", "CAP"]
    assert lines[1].split()[:9] == ["db.service", "≤100M", "1.0G", "0", "0K", "–", "0K", "–", "0K"]
    assert lines[2].split()[:9] == ["web.service", "602M", "400M", "1", "0K", "–", "202M", "252M", "0K"]
    assert "web.service: over by 202M; can be had without pain 252M (252M file); working set 350M." in out
    assert "A dry run: nothing is paged out without --enforce." in out
    assert (err, Hands.now.count("page_out")) == ("", 0)
    assert not run.exists()


def test_enforced(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cap", "web=400M", "--enforce", "--once", "--json", "--by", "cgroup", "--source", "pagetable"]
    assert main(words) == 0
    document = printed(capsys)
    assert (document["schema"], document["enforce"], document["by"]) == ("zonerss.cap/1", True, "cgroup")
    (zone,) = document["zones"]
    assert zone["rss_bytes"] <= 400 * MIB < 602 * MIB == zone["rss_bytes"] + zone["pout_bytes"]
    assert (Hands.now.by, Hands.now.source) == ("cgroup", "pagetable")


def test_a_signal_ends_it_with_0(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Hands, "stop_after", 400)
    assert main(["cap", "web=400M", "--enforce"]) == 0
    out, err = capsys.readouterr()
    assert out.count("LAST ACTION") == 1
    assert any("web.service: " in line and "paged out" in line for line in err.splitlines())
    assert os.listdir(run) == ["lock"]


def test_watch_tells_what_was_done_since(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Hands, "stop_after", 30)
    assert main(["cap", "web=400M", "--enforce", "--watch", "0.1s", "--json"]) == 0
    out, err = capsys.readouterr()
    documents = [json.loads(line) for line in out.splitlines()]
    assert len(documents) >= 1
    assert {document["schema"] for document in documents} == {"zonerss.cap/1"}
    assert err == ""


def test_status(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cap", "--status"]) == 1
    assert "no capper runs" in capsys.readouterr().err
    with StatusFile(str(run)) as file:
        file.write(STATUS)
        assert main(["cap", "--status", "--json"]) == 0
        assert printed(capsys)["pid"] == STATUS.pid
        assert main(["cap", "--status"]) == 0
        assert capsys.readouterr().out.startswith("ZONE")


def test_one_enforces_at_a_time(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with StatusFile(str(run)) as file:
        file.write(STATUS)
        assert main(["cap", "web=400M", "--enforce", "--once"]) == 1
        assert "another `zonerss cap` runs already" in capsys.readouterr().err
        assert main(["cap", "web=400M", "--once"]) == 0  # a dry run beside it tells only us
        assert main(["cap", "--status", "--json"]) == 0


def test_a_dry_run_does_not_keep_the_service_out(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[StatusFile] = []

    def wait(self: Hands, zones: Any, seconds: float) -> set[str]:
        if not made:
            made.append(StatusFile(str(run)))
        return Pretend.wait(self, zones, seconds)

    monkeypatch.setattr(Hands, "wait", wait)
    assert main(["cap", "web=400M", "--once"]) == 0
    made[0].close()


def test_caps_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cap", "--once"]) == 2
    assert "no cap is given: say zonerss cap ZONE=400M, or write" in capsys.readouterr().err
    file = tmp_path / "caps.toml"
    file.write_text("threshold = '1%'\ncold = '5s'\n[[cap]]\nzone = 'web*'\ncap = '400M'\nfloor = '390M'\n")
    file.chmod(0o600)
    assert main(["cap", "--once", "--json"]) == 0
    document = printed(capsys)
    assert (document["cold_seconds"], document["threshold"]) == (5.0, 0.01)
    (zone,) = document["zones"]
    assert (zone["zone"], zone["origin"], zone["floor_bytes"]) == ("web.service", f"{file}:3:1", 390 * MIB)
    words = ["cap", "web=300M", "--caps", str(file), "--cold", "0s", "--threshold", "2%", "--once", "--json"]
    assert main(words) == 0
    document = printed(capsys)
    assert (document["cold_seconds"], document["threshold"]) == (0.0, 0.02)
    (zone,) = document["zones"]
    assert (zone["cap_bytes"], zone["origin"], zone["cold_bytes"]) == (300 * MIB, "argument", None)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web"], "'web' is no cap: say ZONE=SIZE"),
        (["web=400M", "web=1G"], "'web' has two caps"),
        (["web=400M", "--cold", "0s", "--enforce"], "--cold is 1s at least"),
        (["web=400M", "--threshold", "200%"], "no share of memory"),
        (["web=400M", "--by", "zone", "--by", "user"], "takes one --by only"),
        (["web=400M", "--status"], "--status shows what runs"),
        (["--caps", "/no/such"], "there is no file /no/such"),
        (["web=400M", "--watch", "soon"], "is no duration"),
    ],
)
def test_wrong_usage(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cap", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_a_zone_that_is_not_there_is_status_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cap", "nosuch=400M", "--once"]) == 1
    out, err = capsys.readouterr()
    assert (out, err) == ("", "zonerss: no zone is called 'nosuch'; zonerss show lists the zones\n")


def test_a_file_that_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "caps.toml"
    file.write_text("[[cap]]\nzone = 'web'\ncap = 'many'\n")
    file.chmod(0o600)
    assert main(["cap", "--once"]) == 2
    assert f"{file}:3:7: cap: 'many' is no size" in capsys.readouterr().err
    file.write_text("cold = '0s'\n[[cap]]\nzone = 'web'\ncap = '400M'\n")
    assert main(["cap", "--once", "--enforce"]) == 2
    assert f"{file}: --enforce takes what is cold: cold is 1s at least" in capsys.readouterr().err
    assert main(["cap", "--once"]) == 0
    file.chmod(0o660)
    assert main(["cap", "--once"]) == 2
    assert "can be written to by its group" in capsys.readouterr().err


def test_a_zone_of_the_file_that_is_not_there_ends_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "caps.toml"
    file.write_text("[[cap]]\nzone = 'wob'\ncap = '400M'\n[[cap]]\nzone = 'web*'\ncap = '400M'\n")
    file.chmod(0o600)
    assert main(["cap", "--once", "--enforce", "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert [zone["zone"] for zone in document["zones"]] == ["web.service"]
    (warning,) = document["warnings"]
    assert warning["text"].startswith(f"{file}:1:1: no zone is called 'wob'")
    assert warning["text"] in err


def test_no_thread_is_left() -> None:
    before = threading.active_count()
    assert main(["cap", "web=400M", "--enforce", "--once"]) == 0
    assert threading.active_count() == before


# ---- with a recording ----------------------------------------------------------------------------------------


def test_what_it_would_have_done(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "a.zrec")
    with Keeper(file) as keeper:
        for moment in growing():
            keeper.add(moment)
    assert main(["cap", "web=400M", "--from", file, "--assume-cold", "60%", "--cold", "5s", "--json"]) == 0
    document = printed(capsys)
    assert (document["schema"], document["cold_share"], document["cold_seconds"]) == (
        "zonerss.cap-simulation/1",
        0.6,
        5.0,
    )
    assert [zone["zone"] for zone in document["zones"]] == ["web"]
    assert main(["cap", "web=400M", "--from", file]) == 0
    assert "cap 400M" in capsys.readouterr().out
    assert main(["cap", "nosuch=400M", "--from", file]) == 1
    assert f"'nosuch'; zonerss report {file} lists the zones" in capsys.readouterr().err
    for words, said in (
        (["web=400M", "--from", file, "--enforce"], "takes no --enforce"),
        (["web=400M", "--assume-cold", "50%"], "--assume-cold is about a recording"),
    ):
        assert main(["cap", *words]) == 2
        assert said in capsys.readouterr().err
