"""zonerss export: CSV and Parquet say what the recording says; what is refused; what is damaged."""

from __future__ import annotations

import csv
import io
import json
import os
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.history.moments import Host

from zonerss.answers.tables import COMMON, TABLES
from zonerss.commands import main
from zonerss.commands.export import thinned
from zonerss.history.keeper import Keeper
from zonerss.history.moment import Moment

HOSTILE = 'a,"b"\r\n\t=1+1;\\N\udcff'


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Moment]]:
    path, host, added = (
        tmp_path_factory.mktemp("export") / "a.zrec",
        Host(3, 3, names=["web", HOSTILE, "db"]),
        [],
    )
    with Keeper(path) as keeper:
        for number in range(4):
            added.append(host.moment(30 * number))
            keeper.add(added[-1])
            host.drift()
    return path, added


def export(path: Path, *words: str) -> int:
    return main(["export", str(path), "--no-config", *words])


def expected(moments: list[Moment], name: str) -> list[list[str]]:
    found = []
    for moment in moments:
        for row in TABLES[name].rows(moment):
            cells = [
                json.dumps(in_utf8(v), ensure_ascii=False)
                if isinstance(v, tuple)
                else ""
                if v is None
                else str(in_utf8(v))
                for v in row
            ]
            common = [moment.snapshot.began.isoformat(), moment.host_name, moment.boot_id]
            found.append([*common, *cells])
    return found


@pytest.mark.parametrize("name", TABLES)
def test_csv_has_every_row(recorded: tuple[Path, list[Moment]], name: str, tmp_path: Path) -> None:
    target = tmp_path / "a.csv"
    assert export(recorded[0], "--table", name, "--to", str(target)) == 0
    with open(target, encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == [*COMMON, *TABLES[name].columns]
    assert rows == expected(recorded[1], name)
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == ["a.csv"]


@pytest.mark.parametrize("name", TABLES)
def test_parquet_has_the_same(recorded: tuple[Path, list[Moment]], name: str, tmp_path: Path) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="the extra `export` is not installed")
    target = tmp_path / "it's.parquet"
    assert export(recorded[0], "--table", name, "--to", str(target), "--label", "cluster=it's") == 0
    with duckdb.connect() as connection:
        found = connection.execute("SELECT * FROM read_parquet(?)", [str(target)])
        columns, rows = {column[0]: str(column[1]) for column in found.description}, found.fetchall()
    assert list(columns) == [*COMMON, "cluster", *TABLES[name].columns]
    wanted = []
    for moment in recorded[1]:
        common = (moment.snapshot.began.replace(tzinfo=None), moment.host_name, moment.boot_id, "it's")
        wanted += [(*common, *map(in_utf8, row)) for row in TABLES[name].rows(moment)]
    assert rows == wanted


def test_parquet_of_names_like_null_in_a_directory_like_a_pattern(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    duckdb: Any = pytest.importorskip("duckdb", reason="the extra `export` is not installed")
    names = ["\\N", "NULL", '"', "a*"]
    with Keeper(tmp_path / "a.zrec") as keeper:
        keeper.add(Host(4, 1, names=names).moment(0))
    place = tmp_path / "a[1]*?{b,c}"
    place.mkdir()
    assert export(tmp_path / "a.zrec", "--to", str(place / "a.parquet")) == 0
    assert os.listdir(place) == ["a.parquet"]
    os.rename(place / "a.parquet", tmp_path / "a.parquet")
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        found = connection.execute("SELECT zone FROM read_parquet('a.parquet') WHERE way = 'zone'")
        assert {zone for (zone,) in found.fetchall()} == set(names)


def in_utf8(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(map(in_utf8, value))
    return value.replace("\udcff", r"\udcff") if isinstance(value, str) else value


def test_standard_output(recorded: tuple[Path, list[Moment]], capsys: pytest.CaptureFixture[str]) -> None:
    assert export(recorded[0], "--since", "2026-11-22T12:00:30Z", "--label", "role=db") == 0
    header, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert header[:4] == ["time", "host", "boot_id", "role"]
    assert {row[3] for row in rows} == {"db"}
    assert len({row[0] for row in rows}) == 3


def test_fewer_snapshots(recorded: tuple[Path, list[Moment]], capsys: pytest.CaptureFixture[str]) -> None:
    assert export(recorded[0], "--every", "1m") == 0
    _, *rows = csv.reader(io.StringIO(capsys.readouterr().out))
    assert sorted({row[0] for row in rows}) == [m.snapshot.began.isoformat() for m in recorded[1][::2]]


@pytest.mark.parametrize("terminal", [True, False])
def test_names_do_not_command_a_terminal(
    terminal: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "\x1b]0;mine\x07\u202e\r\n"
    with Keeper(tmp_path / "a.zrec") as keeper:
        keeper.add(Host(1, 1, names=[name]).moment(0))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert export(tmp_path / "a.zrec") == 0
    _, *rows = csv.reader(io.StringIO(capsys.readouterr().out, newline=""))
    assert rows
    assert {row[4] for row in rows if row[3] == "zone"} == {
        r"\x1b]0;mine\x07\u202e\x0d\x0a" if terminal else name
    }


def test_what_is_left_out_does_not_hang_on_where_an_export_begins() -> None:
    host = Host(2, 1)
    moments = [host.moment(number * 10) for number in range(1, 20)]
    whole, later = list(thinned(moments, 60)), list(thinned(moments[3:], 60))
    assert whole[1:] == later[1:] == [moments[number] for number in (5, 11, 17)]
    assert list(thinned(moments, 0)) == moments


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--label", "host=x"], "has a column of that name"),
        (["--label", "Role=x"], "is no label"),
        (["--label", "role"], "is no label"),
        (["--to", "x.json"], "ends with .parquet or .csv"),
        (["--table", "x"], "invalid choice"),
    ],
)
def test_wrong_usage(
    recorded: tuple[Path, list[Moment]], words: list[str], why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(recorded[0], *words) == 2
    assert why in capsys.readouterr().err


def test_without_duckdb_it_says_which_extra(
    recorded: tuple[Path, list[Moment]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert export(recorded[0], "--to", str(tmp_path / "a.parquet")) == 1
    assert "pip install 'zonerss[export]'" in capsys.readouterr().err
    assert os.listdir(tmp_path) == []
    assert export(recorded[0], "--to", str(tmp_path / "a.csv")) == 0


def test_what_is_damaged_is_left_out_and_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, host = tmp_path / "a.zrec", Host(2, 1)
    with Keeper(path) as keeper:
        for number in range(3):
            keeper.add(host.moment(10 * number))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE snapshots SET parts = x'00' WHERE id = 2")
    connection.close()
    assert export(path) == 0
    told = capsys.readouterr()
    assert "left out: the snapshot of 2026-11-22 12:00:10" in told.err
    assert len({line.partition(",")[0] for line in told.out.splitlines()[1:]}) == 2


def test_where_all_is_damaged_or_none_is_in_the_range_nothing_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, target = tmp_path / "a.zrec", tmp_path / "a.csv"
    with Keeper(path) as keeper:
        keeper.add(Host(2, 1).moment(0))
    target.write_text("the one of yesterday")
    for words in (["--since", "2099-01-01"], ["--until", "2001-01-01", "--to", str(target)]):
        assert export(path, *words) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "has no snapshot in this range: it goes from 2026-11-22 12:00:00 to" in err
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE snapshots SET parts = x'00'")
    connection.close()
    for to in ("-", str(target)):
        assert export(path, "--to", to) == 1
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "no snapshot of this range can be read: the snapshot of 2026-11-22 12:00:00" in err
    assert target.read_text() == "the one of yesterday"


def test_where_nothing_can_be_written(
    recorded: tuple[Path, list[Moment]], tmp_path: Path, capsys: Any
) -> None:
    assert export(recorded[0], "--to", str(tmp_path / "nowhere" / "a.csv")) == 1
    assert "cannot write" in capsys.readouterr().err
    assert export(tmp_path / "missing.zrec") == 1
    assert "there is no" in capsys.readouterr().err
