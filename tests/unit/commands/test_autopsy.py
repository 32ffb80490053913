"""autopsy: a recording with kills in it, what is printed of them, and what it refuses."""

from __future__ import annotations

import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit import builders
from tests.unit.history.moments import Host, half_overwritten

from zonerss.commands import main
from zonerss.history.keeper import Keeper
from zonerss.history.moment import Moment
from zonerss.history.recording import Recording
from zonerss.plain import replace
from zonerss.records.kills import Kill, ToldBy

MIB_PAGES = 256


def kill(second: float, **fields: Any) -> Kill:
    at = builders.BEGAN + timedelta(seconds=second)
    words = "oom-kill:constraint=CONSTRAINT_MEMCG\x1b[2J\nMemory cgroup out of memory: Killed process 100"
    told = Kill(
        at, 100, "wor\x1bker", "zone-0000", None, None, None, "CONSTRAINT_MEMCG", ToldBy.TRACEPOINT, words
    )
    return replace(told, **fields)


@pytest.fixture
def recorded(tmp_path: Path) -> str:
    """Ten looks, two seconds apart, in which a zone grows by 64 MiB each; a kill an hour before, and two after them."""
    path, host = tmp_path / "a.zrec", Host(12, 5)
    with Keeper(path) as keeper:
        keeper.add(host.moment(-3600))
        keeper.add_kill(
            kill(-3599, pid=None, command=None, told_by=ToldBy.COUNTER, words="", constraint=None)
        )
        for number in range(10):
            keeper.add(host.moment(2 * number, lean=True))
            host.grow(0, 64 * MIB_PAGES)
        cgroup = host.zones[0].cgroup
        limit = {"cgroup": cgroup, "limit_cgroup": cgroup, "limit_bytes": 700 << 20}
        keeper.add_kill(kill(18.5, **limit))
        keeper.add_kill(kill(18.75, pid=101, constraint="CONSTRAINT_NONE", told_by=ToldBy.LOG))
    return str(path)


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main(["autopsy", "--no-config", *words]) == 0
    return capsys.readouterr().out


def document(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(said(capsys, "--json", *words))
    return found


def test_the_last_kill_and_the_one_in_the_same_minutes(
    recorded: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = document(capsys, recorded)
    assert (found["schema"], found["host_name"]) == ("zonerss.autopsy/1", "vm")
    assert [one["pid"] for one in found["kills"]] == [100, 101]
    first = found["kills"][0]
    assert (first["limit_bytes"], first["bill"]["cgroup"]) == (700 << 20, first["limit_cgroup"])
    assert len(first["before"]) == 10
    assert first["growth"][0]["zone"] == "zone-0000"
    assert first["growth"][0]["last_bytes"] - first["growth"][0]["first_bytes"] == 9 * 64 << 20
    assert first["whatif"][0]["zone"] == "zone-0000"
    assert first["knows_files"] is False
    assert found["kills"][1]["bill"] is None


def test_it_is_told_to_people(recorded: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = said(capsys, recorded)
    assert "\x1b" not in out
    assert "the kernel killed pid 100, wor\\x1bker, of zone-0000" in out
    assert (
        "The limit of its own cgroup, 700M, was hit; told by the kernel's tracepoint oom:mark_victim." in out
    )
    assert "The whole machine had no memory left; told by the kernel's log." in out
    assert "+576M" in out
    assert "by 10 looks, the last one 0.5 s before the kill:" in out
    assert "and 4 more zones" in out
    assert "Memory cgroup out of memory: Killed process 100" in out
    assert "1 more kill in" in out


def test_an_earlier_kill_by_its_time(recorded: str, capsys: pytest.CaptureFixture[str]) -> None:
    at = f"{builders.BEGAN - timedelta(minutes=30):%Y-%m-%dT%H:%M:%SZ}"
    out = said(capsys, recorded, "--at", at)
    assert "the kernel killed a process, of zone-0000" in out
    assert "which process it was is not known" in out
    assert "2 more kills in" in out


def test_what_a_program_ended_is_told_as_its_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, nothing = tmp_path / "a.zrec", {"constraint": None, "words": "sending SIGTERM to process 100"}
    with Keeper(path) as keeper:
        keeper.add(Host(3, 2).moment(0))
        keeper.add_kill(kill(2, told_by=ToldBy.EARLYOOM, **nothing))
        keeper.add_kill(
            kill(3, told_by=ToldBy.OOMD, pid=None, command=None, zone=None, cgroup="/a", **nothing)
        )
    text = said(capsys, str(path))
    assert "earlyoom killed pid 100, wor\\x1bker, of zone-0000" in text
    assert (
        "No limit was hit: it is to keep memory free; told by earlyoom in the journal: that it ended by"
        in text
    )
    assert "systemd-oomd killed the processes, in /a" in text
    assert "Its words:\n  sending SIGTERM to process 100" in text


def test_what_was_before_can_be_shorter(recorded: str, capsys: pytest.CaptureFixture[str]) -> None:
    found = document(capsys, recorded, "--before", "5s")
    assert [len(one["before"]) for one in found["kills"]] == [3, 3]


def test_a_kill_of_which_nothing_else_is_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "a.zrec"
    with Keeper(path) as keeper:
        keeper.add_kill(kill(0))
    assert "Nothing was recorded of the time before it." in said(capsys, str(path))


def test_in_a_storm_each_look_is_read_once_and_the_last_kills_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, host = tmp_path / "a.zrec", Host(3, 2)
    with Keeper(path) as keeper:
        for number in range(10):
            keeper.add(host.moment(2 * number, lean=True))
            for part in range(4):
                zone = f"zone-{(4 * number + part) % 3:04}"
                keeper.add_kill(kill(2 * number + 0.4 * (part + 1), zone=zone))
    read = []
    seen = Recording._moment

    def counted(self: Recording, row: tuple[Any, ...], *how: Any) -> Moment:
        read.append(row)
        return seen(self, row, *how)

    monkeypatch.setattr(Recording, "_moment", counted)
    out = said(capsys, str(path))
    assert out.count("the kernel killed") == 5
    assert "35 kills before these in the same time: --json has all of them." in out
    assert len(read) == 10
    read.clear()
    kills = document(capsys, str(path))["kills"]
    looks = [n for n in range(1, 11) for _ in range(4)]
    assert [len(one["before"]) for one in kills] == [1] * 35 + looks[35:]
    assert [len(one["before"]) + one["before_left_out"] for one in kills] == looks
    assert kills[5]["before"][0]["began"] == kills[7]["before"][0]["began"] > kills[3]["before"][0]["began"]
    assert len(read) == 10


def test_a_look_under_way_at_the_kill_is_not_the_last_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, host = tmp_path / "a.zrec", Host(3, 2)
    with Keeper(path) as keeper:
        keeper.add(host.moment(0))
        keeper.add_kill(kill(2.001))
        keeper.add(host.moment(2))
    (one,) = document(capsys, str(path))["kills"]
    assert len(one["before"]) == 1


def test_half_of_it_overwritten(recorded: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A sentence, or what is whole and a word about what is not: never a traceback."""
    whole = document(capsys, recorded)
    for path in half_overwritten(Path(recorded), tmp_path):
        status = main(["autopsy", "--no-config", "--json", str(path)])
        out, err = capsys.readouterr()
        assert status in (0, 1)
        if status:
            assert (out, err.count("\n")) == ("", 1)
            assert err.startswith("zonerss: ")
        else:
            found = json.loads(out)
            assert all(one["time"].startswith("2026-11-22") for one in found["kills"])
            assert found["damaged"] or found["kills"] == whole["kills"]


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (["/nowhere.zrec"], 1, "there is no /nowhere.zrec"),
        (["{empty}"], 1, "has no kill in it: zonerss record --black-box 5m/2s keeps them"),
        (["{text}"], 1, "no recording of zonerss"),
        (["{newer}"], 1, "upgrade zonerss"),
        (
            ["{recorded}", "--at", "2001-01-01"],
            1,
            "has no kill by 2001-01-01 00:00:00 UTC: the first of 3 kills is of",
        ),
        (["{recorded}", "--at", "2100-01-01"], 2, "is still to come"),
        (["{recorded}", "--before", "0s"], 2, "is no duration from 1s to 1d"),
        (["{recorded}", "other"], 2, "unrecognized arguments"),
    ],
)
def test_what_it_refuses_is_one_sentence(
    words: list[str],
    status: int,
    sentence: str,
    recorded: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = {name: str(tmp_path / f"{name}.zrec") for name in ("empty", "text", "newer")} | {
        "recorded": recorded
    }
    Path(files["text"]).write_text("This is no recording of zonerss, and never was one.\n" * 99)
    for name in ("empty", "newer"):
        with Keeper(files[name]) as keeper:
            keeper.add(Host(1, 1).moment())
    with sqlite3.connect(files["newer"]) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert main(["autopsy", "--no-config", *(word.format(**files) for word in words)]) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert sentence in err
