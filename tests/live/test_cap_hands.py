"""What a capper's hands see and do, to the page: known pages are touched or not, and paged out or not.

mem's own pages are locked, so they are of no class but that. Others may clear accessed bits, too (DAMON): so pages that
were touched may be taken for cold ones, never the other way round; what must be exact is looked at until it is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.live import needs
from tests.live.cgroups import is_in_vfork, pids_in, stopped
from tests.live.conftest import cannot_serve
from tests.live.measure import Zone, major_faults
from tests.live.swap import swap_on
from tests.live.test_stuck import a_stuck_process
from tests.oracle import PAGE, Kernel, pages_of
from tests.own import NAME
from tests.unit.threads import until
from tests.workloads.mem import HUGE, Mem, MemError, Range
from zonerss.cap import hands as module
from zonerss.cap.hands import Hands
from zonerss.cap.records import ByKind, Classes, Look
from zonerss.kernel import pageout
from zonerss.kernel.clearers import running_damon
from zonerss.kernel.patience import retire_threads
from zonerss.kernel.roots import HOST
from zonerss.plain import replace

PROJECT = Path(__file__).resolve().parents[2]
LOOKS = 40
MIB = (1 << 20) // PAGE
SHORT = 0.6
"""Seconds that a page must not have been touched to be cold."""


@pytest.fixture(autouse=True)
def one_processor() -> Iterator[None]:
    """What another processor has just allocated may be on a list of its own, where paging out does not see it."""
    before = os.sched_getaffinity(0)
    retire_threads()
    os.sched_setaffinity(0, {min(before)})
    yield
    os.sched_setaffinity(0, before)
    retire_threads()


@pytest.fixture
def hands() -> Iterator[Hands]:
    if reason := cannot_serve("pagetable"):
        needs.skip("needs_pagetable", reason)
    with Hands("cgroup", patience=0.5, cold_seconds=0) as hands:
        yield hands


def pages(**sizes: int) -> ByKind:
    return ByKind(**{f"{kind}_bytes": count * PAGE for kind, count in sizes.items()})


def in_pages(classes: Classes) -> dict[str, int]:
    """Whole pages by name, without those that are none."""
    found = {}
    for name in Classes.__slots__:
        size = getattr(classes, name)
        if name.endswith("_bytes") and size is not None:
            assert not size % PAGE
            found[name.removesuffix("_bytes")] = size // PAGE
    return found


def grown(before: Look, after: Look) -> dict[str, int]:
    """By how many pages each class has grown; those that have not are left out."""
    one, other = in_pages(before.classes), in_pages(after.classes)
    found = {name: other[name] - one.get(name, 0) for name in other}
    return {name: count for name, count in found.items() if count}


def look(hands: Hands, zone: Zone) -> Look:
    found = hands.look([zone.name])[zone.name]
    assert found.rss_bytes == found.classes.rss_bytes
    return found


def present(where: Range) -> list[bool]:
    kernel = Kernel()
    try:
        found = pages_of(kernel, where.pid, where.start, where.end)
        there = {page.address for page in found if page.kind != "swap"}
        return [where.start + at * PAGE in there for at in range(where.pages)]
    finally:
        kernel.close()


def settled(mem: Mem, where: Range) -> Range:
    """The kernel keeps some pages that a processor has just allocated in a list of that processor; now it does not."""
    mem.advise(where, 0, 1, "cold")
    return where


def a_file(mem: Mem, directory: Path, count: int, name: str = "file") -> Range:
    return mem.map_file_of_single_pages(directory / name, count)


def armed_and_touched(hands: Hands, zone: Zone, touch: Callable[[], object]) -> Look:
    armed = hands.arm(zone.name)
    assert armed.problem is None
    touch()
    return look(hands, zone)


def cold_exactly(hands: Hands, zone: Zone, touch: Callable[[], object], **cold: int) -> Look:
    """Looks until so many pages of each kind are cold; never fewer."""
    seen = []
    for _ in range(LOOKS):
        found = armed_and_touched(hands, zone, touch)
        counts = {kind: found.classes.cold.of(kind) // PAGE for kind in cold}
        if counts == cold:
            return found
        seen.append(counts)
    pytest.fail(f"{cold} are cold; seen were {seen}")


# ---- classes -----------------------------------------------------------------------------------------------


def test_each_page_is_in_its_class(hands, disk_directory, make_zone) -> None:
    zone, other = make_zone("a"), make_zone("b")
    one, two, theirs = zone.spawn(), zone.spawn(), other.spawn()
    before = look(hands, zone)
    one.map("anon 1009")
    a_file(one, disk_directory, 601)
    one.map("memfd 503")
    one.map("mlock 101")
    both = one.map("memfd 211")
    two.map(f"file {both.path} 211 shared write")
    theirs_too = one.map("memfd 307")
    theirs.map(f"file {theirs_too.path} 307 shared write")
    one.map("twice 29")
    after = look(hands, zone)
    assert grown(before, after) == {
        "own_anon": 1009,
        "own_file": 601,
        "own_shmem": 503,
        "locked": 101,
        "several_shmem": 211 + 29,
        "shared": 307,
    }
    assert dict(after.classes.shared_with)[other.name] >= 307 * PAGE
    assert after.classes.cold is None
    assert after.classes.unknown_bytes is None
    assert after.problem is None


def test_pages_after_a_fork_are_of_several_until_they_are_written(hands, zone, mem) -> None:
    where = mem.map("anon 1009")
    before = look(hands, zone)
    child = mem.fork()
    forked = look(hands, zone)
    assert grown(before, forked)["several_anon"] >= 1009
    mem.write(where, 0, 401, child)
    after = grown(forked, look(hands, zone))
    assert (after["several_anon"], after["own_anon"]) == (-401, 802)


def test_a_huge_page_is_one_of_its_class(hands, zone, mem) -> None:
    before = look(hands, zone)
    try:
        mem.map("thp 2")
    except MemError as error:
        needs.skip("needs_thp", str(error))
    assert grown(before, look(hands, zone)) == {"own_anon": 2 * HUGE}


def test_what_was_not_touched_is_cold(hands, disk_directory, zone, mem) -> None:
    anon, file, shared = mem.map("anon 1009"), a_file(mem, disk_directory, 601), mem.map("memfd 503")
    settled(mem, anon)

    def touch() -> None:
        mem.write(anon, 3, 401)
        mem.read(file, 64, 211)
        mem.write(shared, 100, 101)

    found = cold_exactly(hands, zone, touch, anon=1009 - 401, file=601 - 211, shmem=503 - 101)
    assert found.classes.unknown_bytes == 0
    assert found.classes.cold_seconds > 0


def test_of_what_began_since_nothing_is_called_cold(hands, zone, mem) -> None:
    hands.arm(zone.name)
    before = look(hands, zone)
    new = zone.spawn()
    new.map("anon 211")
    after = grown(before, look(hands, zone))
    assert after["own_anon"] == 211
    assert after["unknown"] == 211
    assert after.get("cold_anon", 0) <= 0


def test_a_zone_that_was_not_armed_beside_one_that_was(hands, make_zone) -> None:
    a, b = make_zone("a"), make_zone("b")
    for zone in (a, b):
        zone.spawn().map("anon 211")
    hands.arm(a.name)
    found = hands.look([a.name, b.name])
    assert found[a.name].classes.cold is not None
    assert found[b.name].classes.cold is None
    bounds = hands.bounds()
    assert (bounds[a.name].processes, bounds[b.name].processes) == (1, 1)


def test_no_zone_is_above_its_bound(hands, disk_directory, zone, mem) -> None:
    """The kernel's counters lag: what a process has just faulted in is not in them yet, above all before Linux 6.2."""
    file = a_file(mem, disk_directory, 601)
    for page in range(0, 601, 16):
        mem.read(file, page, 1)
    found, bound = hands.look([zone.name])[zone.name], hands.bounds()[zone.name]
    assert found.rss_bytes >= 601 * PAGE
    assert found.rss_bytes <= bound.bytes


# ---- paging out, without swap ----------------------------------------------------------------------------


def test_cold_pages_of_a_file_leave_and_come_back(hands, disk_directory, zone, mem) -> None:
    file = a_file(mem, disk_directory, 601)
    cold_exactly(hands, zone, lambda: mem.read(file, 64, 211), file=390)
    step = hands.page_out(zone.name, pages(file=101))
    assert (step.asked_bytes, step.left, step.problem) == (101 * PAGE, pages(file=101), None)
    step = hands.page_out(zone.name, pages(file=5003))
    assert (step.tried, step.left) == (pages(file=289), pages(file=289))
    there = present(file)
    assert there == [64 <= page < 275 for page in range(601)]
    assert (hands.back(zone.name).of_bytes, hands.back(zone.name).back_bytes) == (390 * PAGE, 0)
    mem.read(file, 0, 1)
    came_back = sum(present(file)) - 211
    assert came_back
    assert hands.back(zone.name).back_bytes == came_back * PAGE


def test_without_swap_only_files_are_touched(hands, disk_directory, zone, mem, only_one) -> None:
    if len(Path("/proc/swaps").read_text().splitlines()) > 1:
        needs.skip("needs_quiet", "swap is in use")
    anon, shared, file = mem.map("anon 1009"), mem.map("memfd 503"), a_file(mem, disk_directory, 601)
    try:
        huge = mem.map("thp 2")
    except MemError as error:
        needs.skip("needs_thp", str(error))
    settled(mem, anon)
    armed_and_touched(hands, zone, lambda: None)
    step = hands.page_out(zone.name, pages(anon=5003, shmem=5003, file=5003))
    assert step.problem == "there is no swap: anon and shmem are left alone"
    assert (step.tried, step.left) == (pages(file=601), pages(file=601))
    assert all(present(anon) + present(shared) + present(huge))
    assert not any(present(file))


def test_what_others_map_is_not_touched(hands, disk_directory, make_zone) -> None:
    zone, other = make_zone("a"), make_zone("b")
    one, two, theirs = zone.spawn(), zone.spawn(), other.spawn()
    file = a_file(one, disk_directory, 211)
    path = disk_directory / "file"
    of_both = two.map(f"file {path} 101 shared read")
    others = theirs.map(f"file {path} 151 shared read")
    found = armed_and_touched(hands, zone, lambda: None)
    assert found.classes.cold_file_bytes == 60 * PAGE
    step = hands.page_out(zone.name, pages(file=5003))
    assert step.left == pages(file=60)
    assert present(file) == [page < 151 for page in range(211)]
    assert all(present(of_both) + present(others))


# ---- whoever it is about -----------------------------------------------------------------------------------


def test_a_pid_that_was_used_again_between_choice_and_action(hands, disk_directory, zone, mem) -> None:
    file = a_file(mem, disk_directory, 211)
    armed_and_touched(hands, zone, lambda: None)
    held = hands._held[zone.name]
    earlier = tuple(
        (replace(task, start_ticks=task.start_ticks - 1), name) for task, name in held.ranges.tasks
    )
    held.ranges = replace(held.ranges, tasks=earlier)
    step = hands.page_out(zone.name, pages(file=211))
    assert step.left == ByKind()
    assert (step.problem, step.left_out) == (None, ())  # it has ended
    assert all(present(file))


def test_what_has_moved_to_another_zone_is_left_alone(hands, disk_directory, make_zone) -> None:
    """That zone may be below its cap, or have none."""
    zone, other = make_zone("a"), make_zone("b")
    stays, moves = zone.spawn(), zone.spawn()
    there, gone = a_file(stays, disk_directory, 101, "stays"), a_file(moves, disk_directory, 211, "moves")
    armed_and_touched(hands, zone, lambda: None)
    other.add(moves.pid)
    step = hands.page_out(zone.name, pages(file=5003))
    assert (step.left, step.problem) == (pages(file=101), None)
    assert step.left_out == (f"process {moves.pid}: it is in another zone by now",)
    assert not any(present(there))
    assert all(present(gone))
    zone.add(moves.pid)
    armed_and_touched(hands, zone, lambda: None)
    assert hands.page_out(zone.name, pages(file=5003)).left == pages(file=211)


AGAIN = """
import ctypes, mmap, os, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
file, size, address, fixed = os.open(sys.argv[1], os.O_RDONLY), int(sys.argv[2]), 0x200000000000, 0x10
assert libc.mmap(address, size, mmap.PROT_READ, mmap.MAP_SHARED | fixed, file, 0) == address
for at in range(0, size, 4096):
    ctypes.string_at(address + at, 1)
print("ready", flush=True)
input()
os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
"""
"""Maps a file at a fixed address, and executes itself when it is told to."""


def test_what_has_executed_another_program_is_left_alone(hands, disk_directory, zone, mem) -> None:
    """Its new program maps the same pages at the same addresses, and has just used them."""
    a_file(mem, disk_directory, 211)
    mem.end()
    with subprocess.Popen(
        [sys.executable, "-c", AGAIN, disk_directory / "file", str(211 * PAGE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout.readline() == "ready\n"
            zone.add(process.pid)
            file = Range(process.pid, 0x200000000000, 211)
            armed_and_touched(hands, zone, lambda: None)
            step = hands.page_out(zone.name, pages(file=101))
            assert (step.left, step.problem) == (pages(file=101), None)
            assert 0 < sum(present(file)) < 211  # of its libraries some have left, too
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.stdout.readline() == "ready\n"
            step = hands.page_out(zone.name, pages(file=5003))
            assert (step.left, step.problem) == (ByKind(), None)
            assert step.left_out == (f"process {process.pid}: it has executed another program since",)
            assert all(present(file))
            assert hands.back(zone.name).of_bytes == 0
        finally:
            process.kill()


def test_a_zone_that_ends_in_the_midst(hands, disk_directory, zone, mem, monkeypatch) -> None:
    a_file(mem, disk_directory, 1009)
    armed_and_touched(hands, zone, lambda: None)
    real = module.page_out
    calls = []

    def page_out(*arguments):
        if calls:
            mem.end()
        calls.append(arguments)
        return real(*arguments)

    monkeypatch.setattr(module, "page_out", page_out)
    step = hands.page_out(zone.name, pages(file=1009))
    assert (step.problem, step.left_out) == (None, ())  # it has ended
    assert 0 < step.left_bytes <= 512 * PAGE  # what the first call did; what ends with it is not ours
    assert hands.back(zone.name).of_bytes == 0
    assert hands.look([zone.name]) == {}
    assert zone.name not in hands.bounds()
    assert hands.page_out(zone.name, pages(file=1009)).left_bytes == 0


def test_stopped_and_in_vfork(hands, disk_directory, zone, mem) -> None:
    """A parent in vfork is in an uninterruptible sleep (D)."""
    file = a_file(mem, disk_directory, 211)
    mem.tell("vfork")
    assert is_in_vfork(mem.pid, mem.pid)
    armed_and_touched(hands, zone, lambda: None)
    assert hands.page_out(zone.name, pages(file=101)).left == pages(file=101)
    mem.tell("return")
    with stopped([zone.path]):
        assert armed_and_touched(hands, zone, lambda: None).classes.cold_file_bytes == 110 * PAGE
        assert hands.page_out(zone.name, pages(file=211)).left == pages(file=110)
    assert not any(present(file))


FREEZER = Path("/sys/fs/cgroup/freezer")


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """By the freezer of version 1: in /proc/PID/stat it looks like an uninterruptible sleep (D)."""
    if not os.access(FREEZER / "cgroup.procs", os.W_OK):
        needs.skip("needs_cgroup1", "there is no freezer of version 1 for us")
    lines = Path(f"/proc/{pid}/cgroup").read_text().splitlines()
    (before,) = [line.split(":", 2)[2] for line in lines if line.split(":")[1] == "freezer"]
    cgroup = FREEZER / NAME
    cgroup.mkdir()
    try:
        (cgroup / "cgroup.procs").write_text(str(pid))
        (cgroup / "freezer.state").write_text("FROZEN")
        until(lambda: (cgroup / "freezer.state").read_text() == "FROZEN\n", "it is frozen")
        yield
    finally:
        (cgroup / "freezer.state").write_text("THAWED")
        (FREEZER / before.lstrip("/") / "cgroup.procs").write_text(str(pid))
        cgroup.rmdir()


def test_frozen_by_version_1(hands, disk_directory, zone, mem) -> None:
    file = a_file(mem, disk_directory, 211)
    with frozen(mem.pid):
        assert Path(f"/proc/{mem.pid}/stat").read_text().rpartition(")")[2].split()[0] == "D"
        assert armed_and_touched(hands, zone, lambda: None).classes.cold_file_bytes == 211 * PAGE
        assert hands.page_out(zone.name, pages(file=211)).left == pages(file=211)
    assert not any(present(file))
    mem.read(file, 0, 211)


def test_nobody_waits_for_a_stuck_process(hands, disk_directory, zone, mem, tmp_path) -> None:
    file = a_file(mem, disk_directory, 211)
    with a_stuck_process(tmp_path) as stuck:
        zone.add(stuck.pid)
        hands.arm(zone.name)
        found = look(hands, zone)
        step = hands.page_out(zone.name, pages(file=5003))
        hands.back(zone.name)
        # not every kernel writes back under the lock
        assert found.problem in (None, "1 process could not be read")
    assert step.left.file_bytes >= 211 * PAGE
    assert not any(present(file))


def test_what_gets_stuck_between_choice_and_action(
    hands,
    disk_directory,
    zone,
    mem,
    monkeypatch,
    pauses,
) -> None:
    file = a_file(mem, disk_directory, 211)
    armed_and_touched(hands, zone, lambda: None)
    hands._patience = 0.05
    with monkeypatch.context() as patched:
        patched.setattr("zonerss.kernel.pageout.lib", _Slow(pageout.lib))
        step = hands.page_out(zone.name, pages(file=211))
        until(lambda: not pauses.threads, "the kernel answers")
    assert step.problem is None
    assert step.left_out == (f"process {mem.pid}: its memory was locked for too long",)
    assert step.left == ByKind()
    assert all(present(file))


class _Slow:
    """A kernel that does not answer for a while."""

    def __init__(self, real) -> None:
        self.real = real

    def page_out(self, *arguments) -> int:
        time.sleep(0.3)
        return self.real.page_out(*arguments)


FOR_EVER = """
import sys
from zonerss.cap.hands import Hands
from zonerss.cap.records import ByKind
with Hands("cgroup", cold_seconds=0) as hands:
    print("ready", flush=True)
    while True:
        hands.arm(sys.argv[1])
        hands.look([sys.argv[1]])
        hands.page_out(sys.argv[1], ByKind(file_bytes=1 << 30))
"""


def settings_of(path: Path) -> dict[str, str]:
    """All limits and the like of a cgroup."""
    names = [
        *("memory.max", "memory.high", "memory.low", "memory.min", "memory.swap.max", "cgroup.freeze"),
        *("memory.limit_in_bytes", "memory.soft_limit_in_bytes", "memory.memsw.limit_in_bytes"),
        *("memory.swappiness", "memory.oom_control", "cgroup.procs"),
    ]
    return {name: (path / name).read_text() for name in names if (path / name).exists()}


def test_killed_in_the_midst_it_leaves_nothing(hands, disk_directory, zone, mem) -> None:
    file = a_file(mem, disk_directory, 5003)
    before = settings_of(zone.path)
    swaps = Path("/proc/swaps").read_text()
    for delay in (0.0, 0.05, 0.3):
        capper = subprocess.Popen(
            [sys.executable, "-c", FOR_EVER, zone.name], cwd=PROJECT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert capper.stdout.readline() == "ready\n"
            mem.read(file, 0, 5003)
            until(lambda: not all(present(file)), "it acts")
            time.sleep(delay)
        finally:
            capper.send_signal(signal.SIGKILL)
            capper.wait()
            capper.stdout.close()
        assert settings_of(zone.path) == before
        assert Path("/proc/swaps").read_text() == swaps
        for pid in pids_in(zone.path):
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
            assert state in "RS", state
        mem.read(file, 0, 5003)
    assert all(present(file))


# ---- into swap ---------------------------------------------------------------------------------------------


def test_memory_of_each_kind_leaves_into_swap(hands, zone, mem, only_one) -> None:
    anon, shared = mem.map("anon 1009"), mem.map("memfd 503")
    try:
        huge = mem.map("thp 2")
    except MemError as error:
        needs.skip("needs_thp", str(error))
    settled(mem, anon)
    with swap_on(64):
        cold_exactly(
            hands,
            zone,
            lambda: (mem.write(anon, 0, 401), mem.write(huge, 7, 1)),
            anon=1009 - 401 + HUGE,
            shmem=503,
        )
        step = hands.page_out(zone.name, pages(anon=101))
        assert (step.left, step.problem) == (pages(anon=101), None)
        step = hands.page_out(zone.name, pages(anon=5003, shmem=5003))
        assert step.left == pages(anon=1009 - 401 - 101 + HUGE, shmem=503)
        assert present(anon) == [page < 401 for page in range(1009)]
        assert present(huge) == [page < HUGE for page in range(2 * HUGE)]
        assert not any(present(shared))
        mem.read(anon, 500, 7)
        back = hands.back(zone.name)
        assert back.of_bytes == (1009 - 401 + HUGE + 503) * PAGE
        assert back.back_bytes >= 7 * PAGE
        assert hands.machine().swap_bytes


def test_a_huge_page_is_left_and_told_where_less_is_to_go(hands, zone, mem, only_one) -> None:
    try:
        huge = mem.map("thp 1")
    except MemError as error:
        needs.skip("needs_thp", str(error))
    with swap_on(64):
        cold_exactly(hands, zone, lambda: None, anon=HUGE)
        step = hands.page_out(zone.name, pages(anon=HUGE // 2))
        assert (step.left, step.problem, step.huge_bytes) == (ByKind(), None, HUGE * PAGE)
        assert all(present(huge))
        step = hands.page_out(zone.name, pages(anon=HUGE))
        assert (step.left, step.huge_bytes) == (pages(anon=HUGE), 0)


def test_where_swap_is_full_it_stops(hands, zone, mem, only_one) -> None:
    """Others may swap, too: until we were alone."""
    anon = settled(mem, mem.map("anon 5003"))
    for _ in range(LOOKS):
        mem.write(anon, 0, anon.pages)
        with swap_on(2):
            armed_and_touched(hands, zone, lambda: None)
            before, free = swapped_out(), hands.machine().swap_free_bytes
            step = hands.page_out(zone.name, pages(anon=5003))
            again = hands.page_out(zone.name, pages(anon=5003))
            left = step.left_bytes + again.left_bytes
            assert left <= free
            said = " ".join((again.problem or "", *again.left_out))
            assert "swap is full" in said or "do not leave" in said
            if swapped_out() - before == left // PAGE:
                assert step.left_bytes > 0
                assert sum(present(anon)) == 5003 - left // PAGE
                return
    pytest.fail("others have swapped each time")


def swapped_out() -> int:
    """Pages, since the machine was started."""
    (line,) = [line for line in Path("/proc/vmstat").read_text().splitlines() if line.startswith("pswpout ")]
    return int(line.split()[1])


# ---- the study's table: a zone comes under its cap ---------------------------------------------------------


class Table(NamedTuple):
    """A zone of 120 MiB, of which half is hot, and a neighbour that shares some of it."""

    zone: Zone
    mem: Mem
    hot: tuple[Range, Range]
    cold: tuple[Range, Range]
    neighbour: Mem
    theirs: Range
    unmapped: Path

    def work(self, seconds: float = SHORT) -> None:
        """Zone and neighbour use what is hot, once at least."""
        until_s = time.monotonic() + seconds
        while True:
            self.mem.write(self.hot[0], 0, self.hot[0].pages)
            self.mem.read(self.hot[1], 0, self.hot[1].pages)
            self.neighbour.read(self.theirs, 0, self.theirs.pages)
            if time.monotonic() >= until_s:
                return


@contextmanager
def a_table(make_zone: Callable, directory: Path) -> Iterator[Table]:
    zone, other = make_zone("a"), make_zone("b")
    mem, neighbour = zone.spawn(), other.spawn()
    hot, cold = mem.map(f"anon {40 * MIB}"), mem.map(f"anon {40 * MIB}")
    files = a_file(mem, directory, 10 * MIB, "hot"), a_file(mem, directory, 10 * MIB, "cold")
    shared = neighbour.map(f"memfd {20 * MIB}")
    mem.map(f"file {shared.path} {20 * MIB} shared write")
    unmapped = directory / "unmapped"
    unmapped.write_bytes(os.urandom(1 << 20))
    settled(mem, hot)
    yield Table(zone, mem, (hot, files[0]), (cold, files[1]), neighbour, shared, unmapped)


def cached(path: Path) -> int:
    """Pages of a file that are in the page cache."""
    done = subprocess.run(["fincore", "-nbo", "PAGES", path], check=True, capture_output=True, text=True)
    return int(done.stdout)


def test_a_zone_comes_under_its_cap_and_nobody_feels_it(hands, disk_directory, make_zone, only_one) -> None:
    cap = 80 << 20
    with ExitStack() as stack:
        table = stack.enter_context(a_table(make_zone, disk_directory))
        zone = table.zone
        stack.enter_context(swap_on(128))
        before = look(hands, zone)
        excess = before.rss_bytes - cap
        assert excess >= 40 << 20
        cache, faults, theirs = (
            cached(table.unmapped),
            major_faults(table.mem.pid),
            major_faults(table.neighbour.pid),
        )
        # DAMON makes a page of each of its regions look as if nobody had used it, twice a second.
        damon = running_damon(HOST)
        assert hands.arm(zone.name).problem is None
        table.work()
        found = look(hands, zone)
        goal = excess + excess // 20
        cold = found.classes.cold
        assert cold.total_bytes >= goal
        took = hands.page_out(zone.name, pages(file=min(cold.file_bytes, goal) // PAGE))
        rest = hands.page_out(zone.name, pages(anon=(goal - took.left_bytes) // PAGE))
        after = look(hands, zone)
        table.work()
        assert goal - PAGE < took.left_bytes + rest.left_bytes <= goal
        assert after.rss_bytes <= cap
        assert all(present(table.hot[0]) + present(table.hot[1]))
        assert all(present(table.theirs))
        few = 64 if damon or running_damon(HOST) else 3
        assert major_faults(table.mem.pid) - faults <= few
        assert major_faults(table.neighbour.pid) == theirs
        assert cached(table.unmapped) == cache
        assert hands.back(zone.name).back_bytes <= few * PAGE
