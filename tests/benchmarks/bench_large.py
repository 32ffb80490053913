"""Every question of a machine with much memory in many processes, each as the whole command. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_large [--gib 10.9] [--processes 1000] [--zones 100] [--shared 16]

The processes share some MiB and have the rest each for itself, in pages of 4 KiB. Before they map it and after, one
process after the other, a snapshot is taken by each source: what each zone has grown by is known to the page, and it is
printed whether it is found, or how far it is off and how far it may be (docs/motion.md: the kernel moves shared pages
to other frames where it needs large ones). Then each command runs once by each source: wall time, processor time, its
largest resident set (no less than that of this program, which it is forked from), how long its output is.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import zonerss
from tests.benchmarks.builds import used_by
from tests.benchmarks.workloads import started, zones_made
from tests.live.cgroups import TestCgroups, move
from tests.workloads.build import build
from tests.workloads.mem import PAGE
from zonerss.records import Usage

MIB, GIB = 1 << 20, 1 << 30
KINDS = ("anon_bytes", "file_bytes", "shmem_bytes")


class Large(NamedTuple):
    """The workload: its processes by zone, and how to let them write."""

    zones: list[str]
    pids: list[int]
    own_pages: int
    shared_pages: int
    process: subprocess.Popen

    def write(self) -> None:
        """Let them write their memory, and wait until they have."""
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == b"\n"


@contextmanager
def running(
    cgroups: TestCgroups, total_pages: int, shared_pages: int, processes: int, zones: int
) -> Iterator[Large]:
    """Process n is in zone n modulo their number."""
    own = (total_pages - shared_pages) // processes
    program = build(Path(__file__).with_name("large.c"), "-static")
    with (
        zones_made(cgroups, [f"large{number:04}" for number in range(zones)]) as paths,
        started([program, str(processes), str(own), str(shared_pages)]) as process,
    ):
        pids = [int(process.stdout.readline()) for _ in range(processes)]
        for number, pid in enumerate(pids):
            move(pid, paths[number % zones])
        yield Large([cgroups.name_of(path) for path in paths], pids, own, shared_pages, process)


# ---- whether it is right ------------------------------------------------------------------------------------


def look(source: str) -> tuple[dict[str, Usage], set[int], float]:
    """Zones by name, whom the gaps are about, and how long it took, in seconds."""
    with zonerss.Session(source, uncertainty=True) as session:
        began = time.perf_counter()
        snapshot = session.take(by=("cgroup",))
    zones = {usage.zone: usage for usage in snapshot.zones}
    return zones, {gap.pid for gap in snapshot.gaps}, time.perf_counter() - began


def grown(before: Usage, after: Usage) -> list[int]:
    """Pages: anon, file, shmem, and what the processes' page table entries sum up to."""
    names = (*KINDS, "process_rss_bytes")
    return [(getattr(after, name) - getattr(before, name)) // PAGE for name in names]


def tell_growth(source: str, large: Large, before: dict[str, Usage]) -> None:
    """Whether each zone has what was written."""
    after, missed, seconds = look(source)
    each = len(large.pids) // len(large.zones)
    entries = each * (large.own_pages + large.shared_pages)
    wanted = [each * large.own_pages, 0, large.shared_pages, entries]
    found = {zone: grown(before[zone], after[zone]) for zone in large.zones}
    written = sum(anon for anon, *_ in found.values()) + large.shared_pages
    print(
        f"{source:10} {list(found.values()).count(wanted)} of {len(found)} zones have grown as written, to the page; "
        f"{len(missed & set(large.pids))} gaps; {seconds:.2f} s\n{'':10} {written * PAGE / GIB:.2f} GiB in all, "
        f"{sum(summed for *_, summed in found.values()) * PAGE / GIB:.1f} GiB summed by process"
    )
    off = {zone: sum(pages[:3]) - sum(wanted[:3]) for zone, pages in found.items() if pages != wanted}
    for zone in sorted(off, key=lambda zone: -abs(off[zone]))[:5]:
        bounds = [side[zone].uncertainty_bytes for side in (before, after)]
        sure = "unknown" if None in bounds else f"{sum(bounds) // PAGE} pages"
        print(f"  {zone}: rss is {off[zone]} pages off, the uncertainties of both looks are {sure}")


# ---- what it costs ------------------------------------------------------------------------------------------


def commands(large: Large) -> dict[str, Sequence[str]]:
    """Command lines by what they are called here."""
    zone, other = large.zones[:2]
    by = ("--by", "cgroup")
    return {
        "show": ("show", *by),
        "show --json": ("show", *by, "--json"),
        "show --basis incore": ("show", *by, "--basis", "incore"),
        "show --tree": ("show", "--tree"),
        "zone": ("zone", zone, *by),
        "ps --json": ("ps", *by, "--json"),
        "ps --mapcounts": ("ps", *by, "--mapcounts"),
        "share --json": ("share", *by, "--json"),
        "files": ("files", *by),
        "whatif": ("whatif", zone, other, *by),
        "explain ZONE": ("explain", zone, *by),
        "explain": ("explain", *by),
    }


def run(words: Sequence[str]) -> str:
    """Wall and processor seconds, largest resident set, output; or how it failed."""
    with tempfile.TemporaryFile() as out:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "zonerss", *words], stdout=out, stderr=subprocess.PIPE
        )
        said = process.stderr.read().decode(errors="replace").strip()
        usage = used_by(process)
        wall = time.perf_counter() - began
        length = os.fstat(out.fileno()).st_size
    failed = f"  status {process.returncode}: {said}" if process.returncode else ""
    busy = usage.ru_utime + usage.ru_stime
    return f"{wall:8.2f} {busy:10.2f} {usage.ru_maxrss / 1024:10.0f} {length / 1024:10.0f}{failed}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--gib", type=float, default=10.9, metavar="N", help="memory that is written in all")
    parser.add_argument("--shared", type=int, default=16, metavar="MIB", help="of it: what all of them map")
    parser.add_argument("--processes", type=int, default=1000, metavar="N")
    parser.add_argument("--zones", type=int, default=100, metavar="N", help="a divisor of the processes")
    arguments = parser.parse_args()
    if arguments.processes % arguments.zones:
        parser.error("--zones must divide --processes")
    cgroups = TestCgroups()
    cgroups.open()
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors")
    try:
        total, shared = int(arguments.gib * GIB) // PAGE, arguments.shared * MIB // PAGE
        with running(cgroups, total, shared, arguments.processes, arguments.zones) as large:
            before = {source: look(source)[0] for source in ("pagetable", "pagemap")}
            large.write()
            for source, then in before.items():
                tell_growth(source, large, then)
            for source in before:
                print(f"\n{source:22} wall s  processor s   MiB held    KiB out")
                for name, words in commands(large).items():
                    print(f"{name:20}", run([*words, "--source", source]), flush=True)
    finally:
        cgroups.close()
    print(f"load after: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
