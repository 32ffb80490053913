"""Parsers of the core on what the kernel writes, and on arbitrary bytes."""

from __future__ import annotations

import contextlib
import os
import resource
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.fake_proc import V2, FakeProc, stat

from zonerss.errors import CannotServe, KernelFormatError
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.proc import parse_rss, parse_stat, read_tables, read_tasks
from zonerss.kernel.roots import Roots
from zonerss.records import Cause
from zonerss.units import PAGE_BYTES
from zonerss.walk.frames import parse_maps


@pytest.fixture
def proc(tmp_path: Path) -> FakeProc:
    return FakeProc(tmp_path)


def test_an_ordinary_process(proc: FakeProc) -> None:
    proc.process(42, stat())
    (task,) = read_tasks(proc.roots, V2, want_users=True).tasks
    assert (task.pid, task.start_ticks, task.command, task.cgroup) == (42, 77, "sh", "/a")
    assert (task.uid, task.euid, task.rss_pages, task.walk_tid) == (1000, 0, 57, 42)


def test_users_are_unknown_where_not_asked_for(proc: FakeProc) -> None:
    proc.process(42, stat())
    (task,) = read_tasks(proc.roots, V2).tasks
    assert task.uid is None
    assert task.euid is None


@pytest.mark.parametrize("comm", [b"a) S 1 (b", b"x\ny", b"\x1b[31m", b"\xff\xfe", b"", b"(((", b")))"])
def test_a_command_may_hold_anything(proc: FakeProc, comm: bytes) -> None:
    proc.process(42, stat(comm=comm))
    (task,) = read_tasks(proc.roots, V2).tasks
    assert task.command.encode("utf-8", "surrogateescape") == comm
    assert task.start_ticks == 77


def test_kernel_threads_and_zombies_have_no_memory(proc: FakeProc) -> None:
    proc.process(2, stat(2, b"kthreadd", flags=0x208040, vsize=0))
    proc.process(43, stat(43, state=b"Z", vsize=0))
    proc.process(44, stat(44))
    assert [task.pid for task in read_tasks(proc.roots, V2).tasks] == [44]


def test_a_leader_that_has_ended_is_read_through_a_thread_that_lives(proc: FakeProc) -> None:
    leader = stat(50, state=b"Z", threads=2, vsize=0)
    proc.process(50, leader, threads={50: leader, 51: stat(51)})
    (task,) = read_tasks(proc.roots, V2).tasks
    assert (task.pid, task.walk_tid) == (50, 51)


def test_a_stat_that_is_not_understood_is_a_gap(proc: FakeProc) -> None:
    proc.process(42, b"42 (sh) S gibberish\n")
    proc.process(43, stat(43))
    listed = read_tasks(proc.roots, V2)
    assert [task.pid for task in listed.tasks] == [43]
    assert [(gap.pid, gap.cause) for gap in listed.gaps] == [(42, Cause.UNREADABLE)]


@pytest.mark.parametrize("text", [b"1:name=systemd:/x\n", b"gibberish", b"0::" + b"/deep" * 10_000])
def test_a_cgroup_that_is_not_understood_is_one_gap_with_its_text(proc: FakeProc, text: bytes) -> None:
    proc.process(42, stat(), cgroup=text)
    proc.process(
        43, stat(43), cgroup=b"3:memory:/a\n" + b"".join(b"%d:x:%s\n" % (i, b"/deep" * 819) for i in range(9))
    )
    hierarchy = MemoryHierarchy(version=1, mount_point=Path("/cg"), mount_root="/")
    listed = read_tasks(proc.roots, hierarchy)
    assert [(task.pid, task.cgroup) for task in listed.tasks] == [(43, "/a")]
    ((pid, step, cause, detail),) = ((gap.pid, gap.step, gap.cause, gap.detail) for gap in listed.gaps)
    assert (pid, step, cause) == (42, "cgroup", Cause.UNREADABLE)
    assert text[:40].decode().rstrip() in detail
    assert len(detail) <= 400


def test_a_process_that_left_while_it_was_listed_was_never_there(proc: FakeProc) -> None:
    (proc.roots.proc / "44").mkdir()
    listed = read_tasks(proc.roots, V2)
    assert listed.tasks == ()
    assert listed.gaps == ()


def test_a_process_that_cannot_be_opened_has_not_left(proc: FakeProc) -> None:
    (proc.roots.proc / "44").write_bytes(b"")
    ((pid, cause, detail),) = ((gap.pid, gap.cause, gap.detail) for gap in read_tasks(proc.roots, V2).gaps)
    assert (pid, cause, detail) == (44, Cause.UNREADABLE, "Not a directory")


@pytest.mark.parametrize("files", [1, 2])
def test_a_listing_without_file_descriptors_fails(proc: FakeProc, files: int) -> None:
    """It is not that all processes have left. First /proc can be listed, but no process opened; then no file of it."""
    proc.process(42, stat())
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 1 + files, limits[1]))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            read_tasks(proc.roots, V2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_no_proc(tmp_path: Path) -> None:
    with pytest.raises(CannotServe, match="is it mounted"):
        read_tasks(Roots(proc=tmp_path / "none"), V2)


def test_a_kernel_without_cgroups(proc: FakeProc) -> None:
    proc.process(42, stat())
    for path in proc.roots.proc.rglob("cgroup"):
        path.unlink()
    nothing = MemoryHierarchy(version=0, mount_point=Path("/cg"), mount_root="/", charges=False)
    assert [task.cgroup for task in read_tasks(proc.roots, nothing).tasks] == ["/"]


@given(st.binary(max_size=400))
@example(stat()[:60])
@example(b"1 (")
@example(b"1 () ")
def test_stat_of_arbitrary_bytes(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        assert parse_stat(text).pid > 0


@given(st.binary(max_size=15), st.integers(1, 2**31 - 1), st.integers(0, 2**64 - 1))
def test_stat_round_trip(comm: bytes, pid: int, start: int) -> None:
    comm = comm.replace(b"\0", b"")
    row = parse_stat(stat(pid, comm, start=start))
    assert (row.pid, row.start_ticks) == (pid, start)


MAPS = (
    b"00400000-00401000 r--p 00000000 fe:01 1234                               /bin/x y\n"
    b"7f0000000000-7f0000200000 rw-s 00001000 00:01 99                         /memfd:a\\012b (deleted)\n"
    b"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  [vsyscall]\n"
)


def test_maps() -> None:
    rows = [vma for _, vma in parse_maps(MAPS)]
    assert [(v.start, v.end, v.permissions, v.inode, v.name) for v in rows] == [
        (0x400000, 0x401000, "r--p", 1234, "/bin/x y"),
        (0x7F0000000000, 0x7F0000200000, "rw-s", 99, "/memfd:a\\012b (deleted)"),
        (0xFFFFFFFFFF600000, 0xFFFFFFFFFF601000, "--xp", 0, "[vsyscall]"),
    ]
    assert rows[0].device == (0xFE, 1)


@pytest.mark.parametrize(
    "line", [b"x", b"1-2 rwxp 0 0:0 0", b"2-1 rwxp 0 0:0 0 \n", b"1-2 rw\n", b"1-2 rwxz 0 0:0 0\n", b"\n"]
)
def test_maps_that_are_not_understood(line: bytes) -> None:
    with pytest.raises(KernelFormatError, match="byte 0"):
        parse_maps(line)


@given(st.binary(max_size=300))
def test_maps_of_arbitrary_bytes(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        assert all(vma.start < vma.end for _, vma in parse_maps(text))


def test_rss_of_a_status():
    text = b"Name:\tRssAnon:\t1 kB\nVmRSS:\t    100 kB\nRssAnon:\t     80 kB\nRssFile:\t   16 kB\nRssShmem:\t 4 kB\n"
    kib = PAGE_BYTES // 1024
    assert parse_rss(text) == {"anon": 80 // kib, "file": 16 // kib, "shmem": 4 // kib}
    assert parse_rss(b"Name:\tkthreadd\nUmask:\t0000\n") == {}
    assert parse_rss(b"") == {}


def test_pages_that_are_mapped_and_entries_of_tables(proc: FakeProc) -> None:
    proc.process(42, stat())
    (task,) = read_tasks(proc.roots, V2).tasks
    kib = PAGE_BYTES // 1024
    directory = proc.roots.proc / "42" / "task" / "42"
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "status").write_text(
        f"Name:\tsh\nVmRSS:\t{57 * kib:8} kB\nVmPTE:\t      12 kB\nVmSwap:\t 4 kB\n"
    )
    assert read_tables(proc.roots, task) == (57, 3 * 512)
    (directory / "status").write_text("Name:\tsh\nState:\tZ (zombie)\n")
    with pytest.raises(ProcessLookupError):
        read_tables(proc.roots, task)


@given(
    st.binary()
    | st.lists(
        st.sampled_from([b"RssAnon:", b"RssFile:", b"RssShmem:", b"\t", b" 4", b" kB", b"\n", b"9" * 5000])
    ).map(b"".join)
)
def test_any_status_is_pages_by_kind(text: bytes) -> None:
    assert parse_rss(text).keys() <= {"anon", "file", "shmem"}
