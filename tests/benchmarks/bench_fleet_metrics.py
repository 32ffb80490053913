"""What the metrics of a fleet cost the Prometheus that collects them, and what encoding costs each machine.

    .venv/bin/python -m tests.benchmarks.bench_fleet_metrics                 # 200 machines of 60 zones, 5 minutes
    .venv/bin/python -m tests.benchmarks.bench_fleet_metrics --minutes 1 --machines 50

The machines are synthetic looks, encoded as serve encodes them and served by one process; nine zones of ten keep their
figures from scrape to scrape. Needs Debian's prometheus package. What 10,000 machines need is computed from the
figures printed, in proportion.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path

from tests.unit.builders import BEGAN, MACHINE, MIB, look, snapshot, usage
from tests.workloads.prometheus import Prometheus, is_installed
from zonerss.answers.growth import Growth
from zonerss.answers.share import Pair
from zonerss.records import Usage
from zonerss.serve.look import Look
from zonerss.serve.metrics import exposition
from zonerss.serve.page import render

PAIRS = 20
ROUNDS = 5
STEPS = 4
"""Different answers of each machine, again and again."""
FLEET = 10_000
FLEET_SECONDS = 60
"""Between two scrapes of a machine, in the fleet that is computed."""
QUERIES = {
    "mapped in the fleet": "sum(zonerss_system_rss_bytes)",
    "the same, recorded": "fleet:zonerss_rss_bytes:sum",
    "20 names that cost most": "topk(20, sum by (zone) (zonerss_zone_proportional_bytes))",
    "these names, recorded": "topk(20, fleet_zone:zonerss_proportional_bytes:sum)",
    "allocation of namespaces": "namespace:zonerss_allocation_bytes:sum",
    "its expression": "sum by (namespace) (zonerss_zone_proportional_bytes * on (job, instance, zone) "
    'group_left (namespace) zonerss_zone_info{namespace!=""})',
    "near the limit": "zone:zonerss_limit_needed:ratio > 0.9",
    "grows most, 5 minutes": "topk(20, sum without (kind) (deriv(zonerss_zone_rss_bytes[5m])))",
    "one zone of all machines": 'zonerss_zone_rss_bytes{zone="ns-3/web-3/app"}',
    "pairs that share most": "topk(20, zonerss_pair_shared_bytes)",
}


def zone(machine: int, number: int, step: int) -> Usage:
    """One zone of ten changes each step, by a few pages."""
    chance = random.Random(f"{machine} {number}")
    size = chance.randint(1, 400) * MIB // 4096
    if number % 10 == step % 10 or number % 10 == 0:
        size += random.Random(f"{machine} {number} {step}").randint(-64, 64)
    anon, file, shmem = (int(size * part) * 4096 for part in (0.6, 0.3, 0.1))
    rss = anon + file + shmem
    shared = int(file * 0.7)
    return usage(
        f"ns-{number}/web-{number}/app",
        kind="kubernetes",
        cgroup=f"/kubepods.slice/kubepods-pod{machine:04}_{number:02}.slice/cri-containerd-{number:064x}.scope",
        id=f"{machine:032x}{number:032x}",
        anon_bytes=anon,
        file_bytes=file,
        shmem_bytes=shmem,
        exclusive_bytes=rss - shared,
        proportional_bytes=rss - shared // 2,
        process_rss_bytes=3 * rss,
        charged_bytes=int(rss * 1.2),
        limit_bytes=384 * MIB if number % 2 else None,
        pressure_some=0.0,
        oom_kills=0,
        cache_unmapped_bytes=int(rss * 0.3) // 4096 * 4096,
        dying_cgroups=number % 3,
    )


def machine_look(machine: int, zones: int, step: int) -> Look:
    """What one machine serves after some steps; its growth is known."""
    began = BEGAN + timedelta(seconds=30 * step)
    usages = tuple(zone(machine, number, step) for number in range(zones))
    growth = Growth()
    for past in range(4):
        growth.add(snapshot(*usages, began=began - timedelta(seconds=30 * (4 - past))))
    pairs = tuple(Pair((a.zone, b.zone), 7 * MIB + n) for n, (a, b) in enumerate(pairwise(usages)))
    taken = snapshot(*usages, began=began, ended=began + timedelta(milliseconds=40), machine=MACHINE)
    return look(snapshot=taken, growth=growth, pairs=pairs[:PAIRS])


# ---- the fleet -------------------------------------------------------------------------------------------


def serve_machines(
    port: multiprocessing.connection.Connection, machines: int, zones: int, step_seconds: float
) -> None:
    """All machines, each at /machine-N/metrics, in one process; tells its port once all is encoded."""
    bodies = [
        [exposition(machine_look(machine, zones, step), False) for step in range(STEPS)]
        for machine in range(machines)
    ]

    class Machines(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            machine = int(self.path.split("/")[1].removeprefix("machine-"))
            answer = bodies[machine][int(time.monotonic() / step_seconds) % STEPS]
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        request_queue_size = 1024

        def handle_error(self, *_: object) -> None:
            pass  # Prometheus gave up waiting; how many are up is printed

    server = Server(("127.0.0.1", 0), Machines)
    server.daemon_threads = True
    port.send(server.server_address[1])
    server.serve_forever()


def resident_bytes(pid: int) -> int:
    text = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("VmRSS:"))


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def disk_bytes(directory: Path) -> int:
    """Blocks that are in use; files that go meanwhile count nothing."""
    total = 0
    for path in directory.rglob("*"):
        try:
            total += path.stat().st_blocks * 512 if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def block_bytes_a_sample(zones: int, machines: int = 3, samples: int = 120) -> float:
    """What a sample takes in a finished block of the database: some machines, two hours of a scrape a minute."""
    with tempfile.TemporaryDirectory(prefix="zonerss-bench-") as directory:
        text = Path(directory, "metrics.txt")
        with text.open("w") as out:
            count = write_history(out.write, zones, machines, samples)
        subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", text, f"{directory}/data"],
            check=True,
            capture_output=True,
        )
        return disk_bytes(Path(directory, "data")) / count


def write_history(write: Callable[[str], object], zones: int, machines: int, samples: int) -> int:
    """OpenMetrics with a time to each sample, series by series; how many samples."""
    lines: dict[str, list[str]] = {}
    start = 1_700_000_000 // 7200 * 7200
    for machine in range(machines):
        for step in range(samples):
            for line in exposition(machine_look(machine, zones, step), False).decode().splitlines():
                if not line.startswith("#"):
                    name, _, value = line.rpartition(" ")
                    name, brace, labels = name.partition("{")
                    name += f'{{instance="machine-{machine}"' + ("," + labels if brace else "}")
                    lines.setdefault(name, []).append(f"{name} {value} {start + FLEET_SECONDS * step}\n")
    by_metric: dict[str, list[str]] = {}
    for name, found in lines.items():
        by_metric.setdefault(name.partition("{")[0], []).extend(found)
    for metric, found in by_metric.items():
        write(f"# TYPE {metric} unknown\n")
        write("".join(found))
    write("# EOF\n")
    return sum(map(len, lines.values()))


def fleet(machines: int, zones: int, minutes: float, seconds: float) -> None:
    """Scrape so many machines for a while, and print what that takes."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.Process(
        target=serve_machines, args=(theirs, machines, zones, seconds), daemon=True
    )
    server.start()
    try:
        address = f"127.0.0.1:{ours.recv()}"
        targets = [(address, f"/machine-{number}/metrics") for number in range(machines)]
        with Prometheus(targets, interval=f"{int(seconds)}s") as prometheus:
            watch(prometheus, machines, zones, minutes)
    finally:
        server.kill()
        server.join()


def watch(prometheus: Prometheus, machines: int, zones: int, minutes: float) -> None:
    """Wait, then print."""
    pid = prometheus.process.pid
    empty = resident_bytes(pid)
    threading.Event().wait(60 * minutes)
    up = sum(target["health"] == "up" for target in prometheus.targets())
    scraped, slowest, times = (
        prometheus.query(query)[0][1]
        for query in (
            "sum(max_over_time(scrape_samples_scraped[1h]))",
            "max(scrape_duration_seconds)",
            "sum(count_over_time(zonerss_walk_seconds[1h]))",
        )
    )
    series, grown = prometheus.status()["numSeries"], resident_bytes(pid) - empty
    print(
        f"{up} of {machines} machines of {zones} zones are up: {scraped / machines:.0f} series each, scraped "
        f"{times / machines:.0f} times, the slowest took {slowest * 1000:.0f} ms",
        f"series with recorded ones: {series}, {series / machines:.0f} a machine",
        f"Prometheus: {empty / MIB:.0f} MiB of RSS when empty, {grown / MIB:.0f} more now, {grown / series:.0f} bytes "
        f"a series; {processor_seconds(pid) / 60 / minutes:.2f} of a processor",
        f"on disk {disk_bytes(prometheus.data) / MIB:.0f} MiB, not compacted yet",
        sep="\n",
    )
    prometheus.rest()
    ask(prometheus)
    a_sample = block_bytes_a_sample(zones)
    print(f"a sample in a block of two hours, a scrape a minute: {a_sample:.2f} bytes")
    a_second = series / machines * FLEET / FLEET_SECONDS
    print(
        f"{FLEET:,} machines, a scrape each {FLEET_SECONDS} s: {series / machines * FLEET / 1e6:.1f} million series, "
        f"{a_second:,.0f} samples a second, {grown / machines * FLEET / 2**30:.0f} GiB of memory, "
        f"{a_second * 86400 * a_sample / 1e9:.0f} GB a day"
    )


def ask(prometheus: Prometheus) -> None:
    """How long queries take, and how much of that is processor time of Prometheus."""
    pid = prometheus.process.pid
    print("query                        | ms, least of 5 | processor ms, mean | series")
    for name, query in QUERIES.items():
        took, before = [], processor_seconds(pid)
        for _ in range(ROUNDS):
            began = time.perf_counter()
            found = prometheus.query(query)
            took.append((time.perf_counter() - began) * 1000)
        used = (processor_seconds(pid) - before) * 1000 / ROUNDS
        print(f"  {name:26} | {min(took):14.1f} | {used:18.0f} | {len(found)}", flush=True)


# ---- one machine -----------------------------------------------------------------------------------------


def encoding() -> None:
    """Milliseconds and bytes of each answer of a machine, by zones."""
    print(
        "zones | text ms | OpenMetrics ms | page ms | text bytes | page bytes      (processor time, median of 5)"
    )
    for zones in (10, 100, 1000):
        served = machine_look(0, zones, 0)
        makers: tuple[Callable[[], bytes], ...] = (
            lambda served=served: exposition(served, False),
            lambda served=served: exposition(served, True),
            lambda served=served: render(served).encode(),
        )
        times, sizes = [], []
        for make in makers:
            took = []
            for _ in range(5):
                began = time.process_time()
                sizes.append(len(make()))
                took.append((time.process_time() - began) * 1000)
            times.append(statistics.median(took))
        print(
            f"{zones:5} | {times[0]:7.1f} | {times[1]:14.1f} | {times[2]:7.1f} | {sizes[0]:10} | {sizes[-1]}"
        )


def main() -> None:
    """Print both."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--machines", type=int, default=200)
    parser.add_argument("--zones", type=int, default=60)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seconds", type=int, default=15, help="between two scrapes (default: 15)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what was started ends, too
    print(f"load {os.getloadavg()[0]:.1f}")
    encoding()
    if not is_installed():
        print("the fleet: install Debian's prometheus package")
        return
    fleet(args.machines, args.zones, args.minutes, args.seconds)
    print(f"load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
