"""How far it is from what was set out for speed. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_reach [--only NAME ...] [--rounds N]

Each line says what was reached and what was to be. What the commit before cost is told by `compare`. ps_mem takes
part if it is on PATH.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.benchmarks.bench_motion import (
    SETTLE_SECONDS,
    cpu_seconds,
    running_in_a_pipe,
    running_on_a_terminal,
)
from tests.benchmarks.bench_snapshot import (
    HERE,
    MS,
    Target,
    cost_it_tells,
    cost_of,
    cost_of_program,
    in_turn,
    median_cpu,
    median_wall,
)
from tests.benchmarks.builds import used_by
from tests.benchmarks.workloads import crowd_running, postgres_running
from tests.live.cgroups import TestCgroups
from tests.workloads.build import build
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.roots import HOST
from zonerss.kernel.roster import Roster
from zonerss.snapshot import Session

ZONERSS = Path(sys.executable).with_name("zonerss")
OPENING = """
import time
from zonerss.snapshot import Session
began = time.perf_counter_ns()
with Session("pagetable", follow=True) as session:
    opened = time.perf_counter_ns()
    session.take()
print(opened - began, time.perf_counter_ns() - began)
"""
TOP_SECONDS = 30
SHARE_ZONES = 1000


def to_rollup(cgroups: TestCgroups, rounds: int) -> Iterator[Target]:
    """A warm snapshot of a large PostgreSQL, beside a C program that reads every smaps_rollup."""
    reader = build(HERE / "read_smaps.c")
    with postgres_running(cgroups, 512, 40), Session("pagetable") as session:
        session.take()
        session.take()
        costs = in_turn(
            {
                "rollup": lambda: cost_it_tells([reader, "smaps_rollup"]),
                "snapshot": lambda: cost_of(session.take),
            },
            rounds,
        )
    ratio = median_wall(costs["snapshot"]) / median_wall(costs["rollup"])
    yield Target("warm snapshot by pagetable, 512 MB and 40 clients, to smaps_rollup", ratio, 0.10)


def cold(cgroups: TestCgroups, rounds: int) -> Iterator[Target]:
    """`zonerss --json` beside ps_mem, with and without a database."""
    ps_mem = shutil.which("ps_mem")
    if ps_mem is None:
        print("  (ps_mem is not on PATH: what a cold command costs beside it is not measured)")
        return

    def ratio() -> float:
        costs = in_turn(
            {
                "zonerss": lambda: cost_of_program([ZONERSS, "--json"]),
                "ps_mem": lambda: cost_of_program([ps_mem]),
            },
            rounds,
        )
        return median_wall(costs["zonerss"]) / median_wall(costs["ps_mem"])

    yield Target("zonerss --json, cold, whatever runs here, to ps_mem", ratio(), 1.5)
    with postgres_running(cgroups, 256, 20):
        yield Target("the same beside PostgreSQL, 256 MB and 20 clients", ratio(), 0.8)


def opening(_: TestCgroups, rounds: int) -> Iterator[Target]:
    """A lasting session, before it takes its first snapshot and with it."""
    runs = []
    for _ in range(rounds):
        told = subprocess.run([sys.executable, "-c", OPENING], capture_output=True, check=True, text=True)
        runs.append([int(word) / MS for word in told.stdout.split()])
    opened, first = (statistics.median(column) for column in zip(*runs, strict=True))
    yield Target("opening a lasting session", opened, 40, "ms")
    print(f"  (with its first snapshot {first:.1f} ms)")


def sleepers(cgroups: TestCgroups, rounds: int) -> Iterator[Target]:
    """10,000 processes that sleep, in 60 zones."""
    hierarchy = find_memory_hierarchy(HOST)
    with crowd_running(cgroups, 60, 167), Session("pagetable") as session:
        roster = Roster(HOST, iterate_from=1, lasting=True)
        try:
            session.take("cgroup")
            processes = len(roster.read(hierarchy).tasks)
            way = "the kernel's iterator" if roster.iterates else "/proc"
            costs = in_turn(
                {
                    "snapshot": lambda: cost_of(lambda: session.take("cgroup")),
                    "listing": lambda: cost_of(lambda: roster.read(hierarchy)),
                },
                rounds,
            )
        finally:
            roster.close()
    print(f"  ({processes:,} processes, listed by {way})")
    yield Target(
        "snapshot of 10,000 sleeping processes, processor time", median_cpu(costs["snapshot"]) / 1e9, 1.0, "s"
    )
    yield Target("listing, a process", median_cpu(costs["listing"]) / 1e3 / processes, 5, "us")


def top(cgroups: TestCgroups, _: int) -> Iterator[Target]:
    """The share of a processor that top takes, and what of it the looks take."""

    def taken_by(running: Callable, *words: str) -> float:
        with running(*words) as pid:
            time.sleep(SETTLE_SECONDS)
            before, began = cpu_seconds(pid), time.monotonic()
            time.sleep(TOP_SECONDS)
            return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began)

    with postgres_running(cgroups, 256, 20):
        yield Target("top, 80x24, a look a second", taken_by(running_on_a_terminal, "top", "-i", "1"), 2, "%")
        with Session("pagetable", follow=True) as session:
            session.take()
            costs = []
            for _ in range(15):
                time.sleep(1)
                costs.append(cost_of(session.take))
        yield Target("of which the look", 100 * median_cpu(costs) / 1e9, 1, "%")
        batch = taken_by(running_in_a_pipe, "top", "--batch", "-i", "1")
        print(f"  (top --batch {batch:.1f} %)")


def share(cgroups: TestCgroups, rounds: int) -> Iterator[Target]:
    """share of 1,000 zones that all map libc, beside show."""
    words = ("--by", "cgroup", "--source", "pagetable")
    with crowd_running(cgroups, SHARE_ZONES, 1):
        costs = in_turn(
            {
                "show": lambda: cost_of_program([ZONERSS, "show", *words]),
                "share": lambda: cost_of_program([ZONERSS, "share", *words]),
            },
            rounds,
        )
        peak_bytes = peak_of([ZONERSS, "share", *words])
    yield Target(
        "share with 1,000 zones, to show, wall", median_wall(costs["share"]) / median_wall(costs["show"]), 1.2
    )
    yield Target("the same, processor time", median_cpu(costs["share"]) / median_cpu(costs["show"]), 1.2)
    yield Target("its memory", peak_bytes / (1 << 20), 100, "MiB")


def peak_of(command: list[str | Path]) -> int:
    """The largest resident set of a program."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        return used_by(process).ru_maxrss << 10


PARTS = {
    "rollup": to_rollup,
    "cold": cold,
    "opening": opening,
    "sleepers": sleepers,
    "top": top,
    "share": share,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument(
        "--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="NAME", help=", ".join(PARTS)
    )
    parser.add_argument("--rounds", type=int, default=9, metavar="N")
    arguments = parser.parse_args()
    cgroups = TestCgroups()
    cgroups.open()
    try:
        for name in arguments.only:
            print(f"{name} (load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors)", flush=True)
            for target in PARTS[name](cgroups, arguments.rounds):
                print(target, flush=True)
    finally:
        cgroups.close()


if __name__ == "__main__":
    main()
