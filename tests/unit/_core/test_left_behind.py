"""A walker that is left behind in a system call touches nothing of the walk any more: pagemap.c, ranges.c, jobs.c.

Under ThreadSanitizer (vm/host sanitize) each access without leave is an error.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.fake_proc import V2, FakeProc, stat
from tests.unit.threads import Threads, all_end, threads, until
from tests.unit.walking import Begin, Told, walking

from zonerss._core import ffi, lib
from zonerss.kernel.proc import read_tasks
from zonerss.walk.pagemap import PagemapSource

M_PERTURB = -6  # malloc.h
PID, PFNS = 42, (101, 103, 107)
STAT, TASK = f"{PID}/stat", f"{PID}/task/{PID}"
pagemap = PagemapSource().begin


@pytest.fixture(autouse=True)
def threads_before() -> Iterator[Threads]:
    with all_end() as before:
        yield before


@pytest.fixture
def ranges() -> Iterator[Begin]:
    collected = ffi.new("struct ranges **")
    assert lib.ranges_create(collected) == 0
    yield lambda request, ret: lib.ranges_walk(collected[0], request, ret)
    lib.ranges_destroy(collected[0])


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    """One process of three pages."""
    made = FakeProc(tmp_path)
    made.process(PID, stat())
    made.memory(PID, PFNS)
    return made


def test_nobody_is_left_behind(proc: FakeProc) -> None:
    with walking(pagemap, read_tasks(proc.roots, V2), proc.host()) as walk:
        until(walk.wait, "the walk is done")
        assert walk.told(0) == ((lib.STEP_NONE, 0), len(PFNS))
        assert walk.marked() == {(0,): len(PFNS)}


def leave(begin: Begin, proc: FakeProc, path: str, threads_before: Threads, ends_first: bool) -> Told:
    """
    Leave a walk behind where it reads a file.

    :param ends_first: the walk, before the kernel lets go of the thread
    """
    listed = read_tasks(proc.roots, V2)
    blocked = proc.block(path)
    with walking(begin, listed, proc.host()) as walk:
        until(blocked.is_read, "the walk reads it")
        assert walk.leave(0)
        assert walk.wait() == 1
        told, marked = walk.told(0), walk.marked()
        assert sum(marked.values()) == told[1]
        if not ends_first:
            blocked.let_go()
            until(lambda: threads() <= threads_before, "the thread has ended")
            assert (walk.told(0), walk.marked()) == (told, marked)
    if ends_first:
        # As after a snapshot: the thread must not look at it again. It would find what mallopt(3) has put there.
        ctypes.CDLL(None).mallopt(M_PERTURB, 0x55)
        ffi.release(listed.handle)
        ctypes.CDLL(None).mallopt(M_PERTURB, 0)
        blocked.let_go()
        until(lambda: threads() <= threads_before, "the thread has ended")
    return told


@pytest.mark.parametrize("ends_first", [False, True])
@pytest.mark.parametrize(
    ("path", "step", "pages"),
    [
        (STAT, lib.STEP_OPEN, 0),
        (f"{TASK}/pagemap", lib.STEP_OPEN, 0),
        (f"{TASK}/maps", lib.STEP_MAPS, 0),
        (f"{TASK}/cgroup", lib.STEP_CGROUP, len(PFNS)),
    ],
)
def test_pagemap(
    path: str, step: int, pages: int, ends_first: bool, proc: FakeProc, threads_before: Threads
) -> None:
    """What was counted until then is counted."""
    assert leave(pagemap, proc, path, threads_before, ends_first) == ((step, lib.WALK_LEFT), pages)


@pytest.mark.parametrize("ends_first", [False, True])
def test_smaps(ends_first: bool, proc: FakeProc, threads_before: Threads) -> None:
    """Of a process whose mappings are mostly holes, where the kernel has no PAGEMAP_SCAN."""
    task = proc.roots.proc / TASK
    (task / "maps").write_text("00000000-10000000000 rw-p 00000000 00:00 0 \n")
    (task / "smaps").touch()
    expected = ((lib.STEP_PAGEMAP, lib.WALK_LEFT), 0)
    assert leave(pagemap, proc, f"{TASK}/smaps", threads_before, ends_first) == expected


@pytest.mark.parametrize("ends_first", [False, True])
@pytest.mark.parametrize(
    ("path", "step"),
    [(STAT, lib.STEP_OPEN), (f"{TASK}/pagemap", lib.STEP_OPEN), (f"{TASK}/maps", lib.STEP_MAPS)],
)
def test_ranges(
    path: str, step: int, ends_first: bool, ranges: Begin, proc: FakeProc, threads_before: Threads
) -> None:
    assert leave(ranges, proc, path, threads_before, ends_first) == ((step, lib.WALK_LEFT), 0)


def test_the_second_look_at_a_process_whose_memory_has_gone(proc: FakeProc, threads_before: Threads) -> None:
    """The pagemap ends early, so the walk asks whether the process is still there."""
    listed = read_tasks(proc.roots, V2)
    (proc.roots.proc / TASK / "pagemap").write_bytes(b"")
    maps = proc.block(f"{TASK}/maps")
    with walking(pagemap, listed, proc.host()) as walk:
        until(maps.is_read, "the walk reads the maps, and has looked at stat")
        blocked = proc.block(STAT)
        maps.let_go()
        until(blocked.is_read, "it looks at stat again")
        assert walk.leave(0)
        assert walk.wait() == 1
        assert walk.told(0) == ((lib.STEP_PAGEMAP, lib.WALK_LEFT), 0)
        blocked.let_go()
        until(lambda: threads() <= threads_before, "the thread has ended")
        assert walk.told(0) == ((lib.STEP_PAGEMAP, lib.WALK_LEFT), 0)
