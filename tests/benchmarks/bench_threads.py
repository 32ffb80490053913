"""One process of several GiB, and many that share memory, with more threads than processors. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_threads [--gib 4] [--rounds 15]

For 1, 2, 4 and 8 threads: wall and processor time of a warm snapshot of the workload, whether its figures are those of
one thread, how many jobs its processes are cut into, and how often a thread waited for a lock: calls of futex(2) that
wait, of this process, counted by a tracepoint (bcc) in rounds of their own.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.benchmarks.bench_snapshot import MS, cost_of, in_turn, median_cpu, median_wall
from tests.benchmarks.workloads import mems_running, sharers_running
from tests.live.cgroups import TestCgroups
from zonerss.snapshot import Session, Snapshot
from zonerss.units import PAGE_BYTES
from zonerss.walk.jobs import stripes_of

THREADS = (1, 2, 4, 8)
HEADERS = Path(__file__).parents[2] / "bpf"
"""Stand-ins for the kernel's headers, which may not be there."""
WAITS = """
BPF_ARRAY(waits, u64, 1);

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
    int zero = 0;
    u64 op = 0;
    if (bpf_get_current_pid_tgid() >> 32 != PROCESS || ctx->args[1] != 202) /* futex(2) of x86-64 */
        return 0;
    bpf_probe_read_kernel(&op, sizeof(op), (void *)(ctx->args[0] + 104)); /* its second argument: pt_regs.si */
    op &= 127;
    if (op == 0 || op == 9) /* FUTEX_WAIT, FUTEX_WAIT_BITSET */
        waits.increment(zero);
    return 0;
}
"""


@contextmanager
def waits_counted() -> Iterator[Any]:
    """How to ask how often threads of ours have waited for a futex; None: bcc is not there."""
    try:
        from bcc import BPF
    except ImportError:
        yield None
        return
    os.environ["BCC_KERNEL_SOURCE"] = str(HEADERS)
    program = BPF(text=WAITS.replace("PROCESS", str(os.getpid())), cflags=["-w"])
    program.attach_raw_tracepoint("sys_enter", "on_sys_enter")
    try:
        yield lambda: program["waits"][0].value
    finally:
        program.cleanup()


def figures(snapshot: Snapshot) -> object:
    parts = snapshot.parts
    assert parts is not None
    return [zone.rss_bytes for zone in snapshot.zones], sorted((part.owners, part.pages) for part in parts)


def compare(title: str, zones: Sequence[str], rounds: int) -> None:
    sessions = {count: Session("pagetable", threads=count) for count in THREADS}
    try:
        looks = {
            str(count): lambda session=session: cost_of(
                lambda: session.take("cgroup", zone=zones, alone=True)
            )
            for count, session in sessions.items()
        }
        snapshots = {
            count: session.take("cgroup", zone=zones, alone=True) for count, session in sessions.items()
        }
        costs = in_turn(looks, rounds)
        waited = {count: waits_of(session, zones, rounds) for count, session in sessions.items()}
        one = snapshots[1]
        pages = [member.rss_pages for member in one.members]
        print(f"\n{title}: {len(pages)} processes, {sum(pages):,} entries, {rounds} rounds")
        print(
            f"{'threads':>8}{'wall ms':>10}{'cpu ms':>10}{'to one':>9}{'same':>6}{'jobs':>6}{'waits a walk':>14}"
        )
        for count in THREADS:
            runs, first = costs[str(count)], costs["1"]
            same = "yes" if figures(snapshots[count]) == figures(one) else "NO"
            waits = "-" if waited[count] is None else f"{waited[count]:.2f}"
            print(
                f"{count:8}{median_wall(runs) / MS:10.2f}{median_cpu(runs) / MS:10.2f}"
                f"{median_wall(runs) / median_wall(first):9.2f}{same:>6}{sum(stripes_of(pages, count)):6}{waits:>14}"
            )
    finally:
        for session in sessions.values():
            session.close()


def waits_of(session: Session, zones: Sequence[str], rounds: int) -> float | None:
    """Of one walk. A thread of the pool's waits in poll(2) for its end, so that what is counted are locks."""
    with waits_counted() as asked:
        if asked is None:
            return None
        before = asked()
        for _ in range(rounds):
            session.take("cgroup", zone=zones, alone=True)
        return float(asked() - before) / rounds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gib", type=int, default=4, help="of the one process")
    parser.add_argument("--rounds", type=int, default=15)
    args = parser.parse_args()
    pages = (args.gib << 30) // PAGE_BYTES
    cgroups = TestCgroups()
    cgroups.open()
    try:
        with mems_running(cgroups, ["giant"]) as (mem,):
            mem.map(f"anon {pages}")
            mem.map("reserve 1000")
            compare(f"one process of {args.gib} GiB", [cgroups.name_of(cgroups.top / "giant")], args.rounds)
        with sharers_running(cgroups, 3_000_000, 10) as zones:
            compare("processes that map the same 65,536 pages, in 10 zones", zones, args.rounds)
    finally:
        cgroups.close()


if __name__ == "__main__":
    main()
