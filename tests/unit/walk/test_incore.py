"""What is in the page cache, asked of files of our own: no root, no other process."""

from __future__ import annotations

import errno
import os
import tempfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.fake_proc import V2, FakeProc, stat
from tests.unit.threads import until
from tests.unit.walking import walking

from zonerss._core import ffi, lib
from zonerss.census.kinds import Kind
from zonerss.kernel.patience import Pauses
from zonerss.kernel.proc import read_tasks
from zonerss.records import Cause
from zonerss.units import PAGE_BYTES
from zonerss.walk import incore


@pytest.fixture
def memfd() -> Iterator[int]:
    """23 pages of data, then holes to 100 pages."""
    fd = os.memfd_create("zonerss-test")
    os.pwrite(fd, b"x" * (23 * PAGE_BYTES), 0)
    os.pwrite(fd, b"x", 50 * PAGE_BYTES)
    os.truncate(fd, 100 * PAGE_BYTES)
    yield fd
    os.close(fd)


def means() -> list[int]:
    return [lib.BY_MINCORE, *([lib.BY_CACHESTAT] if incore.has_cachestat() else [])]


def test_both_means_count_alike(memfd):
    for by in means():
        assert incore.count_cached(memfd, by, [(0, 100), (20, 31), (23, 27), (50, 1), (51, 200)]) == [
            24,
            4,
            0,
            1,
            0,
        ]


def test_nothing_is_asked(memfd):
    for by in means():
        assert incore.count_cached(memfd, by, []) == []


def test_more_pages_than_one_call_takes():
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        os.pwrite(file.fileno(), b"x", 70_000 * PAGE_BYTES)
        for by in means():
            assert incore.count_cached(file.fileno(), by, [(0, 1 << 20)]) == [1]
        assert lib.incore_first(file.fileno(), PAGE_BYTES, 0, 1 << 20) == 70_000


def test_the_first_page_that_is_there(memfd):
    assert lib.incore_first(memfd, PAGE_BYTES, 0, 100) == 0
    assert lib.incore_first(memfd, PAGE_BYTES, 23, 77) == 50
    assert lib.incore_first(memfd, PAGE_BYTES, 51, 49) < 0


def test_looking_brings_nothing_in(memfd):
    for by in means():
        incore.count_cached(memfd, by, [(0, 100)])
    assert os.fstat(memfd).st_blocks * 512 == 24 * PAGE_BYTES


def test_what_cannot_be_asked():
    read, write = os.pipe()
    try:
        with pytest.raises(OSError, match="page cache"):
            incore.count_cached(read, lib.BY_MINCORE, [(0, 1)])
    finally:
        os.close(read)
        os.close(write)


# ---- files that do not answer ---------------------------------------------------------------------------


def a_file(fd: int) -> incore._File:
    return incore._File(fd, same_as=0, kind=Kind.FILE, overlay=False, size=0, pid=os.getpid())


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Pauses:
    pauses = Pauses()
    monkeypatch.setattr("zonerss.kernel.patience.PAUSES", pauses)
    return pauses


@pytest.fixture
def looks(pauses: Pauses) -> incore._Looks:
    return incore._Looks(0.01, held=None)


def test_a_file_that_does_not_answer_is_a_gap_and_not_asked_again(
    looks: incore._Looks, pauses: Pauses
) -> None:
    lets_go, asked = threading.Event(), []
    assert looks.ask(a_file(5), lambda: asked.append(5) or lets_go.wait(), 0) is None
    assert looks.ask(a_file(5), lambda: asked.append(5), 0) is None
    assert asked == [5]
    (gap,) = looks.gaps
    assert (gap.pid, gap.step, gap.cause) == (os.getpid(), "pagemap", Cause.BUSY)
    lets_go.set()
    until(lambda: not pauses.threads, "the thread that waited has ended")


def test_a_long_mapping_is_not_waited_for_longer_than_the_machine_is_large(
    looks: incore._Looks, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []

    def patiently(call: object, pid: int, seconds: float) -> tuple[int, None]:
        asked.append(seconds)
        return 5, None

    monkeypatch.setattr(incore, "patiently", patiently)
    monkeypatch.setattr("zonerss.kernel.patience.EXPLAINED_PAGES", 1000)
    assert looks.ask(a_file(5), lambda: 5, 1 << 35) == 5
    assert asked == [pytest.approx(0.01 + 1000 * 2e-6)]


def test_a_failure_is_the_file_s_unless_it_is_ours(pauses: Pauses) -> None:
    looks = incore._Looks(60, held=None)

    def fail(number: int) -> None:
        raise OSError(number, "ours")

    assert looks.ask(a_file(5), lambda: fail(errno.EIO), 0) is None
    assert looks.ask(a_file(6), lambda: 17, 0) == 17
    assert [gap.cause for gap in looks.gaps] == [Cause.UNREADABLE]
    with pytest.raises(OSError, match="ours"):
        looks.ask(a_file(7), lambda: fail(errno.ENOMEM), 0)


def test_files_stay_open_for_whoever_still_looks(pauses: Pauses) -> None:
    class Held:
        pass

    held, lets_go = Held(), threading.Event()
    still_held, looks = weakref.ref(held), incore._Looks(0.01, held)
    looks.ask(a_file(5), lets_go.wait, 0)
    del held, looks
    assert still_held()
    lets_go.set()
    until(lambda: not pauses.threads, "the thread that waited has ended")


def test_a_range_is_laid_out_as_the_core_writes_it():
    import struct

    assert struct.calcsize(incore._RANGE_STRUCT) == ffi.sizeof("struct file_range")
    row = ffi.new("struct file_range *", {"file": 2, "owner": 3, "first": 5, "pages": 7, "shared": 1})
    assert struct.unpack(incore._RANGE_STRUCT, ffi.buffer(row)) == (2, 3, 5, 7, 1)


@pytest.mark.parametrize(
    ("pages", "gap"), [(1 << 20, (lib.STEP_NONE, 0)), (1 << 30, (lib.STEP_PAGEMAP, lib.WALK_BUSY))]
)
def test_a_mapping_that_would_be_read_for_minutes_is_a_gap(
    tmp_path: Path, pages: int, gap: tuple[int, int]
) -> None:
    """Any user can map 128 TiB, and here the kernel has no PAGEMAP_SCAN."""
    proc = FakeProc(tmp_path)
    proc.process(42, stat())
    task = tmp_path / "42" / "task" / "42"
    (task / "maps").write_text(f"00000000-{pages * PAGE_BYTES:08x} r--p 00000000 00:00 0 /of_no_file\n")
    (task / "pagemap").touch()
    os.truncate(task / "pagemap", pages * 8)
    collected = ffi.new("struct ranges **")
    assert lib.ranges_create(collected) == 0

    def begin(request: object, ret: object) -> int:
        return lib.ranges_walk(collected[0], request, ret)

    try:
        with walking(begin, read_tasks(proc.roots, V2), proc.host()) as walk:
            until(walk.wait, "the walk is done")
            assert walk.told(0) == (gap, 0)
    finally:
        lib.ranges_destroy(collected[0])
