"""What a black box costs: a look into the ring, and what it takes there. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_black_box [--looks N] [--interval DURATION]

The machine as it is; looks follow each other at once. Printed are processor time of a look and of packing it, bytes
that it takes in the ring, for how long the ring holds looks at that interval, and how much of it the kernel has locked.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from pathlib import Path

from zonerss.commands.quantities import duration
from zonerss.history.moment import take_moment
from zonerss.history.ring import Ring
from zonerss.snapshot import Session


def locked_bytes() -> int:
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("VmLck:"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--looks", type=int, default=60)
    parser.add_argument("--interval", type=duration, default=2.0, metavar="DURATION")
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}")
    looking, packing = [], []
    with Session() as session, Ring(300.0) as ring:
        for _ in range(args.looks):
            began = time.process_time()
            moment = take_moment(session, lean=True)
            looked = time.process_time()
            ring.add(moment)
            looking.append(1000 * (looked - began))
            packing.append(1000 * (time.process_time() - looked))
        each = ring.used_bytes / len(ring)
        locked = "not locked" if ring.why_not_locked else f"{locked_bytes():,} bytes locked"
        processes, zones = len(moment.snapshot.members), len(moment.snapshot.zones)
    look, pack = statistics.median(looking), statistics.median(packing)
    print(f"{processes} processes in {zones} zones, {args.looks} looks")
    print(f"a look {look:.1f} ms of processor time, packing it {pack:.1f} ms: {each:,.0f} bytes")
    share = (look + pack) / 1000 / args.interval
    print(
        f"every {args.interval:g} s: {share:.2%} of a processor, and {ring.size_bytes:,} bytes, {locked}, hold "
        f"{ring.size_bytes / each * args.interval / 60:.0f} minutes"
    )
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
