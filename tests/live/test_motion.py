"""Moving machines: the true value, which the workload says itself, lies within rss ± uncertainty, every time.

The workload (tests/workloads/motion.c) keeps two numbers in shared memory between which the truth is at any
moment; they are read at the begin and at the end of each walk. A quiet zone stands beside: its uncertainty is 0.
ZONERSS_MOTION_SNAPSHOTS says how many snapshots each test takes: 200 where nothing is said.
"""

from __future__ import annotations

import json
import math
import mmap
import os
import platform
import random
import statistics
import struct
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path

import pytest

import zonerss
import zonerss.motion.window
import zonerss.snapshot
from tests.live import needs
from tests.live.cgroups import move, stopped
from tests.live.conftest import SOURCES, cannot_serve
from tests.oracle import PAGE
from tests.workloads.build import build
from zonerss.commands import main
from zonerss.errors import CannotServe
from zonerss.motion import tracer
from zonerss.motion.machines import machine_of
from zonerss.plain import dataclass, field, replace

pytestmark = pytest.mark.same_in_container

SNAPSHOTS = int(os.environ.get("ZONERSS_MOTION_SNAPSHOTS", "200"))
QUIET_PAGES = 3001
COPIED_PAGES = 131
OWN_PAGES = 64
"""What a workload that cannot be stopped where least and most agree may have besides: data, stack, the counts."""


@dataclass
class Moving:
    """A workload that runs, and what it said at the ends of the last walk."""

    process: subprocess.Popen
    page: mmap.mmap
    said: list[list[tuple[int, int]]] = field(default_factory=list)
    born: int = 0
    """Processes that were in the first zone when the counts began, which do not have them."""

    def say(self) -> list[tuple[int, int]]:
        """(least, most) for each of the two zones; read so that the truth at this moment is between them."""
        least_0, _, least_1, _ = struct.unpack_from("=4q", self.page)
        _, most_0, _, most_1 = struct.unpack_from("=4q", self.page)
        return [(least_0 + self.born, most_0 + self.born), (least_1, most_1)]

    def own_pages(self) -> int:
        """What it may have besides. All of its program can be: a fault maps what is cached around it (mm/filemap.c)."""
        return OWN_PAGES + os.stat(self.process.args[0]).st_size // PAGE

    def wait_until_ready(self) -> None:
        while not struct.unpack_from("=q", self.page, 64)[0]:
            assert self.process.poll() is None, "the workload ended"
            time.sleep(0.001)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Moving]]:
    """start(zone, "grow", "1000") runs the workload in a zone."""
    file = tmp_path / "counts"
    file.write_bytes(bytes(PAGE))
    running: list[Moving] = []

    def begin(zone, *arguments: str) -> Moving:
        program = build(Path(__file__).parents[1] / "workloads" / "motion.c", "-static")
        with file.open("r+b") as opened:
            page = mmap.mmap(opened.fileno(), PAGE)
        process = subprocess.Popen(
            [program, file, *arguments], preexec_fn=lambda: move(os.getpid(), zone.path)
        )
        running.append(Moving(process, page))
        running[-1].wait_until_ready()
        return running[-1]

    yield begin
    for moving in running:
        moving.process.kill()
        moving.process.wait()
        moving.page.close()


@pytest.fixture(params=SOURCES, scope="module")
def session(request: pytest.FixtureRequest) -> Iterator[zonerss.Session]:
    """A session that traces, with each source. One for all tests: in a guest the program is compiled in 15 s."""
    if reason := cannot_serve(request.param):
        needs.skip("needs_frames" if request.param == "pagemap" else f"needs_{request.param}", reason)
    with zonerss.Session(request.param, uncertainty=True) as session:
        if session._windows.why_not:
            needs.skip("needs_bcc", session._windows.why_not)
        yield session


@pytest.fixture
def watch_walks(monkeypatch: pytest.MonkeyPatch) -> Callable[[Moving], None]:
    """From now on the workload is asked at the begin and at the end of each walk."""

    def ask(moving: Moving) -> None:
        walk = zonerss.snapshot.walk

        def asked(*arguments, **named):
            moving.said = [moving.say()]
            result = walk(*arguments, **named)
            moving.said.append(moving.say())
            return result

        monkeypatch.setattr(zonerss.snapshot, "walk", asked)

    return ask


def usages(snapshot: zonerss.Snapshot) -> dict[str, zonerss.records.Usage]:
    return {usage.zone: usage for usage in snapshot.zones}


def base_pages(session: zonerss.Session, moving: Moving, zone) -> int:
    """What the zone has besides what is counted, in pages; found while it stands still."""
    with stopped([zone.path]):
        ((least, most), _) = moving.say()
        rss = usages(session.take("cgroup"))[zone.name].rss_bytes // PAGE
        assert most - least <= 1 or least == most
    return rss - most


def check(
    snapshot: zonerss.Snapshot,
    moving: Moving,
    zone,
    base: int,
    scale: int = 1,
    which: int = 0,
    margin: int = 0,
) -> int:
    """The truth at both ends of the walk, which may be so many pages more, is within the bound; the bound, in pages."""
    usage = usages(snapshot).get(zone.name)
    rss = usage.rss_bytes // PAGE if usage else 0
    bound = usage.uncertainty_bytes // PAGE if usage else 0
    assert len(moving.said) == 2
    for said in moving.said:
        least, most = (base + scale * count for count in said[which])
        assert rss - bound <= most + margin, f"{rss} - {bound} pages are more than the true {most}"
        assert rss + bound >= least, f"{rss} + {bound} pages are less than the true {least}"
    return bound


def take(session: zonerss.Session) -> zonerss.Snapshot:
    """A snapshot whose uncertainty is known: on a machine with very much to do, a window may hold too much."""
    for _ in range(5):
        snapshot = session.take("cgroup")
        if snapshot.total.uncertainty_bytes is not None:
            return snapshot
    raise AssertionError("five windows in a row overflowed")


def hold(session, moving: Moving, zone, quiet, snapshots: int, base: int = 0, margin: int = 0) -> list[int]:
    """In so many snapshots the truth is within the bound, and the quiet zone has none; the bounds, in pages."""
    bounds = []
    for _ in range(snapshots):
        snapshot = take(session)
        assert zone.name in usages(snapshot)
        bounds.append(check(snapshot, moving, zone, base, margin=margin))
        quiet(snapshot)
    return bounds


def report(name: str, bounds: list[int]) -> None:
    ordered = sorted(bounds)
    print(f"{name}: {len(ordered)} snapshots, ± median {ordered[len(ordered) // 2]} most {ordered[-1]} pages")


@pytest.fixture
def quiet(make_zone):
    """A zone that does nothing, and how to see that its figures say so."""
    zone = make_zone("quiet")
    zone.spawn().map(f"anon {QUIET_PAGES}")
    seen: set[int] = set()

    def check_quiet(snapshot: zonerss.Snapshot) -> None:
        usage = usages(snapshot)[zone.name]
        assert usage.uncertainty_bytes == 0
        seen.add(usage.rss_bytes)
        assert len(seen) == 1
        assert usage.rss_bytes > QUIET_PAGES * PAGE

    return check_quiet


def test_a_process_that_grows(session, make_zone, start, quiet, watch_walks):
    zone = make_zone("grower")
    moving = start(zone, "grow", "5000")
    base = base_pages(session, moving, zone)
    watch_walks(moving)
    report("grow", hold(session, moving, zone, quiet, SNAPSHOTS, base))


def test_a_process_that_maps_and_unmaps_256_mib_for_ever(session, make_zone, start, quiet, watch_walks):
    zone = make_zone("flipper")
    moving = start(zone, "flip", "256")
    # Page tables and code have been used after the first round.
    time.sleep(0.5)
    watch_walks(moving)
    report("flip", hold(session, moving, zone, quiet, SNAPSHOTS, margin=moving.own_pages()))


def test_a_storm_of_500_forks_a_second(session, make_zone, start, quiet, watch_walks):
    zone = make_zone("storm")
    moving = start(zone, "storm", "500", "101")
    time.sleep(0.2)
    watch_walks(moving)
    report("storm", hold(session, moving, zone, quiet, SNAPSHOTS, margin=moving.own_pages()))


def test_a_zone_whose_processes_migrate(session, make_zone, start, quiet, watch_walks):
    here, there = make_zone("here"), make_zone("there")
    # Each has a process that stays: of a zone without processes nothing is said.
    residents = {zone: zone.spawn() for zone in (here, there)}
    still = {name: usage.rss_bytes // PAGE for name, usage in usages(session.take("cgroup")).items()}
    assert residents
    moving = start(here, "migrate", f"{here.path}/cgroup.procs", f"{there.path}/cgroup.procs")
    moving.born = 1
    said = moving.say()
    while moving.say() == said:  # until it has been round once, so that all that it executes is mapped
        assert moving.process.poll() is None, "the workload ended"
        time.sleep(0.001)
    # Not from status: before Linux 6.2 what a thread has not handed over yet is missing there.
    rollup = Path(f"/proc/{moving.process.pid}/smaps_rollup").read_text()
    pages = (
        next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Rss:")) * 1024 // PAGE
    )
    watch_walks(moving)
    bounds = []
    for _ in range(SNAPSHOTS):
        snapshot = take(session)
        bounds.append(check(snapshot, moving, here, still[here.name], pages, 0))
        check(snapshot, moving, there, still[there.name], pages, 1)
        quiet(snapshot)
    report(f"migrate ({pages} pages)", bounds)


@pytest.fixture(params=["as-here", "at-the-function"])
def faults(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How faults are seen: as this machine does, or as one does that has no tracepoints of them."""
    if request.param == "at-the-function":
        machine = replace(
            machine_of(platform.machine()), fault_tracepoints=(), fault_functions=("handle_mm_fault",)
        )
        monkeypatch.setattr(tracer, "machine_of", lambda _: machine)


@pytest.mark.usefixtures("faults")
def test_frames_that_are_replaced_count(make_zone, quiet, monkeypatch):
    """A child that writes to what it shares with its parent gets frames of its own, and no counter changes."""
    zone = make_zone("a")
    mem = zone.spawn()
    where = mem.map(f"anon {COPIED_PAGES}")
    child = mem.fork()
    walk = zonerss.snapshot.walk

    def copied(*arguments, **named):
        mem.write(where, 0, COPIED_PAGES, pid=child)
        return walk(*arguments, **named)

    with zonerss.Session("pagemap", uncertainty=True) as session:
        if session._windows.why_not:
            needs.skip("needs_bcc", session._windows.why_not)
        monkeypatch.setattr(zonerss.snapshot, "walk", copied)
        snapshot = take(session)
    assert COPIED_PAGES <= usages(snapshot)[zone.name].uncertainty_bytes // PAGE <= COPIED_PAGES + OWN_PAGES
    quiet(snapshot)


# ---- where nothing can be traced -----------------------------------------------------------------------

GROWN_PAGES = 5003


@pytest.fixture(params=SOURCES)
def without_bcc(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """From now on no session can trace; the source that serves."""
    if reason := cannot_serve(request.param):
        needs.skip("needs_frames" if request.param == "pagemap" else f"needs_{request.param}", reason)

    def refuse(*_: object) -> None:
        raise CannotServe("bcc is missing")

    monkeypatch.setattr(zonerss.motion.window, "ChurnTracer", refuse)
    return request.param


@pytest.fixture
def growing(make_zone, monkeypatch: pytest.MonkeyPatch):
    """A zone whose process gets more pages during each walk, whether the walk saw them or not."""
    zone = make_zone("growing")
    mem = zone.spawn()
    walk = zonerss.snapshot.walk

    def grown(*arguments, **named):
        mem.map(f"anon {GROWN_PAGES}")
        return walk(*arguments, **named)

    monkeypatch.setattr(zonerss.snapshot, "walk", grown)
    return zone


def is_about_what_it_grew_by(uncertainty_bytes: int) -> bool:
    # Before Linux 6.16 what each processor has not added up yet is missing from RSS.
    unsure = max(64, 2 * os.cpu_count()) * os.cpu_count()
    return abs(uncertainty_bytes // PAGE - GROWN_PAGES) <= unsure


def test_without_bcc_it_is_what_rss_grew_by(without_bcc, growing, quiet):
    with zonerss.Session(without_bcc, uncertainty=True) as session:
        snapshot = session.take("cgroup")
    assert snapshot.uncertainty == "net"
    assert is_about_what_it_grew_by(usages(snapshot)[growing.name].uncertainty_bytes)
    assert snapshot.total.uncertainty_bytes >= usages(snapshot)[growing.name].uncertainty_bytes
    quiet(snapshot)


def test_without_bcc_json_and_table_say_that_it_is_less_than_a_bound(without_bcc, growing, capsys):
    words = ["show", "--by", "cgroup", "--source", without_bcc, "--uncertainty"]
    assert main([*words, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["uncertainty"] == "net"
    (told,) = (zone["uncertainty_bytes"] for zone in document["zones"] if zone["zone"] == growing.name)
    assert is_about_what_it_grew_by(told)
    assert main(words) == 0
    assert "± is the net change of RSS, not a bound" in capsys.readouterr().out


def test_without_bcc_and_rss_it_is_unknown(without_bcc, growing, make_zone, monkeypatch):
    zone = make_zone("readable")
    readable = zone.spawn().pid
    read_rss = zonerss.motion.window.read_rss
    monkeypatch.setattr(
        zonerss.motion.window,
        "read_rss",
        lambda roots, task: read_rss(roots, task) if task.pid == readable else {},
    )
    with zonerss.Session(without_bcc, uncertainty=True) as session:
        snapshot = session.take("cgroup")
    assert snapshot.uncertainty == "net"
    assert usages(snapshot)[growing.name].uncertainty_bytes is None
    assert usages(snapshot)[zone.name].uncertainty_bytes == 0
    assert snapshot.total.uncertainty_bytes is None


def test_both_sources_differ_no_more_than_one_from_itself(make_zone, start):
    """On what moves: no source sees more than the other, and two looks of both are no further apart than of one."""
    for source in SOURCES:
        if reason := cannot_serve(source):
            needs.skip("needs_frames" if source == "pagemap" else f"needs_{source}", reason)
    zone = make_zone("flipper")
    start(zone, "flip", "16")
    dice = random.Random(7)
    seen: dict[str, list[int]] = {source: [] for source in SOURCES}
    with ExitStack() as stack:
        sessions = {source: stack.enter_context(zonerss.Session(source)) for source in SOURCES}
        for _ in range(300):
            for source in dice.sample(SOURCES, len(SOURCES)):
                time.sleep(dice.uniform(0, 0.01))  # at any moment of the loop, not in step with it
                found = sessions[source].take("cgroup", zone=zone.name, alone=True)
                seen[source].append(found.total.rss_bytes // PAGE)
    one, other = seen.values()
    error = math.sqrt((statistics.variance(one) + statistics.variance(other)) / len(one))
    assert error > 0
    assert abs(statistics.mean(one) - statistics.mean(other)) < 5 * error
    apart = statistics.mean(abs(a - b) for a, b in zip(one, other, strict=True))
    itself = [statistics.mean(abs(a - b) for a, b in pairwise(series)) for series in (one, other)]
    print(f"apart: {apart:.0f} pages, one source from itself {itself[0]:.0f} and {itself[1]:.0f}")
    assert apart < max(itself) * 1.3
