"""What `record` costs over time, and whether it stays level. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_record [--looks N] [--full] [--max-size SIZE] [--kept FILE]

One round follows the other at once, an hour of `record --interval 1s` in 3,600 rounds, while cgroups with a process
come and go: each lives for some rounds, and a third of them has the name of one that was there before. Printed are, ten
times in the run: rss and open files of the recorder, zones by cgroup, the file with what lies beside it, the largest
that it was after any round, and processor seconds a round.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.cgroups import TestCgroups, move
from tests.workloads.mem import Mem
from zonerss.commands import parse
from zonerss.commands.ending import Ending
from zonerss.commands.record import Progress, Recorder, processor_seconds
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording
from zonerss.snapshot import Session
from zonerss.units import PAGE_BYTES, format_size

ALIVE = 12
"""Cgroups that are there at a time."""
NAMES = 30
"""Of a third of them; the others have names of their own."""


class Containers:
    """Cgroups with a process each, that come and go."""

    def __init__(self, cgroups: TestCgroups) -> None:
        self._cgroups = cgroups
        self._alive: list[tuple[Path, Mem]] = []
        self._numbers = itertools.count()
        self.started = 0

    def turn(self) -> None:
        """Let one end, if there are enough, and start one."""
        if len(self._alive) >= ALIVE:
            self._end(random.randrange(len(self._alive)))
        number = next(self._numbers)
        name = f"again-{random.randrange(NAMES)}" if number % 3 == 0 else f"once-{number}"
        if any(path.name == name for path, _ in self._alive):
            return
        path = self._cgroups.make(name)
        mem = Mem(before_exec=lambda: move(os.getpid(), path))
        mem.tell(f"anon {random.randrange(1, 300)}")
        self._alive.append((path, mem))
        self.started += 1

    def close(self) -> None:
        while self._alive:
            self._end(0)

    def _end(self, number: int) -> None:
        path, mem = self._alive.pop(number)
        mem.end()
        self._cgroups.remove(path)


@contextmanager
def containers() -> Iterator[Containers]:
    cgroups = TestCgroups()
    cgroups.open()
    made = Containers(cgroups)
    try:
        yield made
    finally:
        made.close()
        cgroups.close()


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE_BYTES


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def kept_bytes(path: Path) -> int:
    return sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if file.exists())


def run(args: argparse.Namespace, path: Path) -> None:
    options = [
        "--no-config",
        "--interval",
        "1s",
        "--max-size",
        args.max_size,
        *([] if args.full else ["--lean"]),
    ]
    wanted = parse("record", options)
    print(
        f"load {os.getloadavg()[0]:.1f}; {args.looks} rounds, {'full' if args.full else 'lean'}, {args.max_size}"
    )
    with (
        containers() as made,
        Session(follow=True) as session,
        Keeper(path, None, wanted.max_size) as keeper,
        Ending() as ending,
    ):
        recorder = Recorder(session, keeper, Progress(json=True), wanted, str(path))
        sys.stderr = open(os.devnull, "w")  # noqa: SIM115
        print("rounds started zones     rss files    file largest ms/round")
        largest, spent, wall = 0, 0.0, time.monotonic()
        step = max(args.looks // 10, 1)
        for number in range(1, args.looks + 1):
            made.turn()
            before = processor_seconds()
            recorder._round(ending)
            spent += processor_seconds() - before
            largest = max(largest, kept_bytes(path))
            if number % step == 0 or number == 1:
                latest = recorder.recorded.latest
                zones = len(latest.groupings[1].zones) if latest else 0
                print(
                    f"{number:6} {made.started:7} {zones:5} {format_size(rss_bytes()):>7} {open_files():5} "
                    f"{format_size(kept_bytes(path)):>7} {format_size(largest):>7} {spent / number * 1000:8.1f}",
                    flush=True,
                )
        recorded = recorder.recorded
    each, took = recorded.added_bytes / recorded.snapshots, time.monotonic() - wall
    print(
        f"{recorded.snapshots} snapshots kept, {recorded.not_kept} not; {each:.0f} bytes each; {took:.0f} s"
    )
    print(f"largest {largest:,} of {wanted.max_size:,} bytes")
    with Recording(path) as recording:
        moments = sum(1 for _ in recording.moments())
        print(f"the file opens: {moments} snapshots, all of them read")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--looks", type=int, default=3600)
    parser.add_argument("--full", action="store_true", help="files and payers, too")
    parser.add_argument("--max-size", default="8M")
    parser.add_argument(
        "--kept", type=Path, metavar="FILE", help="where the recording is left (default: nowhere)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="zonerss-bench-") as directory:
        run(args, args.kept or Path(directory) / "hour.zrec")


if __name__ == "__main__":
    main()
