"""What clearing and reading accessed bits costs, and how long a process stands still for it. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_wss [--gib 1 4] [--rounds N]

For each size and method a process (stall.c) that has written so much memory by pages of 4 KiB, and then maps and unmaps
a page without end: its longest round while its bits were cleared is what it felt. It needs that much free memory.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.benchmarks.bench_snapshot import HERE, MS
from tests.workloads.build import build
from zonerss.kernel.clearing import stall_of
from zonerss.snapshot import Session
from zonerss.units import PAGE_BYTES
from zonerss.walk.arming import METHODS, Armed

ZONE = "stall"


class Run(NamedTuple):
    """Of one process; nanoseconds."""

    took: int
    """All of arming, finding the ranges included."""
    call: int
    """The longest call of those that clear."""
    felt: int
    """The longest round of the process meanwhile."""
    idle: int
    """The same while nothing was done to it."""
    walk: int
    apart: int
    """A walk that tells entries apart."""


@contextmanager
def standing(gib: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process of so many GiB, as stall.c describes it."""
    program = build(HERE / "stall.c")
    with subprocess.Popen(
        [program, str(gib)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdout
        try:
            process.stdout.readline()
            yield process
        finally:
            process.kill()


def longest_round(process: subprocess.Popen[bytes], act: Callable[[], object]) -> int:
    """The longest round of the process while act() is called."""

    def tell() -> int:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"\n")
        return int(process.stdout.readline().split()[0])

    tell()
    act()
    return tell()


def measure(session: Session, gib: int, method: str) -> Run:
    armed: list[Armed] = []
    with standing(gib) as process:
        idle = longest_round(process, lambda: time.sleep(0.2))
        walk = session.take("command", zone=ZONE, alone=True).walk_ns
        began = time.monotonic_ns()
        felt = longest_round(process, lambda: armed.append(session.arm("command", [ZONE], method, 10.0)))
        took = time.monotonic_ns() - began
        (clearing,) = armed[0].cleared.values()
        apart = session.take("command", zone=ZONE, alone=True, armed=armed[0]).walk_ns
    return Run(took, clearing.longest_ns, felt, idle, walk, apart)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gib", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}; {args.rounds} rounds, medians (and least) in milliseconds")
    columns = ("arming", "ns/page", "longest call", "felt", "felt idle", "walk", "walk apart")
    print(f"{'':18}" + "".join(f"{column:>16}" for column in columns))
    with Session("pagetable") as session:
        session.take()
        for gib in args.gib:
            runs: dict[str, list[Run]] = {method: [] for method in METHODS}
            for _ in range(args.rounds):
                for method in METHODS:
                    runs[method].append(measure(session, gib, method))
            for method, found in runs.items():
                print(f"{gib} GiB, {method:11}" + row(gib, found))
            pages = gib * (1 << 30) // PAGE_BYTES
            print(f"       --stall expects {stall_of(pages, pages) * 1000:.0f} ms of clear_refs")
    print(f"load {os.getloadavg()[0]:.1f}")


def row(gib: int, runs: list[Run]) -> str:
    """Medians, and the least of each in brackets."""
    pages = gib * (1 << 30) // PAGE_BYTES
    took = [run.took for run in runs]
    cells = [_cell(took), f"{min(took) / pages:.0f}"]
    for name in ("call", "felt", "idle", "walk", "apart"):
        cells.append(_cell([getattr(run, name) for run in runs]))
    return "".join(f"{text:>16}" for text in cells)


def _cell(times: list[int]) -> str:
    return f"{statistics.median(times) / MS:.2f} ({min(times) / MS:.2f})"


if __name__ == "__main__":
    main()
