"""ps: its options."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.builders import KIB, NoSession, evidence, members, process, snapshot

from zonerss.census.mapcounts import CountedParts
from zonerss.census.parts import Parts
from zonerss.commands import main
from zonerss.commands.ps import only
from zonerss.errors import UnknownZone
from zonerss.records import Cause, Gap

ROWS = (process(7, uid=1), process(8, uid=None, rss_bytes=97 * KIB))


class Session(NoSession):
    """Of two processes."""

    asked: list[Any]
    answers: dict[str, Any]

    def take(self, by: object, basis: str, zone: Any = (), **wanted: Any) -> Any:
        Session.asked.append(list(zone))
        return snapshot(processes=ROWS, members=members(*"abcdefgh"), evidence=evidence(**Session.answers))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    Session.asked, Session.answers = [], {}
    monkeypatch.setattr("zonerss.commands.watching.Session", Session)


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


def pids(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["ps", "-o", "pid", "--no-header", *words]) == 0
    return capsys.readouterr().out.split()


def test_zones_are_walked_alone_and_pids_are_chosen_among_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert pids(capsys, "web", "--zone", "1000") == ["8", "7"]
    assert Session.asked.pop() == ["1000", "web"]
    assert pids(capsys, "7") == ["7"]
    assert pids(capsys, "--bytes", "8", "--sort", "pid", "7") == ["8", "7"]
    assert Session.asked == [[], []]


@pytest.mark.parametrize("word", ["9", "0", "99999999999999999999"])
def test_a_process_that_is_not_there(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", word]) == (1 if word == "9" else 2)
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert word in err


def test_only_some_processes() -> None:
    rows = (*ROWS, process(9, zone="/x/db"))
    whole = snapshot(processes=rows, gaps=(Gap(1, "open", Cause.REFUSED),))
    assert [p.pid for p in only(whole, [7], ["db"]).processes or ()] == [7, 9]
    with pytest.raises(UnknownZone, match=r"process 1 is not among .* that may not be read"):
        only(whole, [1, 7], [])
    with pytest.raises(UnknownZone, match=r"process 2 is not among .* no memory of its own"):
        only(whole, [2], [])
    assert [p.pid for p in only(whole, [1, 7], ["gone"], all_there=False).processes or ()] == [7]
    with pytest.raises(UnknownZone):
        only(whole, [1], ["gone"], all_there=False)


def test_command_lines(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Any] = []

    def read(tasks: Any, seconds: float) -> dict[int, tuple[str, ...]]:
        asked.append(([task.pid for task in tasks], seconds))
        return {7: ("python3", "x\n", "y\udcff")}

    Session.answers["command_lines"] = read
    assert main(["ps", "--args", "--patience", "3", "--tsv", "--sort", "pid"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[-1] for line in lines] == ["args", "[httpd]", "python3 x\\x0a y\\xff"]
    assert asked == [([7, 8], 3.0)]
    assert main(["ps", "-o", "pid,args", "--sort", "pid"]) == 0
    assert "python3 x\\x0a y\\xff" in capsys.readouterr().out
    assert main(["ps", "--args", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["processes"]
    assert {row["pid"]: row["args"] for row in rows} == {7: ["python3", "x\n", "y\\xff"], 8: None}
    assert main(["ps", "--json"]) == 0
    assert "args" not in json.loads(capsys.readouterr().out)["processes"][0]
    assert len(asked) == 3


def test_what_is_missing_is_said_beside_rows_for_programs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gaps = (Gap(1, "open", Cause.REFUSED),)
    monkeypatch.setattr(Session, "take", lambda *_, **__: snapshot(processes=ROWS, gaps=gaps))
    for words in (["--tsv"], ["--no-header"]):
        assert main(["ps", *words]) == 0
        out, err = capsys.readouterr()
        assert "Not counted" not in out
        assert err == "zonerss: Not counted: 1 process that may not be read (pid 1).\n"
    assert main(["ps", "-o", "pid"]) == 0
    assert "Not counted" in capsys.readouterr().out


def test_rounds_of_rows_have_one_header(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("zonerss.commands.watching.time.sleep", lambda seconds: None)
    assert main(["ps", "--tsv", "-o", "pid", "--watch", "1", "--count", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[1] for line in lines] == ["pid", "8", "7", "8", "7"]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process 7 maps 3 pages that nobody else maps, 8 maps 5 that are mapped ten times, 2 of them unknown."""
    kinds = Parts.of(2, {(0,): (3, 0, 0, 0, 0), (1,): (0, 5, 0, 0, 0)})
    counts = Parts.of(2, {(0,): (3, 0, 0, 0, 0), (1,): (0, 0, 0, 3, 0)})
    asked = evidence(mapcounts=lambda: CountedParts(kinds, counts))
    found = snapshot(processes=(process(1), process(2)), members=members("web", "web"), evidence=asked)
    monkeypatch.setattr(Session, "take", lambda *_, **__: found)


@pytest.mark.usefixtures("counted")
def test_mapcounts_and_sorting_by_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--mapcounts", "--sort", "map10"]) == 0
    header, *lines = [line.split() for line in capsys.readouterr().out.splitlines()[:3]]
    at = header.index("MAP1")
    assert [(line[0], line[at : at + 6]) for line in lines] == [
        ("2", ["0K", "0K", "0K", "12K", "0K", "8K"]),
        ("1", ["12K", "0K", "0K", "0K", "0K", "0K"]),
    ]


@pytest.mark.usefixtures("counted")
def test_mapcounts_in_json_only_where_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--json"]) == 0
    assert "mapcounts" not in json.loads(capsys.readouterr().out)["processes"][0]
    assert main(["ps", "--json", "--mapcounts", "--sort", "pid"]) == 0
    second, first = json.loads(capsys.readouterr().out)["processes"]
    assert first["mapcounts"][0] == {"least": 1, "most": 1, "bytes": 12 * KIB}
    assert second["mapcount_unknown_bytes"] == 8 * KIB


@pytest.mark.usefixtures("counted")
def test_mapcounts_as_columns_of_choice(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ps", "--tsv", "-o", "pid,map10,MAP?", "--sort", "-map1"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [line[-2:] for line in lines[1:]] == [[str(12 * KIB), str(8 * KIB)], ["0", "0"]]
