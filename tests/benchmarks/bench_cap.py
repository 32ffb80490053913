"""What a capper's look costs, which tells the pages of one zone apart by class, against a walk of the same machine.

    sudo .venv/bin/python -m tests.benchmarks.bench_cap [--rounds N]

Prints medians of processor time, all threads together, and the ratio; asserts nothing. The zone is the cgroup of the
median size.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from zonerss.cap.look import look
from zonerss.kernel.roots import HOST
from zonerss.snapshot import Session

MS = 1e6


def cost(call: Callable[[], object]) -> float:
    """Milliseconds of processor time."""
    began = time.process_time_ns()
    call()
    return (time.process_time_ns() - began) / MS


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with Session("pagetable") as session:
        found = session.take("cgroup")
        names = [found.zones[len(found.zones) // 2].zone]

        def classes() -> object:
            return look(session, HOST, "cgroup", names, {}, 0)

        classes()
        plain, told = zip(
            *((cost(lambda: session.take("cgroup")), cost(classes)) for _ in range(rounds)), strict=True
        )
    walk_ms, look_ms = statistics.median(plain), statistics.median(told)
    print(
        f"{found.walk_pages:,} entries in {len(found.zones)} cgroups: a walk {walk_ms:.1f} ms, "
        f"a look with classes {look_ms:.1f} ms: {look_ms / walk_ms:.2f} times as much"
    )


if __name__ == "__main__":
    main()
