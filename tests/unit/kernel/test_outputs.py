"""Files that somebody has named for us to write: where others can write to the directory, and where they cannot."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from zonerss.kernel.outputs import path_of, put_in_place, replaced, written
from zonerss.kernel.safely import Unfit

STRANGER = 12345
OPEN, STICKY = 0o777, 0o1777
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of somebody else")


@pytest.fixture(autouse=True)
def nobody_called_sudo(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SUDO_UID", raising=False)


@pytest.fixture
def victim(tmp_path: Path) -> Iterator[Path]:
    """A file of ours that nobody else can write to; it is as it was afterwards."""
    path = tmp_path / "victim"
    path.write_text("ours")
    yield path
    assert path.read_text() == "ours"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def directory(tmp_path: Path, mode: int) -> Path:
    path = tmp_path / "there"
    path.mkdir()
    path.chmod(mode)
    return path


def write(path: Path | str, text: str = "report") -> None:
    with written(str(path)) as fd:
        os.write(fd, text.encode())


def link_of(owner: int, path: Path, target: Path) -> Path:
    path.symlink_to(target)
    os.chown(path, owner, -1, follow_symlinks=False)
    return path


def test_a_file_where_only_we_can_write_is_written_as_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "report"
    write(path, "a long report")
    before = path.stat()
    write(path)
    assert path.read_text() == "report"
    assert path.stat().st_ino == before.st_ino
    assert os.listdir(tmp_path) == ["report"]


@pytest.mark.parametrize("mode", [OPEN, STICKY])
def test_a_file_where_others_can_write_is_replaced(tmp_path: Path, victim: Path, mode: int) -> None:
    """A hard link to a file of ours may stand there."""
    path = directory(tmp_path, mode) / "report"
    path.hardlink_to(victim)
    write(path)
    assert path.read_text() == "report"
    assert os.listdir(path.parent) == ["report"]


@as_root
@pytest.mark.parametrize("mode", [OPEN, STICKY])
def test_a_link_of_somebody_else_is_not_followed(tmp_path: Path, victim: Path, mode: int) -> None:
    path = link_of(STRANGER, directory(tmp_path, mode) / "report", victim)
    with pytest.raises(Unfit, match="somebody else"):
        write(path)
    with pytest.raises(Unfit, match="no regular file"):
        put_in_place(str(path), b"page")
    assert path.is_symlink()
    assert os.listdir(path.parent) == ["report"]


@as_root
def test_nor_one_that_a_link_of_ours_leads_to(tmp_path: Path, victim: Path) -> None:
    theirs = link_of(STRANGER, directory(tmp_path, STICKY) / "report", victim)
    with pytest.raises(Unfit, match="somebody else"):
        write(link_of(0, tmp_path / "link", theirs))


@as_root
def test_nor_one_to_the_directory(tmp_path: Path, victim: Path) -> None:
    there = link_of(STRANGER, directory(tmp_path, STICKY) / "link", tmp_path)
    for writes in (write, lambda path: put_in_place(str(path), b"page")):
        with pytest.raises(OSError, match="not to be followed"):
            writes(there / "victim")


@as_root
def test_nor_is_a_pipe_of_somebody_else_written_to(tmp_path: Path) -> None:
    pipe = directory(tmp_path, OPEN) / "pipe"
    os.mkfifo(pipe)
    os.chown(pipe, STRANGER, -1)
    with pytest.raises(Unfit, match="somebody else"):
        write(pipe)


@pytest.mark.parametrize("mode", [0o755, STICKY])
def test_links_of_ours_are_followed_where_they_stay_ours(tmp_path: Path, mode: int) -> None:
    target = tmp_path / "target"
    write(link_of(os.geteuid(), directory(tmp_path, mode) / "link", Path("../target")))
    assert target.read_text() == "report"


def test_links_in_a_circle_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(OSError, match="symbolic links"):
        write(tmp_path / "a")


def test_pipes_and_devices_and_open_descriptors() -> None:
    write("/dev/null")
    reading, writing = os.pipe()
    try:
        write(f"/dev/fd/{writing}")
        assert os.read(reading, 100) == b"report"
    finally:
        os.close(reading)
        os.close(writing)


@pytest.mark.parametrize("path", ["", "/", "."])
def test_what_is_no_file(path: str) -> None:
    with pytest.raises(OSError, match=r"directory"):
        write(path)


def test_what_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("before")

    class Stopped(Exception):
        pass

    def stop() -> None:
        with replaced(str(path)) as fd:
            os.write(fd, b"half")
            raise Stopped

    with pytest.raises(Stopped):
        stop()
    assert path.read_text() == "before"
    assert os.listdir(tmp_path) == ["page"]


def test_what_is_put_in_the_place_of_the_new_file_is_not_written_to(tmp_path: Path, victim: Path) -> None:
    """Who can write to the directory can do that while the file is being made."""
    path = directory(tmp_path, OPEN) / "table"
    with replaced(str(path)) as fd:
        (beside,) = path.parent.iterdir()
        beside.unlink()
        beside.symlink_to(victim)
        with open(path_of(fd), "w") as file:
            file.write("rows")
        assert os.pread(fd, 100, 0) == b"rows"


def test_a_mode_is_kept_where_the_file_is_ours(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("before")
    path.chmod(0o640)
    put_in_place(str(path), b"page")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    with replaced(str(path), private=True):
        pass
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@as_root
def test_but_not_that_of_a_file_of_somebody_else(tmp_path: Path) -> None:
    path = directory(tmp_path, OPEN) / "page"
    path.write_text("before")
    path.chmod(0o666)
    os.chown(path, STRANGER, -1)
    put_in_place(str(path), b"page")
    assert path.stat().st_uid == 0
    assert not path.stat().st_mode & 0o022
