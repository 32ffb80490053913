"""A process is held on to as long as it is the one that was listed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.unit.builders import members

from zonerss.kernel.pidfds import has_its_memory, opened, require_same
from zonerss.kernel.proc import parse_stat
from zonerss.kernel.roots import HOST
from zonerss.plain import replace
from zonerss.records import Task

(MEMBER,) = members("a")


@pytest.fixture
def own() -> Task:
    ticks = parse_stat(Path("/proc/self/stat").read_bytes()).start_ticks
    return replace(MEMBER.task, pid=os.getpid(), start_ticks=ticks)


def test_it_is_open_for_as_long_as_it_is_needed(own: Task) -> None:
    with opened(HOST, own) as fd:
        assert os.readlink(f"/proc/self/fd/{fd}")
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(fd)


def test_another_process_with_its_pid_is_another_one(own: Task) -> None:
    before = len(os.listdir("/proc/self/fd"))
    later = replace(own, start_ticks=own.start_ticks - 1)
    with pytest.raises(ProcessLookupError), opened(HOST, later):
        pass
    with pytest.raises(ProcessLookupError):
        require_same(HOST, later)
    assert len(os.listdir("/proc/self/fd")) == before


def stat(ticks: int, stack: int) -> str:
    fields = ["0"] * 50
    fields[0], fields[19], fields[25] = "S", str(ticks), str(stack)
    return f"7 (a) {' '.join(fields)}\n"


@pytest.mark.parametrize(("stack", "same"), [(4096, True), (8192, False), (0, False)])
def test_memory_is_told_by_the_thread_that_is_walked(tmp_path: Path, stack: int, same: bool) -> None:
    """The first thread has ended and has no memory."""
    task = replace(MEMBER.task, pid=7, walk_tid=8, start_ticks=5, stack_start=4096 if stack else 0)
    (tmp_path / "7/task/8").mkdir(parents=True)
    (tmp_path / "7/stat").write_text(stat(5, 0))
    (tmp_path / "7/task/8/stat").write_text(stat(5, stack))
    roots = replace(HOST, proc=tmp_path)
    assert has_its_memory(roots, task) is same
    with pytest.raises(ProcessLookupError):
        has_its_memory(roots, replace(task, start_ticks=4))
