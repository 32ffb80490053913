"""A directory that is ours alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from zonerss.kernel.private import make_private_directory, memory_file
from zonerss.kernel.safely import Unfit


def test_it_is_made_for_its_owner_alone_and_may_be_there(tmp_path: Path) -> None:
    where = tmp_path / "a"
    before = os.umask(0)
    try:
        make_private_directory(str(where))
    finally:
        os.umask(before)
    assert where.stat().st_mode & 0o7777 == 0o700
    make_private_directory(str(where))
    where.chmod(0o755)  # read by others it may be
    make_private_directory(str(where))


def test_what_is_not_ours_alone_is_refused(tmp_path: Path) -> None:
    where, link, file = tmp_path / "a", tmp_path / "link", tmp_path / "file"
    where.mkdir()
    link.symlink_to(where)
    file.touch()
    for path in (link, file):
        with pytest.raises(Unfit, match="no directory"):
            make_private_directory(str(path))
    for mode in (0o770, 0o777):
        where.chmod(mode)
        with pytest.raises(Unfit, match="written to by others"):
            make_private_directory(str(where))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_a_strangers_directory_is_refused(tmp_path: Path) -> None:
    where = tmp_path / "a"
    where.mkdir(0o700)
    os.chown(where, 65534, 65534)
    with pytest.raises(Unfit, match="belongs to the user 65534"):
        make_private_directory(str(where))


def test_above_it_nothing_is_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        make_private_directory(str(tmp_path / "a" / "b"))


def test_a_file_in_memory_has_the_text_and_goes() -> None:
    with memory_file("a key\n") as path:
        assert Path(path).read_text("utf-8") == "a key\n"
    assert not Path(path).exists()
