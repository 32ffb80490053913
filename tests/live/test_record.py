"""record on the real kernel: how it ends, what is whole afterwards, and what a full disk does.

ZONERSS_KILLS says how often it is killed at a random moment: 20 times, if it does not.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.live import needs
from tests.oracle import PAGE
from tests.unit import builders
from tests.unit.history.moments import drifting
from zonerss.census.usage import zones_usage
from zonerss.commands import main
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording
from zonerss.plain import replace

pytestmark = pytest.mark.same_in_container

PROJECT = Path(__file__).parents[2]
RECORD = (sys.executable, "-u", "-m", "zonerss", "record", "--no-config")
KILLS = int(os.environ.get("ZONERSS_KILLS", "20"))


class Running:
    """A record that runs, and what it prints."""

    def __init__(self, *words: str, before_exec: Callable[[], None] | None = None) -> None:
        self.process = subprocess.Popen(
            [*RECORD, *words],
            cwd=PROJECT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=before_exec,
        )

    def line_with(self, text: str) -> str:
        """The next line with a text in it; fails where none comes any more."""
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"it ended with {self.process.wait()} and never said {text!r}")

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Send it a signal; its exit status and the rest of what it said."""
        self.process.send_signal(number)
        rest = self.process.stdout.read()
        return self.process.wait(), rest

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def begin() -> Iterator[Callable[..., Running]]:
    """begin(OPTIONS) is a record that runs; it goes with the test."""
    running: list[Running] = []

    def start(*words: str, before_exec: Callable[[], None] | None = None) -> Running:
        running.append(Running(*words, before_exec=before_exec))
        return running[-1]

    yield start
    for recorder in running:
        recorder.close()


def demand_whole(path: Path, latest: int = 0) -> list:
    """That a recording opens and each moment of it is whole, or of the latest; when each of them began."""
    if not path.exists() or not path.stat().st_size:
        return []
    with Recording(path) as recording:
        times = list(recording.times())
        moments = list(recording.moments(times[-latest:][0])) if times else []
        assert [moment.snapshot.began for moment in moments] == times[-latest:]
        for moment in moments:
            snapshot = moment.snapshot
            for position, grouping in enumerate(snapshot.groupings):
                usages, _ = zones_usage(snapshot.parts, snapshot.members, position, lambda zone: None)
                assert {usage.zone: usage.rss_bytes for usage in usages} == {
                    usage.zone: usage.rss_bytes for usage in grouping.zones
                }
            assert len(snapshot.processes) == len(snapshot.members)
    return times


def test_a_signal_ends_it_whole_and_says_what_was_kept(begin: Callable[..., Running], tmp_path: Path):
    path = tmp_path / "x.zrec"
    recorder = begin("-o", str(path), "--interval", "0.1", "--lean")
    assert "Ctrl-C ends it, the file stays whole" in recorder.line_with("recording ")
    status, rest = recorder.end(signal.SIGINT)
    assert status == 0
    first, cost = [line for line in rest.splitlines() if line.startswith(("kept ", "cost "))]
    kept = int(first.split()[1])
    assert len(demand_whole(path)) == kept >= 2
    assert "processor seconds a snapshot" in cost
    assert path.stat().st_mode & 0o777 == 0o600

    document = json.loads(
        subprocess.run(
            [*RECORD, "-o", str(path), "--json", "--for", "0.1", "--lean"],
            cwd=PROJECT,
            check=True,
            capture_output=True,
        ).stdout
    )
    assert document["snapshots"] == 1
    assert len(demand_whole(path)) == kept + 1


def test_another_hosts_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    path = tmp_path / "x.zrec"
    options = ["record", "--no-config", "-o", str(path), "--for", "0.1", "--lean"]
    assert main(options) == 0
    here = os.uname()
    there = os.uname_result((here.sysname, "elsewhere", *here[2:]))
    monkeypatch.setattr(os, "uname", lambda: there)
    assert main(options) == 2
    assert f"{path} is of the host {here.nodename}, and this is elsewhere" in capsys.readouterr().err
    assert len(demand_whole(path)) == 1


def test_sigterm_in_the_midst_of_a_walk(begin: Callable[..., Running], tmp_path: Path):
    """With rounds that follow each other it is within a walk nearly always."""
    path = tmp_path / "x.zrec"
    recorder = begin("-o", str(path), "--interval", "0.1")
    recorder.line_with("recording ")
    status, rest = recorder.end()
    assert status == 0, rest
    assert len(demand_whole(path)) == int(rest.partition("kept ")[2].split()[0])


def child(path: Path, *options: str) -> int:
    """A recorder in a process of its own, without the time that starting Python takes."""
    pid = os.fork()
    if pid:
        return pid
    try:
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            main(["record", "--no-config", "-o", str(path), "--interval", "0.1", *options])
    finally:
        os._exit(0)


@pytest.mark.parametrize(("options", "part"), [(("--lean",), 1), ((), 4)], ids=["lean", "all"])
def test_killed_at_a_random_moment_the_file_is_whole(options: tuple[str, ...], part: int, tmp_path: Path):
    """Within about as long as three snapshots take here. With files and payers, which takes longer, less often.

    On a machine that has become busier no moment may be late enough for a snapshot: each time that keeps none is
    followed by a longer one, and there are more of them until one has kept something.
    """
    path, seen, seconds, kept, killed = tmp_path / "x.zrec", [], None, 0, 0
    while killed < KILLS // part + 1 or kept < 2:
        killed += 1
        began, pid = time.monotonic(), child(path, *options)
        end = None if seconds is None else began + random.uniform(0.0, seconds)
        before = len(seen)
        try:
            while time.monotonic() < end if end else len(seen) < before + 3:
                assert os.waitpid(pid, os.WNOHANG) == (0, 0)
                time.sleep(0.02)
                assert os.waitpid(pid, os.WNOHANG) == (0, 0), "the recorder has ended by itself"
                with suppress(Exception):  # it may be about to be made
                    seen = finished(path) or seen
        finally:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        seconds = seconds or time.monotonic() - began
        times = demand_whole(path, latest=20)
        assert times[: len(seen)] == seen, "what a reader saw was lost"
        kept += len(times) > before
        # Others may have come to work here meanwhile, or have gone.
        seconds *= 1.1 if len(times) == before else 0.9 if len(times) > before + 3 else 1.0
        seen = times
    print(
        f"\n{killed} times killed, at last within {seconds:.2f} s; {kept} kept something; "
        f"{len(seen)} snapshots, all whole"
    )


def finished(path: Path) -> list:
    if not path.exists():
        return []
    with Recording(path) as recording:
        return list(recording.times())


def test_a_file_that_is_full_is_continued_and_its_oldest_make_room(
    begin: Callable[..., Running], tmp_path: Path
):
    """Whether its size holds at any moment is tested at full speed in tests/unit/history/test_keeper.py."""
    path, most, made = tmp_path / "x.zrec", 1 << 20, drifting(20, 20)
    with Keeper(path, max_bytes=most) as keeper:
        while len(finished(path)) < 2 or finished(path)[0] == builders.BEGAN:  # until the first is forgotten
            moment = next(made)
            machine = replace(moment.snapshot.machine, host_name=os.uname().nodename)
            snapshot = replace(moment.snapshot, machine=machine)
            keeper.add(replace(moment, host_name=os.uname().nodename, snapshot=snapshot))
    oldest, before = finished(path)[0], finished(path)[-1]
    recorder = begin("-o", str(path), "--interval", "0.1", "--max-size", "1M")
    recorder.line_with("recording ")
    largest = kept = 0
    while finished(path)[0] == oldest or kept < 5:
        assert recorder.process.poll() is None
        for _ in range(100):  # and read it seldom: who reads keeps the log from being shortened
            # What moves out of the log is in the file before it leaves the log.
            largest = max(largest, sum(map(size_of, (f"{path}-wal", f"{path}-shm", path))))
            assert largest <= most
            time.sleep(0.005)
        kept = sum(at > before for at in finished(path))
    status, rest = recorder.end()
    assert status == 0, rest
    # It may have found us reading twice in a row, and says so; nothing else keeps it from keeping a snapshot.
    refused = [line for line in rest.splitlines() if "cannot record into" in line]
    assert all("somebody has been reading it" in line for line in refused), rest
    assert len(refused) <= 2, rest
    assert refused or "not kept" not in rest
    kept = sum(at > before for at in finished(path))
    demand_whole(path, latest=kept)
    print(f"\nat most {largest:,} of {most:,} bytes; {rest.splitlines()[-2]}")


def size_of(path: str | Path) -> int:
    with suppress(FileNotFoundError):
        return os.stat(path).st_size
    return 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    where = tmp_path / "disk"
    where.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "zonerss-test", where],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        needs.skip("needs_mount", done.stderr.strip())
    try:
        yield where
    finally:
        gc.collect()  # of what still has a file open there
        subprocess.run(["umount", where], check=True)


def test_a_disk_that_is_full_and_has_room_again(small_disk: Path, begin: Callable[..., Running]):
    path, filler = small_disk / "x.zrec", small_disk / "filler"
    recorder = begin("-o", str(path), "--interval", "0.1", "--lean")
    recorder.line_with("recording ")
    with open(filler, "wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(PAGE))
    full = recorder.line_with("full")
    assert full[2] == full[5] == ":"  # the time
    before = demand_whole(path)
    filler.unlink()
    recorder.line_with("there is room again")
    status, rest = recorder.end()
    assert status == 0
    assert "not kept: there was no room" in rest
    assert "the disk is full" not in rest
    after = demand_whole(path)
    assert after[: len(before)] == before
    assert len(after) > len(before)
