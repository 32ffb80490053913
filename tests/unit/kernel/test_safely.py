"""Files at paths that somebody else can write to: what is followed, what is read, and that nothing else is touched."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from zonerss.kernel import safely
from zonerss.kernel.safely import TooLong, Unfit, beneath, reached, read_named, read_names, read_regular

ME = os.geteuid()
STRANGER = 4242


@pytest.fixture
def old_kernel(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """The test once with openat2(2), once on a kernel before Linux 5.6."""
    if request.param:

        def unknown(*_: object) -> int:
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(safely, "_open_below", unknown)


both_ways = pytest.mark.parametrize(
    "old_kernel", [0, errno.ENOSYS, errno.EPERM], ids=["openat2", "walked", "seccomp"], indirect=True
)


@pytest.fixture
def top(tmp_path: Path) -> Path:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_text("text")
    return tmp_path


def read_beneath(top: Path, path: str, most: int = 100) -> bytes:
    fd = os.open(top, os.O_PATH)
    try:
        with beneath(fd, path) as found:
            return read_regular(found, {ME}, most)
    finally:
        os.close(fd)


def read_reached(top: Path, path: str) -> bytes:
    with reached(top, path, {ME}) as found:
        return read_regular(found, {ME}, 100)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@both_ways
@pytest.mark.parametrize("path", ["a/b/file", "a//b/file", "a/./b/file"])
def test_a_plain_path(top: Path, path: str, old_kernel: None) -> None:
    before = open_files()
    assert read_beneath(top, path) == read_reached(top, path) == b"text"
    assert open_files() == before


@both_ways
@pytest.mark.parametrize("target", ["b/file", "/etc/passwd", "../../x", "/proc/self/fd/0", "/dev/ptmx"])
@pytest.mark.parametrize("where", ["a/link", "a/b/c/d/link"])
def test_no_link_is_followed_beneath_a_home(top: Path, target: str, where: str, old_kernel: None) -> None:
    (top / where).parent.mkdir(parents=True, exist_ok=True)
    (top / where).symlink_to(target)
    before = open_files()
    for path in (where, f"{where}/", f"{where}/etc/passwd"):
        with pytest.raises(OSError, match=f"{os.strerror(errno.ELOOP)}|{os.strerror(errno.ENOTDIR)}"):
            read_beneath(top, path)
    assert open_files() == before


@both_ways
def test_no_way_out_of_a_home(top: Path, old_kernel: None) -> None:
    (top / "a/b/inner").mkdir()
    with pytest.raises(OSError, match=os.strerror(errno.EXDEV)):
        read_beneath(top / "a/b/inner", "../file")
    fd = os.open("/", os.O_PATH)
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EXDEV)), beneath(fd, "proc/self/status"):
            pass
    finally:
        os.close(fd)


@both_ways
def test_a_link_that_the_owner_made_is_followed_where_nobody_else_could(top: Path, old_kernel: None) -> None:
    (top / "data").symlink_to("a/../a/b")
    (top / "a/absolute").symlink_to("/a/b/../../../../data")
    before = open_files()
    assert read_reached(top, "data/file") == b"text"
    assert read_reached(top, "a/absolute/file") == b"text"  # as if it were the root
    assert open_files() == before
    top.chmod(0o770)
    with pytest.raises(OSError, match="symbolic link"):
        read_reached(top, "data/file")
    assert read_reached(top, "a/b/file") == b"text"
    (top / "a/round").symlink_to("round")
    with pytest.raises(OSError, match="symbolic link"):
        read_reached(top, "a/round")
    assert open_files() == before


@pytest.mark.skipif(ME != 0, reason="needs root: gives a file away")
@both_ways
def test_whose_it_is(top: Path, old_kernel: None) -> None:
    (top / "a/link").symlink_to("b/file")
    os.chown(top / "a", STRANGER, STRANGER)
    with pytest.raises(OSError, match="symbolic link"):
        read_reached(top, "a/link")
    os.chown(top / "a/b/file", STRANGER, STRANGER)
    with pytest.raises(Unfit, match="belongs to the user 4242"):
        read_beneath(top, "a/b/file")
    with pytest.raises(Unfit, match="belongs to the user 4242"), reached(top, "a", {ME}) as fd:
        read_names(fd, {ME}, None)


def test_what_is_no_regular_file_is_not_opened(top: Path) -> None:
    os.mkfifo(top / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(top / "socket"))
    listening.close()
    for name in ("pipe", "socket", "a"):
        with pytest.raises(Unfit, match="no regular file"):
            read_beneath(top, name)


def test_devices_are_not_opened() -> None:
    terminals = set(os.listdir("/dev/pts")) if os.path.isdir("/dev/pts") else set()
    for name in ("ptmx", "zero", "tty", "full"):
        if os.path.exists(f"/dev/{name}"):
            with pytest.raises(Unfit, match="no regular file"):
                read_beneath(Path("/dev"), name)
    assert not os.path.isdir("/dev/pts") or set(os.listdir("/dev/pts")) <= terminals


def test_how_much_is_read(top: Path) -> None:
    file = top / "file"
    file.write_bytes(b"x" * 100)
    assert read_beneath(top, "file") == b"x" * 100
    file.write_bytes(b"x" * 101)
    with pytest.raises(TooLong, match="100 bytes"):
        read_beneath(top, "file")
    os.truncate(file, 1 << 40)
    with pytest.raises(TooLong, match="100 bytes"):
        read_beneath(top, "file")
    file.chmod(0o666)
    with pytest.raises(Unfit, match="everybody can write"):
        read_beneath(top, "file")


def test_a_file_whose_size_reads_as_0(top: Path) -> None:
    fd = os.open("/proc/self/status", os.O_PATH)
    try:
        assert read_regular(fd, {ME}, 1 << 16).startswith(b"Name:")
        with pytest.raises(TooLong):
            read_regular(fd, {ME}, 10)
    finally:
        os.close(fd)


def test_how_much_is_listed(top: Path) -> None:
    for name in "cab":
        (top / "a/b" / name).touch()
    with reached(top, "a/b", {ME}) as fd:
        assert read_names(fd, {ME}, 4) == read_names(fd, {ME}, None) == ["a", "b", "c", "file"]
        with pytest.raises(TooLong, match="more than 3"):
            read_names(fd, {ME}, 3)
    with pytest.raises(NotADirectoryError), reached(top, "a/b/a", {ME}) as fd:
        read_names(fd, {ME}, 3)


def test_a_path_that_is_none(top: Path) -> None:
    for path in ("a\0b", "no", "a/b/file/x", "x" * 300):
        with pytest.raises((OSError, ValueError)):
            read_reached(top, path)
        with pytest.raises((OSError, ValueError)):
            read_beneath(top, path)


def test_a_file_that_was_named(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(top / "a")
    monkeypatch.setenv("SUDO_UID", str(STRANGER))
    assert read_named("b/file", 100) == read_named(str(top / "a/b/file"), 100) == b"text"
    assert read_named("../a/b/file", 100) == b"text"
    if ME == 0:
        os.chown("b/file", STRANGER, 0)
        assert read_named("b/file", 100) == b"text"
        monkeypatch.setenv("SUDO_UID", "x")
        with pytest.raises(Unfit, match="4242"):
            read_named("b/file", 100)
    with pytest.raises(Unfit, match="no regular file"):
        read_named("/dev/null", 100)
