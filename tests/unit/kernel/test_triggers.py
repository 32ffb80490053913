"""Waiting where there is nothing to be woken by; what the kernel's triggers do: tests/guest/test_cap.py."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from zonerss.kernel import triggers as module
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.triggers import TRIGGER, Triggers


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    slept: list[float] = []
    monkeypatch.setattr(module.time, "sleep", slept.append)
    return slept


def test_without_triggers_only_time_is_waited_for(tmp_path: Path, slept: list[float]) -> None:
    triggers = Triggers()
    assert triggers.wait(MemoryHierarchy(1, tmp_path, "/"), {"a": "/a", "b": None}, 3.5) == set()
    assert triggers.wait(MemoryHierarchy(2, tmp_path, "/"), {"a": "/gone", "b": "/"}, 4.5) == set()
    assert slept == [3.5, 4.5]


def test_a_trigger_is_kept_for_as_long_as_it_is_waited_for(
    tmp_path: Path, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    hierarchy = MemoryHierarchy(2, tmp_path, "/")
    for name in "ab":
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.pressure").touch()
    events: list[tuple[int, int]] = []
    watched: list[set[int]] = []

    class Poll:
        def __init__(self) -> None:
            watched.append(set())

        def register(self, fd: int, _: int) -> None:
            watched[-1].add(fd)

        def poll(self, _: float) -> list[tuple[int, int]]:
            return events

    monkeypatch.setattr(module.select, "poll", Poll)
    before = len(os.listdir("/proc/self/fd"))
    triggers = Triggers()
    zones = {"zone a": "/a", "zone b": "/b", "user": None}
    assert triggers.wait(hierarchy, zones, 1) == set()
    assert (tmp_path / "a" / "memory.pressure").read_bytes() == TRIGGER
    first = next(fd for fd in watched[0] if os.readlink(f"/proc/self/fd/{fd}").endswith("/a/memory.pressure"))
    events.append((first, module.select.POLLPRI))
    assert triggers.wait(hierarchy, zones, 1) == {"zone a"}
    assert watched[0] == watched[1]
    events[:] = [(first, module.select.POLLERR)]
    assert triggers.wait(hierarchy, zones, 1) == set()
    assert len(os.listdir("/proc/self/fd")) == before + 1  # the cgroup of a is gone
    assert triggers.wait(hierarchy, {}, 2) == set()
    assert slept == [2]
    triggers.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_more_are_watched_than_are_allowed(
    tmp_path: Path, slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"z{number:03}" for number in range(module.MOST + 20)]
    for name in names:
        (tmp_path / name).mkdir()
        (tmp_path / name / "memory.pressure").touch()
    monkeypatch.setattr(
        module.select, "poll", lambda: SimpleNamespace(register=lambda *_: None, poll=lambda _: [])
    )
    before, triggers = len(os.listdir("/proc/self/fd")), Triggers()
    for order in (names, names[::-1]):
        triggers.wait(MemoryHierarchy(2, tmp_path, "/"), {name: f"/{name}" for name in order}, 1)
        assert set(triggers._fds) == {f"/{name}" for name in order[: module.MOST]}
        assert len(os.listdir("/proc/self/fd")) == before + module.MOST
    triggers.close()
