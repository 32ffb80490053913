"""
Paging out memory of our own, as far as that needs no swap. Of others, and into swap: tests/live/test_cap_hands.py.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from tests.unit.builders import members
from tests.unit.threads import until

from zonerss._core import ffi, lib
from zonerss.census.kinds import Kind
from zonerss.kernel.pageout import CALL_PAGES, PagedOut, page_out, pages_present
from zonerss.kernel.patience import Pauses, retire_threads
from zonerss.kernel.proc import parse_stat
from zonerss.kernel.roots import HOST
from zonerss.plain import replace
from zonerss.records import Cause, Gap, Task
from zonerss.units import PAGE_BYTES

PAGES = 1009
FRAME = (1 << 55) - 1
(MEMBER,) = members("a")
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: frame numbers are root's")


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
def own() -> Task:
    row = parse_stat(Path("/proc/self/stat").read_bytes())
    return replace(
        MEMBER.task,
        pid=os.getpid(),
        start_ticks=row.start_ticks,
        stack_start=row.startstack,
        walk_tid=os.getpid(),
    )


class Mapped(NamedTuple):
    """Pages of a file, mapped once and read."""

    memory: mmap.mmap
    start: int

    def address(self, page: int) -> int:
        return self.start + page * PAGE_BYTES

    def pfn(self, page: int) -> int:
        with open("/proc/self/pagemap", "rb", buffering=0) as file:
            (word,) = struct.unpack("=Q", os.pread(file.fileno(), 8, self.address(page) // PAGE_BYTES * 8))
        return int(word) & FRAME

    def slices(self, *ranges: tuple[int, int], kind: Kind = Kind.FILE) -> Any:
        """By page numbers; as a walk finds them."""
        rows = [
            (0, self.address(first), self.address(end), self.pfn(first), kind, 0) for first, end in ranges
        ]
        return ffi.new("struct slice[]", rows)

    def is_present(self, page: int) -> bool:
        return bool(self.pfn(page))


@contextmanager
def mapped_file(by_page: bool) -> Iterator[Mapped]:
    """by_page: its pages are read one by one, so that none is of a large folio."""
    path = Path(f"/var/tmp/zonerss-test-{os.getpid()}")
    try:
        path.write_bytes(os.urandom(PAGES * PAGE_BYTES))
        with path.open("rb") as file:
            os.fsync(file.fileno())
            if by_page:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            memory = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
    finally:
        path.unlink()
    memory.madvise(mmap.MADV_RANDOM)
    start = int(ffi.cast("uintptr_t", ffi.from_buffer(memory)))
    for page in range(PAGES):
        assert memory[page * PAGE_BYTES] >= 0
    try:
        yield Mapped(memory, start)
    finally:
        memory.close()


@pytest.fixture
def mapped() -> Iterator[Mapped]:
    with mapped_file(by_page=True) as found:
        yield found


def is_tail(pfn: int) -> bool:
    with open("/proc/kpageflags", "rb", buffering=0) as file:
        (flags,) = struct.unpack("=Q", os.pread(file.fileno(), 8, pfn * 8))
    return bool(flags >> 16 & 1)


def test_of_a_large_folio_all_leaves_or_nothing(own: Task) -> None:
    with mapped_file(by_page=False) as mapped:
        tails = [page for page in range(PAGES) if is_tail(mapped.pfn(page))]
        if not tails:
            pytest.skip("this file system has no large folios")
        first = tails[0] - 1
        end = next(page for page in range(first + 1, PAGES) if page not in tails)
        for slices in (mapped.slices((first, end - 1)), mapped.slices((first + 1, end))):
            done = page_out(HOST, own, slices, 1, 0, 1000)
            assert isinstance(done, PagedOut)
            assert (done.tried_pages, done.large_pages) == (0, end - first - 1)
        assert all(map(mapped.is_present, range(PAGES)))
        done = page_out(HOST, own, mapped.slices((first, end)), 1, 0, 1000)
        assert isinstance(done, PagedOut)
        assert (done.left_pages, done.large_pages) == (end - first, 0)
        assert [page for page in range(PAGES) if not mapped.is_present(page)] == [*range(first, end)]


def test_what_was_found_leaves_and_nothing_else(own: Task, mapped: Mapped) -> None:
    slices = mapped.slices((3, 10), (20, 21))
    done = page_out(HOST, own, slices, 2, 0, 1000)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.cut, done.tried_pages, done.left_pages) == (2, 0, 8, 8)
    assert done.runs == (
        (mapped.address(3), mapped.address(10)),
        (mapped.address(20), mapped.address(21)),
    )
    assert [page for page in range(30) if not mapped.is_present(page)] == [*range(3, 10), 20]
    assert pages_present(HOST, own, done.runs) == 0
    assert mapped.memory[20 * PAGE_BYTES] >= 0
    assert pages_present(HOST, own, done.runs) == 1


def test_no_more_than_was_asked_for_and_then_on_from_there(own: Task, mapped: Mapped) -> None:
    slices = mapped.slices((0, 100), (200, 300))
    done = page_out(HOST, own, slices, 2, 0, 130)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.cut, done.left_pages) == (1, mapped.address(230), 130)
    done = page_out(HOST, own, slices + 1, 1, done.cut, 1000)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.cut, done.left_pages) == (1, 0, 70)


def test_a_call_has_two_mebibytes_at_most_and_cuts_nothing_for_it(own: Task, mapped: Mapped) -> None:
    slices = mapped.slices((0, 300), (300, 600), (600, 700))
    done = page_out(HOST, own, slices, 3, 0, 5000)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.cut, done.left_pages) == (1, 0, 300)
    done = page_out(HOST, own, slices + 1, 2, 0, 5000)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.left_pages) == (2, 400)
    assert done.left_pages <= CALL_PAGES


def test_what_is_something_else_by_now_is_passed_over(own: Task, mapped: Mapped) -> None:
    slices = mapped.slices((0, 100), (200, 300), (400, 500))
    slices[0].pfn += 1
    slices[1].kind = Kind.ANON  # it is none
    done = page_out(HOST, own, slices, 3, 0, 5000)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.tried_pages, done.left_pages) == (3, 100, 100)
    assert [mapped.is_present(page) for page in (0, 250, 450)] == [True, True, False]


def test_a_page_that_is_mapped_twice_by_now_is_passed_over(own: Task, mapped: Mapped) -> None:
    slices = mapped.slices((0, 4))
    pid = os.fork()
    if not pid:
        mapped.memory[PAGE_BYTES]
        os.kill(os.getpid(), 19)  # until it is ended
    os.waitpid(pid, os.WUNTRACED)
    try:
        done = page_out(HOST, own, slices, 1, 0, 5000)
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
    assert isinstance(done, PagedOut)
    assert not done.left_pages
    assert mapped.is_present(1)


def test_a_huge_page_goes_whole_or_not_at_all(own: Task, mapped: Mapped) -> None:
    slices = mapped.slices((600, 610), (0, 512))
    slices[1].huge = 1
    done = page_out(HOST, own, slices, 2, 0, 511)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.left_pages) == (1, 10)
    assert mapped.is_present(0)
    done = page_out(HOST, own, slices + 1, 1, 0, 512)
    assert isinstance(done, PagedOut)
    assert (done.slices, done.left_pages) == (1, 512)


def test_a_pid_that_was_used_again_is_no_longer_the_process(own: Task, mapped: Mapped) -> None:
    later = replace(own, start_ticks=own.start_ticks - 1)
    assert page_out(HOST, later, mapped.slices((0, 9)), 1, 0, 9) == Gap(own.pid, "pageout", Cause.EXITED)
    assert pages_present(HOST, later, [(mapped.address(0), mapped.address(1))]) == Gap(
        own.pid, "pageout", Cause.EXITED
    )
    assert mapped.is_present(0)


def test_who_has_executed_another_program_is_left_alone(own: Task, mapped: Mapped) -> None:
    before = replace(own, stack_start=own.stack_start - PAGE_BYTES)
    execed = Gap(own.pid, "pageout", Cause.EXECED)
    assert page_out(HOST, before, mapped.slices((0, 9)), 1, 0, 9) == execed
    assert pages_present(HOST, before, [(mapped.address(0), mapped.address(1))]) == execed
    assert mapped.is_present(0)


def test_a_process_that_ended_is_a_gap(own: Task, mapped: Mapped) -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    gone = Gap(process.pid, "pageout", Cause.EXITED)
    assert page_out(HOST, replace(own, pid=process.pid), mapped.slices((0, 9)), 1, 0, 9) == gone


def test_of_a_process_that_is_a_zombie_nothing_left_because_of_us(own: Task, mapped: Mapped) -> None:
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    ticks = parse_stat(Path(f"/proc/{process.pid}/stat").read_bytes()).start_ticks
    zombie = replace(own, pid=process.pid, start_ticks=ticks)
    found = page_out(HOST, zombie, mapped.slices((0, 9)), 1, 0, 9)
    process.wait()
    assert found == Gap(process.pid, "pageout", Cause.EXITED)


class LateKernel:
    """It answers once it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.errors: list[int] = []

    def page_out(self, *arguments: Any) -> int:
        self.let_go.wait()
        self.errors.append(lib.page_out(*arguments))
        return self.errors[-1]


def test_a_thread_that_was_left_behind_pages_nothing_out_later(
    own: Task, mapped: Mapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses, kernel = Pauses(), LateKernel()
    monkeypatch.setattr("zonerss.kernel.patience.PAUSES", pauses)
    monkeypatch.setattr("zonerss.kernel.pageout.lib", kernel)
    slices = mapped.slices((0, 9))
    assert page_out(HOST, own, slices, 1, 0, 9, 0.05) == Gap(own.pid, "pageout", Cause.BUSY)
    ffi.buffer(slices)[:] = b"\xff" * ffi.sizeof(slices)  # whose memory it is given back
    kernel.let_go.set()
    until(lambda: not pauses.threads, "the kernel answers")
    assert kernel.errors == [-errno.ECANCELED]
    assert all(map(mapped.is_present, range(9)))


def test_nor_does_one_whose_waiting_a_signal_has_ended(
    own: Task, mapped: Mapped, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def interrupted(call: Any, *_: object) -> None:
        asked.append(call)
        raise KeyboardInterrupt

    monkeypatch.setattr("zonerss.kernel.pageout.patiently", interrupted)
    with pytest.raises(KeyboardInterrupt):
        page_out(HOST, own, mapped.slices((0, 9)), 1, 0, 9)
    with pytest.raises(OSError, match="cancel"):
        asked[0]()
    assert all(map(mapped.is_present, range(9)))
