"""What a process can make a snapshot cost, beside a tame one of the same size. Prints; asserts nothing.

    sudo .venv/bin/python -m tests.benchmarks.bench_hostile [--rounds N] [--only NAME ...] [--source SOURCE]

Each shape is a pair: what a stranger makes of so many processes, threads, mappings and pages to cost the most, and an
ordinary making of as many. In each round both are made, measured and ended, one after the other; a round's figures,
wall time and processor time, are the least of some warm snapshots. The ratio is the median of the rounds' ratios.
`first` is the first snapshot that meets the hostile one.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import zonerss
from tests.benchmarks.workloads import mems_running, started, zones_made
from tests.live.cgroups import TestCgroups, end_processes, move, remove
from tests.workloads.build import build
from zonerss.errors import CannotServe
from zonerss.kernel.roots import HOST, Roots

MS = 1_000_000
LOOKS = 5
MOST = 2.0
"""A ratio above it is more than the size explains."""
WORKLOADS = Path(__file__).parents[1] / "workloads"
LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNS, MS_REC, MS_PRIVATE, MNT_DETACH = 0x20000, 0x4000, 1 << 18, 2


@dataclass(frozen=True)
class Asked:
    """Which snapshot is measured."""

    take: dict[str, Any] = field(default_factory=dict)
    roots: Roots = HOST

    def of(self, zone: str) -> Asked:
        """Of one zone, so that nothing else is walked."""
        return replace(self, take=self.take | {"zone": zone, "alone": True})


Side = Callable[[TestCgroups], AbstractContextManager[Asked]]
BY_CGROUP = Asked({"by": "cgroup"})


@dataclass(frozen=True)
class Shape:
    name: str
    size: str
    """What both are as large as."""
    tame: Side
    hostile: Side


# ---- processes of mem -------------------------------------------------------------------------------------


def mems(*commands: str, processes: int = 1, alone: bool = True) -> Side:
    """So many processes that have obeyed these commands.

    :param alone: nothing else is walked
    """

    @contextmanager
    def side(cgroups: TestCgroups) -> Iterator[Asked]:
        with mems_running(cgroups, ["side"]) as (first,), ExitStack() as stack:
            place = cgroups.top / "side"
            made = [first]
            while len(made) < processes:
                made.append(type(first)(before_exec=lambda: move(os.getpid(), place)))
                stack.callback(made[-1].end)
            for mem in made:
                for command in commands:
                    mem.tell(command)
            yield BY_CGROUP.of(cgroups.name_of(place)) if alone else BY_CGROUP

    return side


def holes(gib: int) -> Side:
    """A page in each GiB of reserved addresses: a last page table and one above it for each."""

    @contextmanager
    def side(cgroups: TestCgroups) -> Iterator[Asked]:
        with mems_running(cgroups, ["side"]) as (mem,):
            where = mem.map(f"reserve {gib}")
            for number in range(gib):
                mem.write(where, number << 18, 1)
            yield BY_CGROUP.of(cgroups.name_of(cgroups.top / "side"))

    return side


# ---- cgroups, command lines, homes, mounts, a process that is stuck -----------------------------------------


def in_a_cgroup(names: Sequence[str], processes: int) -> Side:
    """Small processes in a cgroup below cgroups of these names, as deep as the kernel lets us."""

    @contextmanager
    def side(cgroups: TestCgroups) -> Iterator[Asked]:
        with zones_made(cgroups, ["side"]) as (path,), ExitStack() as stack:
            for name in names:
                try:
                    (path / name).mkdir()
                except OSError:
                    break
                path /= name
                stack.callback(remove, path)
            stack.callback(end_processes, path)
            crowd = stack.enter_context(
                started([build(Path(__file__).with_name("crowd.c"), "-static"), str(processes), "16"])
            )
            for _ in range(processes):
                move(int(crowd.stdout.readline()), path)
            yield BY_CGROUP

    return side


def with_arguments(arguments: Sequence[str], processes: int) -> Side:
    """Processes of this command line; all processes are told."""

    @contextmanager
    def side(cgroups: TestCgroups) -> Iterator[Asked]:
        with zones_made(cgroups, ["side"]) as (path,):
            made = [
                subprocess.Popen(
                    ["/bin/sh", "-c", "sleep 1000; :", *arguments],
                    stdin=subprocess.DEVNULL,
                    preexec_fn=lambda: move(os.getpid(), path),
                )
                for _ in range(processes)
            ]
            try:
                yield Asked({"by": "cgroup", "processes": True})
            finally:
                end_processes(path)
                for process in made:
                    process.wait()

    return side


USER, CONTAINER = 12345, "c0ffee" * 10 + "c0ff"


def with_a_home(files: Callable[[], dict[str, bytes]]) -> Side:
    """A rootless container of a user whose home has these files for podman's; the host's own files are others."""

    @contextmanager
    def side(cgroups: TestCgroups) -> Iterator[Asked]:
        with tempfile.TemporaryDirectory(prefix="zonerss-bench-") as directory, ExitStack() as stack:
            top = Path(directory)
            (top / "etc").mkdir()
            (top / "etc/passwd").write_text(f"stranger:x:{USER}:{USER}::/home/stranger:/bin/sh\n")
            for name, text in files().items():
                path = top / "home/stranger/.local/share/containers/storage" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(text)
            (path,) = stack.enter_context(zones_made(cgroups, [f"user-{USER}.slice"]))
            scope = path / f"libpod-{CONTAINER}.scope"
            scope.mkdir()
            stack.callback(remove, scope)
            stack.callback(end_processes, scope)
            stack.enter_context(started(["cat"], scope))
            yield Asked({"by": "zone"}, Roots(host=top))

    return side


def an_honest_home() -> dict[str, bytes]:
    """Of a user with 1,000 containers."""
    one = b'{"id": "%064x", "names": ["container-%d"], "image": "%064x", "layer": "%064x", "created": "2026-01-01"}'
    return {
        "overlay-containers/containers.json": b"[%s]" % b",".join(one % (n, n, n, n) for n in range(1000))
    }


def a_json_bomb() -> dict[str, bytes]:
    """Many files, each just within what is read, and one that is not."""
    nested = b"[" + b"[]," * 49_000 + b"[]]"
    return {
        **{f"driver{n}-containers/containers.json": nested for n in range(500)},
        "overlay-containers/containers.json": b"[" + b"[]," * (20 << 20) + b"[]]",
    }


@contextmanager
def nothing(_: TestCgroups) -> Iterator[Asked]:
    yield BY_CGROUP


@contextmanager
def fuse_mounts(_: TestCgroups) -> Iterator[Asked]:
    """As many as fusermount(1) lets a user make, each on a path of 200 bytes; nobody answers for any of them."""
    with tempfile.TemporaryDirectory(prefix="zonerss-bench-") as directory, ExitStack() as stack:
        for number in range(1000):
            place = Path(directory, f"{number:0200}")
            place.mkdir()
            device = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
            options = f"fd={device},rootmode=40000,user_id=0,group_id=0"
            mounted = LIBC.mount(b"stranger", os.fsencode(place), b"fuse", 0, options.encode())
            if mounted:
                os.close(device)
                raise OSError(ctypes.get_errno(), "mount")
            stack.callback(LIBC.umount2, os.fsencode(place), MNT_DETACH)
            stack.callback(os.close, device)  # first, which ends the connection
        yield BY_CGROUP


@contextmanager
def stuck(cgroups: TestCgroups) -> Iterator[Asked]:
    """A process that makes its readers wait."""
    program = build(WORKLOADS / "stuck.c")
    with (
        zones_made(cgroups, ["side"]) as (path,),
        tempfile.TemporaryDirectory(prefix="zonerss-bench-") as place,
        started([program, place, "lock"], path) as process,
    ):
        assert process.stdout.readline()
        yield BY_CGROUP


SHAPES = (
    Shape(
        "dead leader",
        "300 threads, 30,000 mappings",
        mems("vmas 30000", "threads 300"),
        mems("vmas 30000", "deadleader 300"),
    ),
    Shape("mappings", "65,000 mappings", mems("vmas 6500", processes=10), mems("vmas 65000")),
    Shape("holes", "2,048 page tables", mems("tables 2048 keep"), holes(1024)),
    Shape("empty tables", "16,384 page tables", mems("tables 16384 keep"), mems("tables 16384")),
    Shape(
        "protections",
        "5,003 pages that change their protection and place, and a busy processor",
        mems("storm churn"),
        mems("storm protect"),
    ),
    Shape(
        "deep cgroups",
        "100 processes in a cgroup",
        in_a_cgroup(["inner"], 100),
        in_a_cgroup([f"{n:0250}" for n in range(16)], 100),
    ),
    Shape(
        "command lines",
        "20 processes",
        with_arguments(["x"], 20),
        with_arguments(["x" * 100_000] * 15, 20),
    ),
    Shape("homes", "a rootless container", with_a_home(an_honest_home), with_a_home(a_json_bomb)),
    Shape("FUSE mounts", "the same processes", nothing, fuse_mounts),
    Shape("stuck", "two small processes", mems("anon 97", processes=2, alone=False), stuck),
)


# ---- measuring ----------------------------------------------------------------------------------------------


class Cost(NamedTuple):
    """Of one side in one round, in nanoseconds."""

    first: int
    wall: int
    cpu: int
    """Processor time, the kernel's on our behalf included."""


def cost_of(side: Side, cgroups: TestCgroups, sessions: dict[Roots, zonerss.Session], source: str) -> Cost:
    with side(cgroups) as asked:
        if asked.roots not in sessions:
            sessions[asked.roots] = zonerss.Session(source, roots=asked.roots)
        session = sessions[asked.roots]
        walls, cpus = [], []
        for _ in range(1 + LOOKS):
            began, busy = time.perf_counter_ns(), time.process_time_ns()
            session.take(**asked.take)
            walls.append(time.perf_counter_ns() - began)
            cpus.append(time.process_time_ns() - busy)
    return Cost(walls[0], min(walls[1:]), min(cpus[1:]))


def compare(shape: Shape, source: str, rounds: int, cgroups: TestCgroups) -> str:
    sessions: dict[Roots, zonerss.Session] = {}
    tame, hostile = list[Cost](), list[Cost]()
    sides = [(shape.tame, tame), (shape.hostile, hostile)]
    try:
        cost_of(shape.tame, cgroups, sessions, source)
        for number in range(rounds):
            # Each is the first one in every other round.
            for side, costs in sides[:: 1 - 2 * (number % 2)]:
                costs.append(cost_of(side, cgroups, sessions, source))
    finally:
        for session in sessions.values():
            session.close()
    first = statistics.median(cost.first for cost in hostile) / MS
    row, verdict = f"{shape.name:14}{source:11}", ""
    for pairs in (
        [(one.wall, other.wall) for one, other in zip(tame, hostile, strict=True)],
        [(one.cpu, other.cpu) for one, other in zip(tame, hostile, strict=True)],
    ):
        ratio = statistics.median(after / before for before, after in pairs)
        before, after = (statistics.median(column) / MS for column in zip(*pairs, strict=True))
        row += f"{before:9.2f}{after:9.2f}{ratio:7.2f}"
        verdict = "MORE" if ratio > MOST else verdict
    return f"{row}{first:10.2f}  {verdict:5}{shape.size}"


def own_mounts() -> None:
    """What is mounted from now on is seen by this program only."""
    if LIBC.unshare(CLONE_NEWNS) or LIBC.mount(None, b"/", None, MS_REC | MS_PRIVATE, None):
        raise OSError(ctypes.get_errno(), "a mount namespace of our own")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    parser.add_argument(
        "--only", nargs="+", default=[""], metavar="NAME", help="shapes with this in their name"
    )
    parser.add_argument("--source", choices=("pagetable", "pagemap"), help="this one only")
    arguments = parser.parse_args()
    own_mounts()
    cgroups = TestCgroups()
    cgroups.open()
    print(f"load before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} processors; milliseconds")
    print(
        f"{'':25}{'wall: tame':>9}{'hostile':>8}{'ratio':>7}{'cpu: tame':>9}{'hostile':>9}{'ratio':>7}{'first':>10}"
    )
    try:
        for source in (arguments.source,) if arguments.source else ("pagetable", "pagemap"):
            for shape in SHAPES:
                if any(name in shape.name for name in arguments.only):
                    try:
                        print(compare(shape, source, arguments.rounds, cgroups), flush=True)
                    except (CannotServe, OSError) as error:
                        print(f"{shape.name:14}{source:11}cannot be measured here: {error}")
    finally:
        cgroups.close()
    print(f"load after: {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
