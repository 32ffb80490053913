"""Datagrams of the process connector, and a roster that hears them."""

from __future__ import annotations

import struct
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.errors import CannotServe
from zonerss.kernel import roster as roster_module
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.events import Changes, decode_event
from zonerss.kernel.proc import TaskList
from zonerss.kernel.roots import HOST
from zonerss.kernel.roster import Roster
from zonerss.records import Task

FORK, EXEC, EXIT, NONE = 1, 2, 0x80000000, 0


def datagram(what: int, *data: int) -> bytes:
    payload = struct.pack("=IIQ", what, 0, 0) + struct.pack(f"={len(data)}I", *data)
    return bytes(16) + struct.pack("=IIIIHH", 1, 1, 0, 0, len(payload), 0) + payload


def test_a_fork_tells_the_child():
    assert decode_event(datagram(FORK, 10, 10, 11, 11)) == 11


def test_a_thread_is_no_process():
    assert decode_event(datagram(FORK, 10, 10, 12, 11)) is None


def test_an_exec_tells_the_process():
    assert decode_event(datagram(EXEC, 13, 13)) == 13


@pytest.mark.parametrize(
    "raw", [b"", b"x" * 20, datagram(NONE, 0), datagram(EXIT, 5, 5, 0, 17), datagram(FORK)]
)
def test_nothing_else_tells_of_anybody_new(raw: bytes):
    assert decode_event(raw) is None


@given(
    st.binary(max_size=120)
    | st.tuples(
        st.sampled_from([FORK, EXEC, EXIT, NONE, 0xFFFFFFFF]),
        st.lists(st.integers(0, 2**32 - 1), max_size=5),
        st.integers(0, 90),
    ).map(lambda parts: datagram(parts[0], *parts[1])[: parts[2]])
)
def test_any_datagram_is_a_process_or_none(raw: bytes):
    pid = decode_event(raw)
    assert pid is None or 0 <= pid < 2**32


class Events:
    """What the kernel would tell, written down."""

    def __init__(self, *told: Changes):
        self.told = list(told)

    def drain(self) -> Changes:
        return self.told.pop(0) if self.told else Changes(frozenset(), False)

    def close(self) -> None:
        pass


def heard(*pids: int, overrun: bool = False) -> Changes:
    return Changes(frozenset(pids), overrun)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list:
    """Which pids each listing asked for; of those asked, 1, 2 and 7 are processes."""
    calls: list = []

    def read_tasks(roots, hierarchy, want_users, among):
        calls.append(among)
        there = [pid for pid in (1, 2, 7) if among is None or pid in among]
        tasks = tuple(Task(pid, 1, None, None, "x", "/", 1, pid) for pid in there)
        return TaskList(tasks, (), None, HOST)

    monkeypatch.setattr(roster_module, "read_tasks", read_tasks)
    monkeypatch.setattr(roster_module, "pids", lambda roots: frozenset({1, 2, 7, 100}))
    monkeypatch.setattr(roster_module, "with_memory", lambda roots, among: iter(sorted(among)))
    return calls


def roster_of(*told: Changes) -> Roster:
    roster = Roster(HOST)
    roster._events = Events(*told)
    return roster


HIERARCHY = MemoryHierarchy(0, HOST.sys, "/")


def test_the_first_listing_is_of_all_and_the_next_of_whom_was_found_or_heard_of(asked):
    roster = roster_of(heard(), heard(), heard(50))
    roster.read(HIERARCHY)
    assert list(roster.appeared()) == []
    roster.read(HIERARCHY)
    assert asked == [None, {1, 2, 7, 50}]
    assert roster.full_listings == 1


def test_who_was_heard_of_during_the_walk_has_appeared_and_is_read_next_time(asked):
    roster = roster_of(heard(), heard(60))
    roster.read(HIERARCHY)
    assert list(roster.appeared()) == [60]
    roster.read(HIERARCHY)
    assert asked[1] == {1, 2, 7, 60}


def test_an_overrun_is_answered_by_listing_all(asked):
    roster = roster_of(heard(), heard(), heard(50, overrun=True))
    for _ in range(2):
        roster.read(HIERARCHY)
        list(roster.appeared())
    assert asked == [None, None]


def test_an_overrun_during_the_walk_too(asked):
    roster = roster_of(heard(), heard(overrun=True))
    roster.read(HIERARCHY)
    assert list(roster.appeared()) == []  # 100 was there before
    roster.read(HIERARCHY)
    assert asked == [None, None]


def test_without_events_all_are_listed_each_time(asked):
    roster = Roster(HOST)
    roster.read(HIERARCHY)
    roster.read(HIERARCHY)
    assert asked == [None, None]
    assert not roster.follows


def test_where_there_are_no_events_it_is_asked_for_them_once(asked, monkeypatch: pytest.MonkeyPatch):
    tried = []

    def refused() -> None:
        tried.append(1)
        raise CannotServe("none here")

    monkeypatch.setattr("zonerss.kernel.events.ProcEvents", refused)
    roster = Roster(HOST, follow=True)
    for _ in range(3):
        roster.read(HIERARCHY)
    assert (len(tried), asked, roster.follows) == (1, [None, None, None], False)


IMPORTED = """
import sys
from zonerss.kernel.events import _socket_class
found = _socket_class()
assert found.__name__ == "ProcEventSocket" and found is not None
kept = sorted(name for name in sys.modules if name.partition(".")[0] == "pyroute2")
import pyroute2
assert pyroute2.netlink.connector and pyroute2.IPRoute
print(kept)
"""


def test_only_the_connector_is_imported_and_who_imports_pyroute2_gets_all_of_it():
    done = subprocess.run([sys.executable, "-c", IMPORTED], check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
