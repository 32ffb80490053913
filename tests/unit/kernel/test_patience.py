"""Calls that take too long are left behind, and their process is given a pause."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from tests.unit.threads import until

from zonerss.kernel import patience
from zonerss.kernel.patience import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    Busy,
    Pauses,
    explained_seconds,
    opened_patiently,
    patiently,
)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> tuple[Pauses, Clock]:
    clock = Clock()
    pauses = Pauses(clock)
    monkeypatch.setattr(patience, "PAUSES", pauses)
    return pauses, clock


def ends(pauses: Pauses) -> None:
    """Until no thread is left behind any more."""
    until(lambda: pauses.threads == 0, "the threads that were left behind end")


def test_what_answers_in_time_is_as_if_called(pauses):
    assert patiently(lambda: 23, 7) == 23
    with pytest.raises(OSError, match="gone"):
        patiently(lambda: (_ for _ in ()).throw(OSError("gone")), 7)
    assert pauses[0].threads == 0


def test_a_size_explains_no_more_than_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "EXPLAINED_PAGES", 1000)
    assert explained_seconds(500, 2e-6) == 500 * 2e-6
    assert explained_seconds(1 << 51, 2e-6) == 1000 * 2e-6


def test_threads_are_used_again(pauses):
    made = {patiently(threading.get_ident, 7) for _ in range(50)}
    assert len(made) == 1
    assert len(patience._idle) == len(set(patience._idle))


def test_what_does_not_is_left_behind_and_not_asked_again(pauses):
    known, clock = pauses
    let_go = threading.Event()
    with pytest.raises(Busy, match="process 7"):
        patiently(let_go.wait, 7, 0.01)
    assert known.threads == 1
    clock.now += 10 * LONGEST_PAUSE_SECONDS
    asked = []
    with pytest.raises(Busy):
        patiently(lambda: asked.append(1), 7)  # never a second thread for one process
    assert (asked, known.threads) == ([], 1)
    assert patiently(lambda: 5, 8) == 5  # others are
    let_go.set()
    ends(known)
    assert patiently(lambda: 9, 7) == 9


def test_what_is_not_stuck_is_waited_for(pauses):
    known, _ = pauses
    let_go, asked = threading.Event(), []

    def is_stuck() -> bool:
        asked.append(1)
        if len(asked) == 3:
            let_go.set()
        return False

    assert patiently(lambda: let_go.wait() and 5, 7, 0.01, is_stuck) == 5
    assert len(asked) >= 3
    assert known.threads == 0


def test_the_pause_grows_and_is_forgotten_once_it_answers(pauses):
    known, clock = pauses
    lengths = []
    for _ in range(8):
        known.note_wait(7)
        known.note_end(7)
        seconds = 0
        while not known.is_asked(7):
            clock.now += 1
            seconds += 1
        lengths.append(seconds)
    assert lengths[0] == FIRST_PAUSE_SECONDS
    assert lengths[1] == 2 * lengths[0]
    assert lengths[-1] == lengths[-2] == LONGEST_PAUSE_SECONDS
    known.note_answers([7, 8])
    known.note_wait(7)
    known.note_end(7)
    clock.now += FIRST_PAUSE_SECONDS
    assert known.is_asked(7)


def test_an_interrupt_while_waiting_leaves_the_call_behind(pauses, monkeypatch: pytest.MonkeyPatch):
    known, _ = pauses
    let_go = threading.Event()

    def interrupted(self: object, seconds: float) -> bool:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(patience._Call, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt):
            patiently(let_go.wait, 7)
    assert known.threads == 1
    let_go.set()
    ends(known)


def test_the_end_of_a_call_is_noted_where_its_wait_was(pauses, monkeypatch: pytest.MonkeyPatch):
    """A call may outlast the pauses of its time: a test's, once the test has ended."""
    known, _ = pauses
    let_go, uncaught = threading.Event(), []
    monkeypatch.setattr(sys, "unraisablehook", uncaught.append)
    with pytest.raises(Busy):
        patiently(let_go.wait, 7, 0.01)
    later = Pauses()
    monkeypatch.setattr(patience, "PAUSES", later)
    let_go.set()
    ends(known)
    assert later.threads == 0
    assert uncaught == []


def test_what_a_call_that_was_left_behind_has_opened_is_closed(
    pauses, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _ = pauses
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # to open it waits for who writes to it
    fd = opened_patiently(str(tmp_path), os.O_PATH, 7)
    os.close(fd)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(Busy):
        opened_patiently(str(pipe), os.O_RDONLY, 7, 0.01)
    writing = os.open(pipe, os.O_WRONLY)
    ends(known)
    os.close(writing)
    until(lambda: set(os.listdir("/proc/self/fd")) == before, "what it has opened is closed")
