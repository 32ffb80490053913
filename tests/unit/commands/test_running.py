"""record -- COMMAND: real commands, looked at by a session made by hand; tests/live/test_run.py has the real one."""

from __future__ import annotations

import json
import os
import sys
import threading
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit import builders
from tests.unit.builders import usage
from tests.unit.threads import until

from zonerss.commands import main, parse, running
from zonerss.errors import CannotServe, StoreFull
from zonerss.zones.rules import Rule


class Place:
    """Stands for the cgroup."""

    path, has_bill, is_removed = "/a/zonerss-run-7", True, True
    left: frozenset[int] = frozenset()

    def join(self) -> None:
        pass

    def peak_bytes(self) -> int:
        return 4096

    def oom_kills(self) -> int:
        return 0

    def processes(self) -> frozenset[int]:
        return self.left


class Session:
    """Sees the command at each look, unless it is told to fail."""

    rules: tuple[Rule, ...] = ()
    fails_after: int | None = None
    looks = 0

    def __init__(self, source: str, rules: tuple[Rule, ...], **options: Any) -> None:
        Session.rules, Session.looks = rules, 0

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def take(self, by: str) -> Any:
        Session.looks += 1
        if self.fails_after is not None and Session.looks > self.fails_after:
            raise CannotServe("the kernel has had enough")
        return builders.snapshot(usage("zonerss-run-7", cgroup="/a/zonerss-run-7"), usage("db"))


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def own_cgroup(hierarchy: object) -> Iterator[Place]:
        yield Place()

    monkeypatch.setattr(running, "own_cgroup", own_cgroup)
    monkeypatch.setattr(running, "Session", Session)
    monkeypatch.setattr(running._Watch, "_holdings", lambda self, snapshot: ({}, ()))
    monkeypatch.setattr(Session, "fails_after", None)
    monkeypatch.setattr(Place, "left", frozenset())


def run(*words: str) -> int:
    return main(["record", "--no-config", *words])


@pytest.mark.parametrize(
    ("script", "status"), [("exit 0", 0), ("exit 3", 3), ("kill -9 $$", 137), ("echo out; exit 1", 1)]
)
def test_it_ends_with_the_status_of_the_command(
    script: str, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run("--", "sh", "-c", script) == status
    out, err = capfd.readouterr()
    assert out == ("out\n" if "out" in script else "")
    assert err.startswith("sh -c ")


@pytest.mark.parametrize(
    ("command", "status", "why"),
    [("no-such-command", 127, "there is no such command"), ("/etc/passwd", 126, "Permission denied")],
)
def test_what_cannot_be_run(command: str, status: int, why: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--", command) == status
    assert capfd.readouterr() == ("", f"zonerss: cannot run {command}: {why}\n")


def test_the_document_is_the_last_line_of_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    run("--json", "--", "sh", "-c", "echo out; echo err >&2")
    out, err = capfd.readouterr()
    assert out == "out\n"
    first, last = err.splitlines()
    assert first == "err"
    read = json.loads(last)
    assert (read["schema"], read["command"][0], read["exit_status"]) == ("zonerss.run/1", "sh", 0)
    assert read["zone"] == "zonerss-run-7"


@pytest.mark.parametrize("as_json", [False, True])
def test_a_report_in_a_file(as_json: bool, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    report = tmp_path / "report"
    assert run(*(["--json"] if as_json else []), "--report", str(report), "--", "echo", "out") == 0
    assert capfd.readouterr() == ("out\n", "")
    text = report.read_text("utf-8")
    assert (
        json.loads(text)["exit_status"] == 0 if as_json else text.startswith("echo out ended with status 0")
    )


def test_a_report_on_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    run("--report", "-", "--", "true")
    out, err = capfd.readouterr()
    assert out.startswith("true ended with status 0")
    assert err == ""


def test_a_report_that_cannot_be_written_is_told_before_it_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    note = tmp_path / "note"
    assert run("--report", str(tmp_path / "no" / "report"), "--", "touch", str(note)) == 2
    assert "cannot write the report" in capfd.readouterr().err
    assert not note.exists()


def test_a_report_on_a_full_disk_keeps_the_status(capfd: pytest.CaptureFixture[str]) -> None:
    assert run("--report", "/dev/full", "--", "sh", "-c", "exit 5") == 5
    assert "zonerss: cannot write the report: [Errno 28]" in capfd.readouterr().err


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a link of somebody else")
def test_a_report_is_not_written_through_a_link_of_somebody_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)
    victim, there, note = tmp_path / "victim", tmp_path / "there", tmp_path / "note"
    victim.write_text("ours")
    there.mkdir()
    there.chmod(0o777)
    (there / "report").symlink_to(victim)
    os.chown(there / "report", 12345, -1, follow_symlinks=False)
    assert run("--report", str(there / "report"), "--", "touch", str(note)) == 2
    assert "somebody else can have put it there" in capfd.readouterr().err
    assert victim.read_text() == "ours"
    assert not note.exists()


def test_a_report_that_cannot_be_put_in_place_keeps_the_status(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tmp_path.chmod(0o777)
    report = tmp_path / "report"
    assert run("--report", str(report), "--", "sh", "-c", f"mkdir {report}; exit 5") == 5
    assert capfd.readouterr().err == f"zonerss: cannot write the report: {report} is no regular file\n"
    assert os.listdir(tmp_path) == ["report"]


@pytest.mark.parametrize(("words", "name"), [([], "stderr"), (["--report", "-"], "stdout")])
def test_a_report_on_a_full_stream_keeps_the_status(
    words: list[str], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, name, full)
        assert run(*words, "--", "sh", "-c", "exit 5") == 5
        full.flush()  # as Python does at exit


def test_what_cannot_be_walked_is_told_before_it_runs(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Session, "fails_after", 0)
    note = tmp_path / "note"
    assert run("--", "touch", str(note)) == 1
    assert capfd.readouterr().err == "zonerss: the kernel has had enough\n"
    assert not note.exists()


def test_a_look_that_fails_is_told_once_and_does_not_end_the_command(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Session, "fails_after", 2)
    assert run("--interval", "0.1", "--", "sh", "-c", "sleep 0.5; exit 4") == 4
    err = capfd.readouterr().err
    assert Session.looks > 3
    assert err.count("cannot look, and goes on: the kernel has had enough") == 1
    assert "PEAK RSS" in err


def test_looks_that_fail_for_a_while_are_told_and_that_it_is_over(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    take = Session.take

    def fail_twice(self: Session, by: str) -> Any:
        taken = take(self, by)
        if Session.looks in (2, 3):
            raise MemoryError
        return taken

    monkeypatch.setattr(Session, "take", fail_twice)
    run("--interval", "0.1", "--", "sleep", "1")
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("zonerss: ")]
    assert told == [
        "zonerss: cannot look, and goes on: there is not enough memory: raise the limit of its memory cgroup or of "
        "`ulimit -v`",
        "zonerss: can look again",
    ]


class Disk:
    """Stands for the keeper: adding the first moments raises what is given, where that is not None."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = list(errors)

    def add(self, moment: object) -> int:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return 1


@pytest.fixture
def kept_on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a command whose snapshots are kept on a disk; its document, and what was told."""

    def kept_on(disk: Disk | None, capfd: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], list[str]]:
        words = ["--no-config", "--json", "--interval", "0.1", "--", "sleep", "1"]
        running.run_command(parse("record", words), disk)  # type: ignore[arg-type]
        *told, document = capfd.readouterr().err.splitlines()
        return json.loads(document), told

    def take_moment(session: Session, lean: bool) -> Any:
        return Namespace(snapshot=session.take("zone"), holdings={}, holding_gaps=())

    monkeypatch.setattr(running, "take_moment", take_moment)
    return kept_on


def test_snapshots_that_cannot_be_kept_are_told_and_counted(
    kept_on: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    document, told = kept_on(Disk(None, StoreFull("the disk is full"), OSError(5, "broken")), capfd)
    assert told == [
        "zonerss: cannot keep, and goes on: the disk is full",
        "zonerss: snapshots are kept again",
    ]
    assert document["snapshots_not_kept"] == 2
    assert document["snapshots"] == document["looks"] - 2 >= 1


def test_a_full_disk_is_told_after_a_look_that_failed(
    kept_on: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    looked = running.take_moment

    def take_moment(session: Session, lean: bool) -> Any:
        moment = looked(session, lean)
        if Session.looks == 2:
            raise CannotServe("the kernel has had enough")
        return moment

    monkeypatch.setattr(running, "take_moment", take_moment)
    document, told = kept_on(Disk(*[StoreFull("the disk is full")] * 100), capfd)
    assert told == [
        "zonerss: cannot look, and goes on: the kernel has had enough",
        "zonerss: cannot keep, and goes on: the disk is full",
        "zonerss: can look again",
    ]
    assert (document["snapshots"], document["snapshots_not_kept"]) == (0, document["looks"])


def test_without_a_file_there_is_no_number_of_snapshots(
    kept_on: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    document, told = kept_on(None, capfd)
    assert (document["snapshots"], document["snapshots_not_kept"], told) == (None, None, [])


def test_looks_are_as_far_apart_as_was_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    run("--interval", "30", "--", "sleep", "0.3")
    assert Session.looks <= 2  # one before it runs, and one while it does, if that is in time
    enough = tmp_path / "enough"

    def tell() -> None:
        try:
            until(lambda: Session.looks > 5, "it looks again and again")
        finally:
            enough.touch()

    teller = threading.Thread(target=tell)
    teller.start()
    run("--", "sh", "-c", 'while [ ! -e "$0" ]; do sleep 0.02; done', str(enough))
    teller.join()
    assert Session.looks > 5


def test_its_cgroup_and_all_below_it_are_one_zone(capfd: pytest.CaptureFixture[str]) -> None:
    run("--", "true")
    rule = Session.rules[0]
    for path in ("/a/zonerss-run-7", "/a/zonerss-run-7/in", "/a/zonerss-run-7/in/most"):
        zone = rule.zone_of(path)
        assert zone is not None
        assert (zone.name, zone.cgroup) == ("zonerss-run-7", "/a/zonerss-run-7")
    assert [rule.zone_of(path) for path in ("/a", "/a/zonerss-run-77", "/b/a/zonerss-run-7")] == [None] * 3


def test_processes_that_it_left_are_told(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Place, "left", frozenset({23, os.getpid()}))
    run("--", "true")
    assert "It left 2 processes behind (23 " in capfd.readouterr().err
