"""Memory that is there from the beginning."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zonerss.kernel import locked
from zonerss.kernel.locked import LockedMemory

SIZE = 1 << 20


def status(name: str) -> int:
    (found,) = re.findall(rf"^{name}:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found) * 1024


def test_it_is_there_before_it_is_used() -> None:
    before, rss = status("VmLck"), status("VmRSS")
    with LockedMemory(SIZE) as held:
        if held.why_not is None:
            assert status("VmLck") - before == SIZE
            assert status("VmRSS") - rss >= SIZE // 2  # the allocator may give some back meanwhile
        held.memory[:5] = b"black"
        assert held.memory[:5] == b"black"
    assert status("VmLck") == before


def test_where_it_cannot_be_locked_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refuses:
        def __init__(self, *_: object, **__: object) -> None:
            self.mlock = lambda *_: -1

    monkeypatch.setattr(locked.ctypes, "CDLL", Refuses)
    with LockedMemory(SIZE) as held:
        assert "it cannot be locked" in (held.why_not or "")
        held.memory[0:1] = b"x"
