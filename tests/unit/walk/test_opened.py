"""Page cache of files that are held open: of files of our own, and what is not asked at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.unit import builders
from tests.unit.threads import until

from zonerss.kernel import patience
from zonerss.kernel.patience import Pauses
from zonerss.kernel.roots import HOST
from zonerss.plain import replace
from zonerss.records.files import OpenFile, OpenFiles
from zonerss.units import PAGE_BYTES
from zonerss.walk import opened

SIZE = 23 * PAGE_BYTES + 1


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.kernel.patience.PAUSES", Pauses())


@pytest.fixture
def log() -> Iterator[Path]:
    """On a file system that is asked: /tmp or /dev/shm."""
    with tempfile.NamedTemporaryFile(prefix="zonerss-test-", suffix=".log") as file:
        file.write(b"x" * SIZE)
        file.flush()
        yield Path(file.name)


def look() -> OpenFiles:
    return opened.read_open_files(builders.host(HOST), [os.getpid()])


def named(found: OpenFiles, name: str) -> list[OpenFile]:
    return [file for file in found.files if file.name == name]


def test_a_file_that_was_just_written_is_cached(log: Path):
    (file,) = named(look(), str(log))
    assert (file.pid, file.size_bytes, file.cached_bytes) == (os.getpid(), SIZE, 24 * PAGE_BYTES)
    assert file.inode == log.stat().st_ino


def test_mincore_says_the_same(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opened, "has_cachestat", lambda: False)
    (file,) = named(look(), str(log))
    assert file.cached_bytes == 24 * PAGE_BYTES


def test_a_file_that_is_open_twice_counts_once(log: Path):
    with log.open("rb"):
        assert len(named(look(), str(log))) == 1


def test_a_memfd_is_one_too():
    fd = os.memfd_create("zonerss-test")
    try:
        os.pwrite(fd, b"x" * SIZE, 0)
        (file,) = [file for file in look().files if file.name.startswith("/memfd:zonerss-test")]
        assert file.cached_bytes == 24 * PAGE_BYTES
    finally:
        os.close(fd)


def test_what_is_no_file_is_not_asked():
    ours, theirs = socket.socketpair()
    read, write = os.pipe()
    with ours, theirs:
        names = {file.name for file in look().files}
    os.close(read)
    os.close(write)
    assert not [name for name in names if name.startswith(("socket:", "pipe:", "/dev/null"))]


def test_a_process_that_has_left_holds_nothing():
    assert opened.read_open_files(builders.host(HOST), [(1 << 22) + 1]) == OpenFiles((), ())


def test_times_are_left_as_they_are(log: Path):
    os.utime(log, ns=(7, 7))
    assert named(look(), str(log))
    assert log.stat().st_atime_ns == 7


def test_a_file_of_holes_is_not_looked_at_page_by_page(log: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(opened, "has_cachestat", lambda: False)
    monkeypatch.setattr(opened, "MOST_PAGES", 20)
    found = look()
    assert not named(found, str(log))
    assert any("too long to be asked" in sentence for sentence in found.unseen)


def test_a_long_hole_is_not_waited_for_longer_than_the_machine_is_large(
    log: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[float] = []

    def patiently(call: Callable[[], object], pid: int, seconds: float) -> object:
        asked.append(seconds)
        return call()

    os.truncate(log, 1 << 40)
    monkeypatch.setattr(opened, "patiently", patiently)
    monkeypatch.setattr("zonerss.kernel.patience.EXPLAINED_PAGES", 1000)
    assert named(look(), str(log))
    assert max(asked) <= 2 + 1000 * 2e-6


def test_there_is_a_bound(log: Path, monkeypatch: pytest.MonkeyPatch):
    with monkeypatch.context() as patch:
        patch.setattr(opened, "MOST_FILES", 0)
        assert look() == OpenFiles((), ("open files beyond the first 0",))
    monkeypatch.setattr(opened, "MOST_FDS", 1)
    assert any("beyond the first 1" in sentence for sentence in look().unseen)


def test_a_file_that_does_not_answer_is_said(log: Path, monkeypatch: pytest.MonkeyPatch, pauses: None):
    def busy(call: object, pid: int, seconds: float) -> object:
        raise opened.Busy(f"process {pid} cannot be read")

    monkeypatch.setattr(opened, "patiently", busy)
    assert any("cannot be read" in sentence for sentence in look().unseen)


def test_a_file_that_we_have_locked_is_not_opened_by_anothers_descriptor_either(log: Path):
    """To close it would give up the lock: a recorder would lose its recording to another writer."""
    with log.open("rb") as theirs:
        child = subprocess.Popen(["sleep", "600"], stdin=theirs)
    try:
        with log.open("rb+") as ours:
            fcntl.lockf(ours, fcntl.LOCK_EX)
            found = opened.read_open_files(builders.host(HOST), [child.pid, os.getpid()])
            info = Path(f"/proc/self/fdinfo/{ours.fileno()}").read_text()
    finally:
        child.kill()
        child.wait()
    assert "POSIX" in info
    assert named(found, str(log)) == []
    assert found.unseen == (f"{log}: zonerss itself has locked it, and would lose the lock",)


@pytest.mark.parametrize(
    ("name", "most", "said"),
    [
        ("MOST_FILES", 0, "open files beyond the first 0"),
        ("MOST_DESCRIPTORS", 3, "open files beyond those of the first 3 descriptors"),
        ("MOST_SECONDS", 0.0, "open files beyond those of the first 0 seconds"),
    ],
)
def test_a_look_has_an_end_which_is_said_once(
    name: str, most: float, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opened, name, most)
    found = opened.read_open_files(builders.host(HOST), [os.getpid(), os.getppid()])
    assert found.unseen == (said,)


def opens(monkeypatch: pytest.MonkeyPatch, inode: int, does: Callable[[], object]) -> None:
    """Does something before a descriptor of a file is opened by O_PATH, as the server of a file system may."""
    really = os.open

    def there(path: str, flags: int, *rest: object, **named: object) -> int:
        if flags & os.O_PATH and str(path).startswith("/proc/") and os.stat(path).st_ino == inode:
            does()
        return really(path, flags, *rest, **named)

    monkeypatch.setattr("zonerss.kernel.patience.os.open", there)


def test_a_file_that_does_not_let_itself_be_opened_is_said(
    log: Path, monkeypatch: pytest.MonkeyPatch, pauses: None
):
    let_go = threading.Event()
    opens(monkeypatch, log.stat().st_ino, let_go.wait)
    host = replace(builders.host(HOST), patience_seconds=0.05)
    found = opened.read_open_files(host, [os.getpid()])
    let_go.set()
    assert any("cannot be read: the kernel did not answer within" in sentence for sentence in found.unseen)
    until(lambda: not patience.PAUSES.threads, "the kernel answers")


def test_what_its_server_does_not_know_any_more_hides_no_other_file(
    log: Path, monkeypatch: pytest.MonkeyPatch, pauses: None
):
    def stale() -> None:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    opens(monkeypatch, log.stat().st_ino, stale)
    fd = os.memfd_create("zonerss-test")  # its number may be lower, and is not
    try:
        os.pwrite(fd, b"x", 0)
        found = look()
    finally:
        os.close(fd)
    assert f"{log}, which process {os.getpid()} holds open: Stale file handle" in found.unseen
    assert [file for file in found.files if file.name.startswith("/memfd:zonerss-test")]


def test_nor_does_a_name_that_is_too_long(log: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A path of more than a page cannot be told by readlink(2)."""
    top = os.open(tmp_path, os.O_RDONLY)
    deep = top
    for _ in range(20):
        os.mkdir("d" * 250, dir_fd=deep)
        inner = os.open("d" * 250, os.O_RDONLY, dir_fd=deep)
        os.close(deep)
        deep = inner
    fd = os.open("file", os.O_RDWR | os.O_CREAT, dir_fd=deep)
    try:
        os.pwrite(fd, b"x", 0)
        os.fsync(fd)
        found = look()
        assert [file for file in found.files if file.inode == os.fstat(fd).st_ino]
        assert named(found, str(log))
    finally:
        os.close(fd)
        os.close(deep)
        shutil.rmtree(tmp_path)
