"""record: its rounds, what goes wrong in them, what it prints; with clocks, looks and a keeper made by hand."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.unit import builders
from tests.unit.builders import BEGAN

from zonerss.commands import main, parse, record
from zonerss.commands.ending import Ending
from zonerss.commands.record import Progress, Recorder, default_file
from zonerss.errors import CannotServe, StoreFull, StoreTooLarge, UnknownZone
from zonerss.plain import dataclass, replace
from zonerss.records import Zone
from zonerss.records.kills import BoxTally
from zonerss.snapshot import Snapshot


@dataclass
class Moment:
    """Of the real one what a recorder needs."""

    snapshot: Snapshot


class Box:
    """A black box that notes when it looks."""

    def __init__(self, interval: float, takes: float = 0.0) -> None:
        self.tally = BoxTally(60.0, interval)
        self.takes = takes
        self.bench: Bench
        self.looked: list[float] = []
        self.seen_at: list[float] = []
        self.asked = 0
        self.fails = False

    def look(
        self,
        session: object,
        clock: Callable[[], float],
        while_looking: Callable[[], AbstractContextManager[object]],
    ) -> None:
        if self.fails:
            raise MemoryError
        self.looked.append(self.bench.time - 100.0)
        self.bench.time += self.takes

    def seen(self, moment: object) -> None:
        self.seen_at.append(self.bench.time - 100.0)

    def keep_kills(self) -> None:
        self.asked += 1


class Bench:
    """A recorder whose time goes by only as it sleeps and as its looks take."""

    def __init__(self, *words: str, takes: float = 0.0, box: Box | None = None) -> None:
        self.args = parse("record", ["--no-config", *words])
        self.time, self.takes, self.slept, self.set_by = 100.0, takes, 0, 0.0
        self.kept: list[float] = []
        self.asked: list[list[str]] = []
        self.on_look: dict[int, Callable[[], None]] = {}
        self.on_add: dict[int, Exception] = {}
        self.there = {"web", "db"}
        self.recorder = Recorder(
            self,  # type: ignore[arg-type]
            self,  # type: ignore[arg-type]
            Progress(json=False),
            self.args,
            "/x.zrec",
            look=self.look,  # type: ignore[arg-type]
            sleep=self.sleep,
            clocks=self,  # type: ignore[arg-type]
            box=box,  # type: ignore[arg-type]
        )
        if box is not None:
            box.bench = self

    def look(self, session: object, lean: bool, zones: Sequence[str]) -> Moment:
        self.asked.append(list(zones))
        for zone in zones:
            if zone not in self.there:
                raise UnknownZone(f"there is no {zone}", zone)
        self.on_look.get(len(self.asked), lambda: None)()
        self.time += self.takes
        taken = builders.snapshot(builders.usage("web"), builders.usage("db"))
        return Moment(replace(taken, began=BEGAN + timedelta(seconds=self.time)))

    def add(self, moment: Moment) -> int:
        if error := self.on_add.pop(len(self.asked), None):
            raise error
        self.kept.append(self.time - 100.0)
        return 1000

    def sleep(self, seconds: float) -> None:
        self.slept += 1
        assert self.slept < 10_000
        self.time += seconds

    def now(self) -> datetime:
        return BEGAN + timedelta(seconds=self.time + self.set_by)

    def boot(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    def run(self) -> Recorder:
        with Ending() as ending:
            self.recorder.record(ending)
        return self.recorder


@pytest.mark.parametrize(
    ("words", "takes", "kept", "skipped"),
    [
        (["--for", "30s"], 0.0, [0, 10, 20, 30], 0),
        (["--for", "31s", "--interval", "15"], 1.0, [1, 16, 31], 0),
        (["--for", "40s"], 12.0, [12, 32, 52], 3),
        (["--for", "1s"], 0.0, [0], 0),
    ],
)
def test_rounds_within_a_time(words: list[str], takes: float, kept: list[float], skipped: int) -> None:
    bench = Bench(*words, takes=takes)
    recorded = bench.run().recorded
    assert bench.kept == kept
    assert (recorded.snapshots, recorded.skipped, recorded.ended_by) == (len(kept), skipped, "for")


def test_until_a_time_of_day() -> None:
    bench = Bench("--until", "+1h")
    bench.args.until = BEGAN + timedelta(seconds=100 + 25)
    assert bench.run().recorded.ended_by == "until"
    assert bench.kept == [0, 10, 20]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_within_a_look(number: signal.Signals, capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    bench.on_look[3] = lambda: os.kill(os.getpid(), number)
    recorded = bench.run().recorded
    assert (recorded.snapshots, recorded.ended_by) == (2, number.name)
    bench.recorder.tell()
    assert "kept 2 snapshots" in capsys.readouterr().out


def test_a_full_disk_is_said_once_and_that_there_is_room_again(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench("--for", "60s")
    bench.on_add = {number: StoreFull("the disk is full") for number in (2, 3, 5)}
    recorded = bench.run().recorded
    assert bench.kept == [0, 30, 50, 60]
    assert (recorded.snapshots, recorded.not_kept) == (4, 3)
    out = capsys.readouterr().out
    assert out.count("the disk is full") == 2
    assert out.count("there is room again") == 2


def test_room_is_not_promised_where_a_snapshot_was_too_large(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench("--for", "40s")
    bench.on_add = {number: StoreTooLarge(f"it takes {number} bytes") for number in (2, 3)}
    assert bench.run().recorded.not_kept == 2
    out = capsys.readouterr().out
    assert [line.split(maxsplit=1)[1] for line in out.splitlines() if line.endswith(("bytes", "again"))] == [
        "it takes 2 bytes",
        "snapshots are kept again",
    ]
    assert "room" not in out


@pytest.mark.parametrize("terminal", [False, True])
def test_lines_that_cannot_be_printed_do_not_end_it(terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(full, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, "stdout", full)
        bench = Bench("--for", "150s")
        bench.on_add = {3: StoreFull("the disk is full")}
        recorded = bench.run().recorded
        bench.recorder.tell()
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), full.fileno())
    assert (recorded.snapshots, recorded.ended_by) == (15, "for")


@pytest.mark.parametrize("error", [OSError(24, "Too many open files"), MemoryError()])
def test_looks_that_fail_are_said_once_and_counted(
    error: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    bench = Bench("--for", "50s")
    bench.on_look = {2: fail, 3: fail}
    recorded = bench.run().recorded
    assert (recorded.snapshots, recorded.failed, recorded.not_kept) == (4, 2, 0)
    bench.recorder.tell()
    out = capsys.readouterr().out
    assert out.count("cannot look, and goes on: ") == out.count("can look again") == 1
    assert ("Too many open files" in out) == isinstance(error, OSError)
    assert "2 rounds without a snapshot" in out


def test_a_first_look_that_fails_ends_it() -> None:
    def fail() -> None:
        raise OSError(24, "Too many open files")

    bench = Bench()
    bench.on_look = {1: fail}
    with pytest.raises(OSError, match="Too many"):
        bench.run()


def test_what_is_no_want_of_room_ends_it() -> None:
    bench = Bench()
    bench.on_add = {2: CannotServe("the disk is broken")}
    with pytest.raises(CannotServe, match="broken"):
        bench.run()


def test_a_zone_that_is_not_there_at_first_ends_it() -> None:
    bench = Bench("moon", "--zone", "web")
    with pytest.raises(UnknownZone):
        bench.run()
    assert bench.kept == []


def test_zones_that_end_are_left_out_until_they_are_back() -> None:
    bench = Bench("--zone", "web", "--zone", "db", "--for", "50s")
    steps = {2: {"db"}, 4: set(), 5: {"web"}}
    rounds = [0]

    def sleep(seconds: float) -> None:
        rounds[0] += 1
        bench.there = steps.get(rounds[0], bench.there)
        bench.time += seconds

    bench.recorder._sleep = sleep
    recorded = bench.run().recorded
    assert bench.kept == [0, 10, 20, 30, 50]
    assert recorded.zones_missing == 1
    assert bench.asked[-1] == ["web"]


@pytest.mark.parametrize(
    ("set_by", "said"), [(3600, "set forward by 1 h 0 m"), (-3600, "set back by 1 h 0 m"), (0.5, None)]
)
def test_a_clock_that_was_set_is_said(
    set_by: float, said: str | None, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench("--for", "30s")

    def set_clock() -> None:
        bench.set_by = set_by

    bench.on_look[2] = set_clock
    recorded = bench.run().recorded
    assert recorded.clock_jumps == (0 if said is None else 1)
    assert recorded.snapshots == 4
    assert ("the clock was " in capsys.readouterr().out) == (said is not None)


def test_its_own_cost_is_measured() -> None:
    bench = Bench("--for", "10s", takes=1.0)
    bench.on_look[1] = lambda: sum(range(2_000_000)) and None
    recorded = bench.run().recorded
    assert recorded.processor_seconds > 0
    assert recorded.wall_seconds == 11


# ---- what is printed -------------------------------------------------------------------------------------


def test_elsewhere_there_is_the_first_line_and_one_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench("--for", "150s")
    bench.run()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("recording 2 zones every 10 s into /x.zrec (about 352K an hour)")
    assert [line.split()[1:6] for line in lines[1:]] == [
        ["1", "m", "0", "s", "7"],
        ["2", "m", "0", "s", "13"],
    ]


def test_on_a_terminal_lines_are_drawn_over_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    bench = Bench("--for", "30s")
    bench.on_add = {3: StoreFull("the disk is full")}
    bench.run()
    bench.recorder.tell()
    screen = Screen(60)
    screen.feed(capsys.readouterr().out)
    assert screen.lines[0].endswith("the disk is full")
    assert screen.lines[1].endswith("there is room again, and snapshots are kept")
    text = "\n".join(screen.lines)
    assert text.count("recording 2 zones") == 1
    assert text.count("   1 gap   ") == 0
    assert "30 s   3 snapshots   1 not kept   0 gaps   " in text
    assert text.count("kept 3 snapshots") == 1


def test_an_error_has_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    bench = Bench()
    bench.on_add = {3: CannotServe("the disk is broken")}
    with pytest.raises(CannotServe):
        bench.run()
    screen = Screen(80)
    screen.feed(capsys.readouterr().out)
    assert screen.lines[screen.row] == ""


class Screen:
    """A terminal that knows newline, return, cursor up and clear to the end."""

    def __init__(self, width: int) -> None:
        self.width, self.lines, self.row, self.column = width, [""], 0, 0

    def feed(self, text: str) -> None:
        while text:
            char, text = text[0], text[1:]
            if char == "\n":
                self.row, self.column = self.row + 1, 0
                self.lines += [""] * (self.row + 1 - len(self.lines))
            elif char == "\r":
                self.column = 0
            elif char == "\x1b":
                end = next(i for i, c in enumerate(text) if c.isalpha())
                number, text = text[1:end], text[end:]
                self._escape(text[0], int(number or 1))
                text = text[1:]
            else:
                line = self.lines[self.row].ljust(self.column)
                self.lines[self.row] = line[: self.column] + char + line[self.column + 1 :]
                self.column += 1
                assert self.column <= self.width

    def _escape(self, code: str, number: int) -> None:
        if code == "A":
            self.row -= number
        else:
            assert code == "J"
            self.lines = [*self.lines[: self.row], self.lines[self.row][: self.column]]


def test_json_is_alone_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench("--json", "--for", "10s")
    bench.recorder._progress = Progress(json=True)
    bench.run()
    bench.recorder.tell()
    out, err = capsys.readouterr()
    assert out.startswith('{\n  "schema": "zonerss.recording/1"')
    assert "kept 2 snapshots" in err


# ---- the command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--interval", "0.05s"], "'0.05s' is no duration from 0.1s to 1d"),
        (["--for", "x"], "'x' is no duration"),
        (["--until", "2020-01-01"], "is past"),
        (["--for", "1h", "--until", "20:55"], "not allowed with"),
        (["--max-size", "1X"], "'1X' is no size"),
        (["--basis", "incore"], "takes no --basis but mapped"),
        (["--report", "x"], "--report needs a command: zonerss record --report FILE -- COMMAND"),
        (
            ["--bytes", "--for", "0.1s", "-o", "/dev/null"],
            "--bytes needs a command: zonerss record --bytes -- COMMAND",
        ),
        (["--keep", "1d", "--", "true"], "--keep needs -o FILE"),
        (["--max-size", "1M", "--", "true"], "--max-size needs -o FILE"),
        (["--lean", "--", "true"], "--lean needs -o FILE"),
        (["--"], "there is no command after --"),
        (["--for", "1h", "--", "true"], "--for is not for a command"),
        (["--zone", "a", "--", "true"], "a ZONE is not for a command"),
        (["web", "--", "true"], "a ZONE is not for a command"),
        (["make", "-j4"], "unrecognized arguments: -j4"),
    ],
)
def test_wrong_usage_is_one_sentence(
    words: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(["record", "--no-config", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_what_is_configured_for_another_way_of_recording_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[object] = []
    monkeypatch.setattr(record, "run_command", lambda args, keeper: ran.append(keeper) or 0)
    file = tmp_path / "zonerss.toml"
    file.write_text("[record]\nfor = '1h'\nzone = 'web'\nkeep = '1d'\nmax-size = '1M'\nlean = true\n")
    assert main(["record", "--config", str(file), "--", "true"]) == 0
    assert ran == [None]


class Crowd:
    """A session that knows one zone."""

    def __init__(self, *_: object, **__: object) -> None:
        pass

    def __enter__(self) -> Crowd:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def place(self) -> tuple[object, list[tuple[object, tuple[Zone]]]]:
        return None, [(None, (Zone(name="web", kind="unit"),))]

    def take(self, *_: object, zone: Sequence[str] = (), **__: object) -> Snapshot:
        raise UnknownZone(f"there is no {zone[0]}", zone[0])


def test_no_file_is_made_for_zones_that_are_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(record, "Session", Crowd)
    assert main(["record", "--no-config", "moon", "-o", str(tmp_path / "d.zrec"), "--for", "1s"]) == 1
    assert "a command stands after --: zonerss record -- COMMAND" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_all_that_follows_two_dashes_is_the_command() -> None:
    args = parse("record", ["--json", "--no-config", "--", "sh", "-c", "--", "--sort", "-x", "--json"])
    assert args.command == ["sh", "-c", "--", "--sort", "-x", "--json"]
    assert args.json
    assert parse("record", ["--no-config"]).command is None


def test_the_file_of_this_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    where = tmp_path / "zonerss"
    monkeypatch.setattr(record, "DIRECTORY", str(where))
    names = {"vm": "vm", "a.b-c_1": "a.b-c_1", "../x/\x1by": "_x__y", "...": "host", "": "host"}
    for host, name in names.items():
        system = argparse.Namespace(nodename=host)
        monkeypatch.setattr(record.os, "uname", lambda system=system: system)
        assert default_file() == str(where / f"{name}.zrec")
    assert where.stat().st_mode & 0o777 == 0o700


def test_a_directory_that_others_can_write_to_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tmp_path.chmod(0o777)
    monkeypatch.setattr(record, "DIRECTORY", str(tmp_path))
    with pytest.raises(CannotServe, match=r"can be written to by others; name a file by -o"):
        default_file()


# ---- the black box ---------------------------------------------------------------------------------------


def test_the_black_box_looks_between_the_rounds_and_delays_none() -> None:
    bench = Bench("--for", "20s", box=(box := Box(3.0)))
    assert bench.run().recorded.skipped == 0
    assert bench.kept == [0, 10, 20]
    assert box.looked == [0, 3, 6, 9, 12, 15, 18]
    assert box.seen_at == bench.kept
    assert box.asked == 1  # in the end: what was killed since the last look


def test_a_black_box_that_takes_long_skips_its_own_looks() -> None:
    bench = Bench("--for", "20s", box=(box := Box(1.0, takes=4.0)))
    bench.run()
    assert box.looked == [0, 5, 10, 15]
    assert bench.kept == [0, 10, 20]


def test_a_black_box_that_cannot_look_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    box = Box(3.0)
    box.fails = True
    bench = Bench("--for", "20s", box=box)
    bench.run()
    assert bench.kept == [0, 10, 20]
    assert (
        capsys.readouterr().out.count("cannot look, and goes on") == 2
    )  # it could look in the round between


def test_what_the_black_box_cost_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    box = Box(3.0)
    box.tally.looks, box.tally.processor_seconds, box.tally.kills = 7, 0.7, 1
    box.tally.ring_bytes, box.tally.used_bytes, box.tally.looks_kept = 16 << 20, 50 << 10, 5
    bench = Bench("--for", "20s", box=box)
    bench.run().tell()
    out = capsys.readouterr().out
    assert "black box: 7 looks of 0.100 processor seconds, 3.5% of a processor; 50K of 16M used" in out
    assert "1 kill kept, with 5 looks that were before" in out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--black-box", "5m/0s"], "'5m/0s' is no black box: say how long it remembers (10s to 1h)"),
        (["--black-box", "2h"], "is no black box"),
        (["--black-box", "10s/20s"], "is no black box"),
        (["--black-box", "often"], "is no black box"),
        (["--black-box", "5m/2s", "--", "true"], "--black-box is not for a command"),
    ],
)
def test_a_wrong_black_box(words: list[str], sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["record", "--no-config", *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


def test_a_black_box_of_a_span_looks_every_two_seconds() -> None:
    assert parse("record", ["--no-config", "--black-box", "5m"]).black_box == (300.0, 2.0)
