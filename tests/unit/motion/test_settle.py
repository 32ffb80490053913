"""Waiting for processors, none of which is asked: what is waited for, and what is left behind."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from zonerss.kernel import processors
from zonerss.kernel.roots import HOST, Roots
from zonerss.motion import settle
from zonerss.motion.settle import Settler


def host(tmp_path: Path, **files: str) -> Roots:
    for name, text in files.items():
        path = tmp_path / "devices" / "system" / "cpu" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return Roots(sys=tmp_path)


@pytest.fixture
def stuck(monkeypatch: pytest.MonkeyPatch) -> Iterator[Event]:
    """No deadline is waited for; what waits for the event is stuck until it is set, in the end by us."""
    monkeypatch.setattr(settle, "VISIT_SECONDS", 0.0)
    monkeypatch.setattr(settle, "GRACE_SECONDS", 0.0)
    event = Event()
    yield event
    event.set()


def visits_all(cpus: list[int], visited: set[int]) -> None:
    visited.update(cpus)


def test_lists_of_processors() -> None:
    assert processors.parse_cpu_list("0-3,8\n") == {0, 1, 2, 3, 8}
    assert processors.parse_cpu_list("\n") == processors.parse_cpu_list("(null)") == frozenset()


def test_isolated_processors_are_not_visited_nor_those_that_are_not_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))
    roots = host(tmp_path, online="0-7", isolated="2-3", nohz_full="4")
    assert processors.online(roots) == set(range(8))
    assert processors.to_visit(roots) == {0, 1, 5}
    assert processors.to_visit(host(tmp_path, nohz_full="(null)\n")) == {0, 1, 4, 5}
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel" / "realtime").write_text("1\n")
    assert processors.to_visit(roots) == frozenset()


def test_where_all_were_visited_nothing_else_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(processors, "visit", visits_all)
    monkeypatch.setattr(processors, "wait_grace_period", lambda: pytest.fail("it need not wait"))
    assert Settler(host(tmp_path, online="0-1")).settle() == 0


def test_processors_that_may_not_be_visited_are_waited_for_by_the_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {1})
    monkeypatch.setattr(processors, "visit", visits_all)
    monkeypatch.setattr(processors, "wait_grace_period", lambda: True)
    roots = host(tmp_path, online="0-2")
    assert Settler(roots).settle() == 0
    # Before Linux 6.2 only a visit makes threads tell what they hold back.
    assert Settler(roots, must_visit=True).settle() == 2
    monkeypatch.setattr(processors, "wait_grace_period", lambda: False)
    assert Settler(roots).settle() == 2


def test_a_processor_that_nobody_gets_onto_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: Event
) -> None:
    """At most one thread is left behind for each way; once it is through, there is another."""
    visits, waits = [], []

    def visit(cpus: list[int], _: set[int]) -> None:
        visits.append(cpus)
        stuck.wait()

    def wait() -> bool:
        waits.append(1)
        stuck.wait()
        return True

    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(processors, "visit", visit)
    monkeypatch.setattr(processors, "wait_grace_period", wait)
    settler = Settler(host(tmp_path, online="0-1"))
    assert [settler.settle() for _ in range(3)] == [2, 2, 2]
    assert (len(visits), len(waits)) == (1, 1)
    stuck.set()
    settler._visitor.join()
    settler._waiter.join()
    monkeypatch.setattr(settle, "GRACE_SECONDS", None)
    assert settler.settle() == 0


def test_our_own_affinity_is_left_as_it_is() -> None:
    before = os.sched_getaffinity(0)
    Settler(HOST).settle()
    assert os.sched_getaffinity(0) == before


@given(st.text() | st.text("0123456789,-\n ٣²"))
@example("0-99999999999999")
@example("9" * 5000)
def test_any_list_of_processors_is_a_few(text: str) -> None:
    assert len(processors.parse_cpu_list(text)) <= 1 << 16
