"""Whose processor time counts as that of walks."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

from zonerss.serve.clock import WalkClock

BURNT_SECONDS = 0.2


def burn() -> None:
    until = time.thread_time() + BURNT_SECONDS
    while time.thread_time() < until:
        continue


def test_what_those_who_do_not_walk_spend_is_not_counted() -> None:
    clock = WalkClock()
    with (
        ThreadPoolExecutor(1, initializer=clock.leave_out) as answers,
        ThreadPoolExecutor(1) as walks,
    ):
        answers.submit(int).result()
        before = clock.seconds()
        answers.submit(burn).result()
        between = clock.seconds()
        walks.submit(burn).result()
        assert between - before < BURNT_SECONDS / 2
        assert clock.seconds() - between >= BURNT_SECONDS


def test_what_ended_threads_spent_is_counted() -> None:
    clock = WalkClock()
    before = clock.seconds()
    with ThreadPoolExecutor(1) as walks:
        walks.submit(burn).result()
    assert clock.seconds() - before >= BURNT_SECONDS
