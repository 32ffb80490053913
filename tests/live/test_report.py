"""report of real processes: a leak, a saw, a log and a pool of forked workers, each step between two looks.

The workloads step when they are told to, so nothing here depends on how fast this machine is.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.live.cgroups import move
from tests.oracle import PAGE
from zonerss.answers.growth import Growth
from zonerss.answers.trend import LEAST_POINTS
from zonerss.answers.verdict import Word
from zonerss.answers.watched import Watched
from zonerss.commands import main
from zonerss.commands.zone import measure
from zonerss.history import moment
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording
from zonerss.snapshot import Session
from zonerss.zones.rules import parse_rules

LOOKS = 60
STEP_PAGES = 16
"""64 KiB."""
WRITTEN_BYTES = 1 << 18
WORKERS = 3
COPIED_PAGES = 32
"""By each worker at each step."""
RULES = """
[[rule]]
match = '/zonerss-test-[0-9]+/(leak|saw|log|pool|still)'
name = '{1}'
"""
WRITER = """
import sys
with open(sys.argv[1], "wb", buffering=0) as log:
    print(flush=True)
    for line in sys.stdin:
        log.write(b"x" * int(line))
        print(flush=True)
"""


class Logger:
    """A process that appends to a file when it is told to."""

    def __init__(self, cgroup: Path, file: Path) -> None:
        self.file = file
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", WRITER, str(file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            preexec_fn=lambda: move(os.getpid(), cgroup),
        )
        assert self.process.stdout
        self.process.stdout.readline()

    def write(self, size: int) -> None:
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{size}\n")
        self.process.stdout.readline()

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def logger(make_zone: Callable, tmp_path: Path) -> Iterator[Logger]:
    found = Logger(make_zone("log").path, tmp_path / "x.log")
    yield found
    found.close()


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    assert main(["report", "--no-config", "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return {zone["zone"]: zone for zone in found["zones"]} | {"processes": found["processes"]}


def test_a_leak_a_saw_a_log_and_a_pool(
    make_zone: Callable,
    logger: Logger,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leak, saw, still = (make_zone(name).spawn() for name in ("leak", "saw", "still"))
    pool = make_zone("pool").spawn()
    inherited = pool.map(f"anon {COPIED_PAGES * LOOKS}")
    workers = [pool.fork() for _ in range(WORKERS)]
    still.map("anon 1000")
    teeth = []
    monkeypatch.setattr(
        moment, "OPEN_FILES", moment.Seldom(clock=lambda: 0.0)
    )  # at every look that is not lean

    path = tmp_path / "a.zrec"
    with Session(rules=parse_rules(RULES, "rules")) as session, Keeper(path) as keeper:
        for look in range(LOOKS):
            leak.map(f"anon {STEP_PAGES}")
            teeth.append(saw.map(f"anon {4 * STEP_PAGES}"))
            if look % 10 == 9:
                while teeth:
                    saw.unmap(teeth[0], 0, teeth.pop(0).pages)
            for worker in workers:
                pool.write(inherited, look * COPIED_PAGES, COPIED_PAGES, pid=worker)
            logger.write(WRITTEN_BYTES)
            keeper.add(moment.take_moment(session, lean=look not in (0, LOOKS // 2, LOOKS - 1)))

    found = told(capsys, str(path))
    words = {name: found[name]["verdict"] for name in ("leak", "saw", "log", "pool", "still")}
    assert words == {
        "leak": "grows",
        "saw": "saw-tooth",
        "log": "bill-only",
        "pool": "unsharing",
        "still": "steady",
    }, found
    grown = found["leak"]["last_bytes"] - found["leak"]["first_bytes"]
    assert grown == pytest.approx((LOOKS - 1) * STEP_PAGES * PAGE, rel=0.01)
    assert (found["leak"]["pid"], found["leak"]["kind"]) == (leak.pid, "anon")
    log = found["log"]
    assert (log["kind"], log["file"], log["pid"]) == ("cache", str(logger.file), logger.process.pid)
    copied = found["pool"]["last_bytes"] - found["pool"]["first_bytes"]
    assert copied == pytest.approx((LOOKS - 1) * WORKERS * COPIED_PAGES * PAGE, rel=0.01)
    wearing = {one["pid"] for one in found["processes"] if one["verdict"] == "unsharing"}
    assert (
        set(workers) <= wearing <= {*workers, pool.pid}
    )  # what all workers have copied is the parent's alone
    assert found["pool"]["pid"] in workers

    with Recording(path) as recording:
        first = recording.times()[0]
    since = ["explain", "log", "--no-config", "--from", str(path), "--since", first.isoformat()]
    assert main(since) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert f"of {logger.file} (open by pid {logger.process.pid}, " in said
    on_tmpfs = "shared memory that no process maps" in said
    assert on_tmpfs or ("page cache of" in said and "it goes when memory is needed." in said)

    failing = ["--fail-on", "verdict(leak)=grows", "--fail-on", "growth(still)>1/d"]
    assert main(["report", "--no-config", str(path), *failing]) == 3
    assert capsys.readouterr().err == "zonerss: --fail-on verdict(leak)=grows holds of leak\n"
    assert main(["report", "--no-config", str(path), *failing[2:]]) == 0


def test_the_page_of_a_zone_says_whether_it_is_a_leak(make_zone: Callable, logger: Logger) -> None:
    leak = make_zone("leak").spawn()
    watched = Watched()
    with Session(rules=parse_rules(RULES, "rules")) as session:
        for look in range(LEAST_POINTS):
            leak.map(f"anon {4 * STEP_PAGES}")
            logger.write(4 * WRITTEN_BYTES)  # much more than what processors charge ahead
            pages = measure(session, "zone", ["leak", "log"], Growth(), watched)
            assert all(
                page.verdict and (page.verdict.word is None) == (look < LEAST_POINTS - 1) for page in pages
            )
    leaking, logging = (page.verdict for page in pages)
    assert leaking
    assert leaking.cause
    assert (leaking.word, leaking.cause.kind, leaking.cause.pid) == (Word.GROWS, "anon", leak.pid)
    assert logging
    assert logging.cause
    assert logging.word is Word.BILL_ONLY
    assert (logging.cause.file, logging.cause.pid) == (str(logger.file), logger.process.pid)
