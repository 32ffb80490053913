"""Processes that come, go, exec, fork and move while somebody looks.

What happens to them cannot be told beforehand. What is told: a snapshot is taken all the same, what it could not
see is a gap with a cause of the kind that was to be expected, and a zone that stands still among all that has the
same figures as before, to the page.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction

import pytest

import zonerss
from tests.live.cgroups import move, pids_in, stopped
from tests.live.measure import Pages, Zone, pages_of
from tests.oracle import PAGE, read_file
from tests.unit.threads import until
from zonerss.plain import replace
from zonerss.records import Cause

SNAPSHOTS = 40
RACES = {Cause.EXITED, Cause.EXECED, Cause.BEGAN, Cause.MOVED, Cause.REUSED, Cause.BUSY}


@pytest.fixture
def witness(make_zone: Callable) -> Zone:
    """A zone of two processes that shall look the same whatever happens around it."""
    zone = make_zone("witness")
    mem, other = zone.spawn(), zone.spawn()
    mem.map("anon 1009")
    memory = mem.map("memfd 503")
    other.map(f"file {memory.path} 503 shared read")
    return zone


@pytest.fixture
def storm(make_zone: Callable) -> Zone:
    return make_zone("storm")


def figures(zone: Zone, snapshot: zonerss.Snapshot) -> Pages:
    """All that does not depend on how many zones there are besides: that divides the pages of the vdso."""
    (usage,) = (usage for usage in snapshot.zones if usage.zone == zone.name)
    return replace(pages_of(usage), proportional=Fraction(0))


def watch(witness: Zone, storm: Zone, source: str) -> list[tuple[zonerss.records.Usage, set[Cause]]]:
    """Many snapshots; what was seen of the storm, and the causes of the gaps that were met then."""
    seen = []
    with stopped([witness.path]):
        expected = None
        refused = {pid for pid in os.listdir("/proc") if pid.isdecimal() and not is_readable(pid)}
        for _ in range(SNAPSHOTS):
            snapshot = zonerss.take_snapshot(by=("cgroup",), source=source)
            found = figures(witness, snapshot)
            expected = expected or found
            assert found - expected == {}
            for gap in snapshot.gaps:
                assert gap.cause in RACES or str(gap.pid) in refused, gap
            causes = {gap.cause for gap in snapshot.gaps}
            seen += [(usage, causes) for usage in snapshot.zones if usage.zone == storm.name]
    assert expected.rss >= 1009 + 503
    assert seen, "the storm was never seen"
    return seen


def is_readable(pid: str) -> bool:
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            file.read(1)
    except PermissionError:
        return False
    except OSError:
        return True
    return True


@pytest.mark.parametrize("sort", ["exit", "fork", "exec", "map", "samepid"])
def test_storms(sort, witness, storm, source):
    mem = storm.spawn()
    for _ in range(2):
        mem.tell(f"storm {sort}")
    for usage, causes in watch(witness, storm, source):
        # At most: mem, two that storm, and of each of these two generations of children.
        assert usage.processes <= 1 + 2 * 3
        # One that begins a new program is walked again: its RSS is that of the new one, and frames of both were met.
        assert usage.rss_bytes <= usage.process_rss_bytes or Cause.EXECED in causes
        assert usage.rss_bytes < 7 * 500 * PAGE


@pytest.mark.parametrize(("sort", "kind"), [("churn", "anon"), ("churnshm", "shmem")])
def test_a_page_that_goes_and_comes_takes_no_other_along(sort, kind, storm, source):
    """Its frame is free, or somebody else's, when it is looked at: the rest of the mapping is what it was."""
    storm.spawn().tell(f"storm {sort}")
    until_it_has(storm, 5002)
    for _ in range(2 * SNAPSHOTS):
        found = figures(storm, zonerss.take_snapshot(by=("cgroup",), source=source))
        assert getattr(found, kind) >= 5002


def until_it_has(zone: Zone, pages: int) -> None:
    for _ in range(1000):
        if sum(resident(pid) for pid in pids_in(zone.path)) >= pages:
            return
        time.sleep(0.01)
    pytest.fail(f"{zone.name} does not grow to {pages} pages")


def resident(pid: int) -> int:
    return int(read_file(f"/proc/{pid}/statm").split()[1])


@contextmanager
def moving(pid: int, zones: list[Zone]) -> Iterator[None]:
    """Move a process from zone to zone and back for as long as the context lasts."""
    over = threading.Event()

    def move_about() -> None:
        while not over.is_set():
            for zone in zones:
                with suppress(ProcessLookupError):
                    move(pid, zone.path)

    thread = threading.Thread(target=move_about)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_a_process_that_moves_while_it_is_walked_counts_in_one_zone(witness, storm, make_zone, source):
    other = make_zone("elsewhere")
    resident = other.spawn()
    mem = storm.spawn()
    storm.spawn()
    mem.map("anon 5003")
    with moving(mem.pid, [storm, other]):
        for _ in range(SNAPSHOTS):
            snapshot = zonerss.take_snapshot(by=("cgroup",), source=source)
            zones = {usage.zone: usage for usage in snapshot.zones}
            has_it = [zones[zone.name].anon_bytes >= 5003 * PAGE for zone in (storm, other)]
            assert sorted(has_it) == [False, True]
            assert zones[storm.name].processes + zones[other.name].processes == 3
    assert resident
    watch(witness, storm, source)


def test_a_move_in_the_middle_of_a_walk_is_said(storm, make_zone, source):
    """Seen in some of many snapshots, and then named by the pid that moved."""
    other = make_zone("elsewhere")
    mem = storm.spawn()
    mem.map("anon 50021")
    with moving(mem.pid, [storm, other]):
        for _ in range(1000):
            snapshot = zonerss.take_snapshot(by=("cgroup",), source=source)
            moved = {gap.pid for gap in snapshot.gaps if gap.cause == Cause.MOVED}
            if mem.pid in moved:
                break
    assert mem.pid in moved


def test_a_process_that_ended_between_two_snapshots(storm, source):
    mem, other = storm.spawn(), storm.spawn()
    mem.map("anon 1013")
    first = figures(storm, zonerss.take_snapshot(by=("cgroup",), source=source))
    mem.end()
    second = figures(storm, zonerss.take_snapshot(by=("cgroup",), source=source))
    assert first.processes - second.processes == 1
    assert first.rss - second.rss >= 1013
    assert other


def test_a_zone_whose_last_process_ended_is_gone(storm, source):
    storm.spawn().end()
    snapshot = zonerss.take_snapshot(by=("cgroup",), source=source)
    assert storm.name not in {usage.zone for usage in snapshot.zones}


def test_many_snapshots_leave_nothing_behind(witness, source):
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    def own_mappings() -> int:
        with open("/proc/self/maps") as maps:
            return sum(1 for _ in maps)

    for _ in range(5):
        zonerss.take_snapshot(by=("cgroup",), source=source)
    files, mappings = open_files(), own_mappings()
    for _ in range(50):
        zonerss.take_snapshot(by=("cgroup",), source=source)
    until(lambda: open_files() <= files, "the last walk's threads close what it had open")
    assert own_mappings() <= mappings + 10


def test_snapshots_side_by_side(witness, source):
    """Two threads of one program may each take snapshots."""
    found: list[Pages | BaseException] = []

    def look() -> None:
        try:
            for _ in range(20):
                found.append(figures(witness, zonerss.take_snapshot(by=("cgroup",), source=source)))
        except BaseException as error:
            found.append(error)

    threads = [threading.Thread(target=look) for _ in range(3)]
    with stopped([witness.path]):
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(found) == 3 * 20
    assert all(isinstance(pages, Pages) and pages - found[0] == {} for pages in found), found[-1]


ZERO = """
import ctypes, mmap, os
size = 8 << 20
memory = mmap.mmap(os.open("/dev/zero", os.O_RDWR), size, mmap.MAP_PRIVATE)
address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
while True:
    ctypes.memset(address, 1, size)
    memory.madvise(mmap.MADV_DONTNEED)
"""


def test_a_frame_that_is_freed_while_it_is_asked_about_is_nobodys(make_zone: Callable) -> None:
    """Its kind was asked twice: the second time it was none, and a set of another zone had a page of shmem."""
    still, busy = make_zone("still"), make_zone("busy")
    for _ in range(20):
        still.spawn().map("anon 257")
    process = subprocess.Popen([sys.executable, "-c", ZERO])
    try:
        move(process.pid, busy.path)
        with stopped([still.path]), zonerss.Session("pagemap", threads=1) as session:
            found = set()
            for _ in range(3 * SNAPSHOTS):
                snapshot = session.take(by="cgroup", zone=(still.name, busy.name), alone=True, processes=True)
                (usage,) = (usage for usage in snapshot.zones if usage.zone == still.name)
                found.add((usage.rss_bytes, usage.anon_bytes, usage.file_bytes, usage.shmem_bytes))
    finally:
        process.kill()
        process.wait()
    assert len(found) == 1
