"""What is written to memory.reclaim, and what is made of its answers; what the kernel does: tests/guest/test_cap.py."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from tests.unit.threads import until

from zonerss.kernel import reclaim as module
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.patience import Pauses
from zonerss.kernel.reclaim import MOST_BYTES, can_reclaim, reclaim


@pytest.fixture
def hierarchy(tmp_path: Path) -> MemoryHierarchy:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "memory.reclaim").touch()
    (tmp_path / "old").mkdir()
    return MemoryHierarchy(2, tmp_path, "/")


def test_who_can_be_asked(hierarchy: MemoryHierarchy) -> None:
    assert can_reclaim(hierarchy, "/a")
    assert not can_reclaim(hierarchy, "/old")
    assert not can_reclaim(MemoryHierarchy(1, hierarchy.mount_point, "/"), "/a")
    assert not can_reclaim(hierarchy, "/../a")


def test_one_whose_file_we_may_not_write_is_not_asked(
    hierarchy: MemoryHierarchy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    assert not can_reclaim(hierarchy, "/a")


def test_bytes_are_asked_for(hierarchy: MemoryHierarchy, tmp_path: Path) -> None:
    assert reclaim(hierarchy, "/a", 12345) is None
    assert (tmp_path / "a" / "memory.reclaim").read_text() == "12345"


def test_never_much_at_once(hierarchy: MemoryHierarchy) -> None:
    with pytest.raises(ValueError, match="too many"):
        reclaim(hierarchy, "/a", MOST_BYTES + 1)


def test_where_there_is_none_it_is_said(hierarchy: MemoryHierarchy) -> None:
    assert reclaim(hierarchy, "/gone", 1) == "its cgroup is gone"
    assert reclaim(hierarchy, "/old", 1) == "its cgroup is gone"
    assert "no memory.reclaim" in str(reclaim(MemoryHierarchy(1, Path("/"), "/"), "/a", 1))


@pytest.mark.parametrize(
    ("number", "said"),
    [(errno.EAGAIN, "less to reclaim"), (errno.ENODEV, "gone"), (errno.EACCES, "Permission denied")],
)
def test_what_the_kernel_answers_is_told(
    hierarchy: MemoryHierarchy, monkeypatch: pytest.MonkeyPatch, number: int, said: str
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(module, "_write", refuse)
    assert said in str(reclaim(hierarchy, "/a", 1))


def test_it_is_not_waited_for_without_end(
    hierarchy: MemoryHierarchy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody reads this pipe: to open it for writing waits for ever."""
    (tmp_path / "a" / "memory.reclaim").unlink()
    os.mkfifo(tmp_path / "a" / "memory.reclaim")
    pauses = Pauses()
    monkeypatch.setattr("zonerss.kernel.patience.PAUSES", pauses)
    assert "took longer" in str(reclaim(hierarchy, "/a", 1, 0.05))
    assert "took longer" in str(reclaim(hierarchy, "/a", 1, 100.0))  # a thread waits for it still
    os.close(os.open(tmp_path / "a" / "memory.reclaim", os.O_RDONLY | os.O_NONBLOCK))
    until(lambda: not pauses.threads, "the thread ends")
