"""Memory that is measured again and again: each workload runs in cgroups of its own for as long as its context lasts.

Nothing here knows zonerss, so that every build of it can be measured on the same.
"""

from __future__ import annotations

import os
import random
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.live.cgroups import TestCgroups, end_processes, move
from tests.workloads.build import build
from tests.workloads.mem import PAGE, Mem
from tests.workloads.postgres import Postgres

HERE = Path(__file__).parent
SHARED_PAGES = 65536  # of one process of sharers_running, at most
BIG_PAGES = (200 << 20) // PAGE
SMALL_FILES, SMALL_PAGES = 7, 1200


@contextmanager
def zones_made(cgroups: TestCgroups, names: Sequence[str]) -> Iterator[list[Path]]:
    """Cgroups that end with what is in them."""
    paths = [cgroups.make(name) for name in names]
    try:
        yield paths
    finally:
        for path in paths:
            end_processes(path)
            cgroups.remove(path)


@contextmanager
def started(command: Sequence[str | Path], enter: Path | None = None) -> Iterator[subprocess.Popen]:
    """A program that ends at the end of its stdin; its children end with it."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        preexec_fn=None if enter is None else lambda: move(os.getpid(), enter),
    )
    try:
        yield process
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


@contextmanager
def answering(
    cgroups: TestCgroups, name: str, command: Sequence[str | Path]
) -> Iterator[tuple[Callable[[], tuple[int, int]], str]]:
    """A workload that says two numbers whenever it is asked: how to ask it, and the cgroup it runs in."""
    with zones_made(cgroups, [name]) as (path,), started(command, path) as process:

        def ask() -> tuple[int, int]:
            process.stdin.write(b"?\n")
            process.stdin.flush()
            first, second = process.stdout.readline().split()
            return int(first), int(second)

        process.stdout.readline()
        yield ask, cgroups.name_of(path)


@contextmanager
def postgres_running(cgroups: TestCgroups, shared_buffers_mib: int, clients: int) -> Iterator[None]:
    """PostgreSQL whose clients have all read every buffer."""
    with zones_made(cgroups, ["postgres", "clients"]) as (server, client):
        postgres = Postgres(
            shared_buffers_mib, lambda: move(os.getpid(), server), lambda: move(os.getpid(), client)
        )
        try:
            postgres.start(clients)
            yield
        finally:
            postgres.stop()


@contextmanager
def crowd_running(cgroups: TestCgroups, zones: int, each: int) -> Iterator[None]:
    """Zones of so many processes each, with 16 pages of their own."""
    program = build(HERE / "crowd.c", "-static")
    with (
        zones_made(cgroups, [f"zone{number}" for number in range(zones)]) as paths,
        started([program, str(zones * each), "16"]) as crowd,
    ):
        for number in range(zones * each):
            move(int(crowd.stdout.readline()), paths[number % zones])
        yield


@contextmanager
def sharers_running(cgroups: TestCgroups, pages: int, zones: int) -> Iterator[list[str]]:
    """Processes that map the same pages, `pages` entries in all, in so many zones."""
    processes = max(zones, -(-pages // SHARED_PAGES))
    program = build(HERE / "sharers.c", "-static")
    with (
        zones_made(cgroups, [f"zone{number}" for number in range(zones)]) as paths,
        started([program, str(pages // processes), str(processes)]) as sharers,
    ):
        for number in range(processes):
            move(int(sharers.stdout.readline()), paths[number % zones])
        yield [cgroups.name_of(path) for path in paths]


@contextmanager
def mems_running(cgroups: TestCgroups, names: Sequence[str]) -> Iterator[list[Mem]]:
    """A process of known memory in a cgroup of each name."""
    with zones_made(cgroups, names) as paths, ExitStack() as stack:
        mems = []
        for path in paths:
            mems.append(Mem(before_exec=lambda path=path: move(os.getpid(), path)))
            stack.callback(mems[-1].end)
        yield mems


@contextmanager
def workers_running(cgroups: TestCgroups, pages: int, workers: int) -> Iterator[None]:
    """A process of so many pages, and its forks, which have written a 23rd of them."""
    with mems_running(cgroups, ["workers"]) as (parent,):
        memory = parent.map(f"anon {pages}")
        for _ in range(workers):
            parent.write(memory, 0, pages // 23, parent.fork())
        yield


@contextmanager
def files_shared(cgroups: TestCgroups, zones: int) -> Iterator[None]:
    """Each zone maps the whole of a big file, and a beginning of its own length of each of some small ones."""
    choose = random.Random(1)
    with (
        tempfile.TemporaryDirectory(prefix="zonerss-bench-") as directory,
        mems_running(cgroups, [f"z{number:03}" for number in range(zones)]) as mems,
    ):
        big = filled(Path(directory, "big"), BIG_PAGES)
        small = [filled(Path(directory, f"small-{n}"), SMALL_PAGES) for n in range(SMALL_FILES)]
        for mem in mems:
            mem.map(f"file {big} {BIG_PAGES} shared read")
            for file in small:
                mem.map(f"file {file} {choose.randint(1, SMALL_PAGES)} shared read")
        yield


def filled(path: Path, pages: int) -> Path:
    """A file of so many pages, no two alike."""
    with path.open("wb") as file:
        for page in range(pages):
            file.write(page.to_bytes(8, "big") * (PAGE // 8))
    return path
