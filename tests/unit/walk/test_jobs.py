"""A walk as Python waits for it: what it brings, and what is left of it when a signal ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from tests.unit.builders import members
from tests.unit.fake_proc import V2, Blocked, FakeProc, stat
from tests.unit.threads import Threads, all_end, threads, until

from zonerss._core import lib
from zonerss.census.census import Census
from zonerss.errors import CannotServe
from zonerss.kernel.patience import Pauses
from zonerss.kernel.proc import read_tasks
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.units import PAGE_BYTES
from zonerss.walk.jobs import Walked, _jobs, stripes_of, walk
from zonerss.walk.pagemap import PagemapSource
from zonerss.zones.plan import make_plan

FIRST, SECOND = 42, 43


class Interrupted(KeyboardInterrupt):
    """Ours, so that no other can be taken for it."""


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    """Two processes that share a page."""
    made = FakeProc(tmp_path)
    for pid, pfns in {FIRST: (101, 103, 107), SECOND: (107, 109)}.items():
        made.process(pid, stat(pid))
        made.memory(pid, pfns)
    return made


@pytest.fixture
def threads_before() -> Iterator[Threads]:
    with all_end() as before:
        yield before


def take(proc: FakeProc, census: Census, begin: Callable[[Any, Any], int]) -> tuple[list[Walked], list[Gap]]:
    listed = read_tasks(proc.roots, V2)
    assigned = [(task, owner) for owner, task in enumerate(sorted(listed.tasks, key=lambda task: task.pid))]
    return walk(begin, census, listed, assigned, proc.host(threads=2))


def pages(census: Census) -> dict[tuple[int, ...], int]:
    return {part.owners: sum(part.pages) for part in census.parts() if sum(part.pages)}


def test_each_assignment_has_its_row(proc: FakeProc, threads_before: Threads) -> None:
    census = Census(2)
    walked, gaps = take(proc, census, PagemapSource().begin)
    assert [row.rss_pages for row in walked] == [3, 2]
    assert [row.vmas for row in walked] == [1, 1]
    assert gaps == []
    assert pages(census) == {(0,): 2, (0, 1): 1, (1,): 1}


def test_a_process_that_is_another_by_now_is_a_gap(proc: FakeProc, threads_before: Threads) -> None:
    def begin(request: Any, ret: Any) -> int:
        (proc.roots.proc / str(FIRST) / "stat").write_bytes(stat(FIRST, start=78))
        (proc.roots.proc / f"{SECOND}/task/{SECOND}/cgroup").write_text("0::/b\n")
        return PagemapSource().begin(request, ret)

    walked, gaps = take(proc, Census(2), begin)
    assert [row.rss_pages for row in walked] == [0, 2]
    assert gaps == [Gap(FIRST, "open", Cause.REUSED), Gap(SECOND, "cgroup", Cause.MOVED)]


def test_a_walk_that_cannot_begin_is_an_error(proc: FakeProc, threads_before: Threads) -> None:
    with pytest.raises(CannotServe, match="no thread"):
        take(proc, Census(2), lambda request, ret: -11)


@pytest.fixture
def raised_by_signal() -> Iterator[None]:
    def raise_it(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGALRM, raise_it)
    yield
    signal.signal(signal.SIGALRM, before)


Begun = tuple[Callable[[Any, Any], int], list[Blocked]]


def beginning(proc: FakeProc, threads_before: Threads, then: Callable[[], object]) -> Begun:
    """
    What begins a walk that waits for the first process, and the file that it waits at.

    :param then: done once the walk is done with the other process
    """
    blocked: list[Blocked] = []

    def begin(request: Any, ret: Any) -> int:
        blocked.append(proc.block(f"{FIRST}/stat"))
        error = PagemapSource().begin(request, ret)
        until(
            lambda: blocked[0].is_read() and len(threads() - threads_before) == 1, "the other process is done"
        )
        then()
        return error

    return begin, blocked


def check_nothing_is_left(census: Census, blocked: Blocked, threads_before: Threads) -> None:
    """The thread that waits has been left behind: let go, it marks nothing, and the census serves again."""
    assert len(threads() - threads_before) == 1
    assert pages(census) == {(1,): 2}
    census.restart(1)
    blocked.let_go()
    until(lambda: threads() <= threads_before, "the thread has ended")
    assert pages(census) == {}
    census.mark(0, [7], [0])
    assert pages(census) == {(0,): 1}


def test_a_signal_handler_that_raises_leaves_no_walk_behind(
    proc: FakeProc, raised_by_signal: None, threads_before: Threads
) -> None:
    begin, blocked = beginning(proc, threads_before, lambda: signal.setitimer(signal.ITIMER_REAL, 0.05))
    with pytest.raises(Interrupted):
        take(proc, census := Census(2), begin)
    check_nothing_is_left(census, blocked[0], threads_before)


def test_a_signal_as_soon_as_the_walk_has_begun_leaves_none_behind(
    proc: FakeProc, raised_by_signal: None, threads_before: Threads
) -> None:
    def interrupt() -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGALRM)
        raise AssertionError("the handler has not raised")

    begin, blocked = beginning(proc, threads_before, interrupt)
    with pytest.raises(Interrupted):
        take(proc, census := Census(2), begin)
    check_nothing_is_left(census, blocked[0], threads_before)


def test_a_signal_handler_that_returns_does_not_end_the_walk(proc: FakeProc, threads_before: Threads) -> None:
    handled: list[Blocked] = []

    def let_go(number: int, frame: FrameType | None) -> None:
        handled[0].let_go()

    def begin(request: Any, ret: Any) -> int:
        handled.append(proc.block(f"{FIRST}/stat"))
        error = PagemapSource().begin(request, ret)
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        return error

    before = signal.signal(signal.SIGALRM, let_go)
    try:
        walked, gaps = take(proc, Census(2), begin)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert [row.rss_pages for row in walked] == [3, 2]
    assert gaps == []


def test_who_says_that_it_is_large_is_not_waited_for_longer_than_the_machine_is(
    proc: FakeProc, threads_before: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One page that is mapped many times counts each time in RSS."""
    monkeypatch.setattr("zonerss.kernel.patience.EXPLAINED_PAGES", 1000)
    monkeypatch.setattr("zonerss.walk.jobs.PAUSES", Pauses())
    listed = read_tasks(proc.roots, V2, among=[FIRST])
    (task,) = listed.tasks
    host = replace(proc.host(), patience_seconds=0.05)
    blocked = proc.block(f"{FIRST}/stat")
    large = replace(task, rss_pages=1 << 40)
    try:
        _, gaps = walk(PagemapSource().begin, Census(1), listed, [(large, 0)], host)
    finally:
        blocked.let_go()
    assert gaps == [Gap(FIRST, "open", Cause.BUSY)]


# ---- one process among several threads -------------------------------------------------------------------

GIB = (1 << 30) // PAGE_BYTES


@pytest.mark.parametrize(
    ("pages", "threads", "stripes"),
    [
        ([10 * GIB], 1, [1]),
        ([10 * GIB], 2, [2]),
        ([10 * GIB], 8, [8]),
        ([3 * GIB], 8, [3]),  # a job of less than a GiB is not worth its own
        ([2 * GIB], 8, [1]),
        ([10 * GIB, 100], 8, [8, 1]),
        ([10 * GIB] * 8, 8, [1] * 8),  # each thread has one
        ([10 * GIB, *[2 * GIB] * 8], 4, [4, *[1] * 8]),
        ([], 2, []),
    ],
)
def test_a_process_is_cut_that_would_keep_a_thread_busy_alone(
    pages: list[int], threads: int, stripes: list[int]
) -> None:
    assert stripes_of(pages, threads) == stripes


class Divided:
    """Stands for a source: what the core would find in the jobs that it was given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: dict[int, int]) -> None:
        self.jobs: list[tuple[int, int, int, int]] = []
        self.steps = steps
        monkeypatch.setattr("zonerss.walk.jobs._STRIPE_PAGES", 1)
        monkeypatch.setattr("zonerss.walk.jobs._wait", lambda *_: None)

    def begin(self, request: Any, _: Any) -> int:
        for number in range(request.count):
            job = request.jobs[number]
            self.jobs.append((job.leader, job.expected_pages, job.stripe, job.stripes))
            job.rss_pages, job.swap_pages, job.vmas = 100 + number, number, 7
            job.step, job.error = (lib.STEP_TABLES, self.steps[number]) if number in self.steps else (0, 0)
        self.rows = request.jobs
        return 0


def test_what_the_jobs_of_one_process_found_is_added_up(
    proc: FakeProc, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Divided(monkeypatch, {2: lib.WALK_EXITED, 3: lib.WALK_BUSY})
    monkeypatch.setattr("zonerss.walk.jobs.lib", Core(source))
    listed = read_tasks(proc.roots, V2)
    small, large = sorted(listed.tasks, key=lambda task: task.pid)
    assigned = [(replace(small, rss_pages=1), 0), (replace(large, rss_pages=9), 1)]
    found, gaps = walk(source.begin, Census(2), listed, assigned, proc.host(threads=3), divides=True)
    assert source.jobs == [(FIRST, 1, 0, 1), (SECOND, 3, 0, 3), (SECOND, 3, 1, 3), (SECOND, 3, 2, 3)]
    assert [one.rss_pages for one in found] == [100, 101 + 102 + 103]
    assert [one.swap_pages for one in found] == [0, 1 + 2 + 3]
    assert [one.vmas for one in found] == [7, 7]
    assert gaps == [Gap(SECOND, "tables", Cause.EXITED)]


class Core:
    """The core, but for a walk that is not there."""

    def __init__(self, source: Divided) -> None:
        self._source = source

    def walk_jobs(self, _: Any) -> Any:
        return self._source.rows

    def walk_end(self, _: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return getattr(lib, name)


@pytest.mark.parametrize(
    ("zones", "mms", "twice"),
    [
        (
            ("a", "b"),
            (1, 1),
            [True, True],
        ),  # CLONE_VM over two zones: two threads may mark a frame for two owners
        (("a", "a"), (1, 1), [False]),  # of one zone it is walked once
        (("a", "b"), (1, 2), [False, False]),
        (("a", "b", "a"), (1, 1, 3), [True, False, True]),
    ],
)
def test_an_address_space_of_several_zones_is_known_to_be_one(
    zones: tuple[str, ...], mms: tuple[int, ...], twice: list[bool]
) -> None:
    placed = [(member.task, member.zones) for member in members(*zones)]
    plan = make_plan(placed, dict(enumerate(mms, start=1)), by_mm=False)
    jobs = _jobs(plan.walks, [1] * len(plan.walks), plan.twice, None)
    assert [bool(jobs[number].twice) for number in range(len(plan.walks))] == twice
