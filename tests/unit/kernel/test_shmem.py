"""Shared memory of a /proc by hand, and of this very process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from zonerss.errors import KernelFormatError
from zonerss.kernel import shmem
from zonerss.kernel.patience import Busy
from zonerss.kernel.roots import HOST, Roots
from zonerss.kernel.shmem import parse_segments, read_shmem
from zonerss.records.shmem import Shmem, ShmemKind

SEGMENTS = b"""\
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime \
     ctime                   rss                  swap
         0      32768  1600              1048576   100   101      2     0     0     0     0 1795837267          0 \
1795837267               8192                  4096
-559038737          3   600                 4096   100   101      0     0     0     0     0          0          0 \
1795837267                  0                     0
"""


def test_segments() -> None:
    assert parse_segments(SEGMENTS, 7) == [
        Shmem(ShmemKind.SYSV, "0x00000000", (0, 0), 32768, 7, bytes=12288, swap_bytes=4096),
        Shmem(ShmemKind.SYSV, "0xdeadbeef", (0, 0), 3, 7, bytes=0, swap_bytes=0),
    ]
    assert parse_segments(b"", 7) == []


@pytest.mark.parametrize("row", [b"1 2 3", b"x " * 16, b""])
def test_a_segment_of_another_form_stops(row: bytes) -> None:
    with pytest.raises(KernelFormatError, match="/proc/sysvipc/shm: a row that is not understood"):
        parse_segments(SEGMENTS.splitlines()[0] + b"\n" + row + b"\n", 7)


def test_a_memfd_of_ours_is_found_once() -> None:
    fd = os.memfd_create("zonerss unit test\x1b")
    again = os.dup(fd)
    try:
        os.write(fd, bytes(3 * 4096))
        found = [
            thing for thing in read_shmem(HOST, [os.getpid()]).things if thing.inode == os.fstat(fd).st_ino
        ]
    finally:
        os.close(fd)
        os.close(again)
    (thing,) = found
    assert (thing.kind, thing.name, thing.bytes) == (ShmemKind.MEMFD, "zonerss unit test\x1b", 3 * 4096)
    assert thing.pids == (os.getpid(),)


def test_a_deleted_file_of_a_disk_is_no_shared_memory(tmp_path: Path) -> None:
    path = tmp_path / "memfd:spoofed"
    with path.open("wb") as file:
        file.write(bytes(4096))
        file.flush()
        path.unlink()
        inode = os.fstat(file.fileno()).st_ino
        kinds = {thing.kind for thing in read_shmem(HOST, [os.getpid()]).things if thing.inode == inode}
    assert kinds <= {ShmemKind.DELETED}  # where the directory for temporary files is a tmpfs, it is
    assert ShmemKind.MEMFD not in kinds


def long_directory(above: Path) -> int:
    """A directory below whose path is longer than a page, and so longer than the kernel tells."""
    fd = os.open(above, os.O_PATH)
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=fd)
        below = os.open("d" * 250, os.O_PATH, dir_fd=fd)
        os.close(fd)
        fd = below
    return fd


@pytest.fixture
def tmpfs() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="zonerss-test-", dir="/dev/shm") as directory:
        yield Path(directory)


def test_a_deleted_file_whose_path_is_too_long_to_be_told_is_found(tmpfs: Path) -> None:
    directory = long_directory(tmpfs)
    try:
        fd = os.open("file", os.O_RDWR | os.O_CREAT, dir_fd=directory)
        try:
            os.write(fd, bytes(3 * 4096))
            inode = os.fstat(fd).st_ino
            named = [thing for thing in read_shmem(HOST, [os.getpid()]).things if thing.inode == inode]
            os.unlink("file", dir_fd=directory)
            found = [thing for thing in read_shmem(HOST, [os.getpid()]).things if thing.inode == inode]
        finally:
            os.close(fd)
    finally:
        os.close(directory)
    assert named == []
    (thing,) = found
    assert (thing.kind, thing.bytes) == (ShmemKind.DELETED, 3 * 4096)
    assert thing.name == f"/proc/{os.getpid()}/fd/{fd}"


def test_a_file_is_not_deleted_because_its_name_says_so(tmpfs: Path) -> None:
    with (tmpfs / "file (deleted)").open("wb") as file:
        inode = os.fstat(file.fileno()).st_ino
        assert not [thing for thing in read_shmem(HOST, [os.getpid()]).things if thing.inode == inode]


def test_a_process_that_is_gone_shows_nothing(tmp_path: Path) -> None:
    found = read_shmem(Roots(proc=tmp_path), [42])
    assert (found.things, found.unseen) == ((), ())


def proc(root: Path, mountinfo: bytes) -> Roots:
    directory = root / str(os.getpid())
    (directory / "ns").mkdir(parents=True)
    (directory / "ns" / "mnt").touch()
    (directory / "mountinfo").write_bytes(mountinfo)
    (directory / "root").symlink_to("/")
    return Roots(proc=root)


def test_a_mount_that_is_not_what_it_says_is_of_unknown_size(tmp_path: Path) -> None:
    text = b"25 24 0:9999 / /tmp rw - tmpfs tmpfs rw\n26 24 0:9999 / / rw - tmpfs tmpfs rw\n"
    text += b"27 24 8:1 / / rw - ext4 x rw\n"
    (thing,) = read_shmem(proc(tmp_path, text), []).things
    assert (thing.kind, thing.name, thing.device, thing.bytes) == (ShmemKind.MOUNT, "/", (0, 9999), None)


def test_mounts_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    found = read_shmem(proc(tmp_path, b"nonsense\n"), [])
    assert found.things == ()
    (sentence,) = found.unseen
    assert "is not of mountinfo's form" in sentence


def test_descriptors_beyond_the_bound_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shmem, "MOST_FDS", 2)
    directory = tmp_path / "42" / "fd"
    directory.mkdir(parents=True)
    for number in range(3):
        (directory / str(number)).symlink_to("/memfd:x (deleted)")
    found = read_shmem(Roots(proc=tmp_path), [42])
    assert found.unseen == ("descriptors of process 42 beyond the first 2",)


def test_a_descriptor_that_does_not_let_itself_be_opened_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: str, flags: int, pid: int) -> int:
        raise Busy(f"process {pid} cannot be read")

    monkeypatch.setattr(shmem, "opened_patiently", busy)
    fd = os.memfd_create("zonerss unit test")
    try:
        found = read_shmem(HOST, [os.getpid()])
    finally:
        os.close(fd)
    assert f"descriptors of process {os.getpid()}: process {os.getpid()} cannot be read" in found.unseen
