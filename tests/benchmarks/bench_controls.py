"""What limits, pressure and kills of each zone add to a snapshot: 300 zones of one small process.

sudo .venv/bin/python -m tests.benchmarks.bench_controls [ZONES] [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import time

from tests.benchmarks.workloads import crowd_running
from tests.live.cgroups import TestCgroups
from zonerss.snapshot import Session


def cost_ns(session: Session, controls: bool) -> int:
    """Processor time of one snapshot."""
    began = time.process_time_ns()
    session.take("cgroup", controls=controls)
    return time.process_time_ns() - began


def main(zones: int = 300, rounds: int = 41) -> None:
    """Snapshots without and with them in turn, each first in every other round."""
    cgroups = TestCgroups()
    cgroups.open()
    ratios, costs = [], {False: [], True: []}
    try:
        with crowd_running(cgroups, zones, 1), Session() as session:
            cost_ns(session, True)
            for number in range(rounds):
                pair = {which: cost_ns(session, which) for which in (bool(number % 2), not number % 2)}
                ratios.append(pair[True] / pair[False])
                for which, cost in pair.items():
                    costs[which].append(cost)
    finally:
        cgroups.close()
    low, middle, high = statistics.quantiles(ratios, n=4)
    plain, full = (statistics.median(costs[which]) / 1e6 for which in (False, True))
    print(f"{zones} zones, {rounds} rounds, load {os.getloadavg()[0]:.1f}: processor time of a snapshot")
    print(f"  without {plain:.1f} ms, with {full:.1f} ms: {middle:.2f} times ({low:.2f} to {high:.2f})")
    print(f"  {(full - plain) * 1000 / zones:.0f} us a zone")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
