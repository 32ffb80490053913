"""share beside show: 300 zones that map one file of 200 MB, and 2,000 parts among them.

    sudo python -m tests.benchmarks.bench_share [ZONES]

Prints medians of wall and processor time of the commands, run in turns, and their ratio to show; and the same of
what goes on inside. Nothing is asserted: a machine that does something else meanwhile makes figures of its own.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import zonerss
from tests.benchmarks.workloads import files_shared
from tests.live.cgroups import TestCgroups
from zonerss.census.tree import tree_usage
from zonerss.commands.share import measure
from zonerss.kernel.cgroupfs import charged_bytes, find_memory_hierarchy
from zonerss.kernel.roots import HOST
from zonerss.views.document import render_json
from zonerss.views.share import document

ROUNDS = 7


def timed(call: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor milliseconds, this process's own and its children's."""
    wall, before = time.perf_counter(), os.times()
    call()
    after = os.times()
    return 1000 * (time.perf_counter() - wall), 1000 * (sum(after[:4]) - sum(before[:4]))


def compare(calls: dict[str, Callable[[], object]]) -> None:
    """In turns, so that what the machine does besides is shared out; the first call is the measure."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(ROUNDS):
        for name, call in calls.items():
            taken[name].append(timed(call))
    base = None
    for name, runs in taken.items():
        wall, busy = (statistics.median(column) for column in zip(*runs, strict=True))
        base = base or (wall, busy)
        print(
            f"  {name:<28} {wall:7.0f} ms wall {busy:7.0f} ms processor   "
            f"x {wall / base[0]:.2f} wall, x {busy / base[1]:.2f} processor"
        )


def command(*words: str) -> Callable[[], object]:
    return lambda: subprocess.run(
        [sys.executable, "-m", "zonerss", *words], check=True, stdout=subprocess.DEVNULL
    )


def bench(source: str) -> None:
    options = ("--by", "cgroup", "--source", source)
    with zonerss.Session(source) as session:
        sharing = measure(session, "cgroup")
        print(
            f"{source}: {len(sharing.snapshot.zones)} zones, {len(sharing.parts)} parts, "
            f"{sharing.pair_count} pairs, {sharing.snapshot.walk_pages:,} entries, {len(sharing.holdings)} named"
        )
    print(" commands")
    compare(
        {
            "show": command("show", *options),
            "share": command("share", *options),
            "show --json": command("show", *options, "--json"),
            "share --json": command("share", *options, "--json"),
            "show --tree": command("show", "--tree", "--source", source),
        }
    )
    print(" inside of a session")
    hierarchy = find_memory_hierarchy(HOST)
    with zonerss.Session(source) as session:

        def tree() -> object:
            snapshot = session.take("cgroup")
            return tree_usage(snapshot.parts, snapshot.members, lambda path: charged_bytes(hierarchy, path))

        compare(
            {
                "take": lambda: session.take("cgroup"),
                "share": lambda: measure(session, "cgroup", pair_limit=10),
                "share, as JSON": lambda: render_json(document(measure(session, "cgroup", pair_limit=1000))),
                "share, all as JSON": lambda: render_json(document(measure(session, "cgroup"))),
                "tree": tree,
            }
        )


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    cgroups = TestCgroups()
    cgroups.open()
    try:
        with files_shared(cgroups, count):
            for source in ("pagemap", "pagetable"):
                try:
                    bench(source)
                except zonerss.ZonerssError as err:
                    print(f"{source}: {err}")
    finally:
        cgroups.close()


if __name__ == "__main__":
    main()
