"""A process that makes its readers wait in the kernel (tests/workloads/stuck.c) stalls nothing.

Its neighbours' figures stay exact. No test here says how long anything may take; the timeouts only end a test that
would hang for ever.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import move, stopped
from tests.live.conftest import SOURCES, cannot_serve
from tests.live.measure import measure_zones
from tests.live.test_races import RACES, figures, is_readable, moving
from tests.oracle import PAGE
from tests.unit.threads import Threads, threads
from tests.workloads.build import build
from zonerss.kernel import patience
from zonerss.kernel.cmdline import MOST_BYTES, read_command_lines
from zonerss.kernel.patience import Busy
from zonerss.kernel.proc import parse_stat
from zonerss.kernel.roots import HOST
from zonerss.records import Cause, Task
from zonerss.walk import jobs

pytestmark = pytest.mark.same_in_container

FOR_EVER = 120
PATIENCE = "0.5"
STEPS = {"pagemap", "maps", "tables", "open"}


class Stuck:
    """A process that is stuck until it is let go."""

    def __init__(self, directory: Path, how: str) -> None:
        program = build(Path(__file__).parents[1] / "workloads" / "stuck.c")
        self._server = subprocess.Popen(
            [program, directory, how], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.pid = int(self._server.stdout.readline())

    def let_go(self) -> None:
        if self._server.poll() is None:
            self._server.stdin.close()
            self._server.wait(FOR_EVER)
        self._server.stdout.close()


@contextlib.contextmanager
def a_stuck_process(tmp_path: Path, how: str = "lock") -> Iterator[Stuck]:
    if not Path("/dev/fuse").exists():
        needs.skip("needs_fuse")
    directory = tmp_path / "mount"
    directory.mkdir(exist_ok=True)
    stuck = Stuck(directory, how)
    try:
        yield stuck
    finally:
        stuck.let_go()


@pytest.fixture
def stuck(tmp_path: Path) -> Iterator[Stuck]:
    with a_stuck_process(tmp_path) as stuck:
        yield stuck


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest) -> str:
    if reason := cannot_serve(request.param):
        needs.skip("needs_frames" if request.param == "pagemap" else f"needs_{request.param}", reason)
    return request.param


def settled(before: Threads, count: int) -> int:
    """How many threads have begun since, once those that are about to end have ended."""
    for _ in range(FOR_EVER * 10):
        if len(threads() - before) <= count:
            break
        time.sleep(0.1)
    return len(threads() - before)


def test_a_still_zone_is_exact_beside_it(source, make_zone, mem, zone, stuck):
    before = zonerss.take_snapshot(by="cgroup", source=source, zone=zone.name, alone=True).zones[0]
    mem.map("anon 5003")
    mem.map("memfd 503")
    with stopped([zone.path]), zonerss.Session(source, patience=0.5) as session:
        snapshot = session.take("cgroup", zone=zone.name)
    after = snapshot.zones[0]
    assert (after.anon_bytes - before.anon_bytes) // PAGE == 5003
    assert (after.shmem_bytes - before.shmem_bytes) // PAGE == 503
    gaps = [gap for gap in snapshot.gaps if gap.pid == stuck.pid]
    assert [gap.cause for gap in gaps] == [Cause.BUSY]
    assert gaps[0].step in STEPS


@contextlib.contextmanager
def no_hang() -> Iterator[None]:
    """What hangs is ended, as a failure."""

    def hangs(*_: object) -> None:
        raise TimeoutError("a snapshot hangs")

    before = signal.signal(signal.SIGALRM, hangs)
    signal.alarm(FOR_EVER)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


STORMS = ("exit", "fork", "exec", "map", "samepid", "churn", "churnshm", "protect")


def test_a_still_zone_is_exact_in_a_storm(source, make_zone, tmp_path, pauses):
    """Beside processes that come, go, exec, change, move, and one that is stuck.

    ZONERSS_STORM_SECONDS=60 makes it last so long.
    """
    still, storm, other = (make_zone(name) for name in ("still", "storm", "other"))
    mem, reader, mover = still.spawn(), still.spawn(), storm.spawn()
    memory = mem.map("memfd 503")
    reader.map(f"file {memory.path} 503 shared read")
    mem.map("anon 1009")
    mover.map("anon 5003")
    storm.spawn(), other.spawn()
    true = measure_zones([still, storm, other], source).of(still)
    assert (true.shmem, true.anon > 1009) == (503, True)

    refused = {int(pid) for pid in os.listdir("/proc") if pid.isdecimal() and not is_readable(pid)}
    until = time.monotonic() + float(os.environ.get("ZONERSS_STORM_SECONDS", "3"))
    causes: Counter[Cause] = Counter()
    looks = 0
    with (
        stopped([still.path]),
        a_stuck_process(tmp_path) as stuck,
        moving(mover.pid, [storm, other]),
        zonerss.Session(source) as session,
    ):
        move(stuck.pid, storm.path)
        for sort in STORMS:
            storm.mems[1].tell(f"storm {sort}")
        while not looks or time.monotonic() < until:
            with no_hang():
                snapshot = session.take("cgroup")
            looks += 1
            found = figures(still, snapshot) - true
            found.pop("proportional", None)
            assert found == {}, looks
            assert [gap.cause for gap in snapshot.gaps if gap.pid == stuck.pid] == [Cause.BUSY]
            for gap in snapshot.gaps:
                assert gap.cause in RACES or gap.pid in refused, gap
            causes.update(gap.cause for gap in snapshot.gaps)
            assert pauses.threads <= 1
    print(f"{source}: {looks} snapshots, gaps {dict(causes)}")


def test_the_command_says_who_is_not_counted(source, stuck):
    command = [sys.executable, "-m", "zonerss", "--source", source, "--patience", PATIENCE]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FOR_EVER, check=True)
    assert f"whose memory could not be read in time (pid {stuck.pid})" in done.stdout
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, timeout=FOR_EVER, check=True)
    assert {"pid": stuck.pid, "cause": "busy"}.items() <= next(
        gap for gap in json.loads(done.stdout)["gaps"] if gap["pid"] == stuck.pid
    ).items()


def test_an_interrupt_ends_the_wait_at_once(source, stuck):
    command = [sys.executable, "-m", "zonerss", "--source", source, "--patience", "3600"]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        # Until its walk waits: a thread of it is in the kernel, asleep without an end.
        waits = False
        for _ in range(FOR_EVER * 10):
            states = []
            with contextlib.suppress(OSError):
                for task in Path(f"/proc/{run.pid}/task").iterdir():
                    states.append((task / "stat").read_text().rpartition(")")[2].split()[0])
            waits = "D" in states
            if waits:
                break
            time.sleep(0.1)
        assert waits
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=FOR_EVER)
        assert run.returncode == -signal.SIGINT
    finally:
        run.kill()
        run.wait()


def test_a_session_leaves_one_thread_a_process_behind(source, stuck, pauses):
    before = threads()
    with zonerss.Session(source, patience=0.5) as session:
        for _ in range(4):
            snapshot = session.take()
            assert [gap.cause for gap in snapshot.gaps if gap.pid == stuck.pid] == [Cause.BUSY]
            assert settled(before, 1) == 1
        assert not pauses.is_asked(stuck.pid)
    assert len(threads() - before) == 1
    stuck.let_go()
    assert settled(before, 0) == 0


@pytest.mark.parametrize("source", ["pagetable"], indirect=True)
def test_a_process_that_is_divided_is_one_gap(source, make_zone, stuck, pauses, monkeypatch):
    """Each of the threads that walk it waits, and no more do later."""
    monkeypatch.setattr(jobs, "_STRIPE_PAGES", 1)
    zone, before = make_zone("a"), threads()
    move(stuck.pid, zone.path)
    with zonerss.Session(source, patience=0.5, threads=2) as session:
        for _ in range(2):
            snapshot = session.take("cgroup", zone=zone.name, alone=True)
            assert [gap.cause for gap in snapshot.gaps if gap.pid == stuck.pid] == [Cause.BUSY]
            assert settled(before, 2) == 2
    stuck.let_go()
    assert settled(before, 0) == 0


def test_once_it_is_let_go_it_is_counted_again(tmp_path, source, make_zone, monkeypatch):
    monkeypatch.setattr(patience, "FIRST_PAUSE_SECONDS", 0.0)
    with a_stuck_process(tmp_path) as stuck, zonerss.Session(source, patience=0.5) as session:
        session.take()
        stuck.let_go()  # it ends with that, so another process tells that all goes on
        snapshot = session.take()
    assert not [gap for gap in snapshot.gaps if gap.pid == os.getpid()]
    assert any(member.task.pid == os.getpid() for member in snapshot.members)


@pytest.mark.parametrize(
    "words",
    [
        ["frames", "PID"],
        ["explain", "--pid", "PID"],
    ],
    ids=lambda words: words[0],
)
def test_questions_about_it_are_answered_with_a_sentence(words, stuck):
    words = [word.replace("PID", str(stuck.pid)) for word in words]
    done = subprocess.run(
        [sys.executable, "-m", "zonerss", *words],
        capture_output=True,
        text=True,
        timeout=FOR_EVER,
        check=False,
    )
    assert done.returncode == 1
    assert f"process {stuck.pid} cannot be read" in done.stderr
    assert "Traceback" not in done.stderr


def test_files_and_the_basis_incore_go_on_without_it(stuck):
    for words in (["files", "--json"], ["show", "--basis", "incore", "--json"], ["share", "--json"]):
        done = subprocess.run(
            [sys.executable, "-m", "zonerss", *words, "--patience", PATIENCE],
            capture_output=True,
            text=True,
            timeout=FOR_EVER,
            check=True,
        )
        assert stuck.pid in {gap["pid"] for gap in json.loads(done.stdout)["gaps"]}


def test_a_file_whose_server_answers_nothing(tmp_path):
    with a_stuck_process(tmp_path, "stat") as stuck:
        done = subprocess.run(
            [sys.executable, "-m", "zonerss", "files", "--json", "--patience", PATIENCE],
            capture_output=True,
            text=True,
            timeout=FOR_EVER,
            check=True,
        )
        names = {file["name"] for file in json.loads(done.stdout)["files"]}
        assert any(name and name.endswith("/file") for name in names)
        assert stuck.pid


def test_a_reader_in_this_process_is_left_behind_once(stuck, pauses):
    with pytest.raises(Busy):
        list(zonerss.frames(stuck.pid))
    with pytest.raises(Busy):
        list(zonerss.frames(stuck.pid))
    assert pauses.threads == 1


def test_its_command_line_is_not_waited_for(stuck, pauses):
    task = Task(stuck.pid, start_ticks_of(stuck.pid), None, None, "stuck", "/", 1, stuck.pid)
    ours = Task(os.getpid(), start_ticks_of(os.getpid()), None, None, "python", "/", 1, os.getpid())
    assert read_command_lines(HOST, [task, ours], 0.5).keys() <= {ours.pid}
    assert not pauses.is_asked(stuck.pid)
    line = Path("/proc/self/cmdline").read_bytes()[:MOST_BYTES].rstrip(b"\0 ")
    assert read_command_lines(HOST, [task, ours]) == {ours.pid: tuple(map(os.fsdecode, line.split(b"\0")))}


def test_command_lines_of_all_while_it_is_stuck(stuck):
    done = subprocess.run(
        [sys.executable, "-m", "zonerss", "ps", "--args", "--json", "--patience", PATIENCE],
        capture_output=True,
        text=True,
        timeout=FOR_EVER,
        check=True,
    )
    lines = {process["pid"]: process["args"] for process in json.loads(done.stdout)["processes"]}
    assert lines[os.getpid()]
    assert lines.get(stuck.pid) is None


def start_ticks_of(pid: int) -> int:
    return parse_stat(Path(f"/proc/{pid}/stat").read_bytes()).start_ticks
