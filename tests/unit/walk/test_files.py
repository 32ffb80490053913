"""What a mapped file is: from what maps, stat and the kernel's list of segments say of it."""

from __future__ import annotations

import contextlib
import re
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import host

from zonerss._core import lib
from zonerss.errors import KernelFormatError
from zonerss.kernel.roots import Roots
from zonerss.records.files import FileKind
from zonerss.walk.files import (
    Look,
    RawFile,
    _groups,
    _OwnKernel,
    describe,
    may_be_one,
    merge,
    parse_removed_segments,
)

TMPFS, OVERLAY, HUGETLBFS = lib.FS_TMPFS, lib.FS_OVERLAY, lib.FS_HUGETLBFS
DISK, SHM = (254, 0), (0, 1)


def raw(name: str, device: tuple[int, int] = DISK, inode: int = 17, ipc: int = 0) -> RawFile:
    return RawFile(name, device, inode, ipc, pid=1, start=0x1000, end=0x2000)


def look(name: str, links: int = 1, mode: int = stat.S_IFREG | 0o644, fs_kind: int = OVERLAY) -> Look:
    return Look(name, links, 4096, mode, fs_kind)


@pytest.fixture
def own(tmp_path: Path) -> _OwnKernel:
    """A kernel whose internal tmpfs is device 0:1, and whose segment 5 of IPC namespace 77 was removed."""
    (tmp_path / "sysvipc").mkdir()
    (tmp_path / "sysvipc" / "shm").write_text(
        "       key      shmid perms                  size  cpid  lpid nattch\n"
        "         0          4   600                  4096     1     1      1\n"
        "         0          5  1600                  4096     1     1      1\n"
    )
    made = _OwnKernel(host(Roots(proc=tmp_path), shm_device=SHM))
    made._ipc = 77
    return made


@pytest.mark.parametrize(
    ("file", "seen", "kind", "lasts"),
    [
        (raw("/f"), look("/f"), FileKind.FILE, True),
        (raw("/f (deleted)"), look("/f (deleted)", links=0), FileKind.DELETED, False),
        # Another name of it is still there; or it is simply called that.
        (raw("/f (deleted)"), look("/f (deleted)", links=1), FileKind.FILE, True),
        (raw("/f (deleted)"), None, FileKind.DELETED, False),
        (raw("/f"), None, FileKind.FILE, True),
        (raw("/dev/shm/f", (0, 30)), look("/dev/shm/f", fs_kind=TMPFS), FileKind.TMPFS, True),
        (raw("/dev/shm/f (deleted)", (0, 30)), look("/f", 0, fs_kind=TMPFS), FileKind.DELETED, False),
        (raw("/memfd:x (deleted)", SHM), look("/memfd:x (deleted)", 0, fs_kind=TMPFS), FileKind.MEMFD, False),
        (raw("/memfd:x"), look("/memfd:x"), FileKind.FILE, True),  # a file of that name, on disk
        (raw("/dev/zero (deleted)", SHM), None, FileKind.SHARED, False),
        (raw("[anon_shmem:x]", SHM), None, FileKind.SHARED, False),
        (raw("/SYSV00000000 (deleted)", SHM, 4, 77), None, FileKind.SYSV, True),
        (raw("/SYSV00000000 (deleted)", SHM, 5, 77), None, FileKind.SYSV, False),
        (raw("/SYSV00000000 (deleted)", SHM, 5, 78), None, FileKind.SYSV, True),  # another namespace's 5
        (raw("/SYSV00000000 (deleted)", SHM, 0, 77), None, FileKind.SYSV, True),
        (raw("/mnt/h"), look("/mnt/h", fs_kind=HUGETLBFS), FileKind.HUGETLB, True),
        (raw("/anon_hugepage (deleted)"), look("/x", 0, fs_kind=HUGETLBFS), FileKind.HUGETLB, False),
        (raw("/dev/snd"), look("/dev/snd", mode=stat.S_IFCHR | 0o600), FileKind.DEVICE, False),
        (raw("anon_inode:[perf_event]"), None, FileKind.DEVICE, False),
        (raw("[vdso]", (0, 0), 0), None, FileKind.KERNEL, True),
    ],
)
def test_kinds(own: _OwnKernel, file: RawFile, seen: Look | None, kind: FileKind, lasts: bool) -> None:
    found = describe(file, seen, own)
    assert (found.kind, found.lasts) == (kind, lasts)


def test_names_without_what_the_kernel_put_there(own: _OwnKernel) -> None:
    gone = describe(raw("/a\\012b (deleted)"), None, own)
    assert gone.name == "/a\nb"
    asked = describe(raw("/a\\012b"), look("/a\\012b"), own)
    assert asked.name == "/a\\012b", "the link says it raw: no escape, but that name"


def test_names_of_one_file_are_grouped_and_others_are_not() -> None:
    files = [
        raw("/lib/libc.so", (0, 41), 5),
        raw("/lib/libc.so", (0, 42), 6),
        raw("/lower/lib/libc.so (deleted)", DISK, 7),
        raw("/lib/other.so", DISK, 8),
        raw("/lib/second-name.so", DISK, 8),
    ]
    # The last set is of a frame that changed hands between two looks.
    assert _groups(files, [(0, 1), (1, 2), (3, 4), (2, 3)]) == [0, 0, 0, 3, 3]
    assert not may_be_one(files[2], files[3])


def test_one_file_lasts_if_it_does_anywhere(own: _OwnKernel) -> None:
    gone = describe(raw("/x (deleted)"), look("/x (deleted)", 0), own)
    there = describe(raw("/var/lower/x"), look("/var/lower/x"), own)
    one = merge([gone, there])
    assert (one.name, one.kind, one.lasts, one.aliases) == ("/var/lower/x", FileKind.FILE, True, ("/x",))


@given(
    st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2**31 - 1), st.integers(0, 0o7777)))
)
def test_each_removed_segment_is_read(rows: list[tuple[int, int, int]]) -> None:
    lines = ["       key      shmid perms                  size  cpid  lpid nattch"]
    lines += [
        f"{key:10d} {shmid:10d}  {perms:4o} {4096:21d} {1:5d} {1:5d}  {1:5d}" for key, shmid, perms in rows
    ]
    text = "".join(f"{line}\n" for line in lines).encode()
    assert parse_removed_segments(text) == {shmid for _, shmid, perms in rows if perms & 0o1000}


@given(st.binary() | st.lists(st.text(st.sampled_from("0179 -x"))).map("\n".join).map(str.encode))
def test_any_text_is_segments_or_refused(text: bytes) -> None:
    with contextlib.suppress(KernelFormatError):
        assert all(number >= 0 for number in parse_removed_segments(text))


@pytest.mark.parametrize("row", ["         0          5  1900 4096", "5 1600", "x 5 1600 0"])
def test_a_segment_of_another_form_is_given_in_full(row: str) -> None:
    with pytest.raises(KernelFormatError, match=re.escape(repr(row.encode()))):
        parse_removed_segments(f"key\n{row}\n".encode())
