"""What is in the page cache, asked of files of our own: no root, no other process."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from zonerss._core import ffi, lib
from zonerss.units import PAGE_BYTES
from zonerss.walk import incore


@pytest.fixture
def memfd() -> Iterator[int]:
    """23 pages of data, then holes to 100 pages."""
    fd = os.memfd_create("zonerss-test")
    os.pwrite(fd, b"x" * (23 * PAGE_BYTES), 0)
    os.pwrite(fd, b"x", 50 * PAGE_BYTES)
    os.truncate(fd, 100 * PAGE_BYTES)
    yield fd
    os.close(fd)


def means() -> list[int]:
    return [lib.BY_MINCORE, *([lib.BY_CACHESTAT] if incore.has_cachestat() else [])]


def test_both_means_count_alike(memfd):
    for by in means():
        assert incore._count(memfd, by, [(0, 100), (20, 31), (23, 27), (50, 1), (51, 200)]) == [
            24,
            4,
            0,
            1,
            0,
        ]


def test_nothing_is_asked(memfd):
    for by in means():
        assert incore._count(memfd, by, []) == []


def test_more_pages_than_one_call_takes():
    with tempfile.TemporaryFile(dir="/dev/shm") as file:
        os.pwrite(file.fileno(), b"x", 70_000 * PAGE_BYTES)
        for by in means():
            assert incore._count(file.fileno(), by, [(0, 1 << 20)]) == [1]
        assert lib.incore_first(file.fileno(), PAGE_BYTES, 0, 1 << 20) == 70_000


def test_the_first_page_that_is_there(memfd):
    assert lib.incore_first(memfd, PAGE_BYTES, 0, 100) == 0
    assert lib.incore_first(memfd, PAGE_BYTES, 23, 77) == 50
    assert lib.incore_first(memfd, PAGE_BYTES, 51, 49) < 0


def test_looking_brings_nothing_in(memfd):
    for by in means():
        incore._count(memfd, by, [(0, 100)])
    assert os.fstat(memfd).st_blocks * 512 == 24 * PAGE_BYTES


def test_what_cannot_be_asked():
    read, write = os.pipe()
    try:
        for by in means():
            assert incore._count(read, by, [(0, 1)], raises=False) in (None, [0])
        with pytest.raises(OSError, match="page cache"):
            incore._count(read, lib.BY_MINCORE, [(0, 1)])
    finally:
        os.close(read)
        os.close(write)


def test_a_range_is_laid_out_as_the_core_writes_it():
    import struct

    assert struct.calcsize(incore._RANGE_STRUCT) == ffi.sizeof("struct file_range")
    row = ffi.new("struct file_range *", {"file": 2, "owner": 3, "first": 5, "pages": 7, "shared": 1})
    assert struct.unpack(incore._RANGE_STRUCT, ffi.buffer(row)) == (2, 3, 5, 7, 1)
