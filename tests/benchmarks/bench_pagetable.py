"""What reading page tables by BPF costs beside the other ways. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_pagetable [--only postgres|loading|stall|curve] [--rounds N]

What is compared runs in turn, round after round, so that what else the machine does falls on all alike. Of wall times
the median is told and the least; processor time is told too, as it suffers less from neighbours.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable

from tests.benchmarks.bench_snapshot import (
    HERE,
    MS,
    Cost,
    cost_it_tells,
    cost_of,
    in_turn,
    least_wall,
    median_cpu,
    median_wall,
)
from tests.benchmarks.workloads import answering, postgres_running, sharers_running
from tests.live.cgroups import TestCgroups
from tests.workloads.build import build
from zonerss.snapshot import Session
from zonerss.walk.pagetable import PageTableSource

ROLLUP = "C: every smaps_rollup"


# ---- PostgreSQL ----------------------------------------------------------------------------------------


def compare_on_postgres(rounds: int) -> None:
    """The targets of the issue, on whatever runs on this machine."""
    reader = build(HERE / "read_smaps.c")
    with (
        Session("pagemap") as pagemap,
        Session("pagetable") as pagetable,
        Session("pagetable", threads=1) as one,
    ):
        for session in (pagemap, pagetable, one):
            session.take()
        snapshot = pagetable.take()
        walks: dict[str, list[int]] = {"pagemap": [], "pagetable": [], "pagetable, one thread": []}

        def look(name: str, session: Session) -> Callable[[], Cost]:
            def take() -> None:
                walks[name].append(session.take().walk_ns)

            return lambda: cost_of(take)

        costs = in_turn(
            {
                ROLLUP: lambda: cost_it_tells([reader, "smaps_rollup"]),
                "snapshot by pagemap": look("pagemap", pagemap),
                "snapshot by pagetable": look("pagetable", pagetable),
                "snapshot by pagetable, one thread": look("pagetable, one thread", one),
            },
            rounds,
        )
    entries = snapshot.walk_pages
    print(
        f"\n{snapshot.total.processes} processes, {entries:,} present entries, {rounds} rounds; milliseconds"
    )
    print(f"{'':36}{'median':>9}{'least':>9}{'cpu':>9}{'ns/entry':>10}{'x rollup':>10}{'x its cpu':>11}")
    rollup = costs[ROLLUP]
    for name, runs in costs.items():
        print(
            f"{name:36}{median_wall(runs) / MS:9.2f}{least_wall(runs) / MS:9.2f}{median_cpu(runs) / MS:9.2f}"
            f"{median_cpu(runs) / entries:10.2f}{median_wall(runs) / median_wall(rollup):10.3f}"
            f"{median_cpu(runs) / median_cpu(rollup):11.3f}"
        )
    for name, taken in walks.items():
        print(f"  the walk alone, {name}: {statistics.median(taken) / MS:.2f}, least {min(taken) / MS:.2f}")
    least = {name: least_wall(runs) for name, runs in costs.items()}
    print(
        f"least to least: pagetable to rollup {least['snapshot by pagetable'] / least[ROLLUP]:.3f}, "
        f"to pagemap {least['snapshot by pagetable'] / least['snapshot by pagemap']:.3f}"
    )


# ---- loading ------------------------------------------------------------------------------------------


def cost_of_loading(rounds: int) -> None:
    """What a one-shot run pays before it walks."""

    def load() -> None:
        PageTableSource().close()

    load()
    costs = [cost_of(load) for _ in range(rounds)]
    print(
        f"\nloading and unloading: {median_wall(costs) / MS:.2f} ms, least {least_wall(costs) / MS:.2f}, "
        f"cpu {median_cpu(costs) / MS:.2f}"
    )


# ---- what the walked process feels ------------------------------------------------------------------------


def compare_stalls(cgroups: TestCgroups, gib: int, rounds: int) -> None:
    """How long one mmap and munmap took while nobody looked, and while each source walked again and again."""
    stalled = answering(cgroups, "stall", [build(HERE / "stall.c"), str(gib)])
    with stalled as (longest, zone), Session("pagemap") as a, Session("pagetable") as b:
        found: dict[str, list[tuple[int, int]]] = {"nobody": [], "pagemap": [], "pagetable": []}
        for _ in range(rounds):
            for name, session in (("nobody", None), ("pagemap", a), ("pagetable", b)):
                longest()
                end = time.monotonic() + 1
                while time.monotonic() < end:
                    if session:
                        session.take(by=("cgroup",), zone=zone, alone=True)
                    else:
                        time.sleep(0.01)
                found[name].append(longest())
    print(f"\nlongest mmap+munmap of a process of {gib} GiB in a second, microseconds; {rounds} rounds")
    for name, pairs in found.items():
        tops = [top for top, _ in pairs]
        print(
            f"  {name:10} least {min(tops) / 1000:9.0f}  median {statistics.median(tops) / 1000:9.0f}  "
            f"999 of 1,000 below {statistics.median(bound for _, bound in pairs) / 1000:7.0f}"
        )


# ---- the curve -----------------------------------------------------------------------------------------


def curve(cgroups: TestCgroups, rounds: int) -> None:
    """Nanoseconds of the walk for each entry, least of the rounds, from 10^5 to 5 x 10^6 pages and 1 to 1,000 zones."""
    print("\nthe walk alone, ns per entry, least of the rounds: pagetable / pagemap")
    sizes = (100_000, 1_000_000, 5_000_000)
    print(f"{'zones':>8}" + "".join(f"{size:>18,}" for size in sizes))
    for zones in (1, 10, 100, 1000):
        row = []
        for pages in sizes:
            with sharers_running(cgroups, pages, zones) as names:
                told = []
                for source in ("pagetable", "pagemap"):
                    with Session(source) as session:
                        taken = [session.take(by=("cgroup",), zone=names, alone=True) for _ in range(rounds)]
                    told.append(min(snapshot.walk_ns / snapshot.walk_pages for snapshot in taken))
                row.append(f"{told[0]:.2f} / {told[1]:.2f}")
        print(f"{zones:>8}" + "".join(f"{text:>18}" for text in row))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--shared-buffers", type=int, default=512, metavar="MIB")
    parser.add_argument("--clients", type=int, default=40, metavar="N")
    parser.add_argument("--gib", type=int, default=6, help="of the process that is stalled")
    parser.add_argument("--rounds", type=int, default=11, metavar="N")
    parser.add_argument("--only", choices=("postgres", "loading", "stall", "curve"))
    arguments = parser.parse_args()

    cgroups = TestCgroups()
    cgroups.open()
    try:
        print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
        if arguments.only in (None, "postgres"):
            with postgres_running(cgroups, arguments.shared_buffers, arguments.clients):
                compare_on_postgres(arguments.rounds)
        if arguments.only in (None, "loading"):
            cost_of_loading(arguments.rounds)
        if arguments.only in (None, "stall"):
            compare_stalls(cgroups, arguments.gib, arguments.rounds)
        if arguments.only in (None, "curve"):
            curve(cgroups, arguments.rounds)
        print(f"load after: {os.getloadavg()[0]:.2f}")
    finally:
        cgroups.close()


if __name__ == "__main__":
    main()
