"""The rows of mountinfo as the core reads them (mounts.c): which sort of file system a file is on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from zonerss._core import ffi, lib

ROWS = (
    b"22 1 0:20 / / rw,relatime shared:1 - ext4 /dev/vda rw",
    b"23 22 0:21 / /dev rw - devtmpfs udev rw,size=4k",
    b"24 23 0:22 / /dev/shm rw,nosuid shared:2 master:7 - tmpfs tmpfs rw",
    b"25 22 0:23 / /mnt/a\\040b rw - fuse.sshfs a@b:/ rw,user_id=0",
    b"26 22 0:24 / /mnt/c rw - fuse  rw",
    b"27 22 8:1 / /mnt/d rw - fuseblk /dev/sda1 rw",
    b"28 22 0:25 / /mnt/e rw - fusectl none rw",
    b"29 22 0:26 / /mnt/f rw - overlay overlay rw,lowerdir=/a",
    b"30 22 0:27 /a /- rw - hugetlbfs none rw",
    b"1 0 0:2 / / rw - rootfs rootfs rw",
    b"31 22 0:28 / /mnt/h rw - ramfs - rw - tmpfs x rw",
)
NOT_ROWS = (
    b"",
    b"x",
    b"22",
    b"22 1 0 / / rw - ext4 x rw",
    b"22 1 0:20 / / rw ext4 x rw",
    b"-1 1 0:20 / / rw - a b c",
)


class Mounts:
    def __init__(self) -> None:
        ret = ffi.new("struct mounts **")
        assert lib.mounts_create(ret) == 0
        self.handle: Any = ffi.gc(ret[0], lib.mounts_destroy)

    def add(self, text: bytes) -> int:
        return lib.mounts_add(self.handle, text, len(text))

    def find(self, mount_id: int, device: tuple[int, int]) -> int:
        return lib.mounts_find(self.handle, mount_id, *device)


@pytest.fixture
def mounts() -> Mounts:
    made = Mounts()
    text = b"".join(row + b"\n" for row in ROWS)
    assert made.add(text) == len(text)
    return made


@pytest.mark.parametrize(
    ("mount_id", "kind"),
    [
        (22, lib.FS_ORDINARY),
        (23, lib.FS_TMPFS),
        (24, lib.FS_TMPFS),
        (25, lib.FS_FUSE),
        (26, lib.FS_FUSE),
        (27, lib.FS_FUSE),
        (28, lib.FS_ORDINARY),
        (29, lib.FS_OVERLAY),
        (30, lib.FS_HUGETLBFS),
        (1, lib.FS_ROOTFS),
        (31, lib.FS_RAMFS),
    ],
)
def test_by_its_mount(mounts: Mounts, mount_id: int, kind: int) -> None:
    """Whatever its device: that of a file of btrfs is another one."""
    assert mounts.find(mount_id, (0, 99)) == kind


def test_by_its_device_where_the_mount_is_another_namespace_s(mounts: Mounts) -> None:
    assert mounts.find(999, (0, 23)) == lib.FS_FUSE
    assert mounts.find(0, (8, 1)) == lib.FS_FUSE
    assert mounts.find(999, (8, 2)) == lib.FS_UNKNOWN


def test_what_is_not_of_its_form_is_passed_over(mounts: Mounts) -> None:
    for row in NOT_ROWS:
        assert mounts.add(row + b"\n") == len(row) + 1
    assert mounts.find(22, (0, 20)) == lib.FS_ORDINARY


def test_a_line_that_is_not_whole_waits(mounts: Mounts) -> None:
    whole = b"40 22 0:40 / /x rw - tmpfs x rw\n"
    assert mounts.add(whole + b"41 22 0:41 / /y rw - tm") == len(whole)
    assert mounts.find(41, (0, 41)) == lib.FS_UNKNOWN


def read(text: Sequence[bytes], tmp_path: Path) -> Mounts:
    path, made = tmp_path / "mountinfo", Mounts()
    path.write_bytes(b"".join(text))
    fd = os.open(path, os.O_RDONLY)
    try:
        assert lib.mounts_read(made.handle, ffi.NULL, fd) == 0
    finally:
        os.close(fd)
    return made


def test_more_than_one_read_takes(tmp_path: Path) -> None:
    made = read([b"%d 1 0:%d / /%s rw - fuse x rw\n" % (at, at, b"x" * 200) for at in range(5000)], tmp_path)
    assert made.find(4999, (7, 7)) == lib.FS_FUSE
    assert made.find(5000, (0, 5000)) == lib.FS_UNKNOWN


def test_a_line_without_end_and_mounts_without_number(tmp_path: Path) -> None:
    long = b"7 1 0:7 / /%s rw - tmpfs x rw\n" % (b"x" * 100_000)
    made = read([long, b"8 1 0:8 / / rw - tmpfs x rw\n"], tmp_path)
    assert made.find(7, (0, 7)) == made.find(8, (0, 8)) == lib.FS_UNKNOWN
    made = read([b"%d 1 1:%d / / rw - tmpfs x rw\n" % (at, at) for at in range(66_000)], tmp_path)
    assert made.find(65_535, (0, 1)) == lib.FS_TMPFS
    assert made.find(65_999, (0, 1)) == lib.FS_UNKNOWN


@given(st.lists(st.sampled_from(ROWS + NOT_ROWS) | st.binary(max_size=40)), st.data())
def test_cut_anywhere_it_is_the_same(rows: list[bytes], data: st.DataObject) -> None:
    text = b"".join(row + b"\n" for row in rows)
    cut = data.draw(st.integers(0, len(text)))
    whole, twice = Mounts(), Mounts()
    assert whole.add(text) == len(text)
    taken = twice.add(text[:cut])
    assert taken == text[:cut].rfind(b"\n") + 1
    assert twice.add(text[taken:]) == len(text) - taken
    for row in ROWS:
        mount_id = int(row.split()[0])
        assert whole.find(mount_id, (7, 7)) == twice.find(mount_id, (7, 7))
