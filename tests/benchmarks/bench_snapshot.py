"""What a snapshot costs, beside what reads the same from the kernel in other ways. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_snapshot [--shared-buffers MIB] [--clients N] [--rounds N]

Everything that is compared runs in turn, round after round, so that what else the machine does falls on all alike;
medians are compared. The workload is PostgreSQL whose clients have all read every buffer (tests/workloads).
"""

from __future__ import annotations

import argparse
import atexit
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import zonerss
from tests.benchmarks.workloads import crowd_running, mems_running, postgres_running
from tests.live.cgroups import TestCgroups
from tests.workloads.build import build
from zonerss.errors import CannotServe

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
PAGE = 4096
MS = 1_000_000

COLD = """
import json, resource, sys, time
import zonerss
from zonerss.snapshot import take_snapshot
began, busy = time.perf_counter_ns(), time.process_time_ns()
take_snapshot(source=sys.argv[1])
print(time.perf_counter_ns() - began, time.process_time_ns() - busy)
"""

MEMORY = """
import sys
from zonerss.snapshot import take_snapshot
import zonerss.walk.pagemap

def status(name):
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))

before = status("VmRSS:")
open("/proc/self/clear_refs", "w").write("5")
snapshot = take_snapshot(source=sys.argv[1])
print(status("VmHWM:") - before, snapshot.total.rss_bytes // 4096)
"""


@dataclass(frozen=True)
class Cost:
    wall_ns: int
    cpu_ns: int


@dataclass(frozen=True)
class Target:
    """Something that the issues ask for, and what came of it."""

    what: str
    value: float
    limit: float
    unit: str = "x"
    noise: float = 0.0
    """By how much the measure differs from time to time: where that is more than the limit, nothing was shown."""

    def __str__(self) -> str:
        verdict = "reached" if self.value <= self.limit else "MISSED"
        if self.noise > self.limit:
            verdict = "UNCLEAR"
        return f"  {verdict:8} {self.what}: {self.value:.2f} {self.unit} (at most {self.limit:g} {self.unit})"


# ---- how a cost is measured ----------------------------------------------------------------------------


def cost_of(work: Callable[[], object]) -> Cost:
    """In this process."""
    began, busy = time.perf_counter_ns(), time.process_time_ns()
    work()
    return Cost(time.perf_counter_ns() - began, time.process_time_ns() - busy)


def cost_of_program(command: Sequence[str | Path]) -> Cost:
    """A whole process, from its start to its end; what it prints goes nowhere."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter_ns()
    subprocess.run(command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    wall = time.perf_counter_ns() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Cost(wall, int(busy * 1e9))


def cost_it_tells(command: Sequence[str | Path]) -> Cost:
    """A process that measures itself and prints: nanoseconds, processor nanoseconds."""
    result = subprocess.run(command, cwd=PROJECT, capture_output=True, check=True, text=True)
    wall, busy = result.stdout.split()[:2]
    return Cost(int(wall), int(busy))


def in_turn(contenders: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            costs[name].append(run())
    return costs


def median_wall(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.wall_ns for cost in costs)


def least_wall(costs: Sequence[Cost]) -> float:
    return min(cost.wall_ns for cost in costs)


def least_cpu(costs: Sequence[Cost]) -> float:
    return min(cost.cpu_ns for cost in costs)


def median_cpu(costs: Sequence[Cost]) -> float:
    return statistics.median(cost.cpu_ns for cost in costs)


def served_sources() -> list[str]:
    sources = []
    for name in ("pagemap", "pagetable"):
        try:
            zonerss.take_snapshot(source=name)
        except CannotServe as error:
            print(f"(source {name} cannot serve here: {error})")
        else:
            sources.append(name)
    return sources


def contenders_of(sources: Sequence[str]) -> dict[str, Callable[[], Cost]]:
    """Everything that is compared, by the name it is printed under."""
    reader = build(HERE / "read_smaps.c")
    found: dict[str, Callable[[], Cost]] = {
        "C: every smaps_rollup": lambda: cost_it_tells([reader, "smaps_rollup"]),
        "C: every smaps": lambda: cost_it_tells([reader, "smaps"]),
    }
    for name in sources:
        session = zonerss.Session(source=name)
        atexit.register(session.close)
        session.take()  # loads what is to be loaded
        found[f"snapshot {name}, warm"] = lambda session=session: cost_of(session.take)
        found[f"snapshot {name}, cold"] = lambda name=name: cost_it_tells([sys.executable, "-c", COLD, name])
        found[f"zonerss --json --source {name}"] = lambda name=name: cost_of_program(
            [Path(sys.executable).with_name("zonerss"), "--json", "--source", name]
        )
    found["zonerss --json"] = lambda: cost_of_program([Path(sys.executable).with_name("zonerss"), "--json"])
    for name, *arguments in (("ps_mem",), ("smem", "-c", "pid pss uss rss"), ("smem2",), ("procrank",)):
        if path := shutil.which(name):
            found[name] = lambda path=path, arguments=arguments: cost_of_program([path, *arguments])
        else:
            print(f"({name} is not installed)")
    return found


def compare_on_postgres(sources: Sequence[str], rounds: int) -> list[Target]:
    snapshot = zonerss.take_snapshot(source="pagemap")
    entries = snapshot.walk_pages
    processes = snapshot.total.processes
    rss, sum_of_rss = snapshot.total.rss_bytes >> 20, snapshot.total.process_rss_bytes >> 20
    print(
        f"\n{processes} processes, {entries:,} present entries, {rss} MiB of memory, "
        f"{sum_of_rss} MiB of process RSS; {rounds} rounds\n"
    )
    costs = in_turn(contenders_of(sources), rounds)
    rollup = costs["C: every smaps_rollup"]
    print(f"{'':34}{'median':>9}{'least':>9}{'cpu':>9}{'ns/entry':>10}{'x rollup':>10}{'x its cpu':>11}")
    for name, runs in sorted(costs.items(), key=lambda item: median_wall(item[1])):
        print(
            f"{name:34}{median_wall(runs) / MS:9.1f}{least_wall(runs) / MS:9.1f}{median_cpu(runs) / MS:9.1f}"
            f"{median_wall(runs) / entries:10.1f}{median_wall(runs) / median_wall(rollup):10.2f}"
            f"{median_cpu(runs) / median_cpu(rollup):11.2f}"
        )
    print("(milliseconds)")
    return targets_of(costs)


def questions_to_a_snapshot(sources: Sequence[str], rounds: int) -> None:
    """What it costs to ask who pays for the frames of a snapshot, and how often they are mapped; whatever runs here."""
    for name in sources:
        with zonerss.Session(source=name) as session:
            snapshot = session.take(processes=True)
            frames = snapshot.total.rss_bytes // PAGE
            costs = in_turn(
                {
                    "payers": lambda snapshot=snapshot: cost_of(snapshot.ask().payers),
                    "mapcounts": lambda snapshot=snapshot: cost_of(snapshot.ask().mapcounts),
                },
                rounds,
            )
        for question, runs in costs.items():
            print(
                f"{name}: {question} of {frames:,} frames: {median_wall(runs) / MS:.1f} ms, "
                f"{median_cpu(runs) / MS:.1f} ms of processor time, {median_cpu(runs) / frames:.0f} ns a frame"
            )


def targets_of(costs: Mapping[str, Sequence[Cost]]) -> list[Target]:
    wall = {name: median_wall(runs) for name, runs in costs.items()}
    cpu = {name: median_cpu(runs) for name, runs in costs.items()}
    rollup, pagemap, pagetable = "C: every smaps_rollup", "snapshot pagemap, warm", "snapshot pagetable, warm"
    targets = [Target("snapshot by pagemap, warm, to smaps_rollup", wall[pagemap] / wall[rollup], 1.0)]
    if pagetable in wall:
        targets += [
            Target("snapshot by pagetable, warm, to smaps_rollup", wall[pagetable] / wall[rollup], 0.15),
            Target("the same in processor time", cpu[pagetable] / cpu[rollup], 0.22),
            Target("snapshot by pagetable, to pagemap", wall[pagetable] / wall[pagemap], 0.25),
        ]
    if "ps_mem" in wall:
        targets.append(
            Target("zonerss --json, cold, to ps_mem", wall["zonerss --json"] / wall["ps_mem"], 1.5)
        )
    if "smem" in wall:
        targets.append(Target("zonerss --json, cold, to smem", wall["zonerss --json"] / wall["smem"], 0.5))
    return targets


# ---- one thing at a time -----------------------------------------------------------------------------------


def cost_of_mapping(cgroups: TestCgroups, command: str, source: str, rounds: int) -> tuple[float, float]:
    """Nanoseconds of processor time that a mapping adds to a snapshot of the one process that has it; the noise.

    Of the least of many: a difference of microseconds drowns in medians on a machine that does anything else.
    The noise is by how much the least of the rounds differ that are without the mapping.
    """
    name = cgroups.name_of(cgroups.top / "mapping")

    def look() -> Cost:
        return cost_of(lambda: zonerss.take_snapshot(by=("cgroup",), source=source, zone=name, alone=True))

    with mems_running(cgroups, ["mapping"]) as (mem,):
        without, added = [], []
        look()
        for _ in range(rounds):
            without.append(least_cpu([look() for _ in range(10)]))
            where = mem.map(command)
            added.append(least_cpu([look() for _ in range(10)]))
            mem.unmap(where, 0, where.pages)
    return min(added) - min(without), statistics.median(without) - min(without)


def memory_of_snapshot(source: str) -> tuple[float, float]:
    """Bytes per frame of RAM, and per frame that is mapped, that a snapshot takes at most."""
    result = subprocess.run(
        [sys.executable, "-c", MEMORY, source], cwd=PROJECT, capture_output=True, check=True, text=True
    )
    grown, mapped = map(int, result.stdout.split())
    frames = os.sysconf("SC_PHYS_PAGES")
    return grown / frames, grown / mapped


def cost_per_process(cgroups: TestCgroups, zones: int, each: int, source: str, rounds: int) -> float:
    """Nanoseconds of processor time, of the cheapest snapshot; what else runs on the machine is walked, too."""
    with crowd_running(cgroups, zones, each):
        snapshot = zonerss.take_snapshot(by=("cgroup",), source=source)
        costs = [cost_of(lambda: zonerss.take_snapshot(by=("cgroup",), source=source)) for _ in range(rounds)]
    return least_cpu(costs) / snapshot.total.processes


def compare_one_by_one(cgroups: TestCgroups, sources: Sequence[str], rounds: int) -> list[Target]:
    targets = []
    for source in sources:
        print(f"\n{source}")
        reserve, reserve_noise = cost_of_mapping(cgroups, "reserve 1024", source, rounds)
        huge, huge_noise = cost_of_mapping(cgroups, "thp 512", source, rounds)
        small, small_noise = cost_of_mapping(cgroups, f"anon {1 << 18}", source, rounds)
        of_ram, of_mapped = memory_of_snapshot(source)
        for what, added, noise in (
            ("1 TiB of MAP_NORESERVE", reserve, reserve_noise),
            ("1 GiB of THP", huge, huge_noise),
            ("1 GiB of small pages", small, small_noise),
        ):
            print(f"  {what} adds {added / MS:.3f} ms of processor time, give or take {noise / MS:.3f}")
        print(f"  so a small page costs {small / (1 << 18):.2f} ns")
        print(f"  memory: {of_ram:.2f} bytes per frame of RAM, {of_mapped:.1f} per frame that is mapped")
        many = cost_per_process(cgroups, 1000, 3, source, rounds)
        few = cost_per_process(cgroups, 10, 300, source, rounds)
        small_crowd = cost_per_process(cgroups, 10, 3, source, rounds)
        print(
            f"  a process costs {many / 1000:.1f} us among 1,000 zones x 3, {few / 1000:.1f} us among 10 x 300, "
            f"{small_crowd / 1000:.1f} us among 10 x 3"
        )
        targets += [
            Target(f"{source}: 1 TiB of MAP_NORESERVE", reserve / MS, 2, "ms", reserve_noise / MS),
            Target(f"{source}: 1 GiB of THP", huge / MS, 0.5, "ms", huge_noise / MS),
            Target(f"{source}: memory per frame of RAM", of_ram, 6, "bytes"),
            Target(f"{source}: 1,000 zones x 3, per process, to 10 x 300", many / few, 1.5),
            Target(f"{source}: 1,000 zones x 3, per process, to 10 x 3", many / small_crowd, 1.5),
        ]
    return targets


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared-buffers", type=int, default=256, metavar="MIB")
    parser.add_argument("--clients", type=int, default=20, metavar="N")
    parser.add_argument("--rounds", type=int, default=7, metavar="N")
    parser.add_argument("--only", choices=("postgres", "singles", "questions"), help="one part of it")
    parser.add_argument("--json", metavar="FILE", help="write the targets there, too")
    arguments = parser.parse_args()

    cgroups = TestCgroups()
    cgroups.open()
    targets: list[Target] = []
    try:
        sources = served_sources()
        print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
        if arguments.only in (None, "questions"):
            questions_to_a_snapshot(sources, arguments.rounds)
        if arguments.only in (None, "postgres"):
            with postgres_running(cgroups, arguments.shared_buffers, arguments.clients):
                targets += compare_on_postgres(sources, arguments.rounds)
        if arguments.only in (None, "singles"):
            targets += compare_one_by_one(cgroups, sources, arguments.rounds)
        print(f"load after: {os.getloadavg()[0]:.2f}")
    finally:
        cgroups.close()
    print("\nWhat the issues ask for:")
    print("\n".join(map(str, targets)))
    if arguments.json:
        Path(arguments.json).write_text(
            json.dumps([{"what": t.what, "value": t.value, "limit": t.limit} for t in targets], indent=1)
        )


if __name__ == "__main__":
    main()
