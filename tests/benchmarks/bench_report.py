"""What `report` costs on a recording of many zones, made by hand: no process is started. Prints; asserts nothing.

    .venv/bin/python -m tests.benchmarks.bench_report [--zones N] [--looks N]

Of a longer range 240 snapshots are looked at, and the others passed over: of these only the sizes are read. What one of
each takes is printed last.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tests.unit.history.moments import Host
from zonerss.commands import main as zonerss
from zonerss.commands.report import MOST_LOOKS
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording
from zonerss.history.replay import PastSession

HALF_MIB_PAGES = 128
"""By which one zone grows from look to look."""


def record(path: Path, zones: int, looks: int) -> None:
    """Zones of four processes, half as many shared parts; every figure drifts, and one zone leaks."""
    host = Host(zones, zones // 2)
    with Keeper(path) as keeper:
        for number in range(looks):
            keeper.add(host.moment(10.0 * number))
            host.drift()
            host.grow(0, HALF_MIB_PAGES)


def timed(*words: str) -> tuple[float, float, int]:
    """Seconds that a command took, seconds of processor time, and how much it printed."""
    began, before, out = time.monotonic(), time.process_time(), io.StringIO()
    with contextlib.redirect_stdout(out):
        status = zonerss(["report", "--no-config", *words])
    assert status == 0
    return time.monotonic() - began, time.process_time() - before, len(out.getvalue())


def each(path: Path) -> None:
    """Processor time of one snapshot, by how much of it is read."""
    with Recording(path) as recording:
        numbers = recording.between()
        ways: dict[str, Callable[[], Iterable[object]]] = {
            "looked at": lambda: map(recording.figures, numbers),
            "passed over, zones": lambda: recording.zone_sizes(numbers, "zone"),
            "passed over, processes": lambda: recording.process_sizes(numbers),
            "looked at, grouped anew": lambda: (
                PastSession(recording, number=number, lean=True).take(
                    "depth=1", processes=True, controls=True
                )
                for number in numbers
            ),
        }
        for name, way in ways.items():
            before = time.process_time()
            for _ in way():
                pass
            print(
                f"{name}: {(time.process_time() - before) / len(numbers) * 1000:.1f} ms of processor time a snapshot"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--zones", type=int, default=1000)
    parser.add_argument("--looks", type=int, default=MOST_LOOKS)
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "a.zrec")
        before = time.process_time()
        record(path, args.zones, args.looks)
        took = time.process_time() - before
        print(
            f"{args.zones} zones, {args.looks} snapshots: {path.stat().st_size / 1e6:.1f} MB, made in {took:.1f} s of "
            "processor time"
        )
        for words in ((), ("--json",)):
            wall, processor, size = timed(str(path), *words)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            print(
                f"report {' '.join(words):7}{wall:7.1f} s, {processor:.1f} s of processor time, "
                f"{size / 1e6:.2f} MB printed, peak rss {peak:.0f} MiB"
            )
        each(path)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
