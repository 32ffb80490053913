"""Command lines: what is read of them, and that nobody is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.fake_proc import FakeProc, stat
from tests.unit.threads import until

from zonerss.kernel import patience
from zonerss.kernel.cmdline import MOST_BYTES, read_command_lines
from zonerss.records import Task


@pytest.fixture(autouse=True)
def nobody_has_made_us_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES", patience.Pauses())


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def task(pid: int, start: int = 77) -> Task:
    return Task(pid, start, None, None, "sh", "/", 1, pid)


def write(proc: FakeProc, pid: int, line: bytes) -> None:
    proc.process(pid, stat(pid))
    (proc.roots.proc / str(pid) / "cmdline").write_bytes(line)


@pytest.mark.parametrize(
    ("line", "arguments"),
    [
        (b"sh\0-c\0echo a b\0", ("sh", "-c", "echo a b")),
        (b"sh\0-c\0\0", ("sh", "-c")),
        (b"postgres: writer   \0\0\0", ("postgres: writer",)),
        (b"nginx: worker process", ("nginx: worker process",)),
        (b"a\xff\0b\n\0", ("a\udcff", "b\n")),
        (b"\0x\0", ("", "x")),
        (b"x" * (MOST_BYTES + 1), ("x" * MOST_BYTES,)),
    ],
)
def test_a_command_line(proc: FakeProc, line: bytes, arguments: tuple[str, ...]) -> None:
    write(proc, 42, line)
    assert read_command_lines(proc.roots, [task(42)]) == {42: arguments}


def test_none_where_there_is_none(proc: FakeProc) -> None:
    for pid, line in ((1, b""), (2, b"\0\0"), (3, b"other\0")):
        write(proc, pid, line)
    proc.process(4, b"nonsense")
    assert read_command_lines(proc.roots, [task(1), task(2), task(3, start=78), task(4), task(5)]) == {}


def test_who_does_not_answer_costs_the_others_no_more_than_the_time_there_is(proc: FakeProc) -> None:
    for pid in (1, 2, 3):
        write(proc, pid, b"x\0")
    blocked = proc.block("2/cmdline")
    try:
        assert read_command_lines(proc.roots, [task(1), task(2), task(3)], 0.2) == {1: ("x",)}
        assert read_command_lines(proc.roots, [task(2), task(3)]) == {3: ("x",)}  # not asked again
    finally:
        blocked.let_go()
        until(lambda: patience.PAUSES.threads == 0, "the thread that was left behind ends")
