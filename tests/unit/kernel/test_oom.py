"""What the kernel's log says of kills: as kernels write it, and as users try to make it look."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.kernel.oom import KernelLog, KillReader, LogLine, parse_kills, parse_record

MEMCG = """\
python3 invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
CPU: 1 UID: 0 PID: 14960 Comm: python3 Not tainted 6.18.44 #1
memory: usage 98304kB, limit 98304kB, failcnt 81
memory+swap: usage 98304kB, limit 9007199254740988kB, failcnt 0
Memory cgroup stats for /docker/5f:
oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,\
oom_memcg=/docker,task_memcg=/docker/5f,task=python3,pid=14960,uid=0
Memory cgroup out of memory: Killed process 14960 (python3) total-vm:107772kB, anon-rss:97904kB, file-rss:6700kB, \
shmem-rss:0kB, UID:0 pgtables:252kB oom_score_adj:0
"""
GLOBAL = """\
systemd invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0
oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=init.scope,mems_allowed=0-1,3,global_oom,\
task_memcg=/system.slice/x.service,task=stress,pid=77,uid=33
Out of memory: Killed process 77 (stress) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, \
UID:33 pgtables:2kB oom_score_adj:0
"""


def lines(text: str) -> list[LogLine]:
    return [LogLine(n, line) for n, line in enumerate(text.splitlines())]


def test_a_kill_by_the_limit_of_a_cgroup() -> None:
    (kill,) = parse_kills(lines(MEMCG))
    assert (kill.pid, kill.command, kill.constraint) == (14960, "python3", "CONSTRAINT_MEMCG")
    assert (kill.cgroup, kill.limit_cgroup, kill.limit_bytes) == ("/docker/5f", "/docker", 96 << 20)
    assert kill.words.splitlines() == [lines(MEMCG)[n].text for n in (0, 2, 5, 6)]
    assert kill.at_ns == 6


def test_a_kill_for_want_of_the_machines_memory() -> None:
    (kill,) = parse_kills(lines(GLOBAL))
    assert (kill.constraint, kill.cgroup, kill.limit_cgroup) == (
        "CONSTRAINT_NONE",
        "/system.slice/x.service",
        None,
    )
    assert kill.limit_bytes is None


def test_of_kills_that_follow_fast_only_the_end_is_logged() -> None:
    last = MEMCG.splitlines()[-1]
    first, second = parse_kills(lines(MEMCG + last.replace("14960", "14961")))
    assert (second.pid, second.constraint) == (14961, "CONSTRAINT_MEMCG")
    assert (second.cgroup, second.limit_cgroup, second.limit_bytes) == (None, None, None)
    assert first.limit_bytes


def test_no_limit_is_none() -> None:
    (kill,) = parse_kills(lines(MEMCG.replace("limit 98304kB", "limit 9007199254740988kB")))
    assert kill.limit_bytes is None


def test_a_command_may_be_spelled_like_the_line_itself() -> None:
    """Commas and equals signs are allowed in the names of processes and of cgroups."""
    (kill,) = parse_kills(
        lines(MEMCG.replace("task=python3,", "task=a,pid=1,uid=0,").replace("(python3)", "(a,pid=1,uid=0)"))
    )
    assert (kill.pid, kill.command, kill.cgroup) == (14960, "a,pid=1,uid=0", "/docker/5f")


@pytest.mark.parametrize("command", [",task=a", "a\nb", "a) total-vm:", ",task_memcg=/a"])
def test_a_hostile_command(command: str) -> None:
    told = [
        LogLine(n, text.replace("task=python3,", f"task={command},").replace("(python3)", f"({command})"))
        for n, text in enumerate(MEMCG.splitlines())
    ]
    (kill,) = parse_kills(told)
    assert (kill.command, kill.limit_cgroup, kill.cgroup) == (command, "/docker", "/docker/5f")


@pytest.mark.parametrize("name", ["/a,task_memcg=/b", "/a\nb", "/x invoked oom-killer: y"])
def test_a_hostile_cgroup(name: str) -> None:
    told = [
        LogLine(n, text.replace("/docker", name).replace("cpuset=/", f"cpuset={name}"))
        for n, text in enumerate(MEMCG.splitlines())
    ]
    (kill,) = parse_kills(told)
    assert (kill.limit_cgroup, kill.cgroup, kill.limit_bytes) == (name, f"{name}/5f", 96 << 20)


@pytest.mark.parametrize("at", range(1, 7))
def test_a_kill_whose_lines_come_in_two_readings(at: int) -> None:
    reader, told = KillReader(), lines(MEMCG)
    assert [*reader.kills(told[:at]), *reader.kills(told[at:])] == parse_kills(told)


@given(st.lists(st.sampled_from(MEMCG.splitlines() + GLOBAL.splitlines()) | st.text(max_size=80)))
def test_whatever_stands_in_the_log_is_read(found: list[str]) -> None:
    kills = parse_kills([LogLine(0, text) for text in found])
    assert len(kills) == sum(text.startswith(("Memory cgroup out", "Out of memory: K")) for text in found)


def test_records() -> None:
    assert parse_record(b"6,1234,38796234926,-;memory: usage\n SUBSYSTEM=x\n") == LogLine(
        38796234926000, "memory: usage"
    )
    assert parse_record(b"6,1,2,-;task=\\x0a\\xc3\\xa9\n") == LogLine(2000, "task=\né")
    assert parse_record(b"12,1,2,-;oom-kill: says a program\n") is None  # facility 1
    assert parse_record(b"nonsense") is None


@given(st.binary(max_size=200))
def test_any_record_is_read_or_passed_over(record: bytes) -> None:
    parse_record(record)


def test_a_log_is_followed_from_its_end(tmp_path: Path) -> None:
    """A file reads as one record; the device gives one at a time (tests/live/test_autopsy.py)."""
    path = tmp_path / "kmsg"
    path.write_bytes(b"6,1,2,-;before\n")
    log = KernelLog(str(path))
    assert log.read() == []
    with path.open("ab") as file:
        file.write(b"6,2,3,-;after\n")
    assert log.read() == [LogLine(3000, "after")]
    log.close()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(log.fileno())
