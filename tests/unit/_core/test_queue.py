"""The job queue (queue.c) against a plain model of its rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given
from tests.unit._core.doubles import CORE, declarations, load

LARGE = 4096
Job = tuple[int, int]
"""Owner and expected pages."""

ffi, lib = load(
    "queue_double.c",
    ["queue.c"],
    ["-fsanitize-coverage=trace-pc"],
    declarations(CORE / "walk.h", CORE / "queue.h") + "uint64_t double_steps(void);",
)


class Queue:
    """struct queue, and what may be known of it: what is left, what is being opened."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.jobs = jobs
        self.left = set(range(len(jobs)))
        self.opening: set[int] = set()
        self.opened: set[int] = set()
        self._rows = ffi.new("struct walk_job[]", max(len(jobs), 1))
        for row, (owner, pages) in zip(self._rows, jobs, strict=False):
            row.owner, row.expected_pages = owner, pages
        self._queue = ffi.gc(ffi.new("struct queue *"), lib.queue_deinit)
        assert lib.queue_init(self._queue, self._rows, len(jobs)) == 0

    def take(self) -> tuple[int, bool] | None:
        """The number of the next job and whether it opens its owner."""
        assert lib.queue_waits(self._queue) == bool(self.left)
        number, opens = ffi.new("size_t *"), ffi.new("bool *")
        if not lib.queue_take(self._queue, number, opens):
            return None
        return number[0], opens[0]

    def note(self, number: int, opens: bool) -> None:
        self.left.remove(number)
        if opens:
            self.opening.add(self.jobs[number][0])

    def finish(self, owner: int) -> None:
        lib.queue_opened(self._queue, owner)
        self.opening.remove(owner)
        self.opened.add(owner)

    def siblings(self, owner: int) -> int:
        return sum(pages >= LARGE for other, pages in self.jobs if other == owner)


def check(queue: Queue, number: int, opens: bool) -> None:
    """What was handed out is what the rules say."""
    assert number in queue.left, "handed out twice"
    owner, pages = queue.jobs[number]
    others = [queue.jobs[job] for job in queue.left if queue.jobs[job][0] not in queue.opening]
    if others:
        assert owner not in queue.opening, "its owner is being opened, and there were others"
        fresh = [more for other, more in others if other not in queue.opened]
        assert pages >= max(fresh, default=0), "a larger one was left, which never had to wait"
    is_first = owner not in queue.opening | queue.opened
    assert opens == (is_first and pages >= LARGE and queue.siblings(owner) > 1)


pages_of_jobs = st.one_of(st.integers(0, 2 * LARGE), st.sampled_from([0, LARGE - 1, LARGE, LARGE + 1, 2**63]))
jobs_of_few = st.lists(st.tuples(st.integers(0, 4), pages_of_jobs), max_size=40)


@given(jobs_of_few, st.data())
def test_every_job_once_and_by_the_rules(jobs: list[Job], data: st.DataObject) -> None:
    queue = Queue(jobs)
    while queue.left or queue.opening:
        if queue.opening and data.draw(st.booleans()):
            queue.finish(data.draw(st.sampled_from(sorted(queue.opening))))
            continue
        taken = queue.take()
        if taken is None:
            assert not queue.left
            break
        check(queue, *taken)
        queue.note(*taken)
    assert queue.take() is None
    assert not queue.left


@given(st.lists(pages_of_jobs, max_size=40))
def test_without_siblings_the_largest_comes_first(sizes: list[int]) -> None:
    queue = Queue(list(enumerate(sizes)))
    order = []
    while taken := queue.take():
        queue.note(*taken)
        order.append(sizes[taken[0]])
        assert not taken[1]
    assert order == sorted(sizes, reverse=True)


def test_small_siblings_open_nothing() -> None:
    queue = Queue([(0, LARGE - 1), (0, LARGE - 1), (0, LARGE)])
    while taken := queue.take():
        assert not taken[1]
        queue.note(*taken)
    assert not queue.left


def test_who_waited_comes_before_what_is_smaller() -> None:
    queue = Queue([(0, 9 * LARGE), (0, 8 * LARGE), (0, 7 * LARGE), (1, 5 * LARGE), (2, 1)])
    order = [queue.take(), queue.take()]
    for taken in order:
        queue.note(*taken)
    queue.finish(0)
    order += [queue.take() for _ in range(3)]
    assert order == [(0, True), (3, False), (1, False), (2, False), (4, False)]


def steps_of_all(jobs: Sequence[Job], open_late: bool) -> int:
    """Basic blocks run until all jobs are handed out. open_late: owners are opened when no other job is left."""
    queue = Queue(jobs)
    number, opens = ffi.new("size_t *"), ffi.new("bool *")
    late: list[int] = []
    before = lib.double_steps()
    for _ in range(len(jobs)):
        assert lib.queue_take(queue._queue, number, opens)
        if opens[0]:
            late.append(jobs[number[0]][0])
        while late and (not open_late or len(late) > 8):  # as many as there are threads
            lib.queue_opened(queue._queue, late.pop(0))
    return lib.double_steps() - before


def one_owner(count: int) -> list[Job]:
    return [(0, LARGE + number) for number in range(count)]


def pairs(count: int) -> list[Job]:
    return [(number // 2, LARGE + number) for number in range(count)]


def few_owners(count: int) -> list[Job]:
    return [(number % 7, LARGE + number * 7919 % 65536) for number in range(count)]


@pytest.mark.parametrize("open_late", [False, True])
@pytest.mark.parametrize("jobs_of", [one_owner, pairs, few_owners])
def test_a_job_costs_the_same_however_many_wait(jobs_of: Any, open_late: bool) -> None:
    few, many = (steps_of_all(jobs_of(count), open_late) / count for count in (500, 20_000))
    assert many < few * 1.2
