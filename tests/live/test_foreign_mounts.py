"""A tmpfs that is mounted where a file system has to be asked that answers nothing."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.foreign_files import HELD, LIBC, LOOKUP, ForeignFiles
from tests.oracle import PAGE
from tests.unit.threads import until
from zonerss.kernel.patience import PATIENCE_SECONDS, Pauses
from zonerss.kernel.roots import HOST
from zonerss.kernel.shmem import read_shmem
from zonerss.records.shmem import Shmem, ShmemKind

MS_BIND, MNT_DETACH = 4096, 2


def mount(source: object, target: Path, kind: str | None, flags: int, options: bytes | None = None) -> None:
    if LIBC.mount(os.fsencode(str(source)), os.fsencode(target), kind and kind.encode(), flags, options):
        number = ctypes.get_errno()
        needs.skip("needs_mount", os.strerror(number))


@pytest.fixture
def hidden(tmp_path: Path, pauses: Pauses) -> Iterator[tuple[ForeignFiles, tuple[int, int]]]:
    """A tmpfs of which one file is left, mounted over the file of a file system that is ours to answer for."""
    holder, directory = tmp_path / "holder", tmp_path / "foreign"
    holder.mkdir()
    directory.mkdir()
    mount("tmpfs", holder, "tmpfs", 0, b"size=8M")
    try:
        (holder / "file").write_bytes(bytes(3 * PAGE))
        device = holder.stat().st_dev
        try:
            foreign = ForeignFiles(directory, 1)
        except OSError as error:
            needs.skip("needs_mount", str(error))
        foreign.name_seconds = 0
        try:
            mount(holder / "file", foreign.path, None, MS_BIND)
            try:
                LIBC.umount2(os.fsencode(holder), MNT_DETACH)
                yield foreign, (os.major(device), os.minor(device))
            finally:
                foreign.let_go()
                until(lambda: not pauses.threads, "nobody waits any more")
                LIBC.umount2(os.fsencode(foreign.path), MNT_DETACH)
        finally:
            foreign.close()
    finally:
        LIBC.umount2(os.fsencode(holder), MNT_DETACH)


def found(device: tuple[int, int]) -> Shmem:
    (thing,) = (thing for thing in read_shmem(HOST, []).things if thing.device == device)
    assert thing.kind is ShmemKind.MOUNT
    return thing


def test_it_is_measured_where_the_way_to_it_answers(hidden) -> None:
    _, device = hidden
    assert found(device).bytes == 3 * PAGE


def test_it_is_not_waited_for_where_the_way_does_not(hidden) -> None:
    foreign, device = hidden
    foreign.answers[LOOKUP] = HELD
    began = time.monotonic()
    assert found(device).bytes is None
    assert time.monotonic() - began >= PATIENCE_SECONDS  # it did have to be asked
