"""Known pages are touched between clearing and reading their accessed bits.

mem's own pages are locked, so that MADV_COLD leaves them alone: what is touched in its zone is what the test touches.
Others may clear bits, too (DAMON), and the kernel may hold pages back from its lists for a moment: so a look may see
too little, never a page too much of those that are mapped once, and what it sees is exact in one of some looks.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import contract
from tests.live import needs
from tests.live.conftest import cannot_serve
from tests.live.measure import Zone
from tests.live.test_stuck import a_stuck_process
from tests.oracle import PAGE
from tests.workloads.mem import HUGE, Mem, MemError, Range
from zonerss._core import ffi
from zonerss.answers.wss import WorkingSets, ZoneTouched, working_sets
from zonerss.kernel.clearing import clear_by_cold
from zonerss.kernel.roots import HOST
from zonerss.plain import replace
from zonerss.records import Cause
from zonerss.records.files import FileKind
from zonerss.snapshot import Session

LOOKS = 40
PROJECT = Path(__file__).resolve().parents[2]


@pytest.fixture
def session() -> Iterator[Session]:
    if reason := cannot_serve("pagetable"):
        needs.skip("needs_pagetable", reason)
    with Session("pagetable", patience=60) as session:  # in a guest a process of ours may be slow, not stuck
        yield session


def settle(mem: Mem, where: Range) -> None:
    """
    The kernel keeps some pages that a processor has just allocated in a list of that processor; now it does not.

    Whose pages they are does not matter: those of a file are allocated where it was written, which is where this test
    ran.
    """
    before = os.sched_getaffinity(mem.pid)
    for processor in os.sched_getaffinity(0):
        os.sched_setaffinity(mem.pid, {processor})
        mem.advise(where, 0, 1, "cold")
    os.sched_setaffinity(mem.pid, before)


def on_one_processor(mem: Mem) -> None:
    os.sched_setaffinity(mem.pid, {min(os.sched_getaffinity(0))})


@contextmanager
def on_another_processor(mem: Mem) -> Iterator[None]:
    """This test's thread, where there are several: so that the pages that it allocates are not on the list of mem's."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, before - os.sched_getaffinity(mem.pid) or before)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def look(
    session: Session, zones: list[Zone], touch: Callable[[], object], method: str = "cold", **options: bool
) -> WorkingSets:
    names = [zone.name for zone in zones]
    armed = session.arm("cgroup", names, method, 1.0)
    touch()
    snapshot = session.take("cgroup", zone=names, alone=True, armed=armed, processes=True)
    return working_sets(
        snapshot, options.get("processes", False), snapshot.ask().holdings() if options.get("files") else None
    )


def assert_idle(found: ZoneTouched, pages: int, mem: Mem) -> None:
    """
    At least these are idle. Of the program's own files pages were mapped around others and never touched: they are
    idle where no other process maps them.
    """
    status = Path(f"/proc/{mem.pid}/status").read_text()
    own = int(status.partition("RssFile:")[2].split()[0]) * 1024
    assert pages * PAGE <= found.idle_bytes <= pages * PAGE + own


def pages_of(found: ZoneTouched) -> dict[str, int]:
    figures = {
        "anon": found.touched_anon_bytes,
        "file": found.touched_file_bytes,
        "shmem": found.touched_shmem_bytes,
        "unknown": found.unknown_bytes,
        "rss": found.rss_bytes,
    }
    assert all(not size % PAGE for size in figures.values())
    return {name: size // PAGE for name, size in figures.items()}


def exactly(
    session: Session, zones: list[Zone], touch: Callable[[], object], expected: dict[str, int]
) -> WorkingSets:
    """Looks until what is touched in the first zone is what was touched; never more."""
    seen = []
    for _ in range(LOOKS):
        found = look(session, zones, touch)
        (first,) = (zone for zone in found.zones if zone.zone == zones[0].name)
        pages = {kind: count for kind, count in pages_of(first).items() if kind in expected}
        assert all(pages[kind] <= count for kind, count in expected.items()), f"{pages}, more than {expected}"
        if pages == expected:
            return found
        seen.append(pages)
    pytest.fail(f"{expected} were touched; seen were {seen}")


@pytest.fixture
def still(zone: Zone) -> tuple[Zone, Mem]:
    """A zone with one process that stays on one processor."""
    (mem,) = zone.mems
    on_one_processor(mem)
    return zone, mem


# ---- mapped once: exact ----------------------------------------------------------------------------------


def test_pages_touched_once_each_and_no_others(session, still) -> None:
    zone, mem = still
    anon, shared = mem.map("anon 1009"), mem.map("memfd 503")
    settle(mem, anon)

    def touch() -> None:
        mem.write(anon, 3, 401)
        mem.read(shared, 100, 101)

    found = exactly(session, [zone], touch, {"anon": 401, "file": 0, "shmem": 101})
    (only,) = found.zones
    assert_idle(only, 1009 - 401 + 503 - 101, mem)
    assert only.longest_stall_ns
    assert found.total.touched_bytes == only.touched_bytes == 502 * PAGE


def test_nothing_touched_nothing_seen(session, still) -> None:
    zone, mem = still
    anon = mem.map("anon 1009")
    settle(mem, anon)
    exactly(session, [zone], lambda: None, {"anon": 0, "file": 0, "shmem": 0})


def test_pages_of_a_file(session, still, disk_directory) -> None:
    zone, mem = still
    path = disk_directory / "file"
    with on_another_processor(mem):
        path.write_bytes(os.urandom(601 * PAGE))
    mapped = mem.map(f"file {path} 601 shared read")
    settle(mem, mapped)
    exactly(session, [zone], lambda: mem.read(mapped, 0, 211), {"anon": 0, "file": 211, "shmem": 0})
    for _ in range(LOOKS):
        found = look(session, [zone], lambda: mem.read(mapped, 0, 211), files=True)
        (file,) = (file for file in found.files if file.file and file.file.name == str(path))
        assert (file.bytes, file.unknown_bytes) == (601 * PAGE, 0)
        assert file.touched_bytes <= 211 * PAGE
        if file.touched_bytes == 211 * PAGE:
            return
    pytest.fail("its pages were not seen touched")


def test_pages_that_may_not_be_touched_are_idle(session, still) -> None:
    zone, mem = still
    anon, forbidden = mem.map("anon 101"), mem.map("protnone 211")
    settle(mem, anon)
    found = exactly(session, [zone], lambda: mem.write(anon, 0, 23), {"anon": 23})
    assert_idle(found.zones[0], 101 - 23 + forbidden.pages, mem)


def huge_kib(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("AnonHugePages:"))


def test_a_huge_page_is_touched_as_a_whole_and_stays_one(session, still) -> None:
    zone, mem = still
    try:
        huge = mem.map("thp 7")
    except MemError as error:
        needs.skip("needs_thp", str(error))
    if huge_kib(mem.pid) != 14 * 1024:
        needs.skip("needs_thp", "no huge pages were to be had")

    def touch() -> None:
        for number in (1, 3, 4):
            mem.write(huge, number * HUGE + 7, 1)

    exactly(session, [zone], touch, {"anon": 3 * HUGE})
    assert huge_kib(mem.pid) == 14 * 1024


def test_what_is_mapped_in_the_time_was_touched(session, still) -> None:
    zone, mem = still
    exactly(session, [zone], lambda: mem.map("anon 211"), {"anon": 211})


def test_locked_pages_are_unknown(session, still) -> None:
    """DAMON clears bits of locked pages, too; so all of them are unknown in one of some looks."""
    zone, mem = still
    seen = []
    for _ in range(LOOKS):
        before = pages_of(look(session, [zone], lambda: None).zones[0])
        locked = mem.map("mlock 101")
        after = pages_of(look(session, [zone], partial(mem.write, locked, 0, 101)).zones[0])
        assert after["rss"] - before["rss"] == 101
        seen.append(after["unknown"] - before["unknown"])
        if seen[-1] == 101:
            return
        mem.unmap(locked, 0, 101)
    pytest.fail(f"101 pages were locked; unknown were {seen} more")


# ---- mapped more than once -------------------------------------------------------------------------------


@pytest.fixture
def two_of_a_zone(zone: Zone) -> tuple[Zone, Mem, Range, Mem, Range]:
    """Two processes of one zone that map the same 307 pages."""
    one, other = zone.mems[0], zone.spawn()
    where = one.map("memfd 307")
    return zone, one, where, other, other.map(f"file {where.path} 307 shared write")


def of_memfd(found: WorkingSets) -> tuple[int, int, int]:
    """Pages of the memfd: mapped, touched, unknown. Those of mem itself are shmem, too, where it is on tmpfs."""
    (file,) = (one for one in found.files if one.file and one.file.kind is FileKind.MEMFD)
    return file.bytes // PAGE, file.touched_bytes // PAGE, file.unknown_bytes // PAGE


def touched_exactly(
    session: Session, zones: list[Zone], touch: Callable[[], object], pages: int, of: int
) -> WorkingSets:
    """Looks by clear_refs until so many pages of the memfd are seen touched, in all zones together; never more."""
    seen = []
    for _ in range(LOOKS):
        found = look(session, zones, touch, "clear_refs", files=True)
        mapped, touched, unknown = of_memfd(found)
        assert (mapped, unknown) == (of, 0)
        assert touched <= pages
        if touched == pages:
            return found
        seen.append(touched)
    pytest.fail(f"{pages} were touched; seen were {seen}")


def test_pages_that_two_processes_of_a_zone_map_are_unknown_once(session, two_of_a_zone) -> None:
    zone, one, where, _other, _ = two_of_a_zone
    found = look(session, [zone], lambda: one.write(where, 0, 101), files=True)
    mapped, touched, unknown = of_memfd(found)
    assert (mapped, touched) == (307, 0)
    assert 101 <= unknown <= 307  # bits that DAMON has cleared are set again where the test touches only


def test_clear_refs_sees_them_each_once(session, two_of_a_zone) -> None:
    zone, one, where, other, same = two_of_a_zone

    def touch() -> None:
        one.write(where, 0, 101)
        other.write(same, 50, 101)

    found = touched_exactly(session, [zone], touch, 151, of=307)
    assert found.zones[0].longest_stall_ns
    assert found.zones[0].touched_shmem_bytes >= 151 * PAGE


def test_each_zone_has_what_it_touched_of_a_page_that_two_zones_map(session, make_zone) -> None:
    a, b = make_zone("a"), make_zone("b")
    one, other = a.spawn(), b.spawn()
    where = one.map("memfd 307")
    same = other.map(f"file {where.path} 307 shared write")

    def touch() -> None:
        one.write(where, 0, 101)
        other.write(same, 90, 31)

    touched_exactly(session, [a], touch, 101, of=307)
    touched_exactly(session, [b], touch, 31, of=307)
    touched_exactly(session, [a, b], touch, 121, of=307)
    mapped, touched, unknown = of_memfd(look(session, [a, b], touch, files=True))
    assert (mapped, touched) == (307, 0)
    assert unknown >= 121


def test_clear_refs_of_a_process_whose_first_thread_has_ended(session, still) -> None:
    zone, mem = still
    mem.tell("deadleader")
    anon = mem.map("anon 1009")
    # process_madvise(2) takes no process whose first thread has ended.
    assert look(session, [zone], lambda: None).zones[0].unknown_bytes >= 1009 * PAGE
    for _ in range(LOOKS):
        found = look(session, [zone], lambda: mem.write(anon, 0, 23), "clear_refs")
        assert found.zones[0].unknown_bytes == 0
        # and its stack
        if found.zones[0].touched_anon_bytes < 101 * PAGE:
            return
    pytest.fail("pages that nobody touched are touched")


def test_clear_refs_leaves_the_processor_to_others_between_two_processes(
    session, two_of_a_zone, monkeypatch
) -> None:
    zone, *_ = two_of_a_zone
    slept: list[float] = []
    clock = SimpleNamespace(sleep=slept.append, monotonic_ns=time.monotonic_ns)
    monkeypatch.setattr("zonerss.walk.arming.time", clock)
    armed = session.arm("cgroup", [zone.name], "clear_refs", 1.0)
    calls = [clearing.took_ns / 1e9 for clearing in armed.cleared.values()]
    assert len(calls) == 2
    assert len(slept) == 1
    assert slept[0] in calls


# ---- what comes in between ---------------------------------------------------------------------------------


def test_a_process_that_ends_in_between_is_no_stranger(session, make_zone) -> None:
    zone = make_zone("a")
    stays, ends = zone.spawn(), zone.spawn()
    on_one_processor(stays)
    anon = stays.map("anon 101")
    settle(stays, anon)
    ends.map("anon 5003")
    before = look(session, [zone], lambda: None).snapshot.members
    (task,) = (member.task for member in before if member.task.pid == ends.pid)
    found = look(session, [zone], lambda: (ends.end(), stays.write(anon, 0, 23)))
    assert found.zones[0].processes == 1
    assert found.zones[0].touched_anon_bytes <= 23 * PAGE
    assert clear_by_cold(HOST, task, ffi.NULL, 0).cause is Cause.EXITED


def test_another_who_clears_bits_meanwhile_is_told_of(session, still, tmp_path) -> None:
    zone, _mem = still
    (tmp_path / "run").mkdir()
    apart = replace(HOST, host=tmp_path)  # others may clear bits on this machine, too
    with Session("pagetable", roots=apart) as one, Session("pagetable", roots=apart) as other:
        alone = look(one, [zone], lambda: None)
        both = look(one, [zone], lambda: other.arm("cgroup", [zone.name]))
    told = [[caveat.name for caveat in found.snapshot.warnings] for found in (alone, both)]
    assert ["clearing" in names for names in told] == [False, True]


def test_damon_that_ends_meanwhile_is_told_of(session, still, monkeypatch) -> None:
    zone, _mem = still
    running = ["kdamond 7"]
    monkeypatch.setattr("zonerss.walk.arming.running_damon", lambda _: tuple(running))
    found = look(session, [zone], running.clear)
    assert [caveat.name for caveat in found.snapshot.warnings].count("damon") == 1


def test_a_stuck_process_is_unknown_and_nobody_waits(still, tmp_path) -> None:
    zone, mem = still
    if reason := cannot_serve("pagetable"):
        needs.skip("needs_pagetable", reason)
    anon = mem.map("anon 101")
    settle(mem, anon)
    with a_stuck_process(tmp_path) as stuck, Session("pagetable", patience=0.5) as session:
        zone.add(stuck.pid)
        for method in ("cold", "clear_refs"):
            found = look(session, [zone], lambda: mem.write(anon, 0, 23), method)
            assert found.zones[0].touched_anon_bytes >= 0
            gaps = [gap for gap in (*found.snapshot.armed.gaps, *found.gaps) if gap.pid == stuck.pid]
            cleared = {pid for pid, _ in found.snapshot.armed.cleared}
            # not every kernel writes back under the lock
            assert stuck.pid in cleared or Cause.BUSY in {gap.cause for gap in gaps}, method


CLOCK_NANOSLEEP = {"x86_64": "230", "aarch64": "115"}.get(os.uname().machine)
"""Its number."""


def test_interrupted_while_it_waits(session, still) -> None:
    zone, _ = still
    process = subprocess.Popen(
        [sys.executable, "-m", "zonerss", "wss", zone.name, "--by", "cgroup", "--for", "1h"], cwd=PROJECT
    )
    try:
        while Path(f"/proc/{process.pid}/syscall").read_text().split()[0] != CLOCK_NANOSLEEP:
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        assert process.wait(120) == -signal.SIGINT
    finally:
        process.kill()
        process.wait()


def test_the_command(session, still) -> None:
    zone, _ = still
    words = ["wss", zone.name, "--by", "cgroup", "--for", "100ms", "--processes", "--files", "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "zonerss", *words], cwd=PROJECT, capture_output=True, check=True
    )
    document = json.loads(done.stdout)
    contract.check(document)
    (found,) = document["zones"]
    assert found["zone"] == zone.name
    assert found["longest_stall_ns"] is not None
    assert len(document["processes"]) == 1
    refused = subprocess.run(
        [sys.executable, "-m", "zonerss", *words, "--source", "pagemap"],
        cwd=PROJECT,
        capture_output=True,
        check=False,
    )
    assert (refused.returncode, refused.stdout) == (1, b"")
    assert b"pagemap does not tell which pages were touched" in refused.stderr
