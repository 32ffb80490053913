"""serve among strangers, and over an accelerated hour.

    sudo python -m tests.benchmarks.bench_serve strangers [--silent 300] [--slow 50] [--seconds 30]
    sudo python -m tests.benchmarks.bench_serve hour [--walks 3600] [--record]
    sudo python -m tests.benchmarks.bench_serve end [--times 20]

strangers: silent clients, clients that send a byte a second, half a TLS handshake, paths of 1 MB and wrong passwords,
all from the address that the good client has, too. Prints the time of scrapes before, meanwhile and after, and memory
and files. hour: walks without a pause while cgroups with processes come and go; prints memory, files, zones left over.
end: how long the server takes to end, told at random moments. Nothing is asserted: a machine that does something else
meanwhile makes figures of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.strangers import context
from tests.live.cgroups import TestCgroups, move
from tests.live.serving import Served
from tests.unit.serve.certificates import self_signed
from tests.unit.serve.test_auth import header
from zonerss.serve.needs import KEPT

MIB = 1 << 20
PASSWORD = "a long one"
OFTEN = ("--interval", "0.1s", "--max-cpu", "1000%")


@contextmanager
def strangers(port: int, encrypted: bool, silent: int, slow: int) -> Iterator[None]:
    words = [str(port), "yes" if encrypted else "no", str(silent), str(slow)]
    crowd = subprocess.Popen([sys.executable, "-m", "tests.benchmarks.strangers", *words])
    try:
        yield
    finally:
        crowd.kill()
        crowd.wait()


def scrape(served: Served, tls: ssl.SSLContext | None) -> float:
    """How long one takes, in milliseconds, connecting included."""
    began = time.perf_counter()
    how = {"tls": tls} if tls else {}
    reply = served.ask(
        "/metrics", Authorization=header("prometheus", PASSWORD), Accept_Encoding="gzip", **how
    )
    assert reply.status == 200, reply.status
    return 1000 * (time.perf_counter() - began)


def times(what: str, found: Sequence[float]) -> None:
    ordered = sorted(found)
    print(
        f"  {what:<34} {len(found):4} scrapes: median {statistics.median(found):6.1f} ms, "
        f"95 % {ordered[int(len(ordered) * 0.95)]:6.1f} ms, most {ordered[-1]:6.1f} ms"
    )


def busy_seconds(served: Served) -> float:
    """Processor time of the server so far."""
    fields = Path(f"/proc/{served.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def state(served: Served, what: str) -> None:
    print(
        f"  {what:<34} rss {served.rss_bytes / MIB:6.1f} MiB, {served.files} files, {served.threads} threads"
    )


def bench_strangers(args: argparse.Namespace) -> None:
    import bcrypt

    for encrypted in {"yes": (True,), "no": (False,)}.get(args.tls, (False, True)):
        with tempfile.TemporaryDirectory() as directory:
            web = Path(directory, "web.yml")
            word = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
            text = f"basic_auth_users: {{prometheus: '{word}'}}\n"
            if encrypted:
                self_signed(Path(directory), "server")
                text += "tls_server_config: {cert_file: server.crt, key_file: server.key}\n"
            web.write_text(text)
            with Served(
                "--listen", "127.0.0.1:0", "--interval", "30s", "--web.config.file", str(web)
            ) as served:
                _among_strangers(served, context() if encrypted else None, args)


def _among_strangers(served: Served, tls: ssl.SSLContext | None, args: argparse.Namespace) -> None:
    print(f"{'TLS and password' if tls else 'password'}: load {os.getloadavg()[0]:.1f}")
    how = {"tls": tls} if tls else {}
    served.be_ready(Authorization=header("prometheus", PASSWORD), **how)
    times("alone", [scrape(served, tls) for _ in range(30)])
    state(served, "before")
    for _ in range(args.rounds):
        _round(served, tls, args)
    text = served.ask("/metrics", Authorization=header("prometheus", PASSWORD), **how).text
    for name in (
        "zonerss_http_answers_total",
        "zonerss_http_lost_total",
        "zonerss_walk_duration_seconds_count",
    ):
        print("  " + ", ".join(re.findall(rf"^({name}.*)$", text, re.MULTILINE)))
    began = time.perf_counter()
    status = served.end()
    print(f"  ended with {status} in {1000 * (time.perf_counter() - began):.0f} ms")


def _round(served: Served, tls: ssl.SSLContext | None, args: argparse.Namespace) -> None:
    with strangers(served.port, tls is not None, args.silent, args.slow):
        time.sleep(3)
        began, before, found = time.monotonic(), busy_seconds(served), []
        print(f"  next good scrape: {scrape(served, tls):.1f} ms")
        while time.monotonic() - began < args.seconds:
            found.append(scrape(served, tls))
            time.sleep(0.2)
        times(f"among {args.silent} silent, {args.slow} slow", found)
        busy = (busy_seconds(served) - before) / (time.monotonic() - began)
        print(f"  processor time of the server meanwhile: {100 * busy:.0f} % of one")
        with ThreadPoolExecutor(50) as pool:
            began_all = time.perf_counter()
            at_once = list(pool.map(lambda _: scrape(served, tls), range(50)))
        times(f"50 at once, {1000 * (time.perf_counter() - began_all):.0f} ms in all", at_once)
        state(served, "meanwhile")
    time.sleep(12)
    times("after", [scrape(served, tls) for _ in range(30)])
    state(served, "after")


def bench_hour(args: argparse.Namespace) -> None:
    cgroups = TestCgroups()
    cgroups.open()
    record = Path(tempfile.mkdtemp(), "serve.zrec")
    words = ["--record", str(record), "--max-size", "2M"] if args.record else []
    try:
        with Served(
            "--listen", "127.0.0.1:0", "--by", *(["zone"] if args.record else ["cgroup"]), *OFTEN, *words
        ) as served:
            served.be_ready()
            _hour(served, cgroups, args.walks, record if args.record else None)
            print(f"ended with {served.end()}")
    finally:
        cgroups.close()
        for path in record.parent.iterdir():
            path.unlink()
        record.parent.rmdir()


def _hour(served: Served, cgroups: TestCgroups, walks: int, record: Path | None) -> None:
    began, made, alive, done, printed = time.monotonic(), 0, list[Path](), 0.0, -1
    names = set[str]()
    while done < walks:
        path = cgroups.make(f"zone-{made}")
        made += 1
        names.add(cgroups.name_of(path))
        for _ in range(2):
            child = subprocess.Popen(["sleep", "1000"], preexec_fn=lambda path=path: move(os.getpid(), path))
            child.returncode = 0  # it is waited for with its cgroup
        alive.append(path)
        if len(alive) > 8:
            cgroups.remove(alive.pop(random.randrange(len(alive))))
            _reap()
        done = served.metric("zonerss_walk_duration_seconds_count")
        if int(done * 12 / walks) > printed:
            printed = int(done * 12 / walks)
            size = sum(p.stat().st_size for p in record.parent.iterdir()) if record else 0
            said = f", recording {size / MIB:.2f} MiB" if record else ""
            state(served, f"{done:.0f} walks, {made} zones came{said}")
        time.sleep(0.05)
    for path in alive:
        cgroups.remove(path)
    _reap()
    walked = served.metric("zonerss_walk_duration_seconds_count")
    served.wait(lambda: served.metric("zonerss_walk_duration_seconds_count") >= walked + 2, "two more walks")
    zones = {zone["cgroup"] for zone in json.loads(served.ask("/snapshot.json").body)["zones"]}
    text = served.ask("/metrics").text
    left = [name for name in names if name in zones or f'"{name}"' in text]
    print(
        f"{done:.0f} walks in {time.monotonic() - began:.0f} s; of {made} zones that ended {len(left)} are left over"
    )
    print(f"failures: {served.metric('zonerss_walk_failures_total'):.0f}; log: {served.log!r}")


def _reap() -> None:
    """Those of our children that have ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


def bench_end(args: argparse.Namespace) -> None:
    found = []
    for number in range(args.times):
        with Served("--listen", "127.0.0.1:0", *OFTEN) as served:
            served.addresses()
            time.sleep(random.uniform(0, 2))
            began = time.perf_counter()
            status = served.end((signal.SIGTERM, signal.SIGINT)[number % 2])
            found.append(1000 * (time.perf_counter() - began))
            assert status == 0, (status, served.log)
    print(f"{len(found)} times: median {statistics.median(found):.0f} ms, most {max(found):.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("strangers", "hour", "end"))
    parser.add_argument("--tls", choices=("yes", "no", "both"), default="both")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--silent", type=int, default=300)
    parser.add_argument("--slow", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--walks", type=int, default=3600)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--record", action="store_true")
    args = parser.parse_args()
    print(f"kept: {', '.join(KEPT)}")
    {"strangers": bench_strangers, "hour": bench_hour, "end": bench_end}[args.what](args)


if __name__ == "__main__":
    main()
