"""What this checkout costs beside another commit: both built, in turn, in one run. Prints; asserts nothing.

    sudo tests/benchmarks/compare COMMIT [--only NAME ...] [--rounds N]

For each row: the medians of both builds, the median of the ratios new/old of each round, and their quartiles.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.benchmarks.builds import (
    Build,
    CannotAnswer,
    CannotBuild,
    Worker,
    build_of,
    environment,
    interruptible,
    this_build,
    used_by,
)
from tests.benchmarks.workloads import (
    crowd_running,
    files_shared,
    mems_running,
    postgres_running,
    sharers_running,
    workers_running,
)
from tests.live.cgroups import TestCgroups
from tests.workloads.postgres import programs

MS = 1_000_000
NOISE = 0.03
"""A ratio that is off by no more says nothing on the machine that this was written on."""
ROUNDS_OF_A_PROCESS = 4


class Cost(NamedTuple):
    """Of one round; wall is what is told of it first: nanoseconds, or bytes."""

    wall: int
    cpu_ns: int | None


@dataclass(frozen=True)
class Side:
    """A build, and its process that is kept warm."""

    build: Build
    worker: Worker


Measure = Callable[[Side], Cost]


@dataclass(frozen=True)
class Row:
    """One thing that costs something."""

    name: str
    measure: Measure


# ---- how a cost is measured ------------------------------------------------------------------------------


def asked(what: str, source: str | None = None, session: dict[str, Any] | None = None, **how: Any) -> Measure:
    """In the warm process of the build: a task of worker.py."""
    session = {"source": source or "auto"} | (session or {})

    def measure(side: Side) -> Cost:
        answer = side.worker.ask(what, session=session, **how)
        return Cost(answer["wall_ns"], answer["cpu_ns"])

    return measure


def memory(source: str) -> Measure:
    """By how much a process grows that takes its first snapshot."""

    def measure(side: Side) -> Cost:
        with Worker(side.build) as fresh:
            return Cost(fresh.ask("memory", session={"source": source})["bytes"], None)

    return measure


def command(*words: str) -> Measure:
    """The whole command, from its start to its end; what it prints goes nowhere."""
    return lambda side: cost_of_program(side.build.command(*words))


def imports(module: str) -> Measure:
    """Importing a module in a new interpreter, without the interpreter's own start."""

    def measure(side: Side) -> Cost:
        text = (
            "import time; began, busy = time.perf_counter_ns(), time.process_time_ns(); "
            f"import {side.build.package}.{module}; "
            "print(time.perf_counter_ns() - began, time.process_time_ns() - busy)"
        )
        run = [side.build.python, "-P", "-c", text]
        told = subprocess.run(run, cwd="/", env=environment(), stdout=subprocess.PIPE, text=True, check=True)
        wall, cpu = told.stdout.split()
        return Cost(int(wall), int(cpu))

    return measure


def cost_of_program(words: Sequence[Any]) -> Cost:
    began = time.perf_counter_ns()
    with subprocess.Popen(
        words, cwd="/", env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            said = process.stderr.read()
            used = used_by(process)
        except BaseException:
            process.kill()
            raise
    wall = time.perf_counter_ns() - began
    if process.returncode:
        raise CannotAnswer(said.strip())
    return Cost(wall, int((used.ru_utime + used.ru_stime) * 1e9))


# ---- the rows, workload by workload ----------------------------------------------------------------------

SOURCES = ("pagetable", "pagemap")


@dataclass(frozen=True)
class Workload:
    """What runs while some rows are measured."""

    name: str
    what: str
    running: Callable[[TestCgroups], AbstractContextManager[Any]]
    rows: Callable[[Any], list[Row]]
    """Of what running() gives."""

    @property
    def names(self) -> list[str]:
        """The full names of its rows."""
        return [f"{self.name}: {row.name}" for row in self.rows([])]


def by_each_source(name: str, what: str, **how: Any) -> list[Row]:
    return [Row(f"{name}, {source}", asked(what, source, **how)) for source in SOURCES]


def of_many(_: Any) -> list[Row]:
    """What a snapshot of the whole machine costs, and what is asked of it."""
    return [
        *by_each_source("warm", "take"),
        Row("warm, pagetable, one thread", asked("take", "pagetable", {"threads": 1})),
        Row("warm, pagetable, counting changes", asked("take", "pagetable", {"uncertainty": True})),
        *by_each_source("first of a session", "first"),
        Row("processes", asked("take", "pagetable", processes=True)),
        Row("basis incore", asked("take", "pagetable", basis="incore")),
        Row("files", asked("files", "pagetable", by="cgroup")),
        Row("payers", asked("payers", "pagetable", by="cgroup")),
        Row("mapcounts", asked("mapcounts", "pagetable", processes=True)),
        *([Row(f"memory, {source}", memory(source)) for source in SOURCES]),
        Row("zonerss --json", command("--json")),
        *(Row(f"zonerss --source {s} --json", command("--source", s, "--json")) for s in SOURCES),
        Row("zonerss ps --json", command("ps", "--json")),
        Row("zonerss top --batch", command("top", "--batch", "--json", "-i", "0.1", "-n", "5")),
    ]


def of_walk(zones: Sequence[str]) -> list[Row]:
    """The walk of these zones alone, whoever else runs."""
    return by_each_source("walk alone", "walk", by=["cgroup"], zone=list(zones), alone=True)


def of_crowd(_: Any) -> list[Row]:
    return by_each_source("warm", "take", by=["cgroup"])


def of_warm(_: Any) -> list[Row]:
    return by_each_source("warm", "take")


def of_sharing(_: Any) -> list[Row]:
    by_cgroup = ("--by", "cgroup", "--json")
    return [
        *by_each_source("share", "share", by="cgroup"),
        Row("whatif", asked("whatif", "pagetable", by="cgroup", without=[])),
        Row("zonerss show --json", command("show", *by_cgroup)),
        Row("zonerss share --json", command("share", *by_cgroup)),
        Row("zonerss show --tree --json", command("show", "--tree", "--json")),
    ]


def of_nothing(_: Any) -> list[Row]:
    return [
        Row("import of show", imports("commands.show")),
        Row("import of the library", imports("snapshot")),
        Row("zonerss check --json", command("check", "--json")),
    ]


@contextmanager
def one_process(cgroups: TestCgroups, *commands: str) -> Iterator[list[str]]:
    with mems_running(cgroups, ["one"]) as (mem,):
        for what in commands:
            mem.map(what)
        yield [cgroups.name_of(cgroups.top / "one")]


WORKLOADS = (
    Workload("quiet", "whatever runs here", lambda _: nullcontext(), of_nothing),
    Workload(
        "shared", "20 processes that map the same 256 MiB", lambda c: sharers_running(c, 20 << 16, 1), of_many
    ),
    Workload("forked", "200 MiB, 32 forks", lambda c: workers_running(c, 51_200, 32), of_warm),
    Workload("large", "one process of 1 GiB", lambda c: one_process(c, f"anon {1 << 18}"), of_walk),
    Workload(
        "sparse", "1 GiB THP, 1 TiB reserved", lambda c: one_process(c, "thp 512", "reserve 1024"), of_walk
    ),
    Workload("zones", "100 zones, 1,000,000 entries", lambda c: sharers_running(c, 1_000_000, 100), of_walk),
    Workload("crowd", "10 zones x 300 processes", lambda c: crowd_running(c, 10, 300), of_crowd),
    Workload("crowds", "1,000 zones x 3 processes", lambda c: crowd_running(c, 1000, 3), of_crowd),
    Workload("sharing", "300 zones, 8 files", lambda c: files_shared(c, 300), of_sharing),
    Workload("postgres", "256 MB, 20 clients", lambda c: postgres_running(c, 256, 20), of_many),
)


def is_wanted(name: str, only: Sequence[str]) -> bool:
    """Whether one of the words is in the full name of a row, ``workload: row``."""
    return not only or any(word in name for word in only)


# ---- the table -------------------------------------------------------------------------------------------

NAME_WIDTH, SPREAD_WIDTH = 44, 46


def measure_row(row: Row, builds: Sequence[Build], rounds: int) -> list[tuple[Cost, Cost]]:
    """
    Old and new in turn, so many times, each first in every other round.

    Both get a new process for each few rounds, for a process has its luck for life: where its memory lies, and in
    which huge pages. What a new process does first is not counted.
    """
    pairs: list[tuple[Cost, Cost]] = []
    while len(pairs) < rounds:
        with ExitStack() as stack:
            sides = [Side(build, stack.enter_context(Worker(build))) for build in builds]
            for side in sides:
                row.measure(side)
            for _ in range(min(ROUNDS_OF_A_PROCESS, rounds - len(pairs))):
                order = sides[:: -1 if len(pairs) % 2 else 1]
                costs = {side.build: row.measure(side) for side in order}
                pairs.append((costs[builds[0]], costs[builds[1]]))
    return pairs


def spread(pairs: Sequence[tuple[float, float]], scale: float) -> str:
    """Medians of old and new, the median ratio, its quartiles, and a word where these are off by more than noise."""
    old, new = (statistics.median(column) / scale for column in zip(*pairs, strict=True))
    ratios = [b / a for a, b in pairs if a]
    low, middle, high = (
        statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    )
    word = "slower" if low > 1 + NOISE else "faster" if high < 1 - NOISE else ""
    return f"{old:9.2f}{new:9.2f}  {middle:5.3f} ({low:.3f}-{high:.3f}) {word:6}"


def line_of(name: str, pairs: Sequence[tuple[Cost, Cost]]) -> str:
    wall = spread([(old.wall, new.wall) for old, new in pairs], MS)
    cpus = [
        (old.cpu_ns, new.cpu_ns) for old, new in pairs if old.cpu_ns is not None and new.cpu_ns is not None
    ]
    return (
        f"{name:{NAME_WIDTH}}{wall:{SPREAD_WIDTH}} |{spread(cpus, MS) if cpus else ' (10^6 bytes)'}".rstrip()
    )


def print_titles() -> None:
    title = f"{'old':>9}{'new':>9}  new/old (quartiles)"
    for wall, cpu in (("  wall, ms", "  processor, ms"), (title, title)):
        print(f"{'':{NAME_WIDTH}}{wall:{SPREAD_WIDTH}} |{cpu}")


def compare(cgroups: TestCgroups, builds: Sequence[Build], only: Sequence[str], rounds: int) -> None:
    """Measure and print row by row; each workload runs while its rows are measured."""
    for workload in WORKLOADS:
        if not any(is_wanted(name, only) for name in workload.names):
            continue
        print(f"\n{workload.name}: {workload.what}", flush=True)
        if workload.name == "postgres" and programs() is None:
            print("  (PostgreSQL is not installed)")
            continue
        with workload.running(cgroups) as running:
            for name, row in zip(workload.names, workload.rows(running), strict=True):
                if is_wanted(name, only):
                    print(outcome(name, row, builds, rounds), flush=True)


def outcome(name: str, row: Row, builds: Sequence[Build], rounds: int) -> str:
    try:
        return line_of(name, measure_row(row, builds, rounds))
    except CannotAnswer as err:
        return f"{name:{NAME_WIDTH}}  (cannot: {err})"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="compare", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("commit", metavar="COMMIT", help="the build to compare with, as git names it")
    parser.add_argument(
        "--only", nargs="+", default=[], metavar="NAME", help="rows whose name contains one of these"
    )
    parser.add_argument("--rounds", type=int, default=16, metavar="N", help="of each row (16)")
    arguments = parser.parse_args()
    names = [name for workload in WORKLOADS for name in workload.names]
    if not any(is_wanted(name, arguments.only) for name in names):
        parser.error("\n  ".join(["no row is called so; there are", *names]))
    cgroups = TestCgroups()
    try:
        with interruptible(), ExitStack() as stack:
            old, new = build_of(arguments.commit), this_build()
            stack.callback(cgroups.close)
            cgroups.open()
            print(f"old {old.name}, new {new.name}; {arguments.rounds} rounds")
            print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
            print_titles()
            compare(cgroups, (old, new), arguments.only, arguments.rounds)
            print(f"\nload after: {os.getloadavg()[0]:.2f}")
    except CannotBuild as err:
        print(f"compare: {err}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
