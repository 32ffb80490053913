"""The threads of a walk (pool.c), with walkers that block, compute and fail as told (pool_double.c)."""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, ClassVar

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from tests.unit._core.doubles import CORE, HERE, declarations, load
from tests.unit.threads import all_end, descriptors, until

ffi, lib = load(
    "pool_double.c",
    ["pool.c", "queue.c"],
    ["-Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=aligned_alloc,--wrap=pthread_create"],
    declarations(CORE / "walk.h", HERE / "pool_double.h"),
)
PLENTY = 2**30
NOTHING, READS, COMPUTES = lib.DOUBLE_NOTHING, lib.DOUBLE_READS, lib.DOUBLE_COMPUTES
ANSWERED, FAILS = lib.DOUBLE_ANSWERED, lib.DOUBLE_FAILS
Task = tuple[int, int]
"""What a job does, and its argument."""


class Told:
    """struct pool_double: each field by its name."""

    def __init__(self) -> None:
        vars(self)["handle"] = ffi.new("struct pool_double *")

    def __getattr__(self, name: str) -> int:
        return lib.double_get(ffi.addressof(self.handle, name))

    def __setattr__(self, name: str, value: int) -> None:
        lib.double_set(ffi.addressof(self.handle, name), value)

    def taken(self, count: int) -> list[int]:
        """Of the first jobs: how often each was handed out."""
        return [lib.double_get(ffi.addressof(self.handle, "taken", job)) for job in range(count)]


class Double:
    """A walk of tasks and what is known of it."""

    made: ClassVar[list[Double]] = []
    """All of this test: the last thread looks at it after the end of the walk."""

    @classmethod
    def end_of_all(cls) -> None:
        for walk in cls.made:
            walk.until_all_threads_ended()
        cls.made.clear()

    def __init__(self, tasks: list[Task], at_once: int = 2, **settings: int) -> None:
        self.made.append(self)
        self.told = Told()
        for name in ("inits_left", "threads_left", "allocations_left"):
            setattr(self.told, name, settings.pop(name, PLENTY))
        for name, value in settings.items():
            setattr(self.told, name, value)
        lib.double_use(self.told.handle)
        self._host = ffi.new("struct walk_host *")
        self._host.proc_fd = os.open("/proc", os.O_RDONLY)
        jobs = ffi.new("struct walk_job[]", max(len(tasks), 1))
        for number, (task, argument) in enumerate(tasks):
            jobs[number].pid, jobs[number].leader, jobs[number].owner = task, argument, number
            jobs[number].expected_pages = len(tasks) - number  # in order
        request = ffi.new("struct walk_request *")
        request.jobs, request.count, request.threads = jobs, len(tasks), at_once
        request.host = self._host
        ret = ffi.new("struct walk **")
        self.error = lib.double_walk(request, ret)
        self._walk = ret[0]
        self.count = len(tasks)

    def wait(self, timeout_ms: int = 20) -> int:
        return lib.walk_wait(self._walk, timeout_ms)

    def result(self) -> int:
        """Of walk_wait(), once the walk is done."""
        while not (result := self.wait(1000)):
            pass
        return result

    def abandon(self, job: int) -> bool:
        return bool(lib.walk_abandon(self._walk, job))

    def abandoned(self) -> int:
        return sum(self.job(number).error == lib.WALK_LEFT for number in range(self.count))

    def job(self, number: int) -> Any:
        return lib.walk_jobs(self._walk)[number]

    def end(self) -> None:
        lib.walk_end(self._walk)
        os.close(self._host.proc_fd)

    def until_all_threads_ended(self) -> None:
        """After end(): those left behind, too."""
        until(lambda: self.told.releases == 1, "the last thread lets go of the walk")
        assert self.told.disposes == self.told.settles == self.told.inits
        assert self.told.settled_twice == 0

    def is_taken(self, job: int) -> bool:
        return self.told.taken(job + 1)[job] > 0


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Each test gives back what it took."""
    with all_end():
        yield
        Double.end_of_all()


class Pipes:
    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def reading(self) -> Task:
        """A job that waits until let_go()."""
        self.pairs.append(os.pipe())
        return READS, self.pairs[-1][0]

    def let_go(self) -> None:
        for _, to in self.pairs:
            os.write(to, b"x")

    def close(self) -> None:
        for pair in self.pairs:
            for fd in pair:
                os.close(fd)


@pytest.fixture
def pipes(nothing_is_left: None) -> Iterator[Pipes]:
    made = Pipes()
    yield made
    Double.end_of_all()
    made.close()


# ---- done -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 100])
@pytest.mark.parametrize("at_once", [0, 1, 3])
def test_each_job_is_done_once(count: int, at_once: int) -> None:
    walk = Double([(NOTHING, 0)] * count, at_once)
    assert walk.result() == 1
    assert walk.result() == 1  # still
    for number in range(count):
        job = walk.job(number)
        assert (job.rss_pages, job.swap_pages) == (lib.DOUBLE_BEFORE, lib.DOUBLE_AFTER)
        assert (job.step, job.error) == (0, 0)
    assert walk.told.taken(count) == [1] * count
    assert walk.told.inits == min(max(at_once, 1), count)
    walk.end()


def test_no_jobs_need_no_thread() -> None:
    walk = Double([])
    assert walk.wait() == 1
    assert walk.told.inits == 0
    walk.end()
    assert walk.told.releases == 1


def test_so_many_threads_work_at_once_and_no_more() -> None:
    walk = Double([(COMPUTES, 0)] * 9, at_once=3)
    until(lambda: walk.told.working == 3, "three threads work")
    assert walk.wait() == 0
    walk.told.go = 1
    assert walk.result() == 1
    assert walk.told.at_once == 3
    walk.end()


def test_an_end_told_before_anybody_waits_is_not_lost() -> None:
    walk = Double([(NOTHING, 0)] * 5)
    until(lambda: walk.told.disposes == walk.told.inits, "all threads ended")
    assert walk.wait(-1) == 1
    walk.end()


# ---- failures -------------------------------------------------------------------------------------------


def test_a_job_that_fails_ends_the_walk() -> None:
    walk = Double([(FAILS, errno.ENOSPC), (NOTHING, 0), (NOTHING, 0)], at_once=1)
    assert walk.result() == -errno.ENOSPC
    assert walk.told.taken(3) == [1, 0, 0]
    walk.end()


def test_an_interrupted_job_is_no_reason_to_wait_for_ever() -> None:
    """EINTR of a worker's call was taken for a signal of who waits, again and again."""
    walk = Double([(FAILS, errno.EINTR)])
    assert walk.result() == -errno.EINTR
    walk.end()


def test_what_cannot_be_settled_is_an_error() -> None:
    walk = Double([(NOTHING, 0)], settle_error=-errno.ENOMEM)
    assert walk.result() == -errno.ENOMEM
    walk.end()


def test_without_a_walker_there_is_no_walk() -> None:
    walk = Double([(NOTHING, 0)], inits_left=0)
    assert walk.error == -errno.ENOMEM
    assert walk._walk == ffi.NULL
    assert walk.told.releases == 1
    os.close(walk._host.proc_fd)


def test_without_a_thread_there_is_no_walk() -> None:
    walk = Double([(NOTHING, 0)], threads_left=0)
    assert walk.error == -errno.EAGAIN
    assert (walk.told.inits, walk.told.settles, walk.told.disposes, walk.told.releases) == (1, 1, 1, 1)
    os.close(walk._host.proc_fd)


@pytest.mark.parametrize("short", [{"inits_left": 2}, {"threads_left": 2}])
def test_where_fewer_threads_can_be_had_they_do_the_work(short: dict[str, int]) -> None:
    walk = Double([(NOTHING, 0)] * 20, at_once=5, **short)
    assert walk.error == 0
    assert walk.result() == 1
    assert walk.told.taken(20) == [1] * 20
    walk.end()


def test_whatever_memory_is_missing_nothing_is_lost() -> None:
    for allocations in range(100):
        walk = Double([(NOTHING, 0)] * 3, at_once=2, allocations_left=allocations)
        if walk.error:
            assert walk.error == -errno.ENOMEM
            assert walk.told.releases == 1
            os.close(walk._host.proc_fd)
            continue
        assert walk.result() == 1
        walk.end()
        walk.until_all_threads_ended()
        if walk.told.inits == 2:
            return
    pytest.fail("there is no end to what is allocated")


@pytest.mark.parametrize("more", [0, 1])
def test_without_a_descriptor_there_is_no_walk(more: int) -> None:
    with few_descriptors(1 + more):  # the first is Double's own
        walk = Double([(NOTHING, 0)])
    assert walk.error == -errno.EMFILE
    assert walk.told.releases == 1
    os.close(walk._host.proc_fd)


@contextmanager
def few_descriptors(count: int) -> Iterator[None]:
    """Only so many can be opened."""
    unused = os.dup(0)
    os.close(unused)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (unused + count, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(("answer", "gap"), [(errno.ENOENT, errno.ENOENT), (errno.ECANCELED, errno.EIO)])
def test_what_a_foreign_file_system_answers_is_a_gap(answer: int, gap: int) -> None:
    """ECANCELED, too, which to us means to be left behind."""
    walk = Double([(ANSWERED, answer)])
    assert walk.result() == 1
    assert (walk.job(0).step, walk.job(0).error) == (lib.STEP_MAPS, gap)
    walk.end()


# ---- whoever waits --------------------------------------------------------------------------------------


def test_waiting_has_an_end_while_a_job_waits_in_the_kernel(pipes: Pipes) -> None:
    walk = Double([pipes.reading(), (NOTHING, 0)])
    until(lambda: walk.is_taken(0) and walk.is_taken(1), "both jobs were taken")
    assert walk.wait(0) == 0
    assert walk.wait() == 0
    assert walk.wait() == 0  # the other thread's end was told once
    pipes.let_go()
    assert walk.result() == 1
    assert walk.job(0).swap_pages == lib.DOUBLE_AFTER
    walk.end()


def test_a_signal_ends_waiting(pipes: Pipes) -> None:
    handled = []

    def handler(number: int, frame: FrameType | None) -> None:
        handled.append(number)

    walk = Double([pipes.reading()])
    before = signal.signal(signal.SIGALRM, handler)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        assert walk.wait(-1) == 0
    finally:
        signal.signal(signal.SIGALRM, before)
    assert handled == [signal.SIGALRM]
    assert walk.wait() == 0  # nothing has happened to it
    pipes.let_go()
    assert walk.result() == 1
    walk.end()


# ---- left behind ----------------------------------------------------------------------------------------


def test_a_job_that_waits_in_the_kernel_can_be_left_behind(pipes: Pipes) -> None:
    """A thread more does the jobs that are left."""
    walk = Double([pipes.reading()] + [(NOTHING, 0)] * 5, at_once=1)
    until(lambda: walk.abandon(0), "the first job reads")
    assert walk.result() == 1
    assert walk.abandoned() == 1
    job = walk.job(0)
    assert (job.step, job.error) == (lib.STEP_MAPS, lib.WALK_LEFT)
    assert (job.rss_pages, job.swap_pages) == (lib.DOUBLE_BEFORE, 0)
    assert walk.told.taken(6) == [1] * 6
    assert (walk.told.inits, walk.told.settles) == (2, 2)
    assert not walk.abandon(0)  # it is
    walk.end()
    assert (walk.told.cancelled, walk.told.releases) == (0, 0)
    until(lambda: walk.told.disposes == 1, "the other thread has ended")
    pipes.let_go()
    walk.until_all_threads_ended()
    assert walk.told.cancelled == 1


def test_who_comes_back_before_the_walk_ends_changes_nothing(pipes: Pipes) -> None:
    walk = Double([pipes.reading(), (COMPUTES, 0)], at_once=2)
    until(lambda: walk.is_taken(1), "the second job is taken")
    until(lambda: walk.abandon(0), "the first job reads")
    pipes.let_go()
    until(lambda: walk.told.disposes == 1, "the thread that was left behind ends")
    assert (walk.told.cancelled, walk.told.settles) == (1, 1)
    assert walk.wait() == 0
    walk.told.go = 1
    assert walk.result() == 1
    job = walk.job(0)
    assert (job.step, job.error) == (lib.STEP_MAPS, lib.WALK_LEFT)
    assert (job.rss_pages, job.swap_pages) == (lib.DOUBLE_BEFORE, 0)
    walk.end()


def test_a_job_that_computes_is_not_left_behind() -> None:
    walk = Double([(COMPUTES, 0), (NOTHING, 0)], at_once=1)
    until(lambda: walk.is_taken(0), "the job is taken")
    assert not walk.abandon(0)
    assert not walk.abandon(1)  # nobody has it
    assert not walk.abandon(99)
    walk.told.go = 1
    assert walk.result() == 1
    assert walk.abandoned() == 0
    walk.end()


def test_when_all_are_left_behind_the_walk_is_done(pipes: Pipes) -> None:
    count = 5
    walk = Double([pipes.reading() for _ in range(count)], at_once=2)
    for number in range(count):
        until(lambda number=number: walk.abandon(number), f"job {number} reads")
    assert walk.wait(-1) == 1
    assert walk.abandoned() == count
    assert walk.told.inits >= count
    walk.end()
    pipes.let_go()


@pytest.mark.parametrize("short", [{"threads_left": 1}, {"inits_left": 1}])
def test_where_nobody_can_do_the_rest_the_walk_fails(short: dict[str, int], pipes: Pipes) -> None:
    walk = Double([pipes.reading(), (NOTHING, 0)], at_once=1, **short)
    until(lambda: walk.abandon(0), "the first job reads")
    assert walk.result() == (-errno.EAGAIN if "threads_left" in short else -errno.ENOMEM)
    walk.end()
    pipes.let_go()


def test_where_no_thread_more_can_be_had_the_others_do_the_rest(pipes: Pipes) -> None:
    walk = Double([pipes.reading(), (COMPUTES, 0)] + [(NOTHING, 0)] * 5, at_once=2, threads_left=2)
    until(lambda: walk.abandon(0), "the first job reads")
    walk.told.go = 1
    assert walk.result() == 1
    assert walk.told.taken(7) == [1] * 7
    walk.end()
    pipes.let_go()


def test_what_settling_said_of_a_job_left_behind_is_an_error(pipes: Pipes) -> None:
    walk = Double([pipes.reading()], settle_error=-errno.ENOMEM)
    until(lambda: walk.abandon(0), "the job reads")
    assert walk.result() == -errno.ENOMEM
    walk.end()
    pipes.let_go()


# ---- ended in the midst ---------------------------------------------------------------------------------


def test_the_end_does_not_wait_for_the_kernel(pipes: Pipes) -> None:
    walk = Double([pipes.reading(), pipes.reading(), (NOTHING, 0)], at_once=2)
    until(lambda: walk.is_taken(0) and walk.is_taken(1), "both threads work")
    walk.end()
    assert walk.told.settles == 2
    assert (walk.told.disposes, walk.told.releases) == (0, 0)
    assert not walk.is_taken(2)
    pipes.let_go()


def test_the_end_needs_no_memory(pipes: Pipes) -> None:
    walk = Double([pipes.reading(), pipes.reading()], at_once=2)
    until(lambda: walk.is_taken(0) and walk.is_taken(1), "both threads work")
    walk.told.allocations_left = 0
    walk.end()
    walk.told.allocations_left = PLENTY
    assert walk.told.settles == 2
    pipes.let_go()


def test_the_end_waits_for_what_computes(pipes: Pipes) -> None:
    walk = Double([pipes.reading(), (COMPUTES, 0), (NOTHING, 0)], at_once=2)
    until(lambda: walk.is_taken(0) and walk.is_taken(1), "both threads work")
    timer = threading.Timer(1.0, setattr, (walk.told, "go", 1))
    timer.start()
    walk.end()
    assert walk.told.go == 1
    assert not walk.is_taken(2)
    timer.join()
    pipes.let_go()


def test_the_files_of_the_host_may_be_closed_after_the_end(pipes: Pipes) -> None:
    """Those left behind have their own."""
    walk = Double([pipes.reading()])
    until(lambda: walk.is_taken(0), "it works")
    before = descriptors()
    walk.end()
    assert descriptors() == before - 1  # ours; the walk's own two go with the last thread
    pipes.let_go()
    walk.until_all_threads_ended()
    until(lambda: descriptors() == before - 3, "its files are closed")


tasks_of_any_sort = st.lists(st.sampled_from([NOTHING, READS]), min_size=1, max_size=8)


@settings(max_examples=60)
@given(tasks_of_any_sort, st.integers(1, 4), st.lists(st.integers(0, 7), max_size=8), st.booleans())
def test_whatever_is_left_behind_all_is_settled_once(
    sorts: list[int], at_once: int, abandon: list[int], in_the_midst: bool
) -> None:
    pipes = Pipes()
    walk = Double([pipes.reading() if sort == READS else (sort, 0) for sort in sorts], at_once)
    left = {number for number in abandon if walk.abandon(number)}
    if not in_the_midst:
        pipes.let_go()
        assert walk.result() == 1
        assert walk.told.taken(len(sorts)) == [1] * len(sorts)
        for number in range(len(sorts)):
            job = walk.job(number)
            assert job.error == (lib.WALK_LEFT if number in left else 0)
            assert job.swap_pages == (0 if number in left else lib.DOUBLE_AFTER)
    assert walk.abandoned() == len(left)
    walk.end()
    if in_the_midst:
        pipes.let_go()
    walk.until_all_threads_ended()
    assert walk.told.cancelled >= len(left)
    pipes.close()
