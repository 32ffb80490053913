"""The page of a zone in top: a refresh that reads its details anew, and one that keeps them.

sudo .venv/bin/python -m tests.benchmarks.bench_top [ZONES] [PROCESSES] [ROUNDS]
"""

from __future__ import annotations

import os
import statistics
import sys
import time

from tests.benchmarks.workloads import crowd_running
from tests.live.cgroups import TestCgroups
from zonerss.commands import top
from zonerss.snapshot import Session
from zonerss.views.top import Mode


def refresh_ns(camera: top.SessionCamera, zone: str, details_seconds: float) -> int:
    """Processor time of one look at a page."""
    top.DETAILS_SECONDS = details_seconds
    began = time.process_time_ns()
    camera.take(Mode.ZONE, zone)
    return time.process_time_ns() - began


def main(zones: int = 20, processes: int = 10, rounds: int = 15) -> None:
    """Refreshes of both kinds in turn."""
    cgroups = TestCgroups()
    cgroups.open()
    costs: dict[bool, list[int]] = {False: [], True: []}
    try:
        with crowd_running(cgroups, zones, processes):
            camera = top.SessionCamera(lambda: Session(uncertainty=True, follow=True), "cgroup")
            try:
                rows = camera.take(Mode.ZONES, None).rows
                zone = max((row for row in rows), key=lambda row: row.processes).zone
                refresh_ns(camera, zone, 0.0)
                for _ in range(rounds):
                    for keeps in (False, True):
                        costs[keeps].append(refresh_ns(camera, zone, 3600.0 if keeps else 0.0))
            finally:
                camera.close()
    finally:
        cgroups.close()
    ratios = [kept / read for read, kept in zip(costs[False], costs[True], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    read, kept = (statistics.median(costs[keeps]) / 1e6 for keeps in (False, True))
    print(
        f"{zones} zones of {processes} processes, {rounds} rounds, load {os.getloadavg()[0]:.1f}: processor time"
    )
    print(
        f"  of a refresh with details {read:.1f} ms, without {kept:.1f} ms: {middle:.2f} ({low:.2f} to {high:.2f})"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
