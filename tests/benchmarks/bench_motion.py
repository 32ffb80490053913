"""What it costs to look again and again: a second snapshot, top, counting changes. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_motion [--only repeat|top|churn] [--rounds N]

repeat  a first snapshot in a process of its own, and those that follow in the same session
top     the processor time of `zonerss top` and `top --batch` at one snapshot a second
churn   how many rounds of fork, exec, mmap, write and munmap a process gets done, while nobody looks, while a session
        looks once a second, and while one does so that also counts changes
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import signal
import statistics
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.bench_snapshot import HERE, MS, PROJECT, served_sources
from tests.benchmarks.workloads import answering, postgres_running
from tests.live.cgroups import TestCgroups
from tests.workloads.build import build
from zonerss.snapshot import Session

ZONERSS = Path(sys.executable).with_name("zonerss")
SETTLE_SECONDS = 5
TICKS = os.sysconf("SC_CLK_TCK")

SNAPSHOTS = """
import json, sys, time
from zonerss.snapshot import Session
clocks = time.perf_counter_ns, time.process_time_ns
told = []
def told_of(work):
    before = [clock() for clock in clocks]
    result = work()
    told.append([clock() - then for clock, then in zip(clocks, before)])
    return result
session = told_of(lambda: Session(sys.argv[1], follow=True))
for _ in range(6):
    told_of(session.take)
    time.sleep(0.05)
print(json.dumps(told))
"""


# ---- first and second ------------------------------------------------------------------------------------


def compare_first_and_second(rounds: int) -> None:
    """Opening a session, its first snapshot, its second, and the median of the four after."""
    print(f"\nmilliseconds, medians of {rounds} processes; in brackets processor time")
    print(
        f"{'':12}{'opening':>16}{'first':>16}{'second':>16}{'later':>16}{'second/first':>16}{'/with opening':>16}"
    )
    sources = served_sources()
    told: dict[str, list[list[list[int]]]] = {name: [] for name in sources}
    for _ in range(rounds):
        for name in sources:
            command = [sys.executable, "-c", SNAPSHOTS, name]
            run = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, text=True)
            opening, first, second, *later = json.loads(run.stdout)
            typical = [int(statistics.median(column)) for column in zip(*later, strict=True)]
            told[name].append([opening, first, second, typical])
    for name, runs in told.items():
        steps = [
            [statistics.median(run[step][clock] for run in runs) for clock in (0, 1)] for step in range(4)
        ]
        (opening, _), (first, _), (second, _), _ = steps
        columns = "".join(f"{f'{wall / MS:.1f} ({cpu / MS:.1f})':>16}" for wall, cpu in steps)
        print(f"{name:12}{columns}{second / first:>16.2f}{second / (opening + first):>16.2f}")


# ---- top ------------------------------------------------------------------------------------------------


def cpu_seconds(pid: int) -> float:
    """Of all threads of a process and of its children that run (one of top watches the other)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(fields[11]) + int(fields[12])) / TICKS + sum(cpu_seconds(int(child)) for child in children)


@contextmanager
def running_on_a_terminal(*arguments: str) -> Iterator[int]:
    """zonerss on a terminal of 80 x 24 that somebody reads; the pid."""
    pid, screen = pty.fork()
    if not pid:
        os.environ["TERM"] = "xterm-256color"
        os.execv(ZONERSS, [str(ZONERSS), *arguments])
    fcntl.ioctl(screen, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    reader = subprocess.Popen(["cat"], stdin=screen, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield pid
    finally:
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        os.close(screen)
        reader.kill()
        reader.wait()


@contextmanager
def running_in_a_pipe(*arguments: str) -> Iterator[int]:
    """zonerss whose output goes nowhere; the pid."""
    with subprocess.Popen([ZONERSS, *arguments], stdout=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def measure_top(seconds: int) -> None:
    """The share of one processor that top takes, and what of it is the first snapshot and what the screen."""
    print(f"\nshare of one processor, one snapshot a second, over {seconds} s after {SETTLE_SECONDS} s")
    for name, running, arguments in (
        ("top", running_on_a_terminal, ("top", "--interval", "1")),
        ("top --batch", running_in_a_pipe, ("top", "--batch", "--interval", "1")),
        ("show --watch 1 --json", running_in_a_pipe, ("show", "--watch", "1", "--json")),
    ):
        with running(*arguments) as pid:
            time.sleep(SETTLE_SECONDS)
            before, began = cpu_seconds(pid), time.monotonic()
            time.sleep(seconds)
            share = (cpu_seconds(pid) - before) / (time.monotonic() - began)
        print(f"  {name:24}{share:7.1%}")


# ---- what the observed lose ------------------------------------------------------------------------------


def compare_losses(cgroups: TestCgroups, rounds: int, source: str) -> None:
    """Each way of looking in turn, four seconds each; the loss is to the median of `nobody` in the same turns."""
    churning = answering(cgroups, "churning", [build(HERE / "churning.c", "-static")])
    with churning as (ask, _), Session(source) as plain, Session(source, uncertainty=True) as counting:
        ways = {"nobody": None, "a snapshot a second": plain, "the same, counting changes": counting}
        rates: dict[str, list[float]] = {name: [] for name in ways}
        for session in (plain, counting):
            session.take()
        for _ in range(rounds):
            for name, session in ways.items():
                ask()  # from here on
                for _ in range(4):
                    if session:
                        session.take()
                    time.sleep(1)
                done, took_ns = ask()
                rates[name].append(done / took_ns * 1e9)
    nobody = rates["nobody"]
    print(f"\nrounds of fork, exec, mmap, write, munmap a second, {rounds} turns, source {source}")
    for name, found in rates.items():
        lost = statistics.median(1 - one / other for one, other in zip(found, nobody, strict=True))
        print(f"  {name:28} median {statistics.median(found):8.0f}  lost {lost:6.1%}")
    spread = statistics.quantiles((rate / statistics.median(nobody) - 1 for rate in nobody), n=4)
    print(f"  half of `nobody` lies between {spread[0]:+.1%} and {spread[2]:+.1%} of its median")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared-buffers", type=int, default=256, metavar="MIB")
    parser.add_argument("--clients", type=int, default=20, metavar="N")
    parser.add_argument("--rounds", type=int, default=11, metavar="N")
    parser.add_argument("--seconds", type=int, default=30, metavar="S", help="that top is watched")
    parser.add_argument("--only", choices=("repeat", "top", "churn"))
    arguments = parser.parse_args()

    cgroups = TestCgroups()
    cgroups.open()
    try:
        print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
        with postgres_running(cgroups, arguments.shared_buffers, arguments.clients):
            if arguments.only in (None, "repeat"):
                compare_first_and_second(arguments.rounds)
            if arguments.only in (None, "top"):
                measure_top(arguments.seconds)
            if arguments.only in (None, "churn"):
                compare_losses(cgroups, arguments.rounds, served_sources()[-1])
        print(f"load after: {os.getloadavg()[0]:.2f}")
    finally:
        cgroups.close()


if __name__ == "__main__":
    main()
