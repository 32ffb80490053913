"""Clearing accessed bits: whose, and whose not. What it does to bits: tests/live/test_wss.py."""

from __future__ import annotations

import errno
import gc
import os
import subprocess
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.builders import members
from tests.unit.threads import until

from zonerss._core import ffi, lib
from zonerss.errors import CannotServe
from zonerss.kernel import clearing
from zonerss.kernel.clearing import clear_by_clear_refs, clear_by_cold, require_process_madvise, stall_of
from zonerss.kernel.patience import Pauses
from zonerss.kernel.proc import parse_stat
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import replace
from zonerss.records import Cause, Gap, Task
from zonerss.units import PAGE_BYTES

GIB_PAGES = (1 << 30) // PAGE_BYTES
(MEMBER,) = members("a")


@pytest.fixture
def child() -> Iterator[Task]:
    """A process of ours that lives."""
    process = subprocess.Popen(["sleep", "1000"])
    ticks = parse_stat(Path(f"/proc/{process.pid}/stat").read_bytes()).start_ticks
    yield replace(MEMBER.task, pid=process.pid, start_ticks=ticks, walk_tid=process.pid)
    process.kill()
    process.wait()


@pytest.fixture
def zombie() -> Iterator[Task]:
    """A process of ours that has ended, and has not been waited for."""
    process = subprocess.Popen(["true"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    ticks = parse_stat(Path(f"/proc/{process.pid}/stat").read_bytes()).start_ticks
    yield replace(MEMBER.task, pid=process.pid, start_ticks=ticks, walk_tid=process.pid)
    process.wait()


def none() -> object:
    return ffi.new("struct slice[1]")


def test_a_stall_is_estimated_from_what_is_mapped_and_from_the_tables() -> None:
    dense = stall_of(GIB_PAGES, GIB_PAGES)
    assert dense == pytest.approx(0.025)
    assert stall_of(0, 0) == 0
    assert 0 < stall_of(0, GIB_PAGES) < stall_of(1, GIB_PAGES) < dense  # swapped out, or given back
    assert stall_of(GIB_PAGES, 512) == stall_of(512, 512)  # by huge pages


def roots_with(tmp_path: Path, task: Task, rss_kib: int, tables_kib: int) -> Roots:
    directory = tmp_path / str(task.pid) / "task" / str(task.walk_tid)
    directory.mkdir(parents=True)
    (directory / "status").write_text(f"Name:\tx\nVmRSS:\t{rss_kib:8} kB\nVmPTE:\t{tables_kib:8} kB\n")
    return Roots(proc=tmp_path)


@pytest.mark.parametrize(
    ("rss_kib", "tables_kib"),
    [(2 << 20, 4 << 10), (0, 40 << 10)],
    ids=["mapped", "nothing of it mapped now"],
)
def test_a_process_that_would_stand_still_for_too_long_is_refused(
    child: Task, tmp_path: Path, rss_kib: int, tables_kib: int
) -> None:
    """By what it maps now, however little it mapped when it was listed."""
    gap = clear_by_clear_refs(
        roots_with(tmp_path, child, rss_kib, tables_kib), replace(child, rss_pages=0), 0.090
    )
    assert gap == Gap(
        child.pid,
        "clear",
        Cause.REFUSED,
        "clearing would hold it up for about 50 ms, more than half of 90 ms",
    )


def test_waiting_for_its_lock_and_clearing_take_no_longer_than_was_said(
    child: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[int] = []
    monkeypatch.setattr(clearing, "read_tables", lambda *_: (GIB_PAGES, GIB_PAGES))
    monkeypatch.setattr(
        clearing,
        "lib",
        SimpleNamespace(clear_by_clear_refs=lambda _fd, wait_ns, _row: waits.append(wait_ns) or 0),
    )
    assert isinstance(clear_by_clear_refs(HOST, child, 0.060), clearing.Clearing)
    assert waits == [35_000_000]


def test_a_process_of_ours_is_cleared_by_clear_refs(child: Task) -> None:
    done = clear_by_clear_refs(HOST, child, 10.0)
    assert isinstance(done, clearing.Clearing)
    assert 0 < done.longest_ns == done.took_ns


def test_no_slices_no_calls(child: Task) -> None:
    assert clear_by_cold(HOST, child, none(), 0) == clearing.Clearing(0, 0)


def test_a_pid_that_was_used_again_is_no_longer_the_process(child: Task) -> None:
    before = replace(child, start_ticks=child.start_ticks - 1)
    gone = Gap(child.pid, "clear", Cause.EXITED)
    assert clear_by_cold(HOST, before, none(), 1) == gone
    assert clear_by_clear_refs(HOST, before, 10.0) == gone


def test_a_process_that_ended_is_a_gap() -> None:
    process = subprocess.Popen(["true"])
    process.wait()
    task = replace(MEMBER.task, pid=process.pid)
    gone = Gap(process.pid, "clear", Cause.EXITED)
    assert clear_by_cold(HOST, task, none(), 1) == clear_by_clear_refs(HOST, task) == gone


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: the files of a process that has ended are root's")
def test_a_first_thread_that_has_ended_is_not_what_is_cleared(zombie: Task) -> None:
    """Its clear_refs takes what is written, and does nothing."""
    with open(f"/proc/{zombie.pid}/clear_refs", "w") as file:
        assert file.write("1")
    assert clear_by_clear_refs(HOST, zombie, 10.0) == Gap(zombie.pid, "clear", Cause.EXITED)


def test_it_is_stopped_between_two_calls(child: Task) -> None:
    row = ffi.new("struct cleared *")
    assert cleared(child, none(), ffi.new("int32_t *", 1), row) == -errno.ECANCELED
    assert row.slices == 0


def cleared(task: Task, slices: object, stop: object, row: object) -> int:
    """One slice, without a thread."""
    with open(f"/proc/{task.pid}/pagemap", "rb") as pagemap:
        pidfd = os.pidfd_open(task.pid)
        try:
            return lib.clear_by_cold(pidfd, pagemap.fileno(), slices, 1, 1, stop, row)
        finally:
            os.close(pidfd)


def test_what_has_executed_another_program_is_not_cleared(child: Task) -> None:
    """Before each call its pagemap is read, which is of the memory that it was opened with."""
    with (
        subprocess.Popen(
            ["sh", "-c", "read line; exec sleep 1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as process,
        open(f"/proc/{process.pid}/pagemap", "rb") as pagemap,
    ):
        pidfd = os.pidfd_open(process.pid)
        try:
            row = ffi.new("struct cleared *")
            ask = (pidfd, pagemap.fileno(), none(), 1, 1, ffi.new("int32_t *"), row)
            assert lib.clear_by_cold(*ask) == 0
            assert process.stdin
            process.stdin.write(b"\n")
            process.stdin.close()
            until(lambda: Path(f"/proc/{process.pid}/comm").read_text() == "sleep\n", "it is executed")
            assert lib.clear_by_cold(*ask) == -errno.ESRCH
        finally:
            os.close(pidfd)
            process.kill()


@pytest.mark.parametrize(
    ("policy", "priority"),
    [(os.SCHED_OTHER, 0), (os.SCHED_BATCH, 0), (os.SCHED_IDLE, 0), (os.SCHED_RR, 7)],
    ids=["other", "batch", "idle", "rr"],
)
def test_the_thread_is_scheduled_afterwards_as_it_was_before(child: Task, policy: int, priority: int) -> None:
    found: list[tuple[int, int]] = []

    def clear() -> None:
        try:
            os.sched_setscheduler(0, policy, os.sched_param(priority))
        except PermissionError:  # real-time threads are not allowed here: then nobody makes one
            found.append((policy, priority))
            return
        cleared(child, none(), ffi.new("int32_t *"), ffi.new("struct cleared *"))
        found.append((os.sched_getscheduler(0), os.sched_getparam(0).sched_priority))

    thread = threading.Thread(target=clear)
    thread.start()
    thread.join()
    assert found == [(policy, priority)]


def test_what_is_not_done_in_time_is_a_gap(child: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = Pauses()
    pauses.note_pause(child.pid)
    monkeypatch.setattr("zonerss.kernel.patience.PAUSES", pauses)
    assert clear_by_cold(HOST, child, none(), 1) == Gap(child.pid, "clear", Cause.BUSY)


class Slow:
    """A kernel that has much to do: each call takes little, all together take long. Or one call does."""

    def __init__(self, calls: int, seconds: float) -> None:
        self.calls, self.seconds = calls, seconds

    def clear_by_cold(self, *arguments: Any) -> int:
        row = arguments[-1]
        for _ in range(self.calls):
            row.since_ns = time.monotonic_ns()
            time.sleep(self.seconds)
            row.since_ns = 0
            time.sleep(self.seconds)
        return 0


def test_a_large_process_is_waited_for_as_long_as_each_call_is_short(
    child: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "lib", Slow(calls=30, seconds=0.01))
    assert clear_by_cold(HOST, child, none(), 1, patience=0.2) == clearing.Clearing(0, 0)
    monkeypatch.setattr("zonerss.kernel.patience.PAUSES", Pauses())
    monkeypatch.setattr(clearing, "lib", Slow(calls=1, seconds=0.6))
    assert clear_by_cold(HOST, child, none(), 1, patience=0.1) == Gap(child.pid, "clear", Cause.BUSY)


def test_who_may_not_advise_others_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "self").mkdir()
    status = tmp_path / "self" / "status"
    status.write_text("Name:\tx\nCapEff:\t000001ffffffffff\n")
    require_process_madvise(Roots(proc=tmp_path))
    status.write_text("Name:\tx\nCapEff:\t000001ffff7fffff\n")
    with pytest.raises(CannotServe, match="CAP_SYS_NICE"):
        require_process_madvise(Roots(proc=tmp_path))


def test_a_thread_whose_waiting_a_signal_has_ended_clears_nothing_more(
    child: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def interrupted(call: Any, *_: object) -> None:
        asked.append(call)
        raise KeyboardInterrupt

    class Slices:
        """Which the ranges belong to."""

    slices = Slices()
    there = weakref.ref(slices)
    monkeypatch.setattr(clearing, "patiently", interrupted)
    with pytest.raises(KeyboardInterrupt):
        clear_by_cold(HOST, child, none(), 1, keeps=slices)
    del slices
    gc.collect()
    assert there() is not None
    assert asked[0]() == -errno.ECANCELED
