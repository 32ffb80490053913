"""What limits, pressure, kills and the like of each zone add to a snapshot: 300 zones of one small process.

sudo .venv/bin/python -m tests.benchmarks.bench_controls [ZONES] [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Mapping

from tests.benchmarks.workloads import crowd_running
from tests.live.cgroups import TestCgroups
from zonerss.answers.marks import wanted
from zonerss.records import Wanted
from zonerss.snapshot import Session
from zonerss.views.columns import CONTROLS_OF
from zonerss.views.screen import ORDER

WAYS: Mapping[str, bool | Wanted] = {
    "without": False,
    "for the screen": wanted(CONTROLS_OF[column.name] for column in ORDER if column.name in CONTROLS_OF),
    "all, as in JSON": True,
}


def cost_ns(session: Session, controls: bool | Wanted) -> int:
    """Processor time of one snapshot."""
    began = time.process_time_ns()
    session.take("cgroup", controls=controls)
    return time.process_time_ns() - began


def main(zones: int = 300, rounds: int = 41) -> None:
    """Snapshots of each kind in turn, each first in every third round."""
    cgroups = TestCgroups()
    cgroups.open()
    costs: dict[str, list[int]] = {which: [] for which in WAYS}
    names = list(WAYS)
    try:
        with crowd_running(cgroups, zones, 1), Session() as session:
            cost_ns(session, True)
            for number in range(rounds):
                for turn in range(len(names)):
                    which = names[(number + turn) % len(names)]
                    costs[which].append(cost_ns(session, WAYS[which]))
    finally:
        cgroups.close()
    print(f"{zones} zones, {rounds} rounds, load {os.getloadavg()[0]:.1f}: processor time of a snapshot")
    plain = costs["without"]
    for which, found in costs.items():
        ratios = [one / other for one, other in zip(found, plain, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        more = (statistics.median(found) - statistics.median(plain)) / 1000 / zones
        print(
            f"  {which:<16} {statistics.median(found) / 1e6:6.1f} ms: {middle:.2f} times ({low:.2f} to {high:.2f}), "
            f"{more:.0f} us a zone more"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
