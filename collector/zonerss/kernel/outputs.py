"""Files that are written because somebody has named them, without being led elsewhere.

Who can write to the directory of such a file can put there a symbolic link to any file, or a hard link, or change the
one for the other while we look. The kernel keeps root from following such a link in /tmp where fs.protected_symlinks is
1, which is not its default, and in no directory without the sticky bit. So where anybody but root, we and the user who
called sudo(8) can write to the directory, a regular file is replaced by a new one, and nothing else is written to,
unless it is ours and the directory is sticky. Root follows no links to that directory which somebody else can have
made.

Source: open(2), rename(2), symlink(7); Documentation/admin-guide/sysctl/fs.rst, protected_symlinks.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from zonerss.kernel.safely import Unfit, is_only_theirs, reached, trusted_users

_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_HERE = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_THERE = os.O_WRONLY | os.O_TRUNC | os.O_NOCTTY | os.O_CLOEXEC
_MOST_LINKS = 40  # as in the kernel, path_resolution(7)


@contextmanager
def replaced(path: str, private: bool = False) -> Iterator[int]:
    """
    A descriptor of a new file, which is put in the place of what is there at the end: no link is followed, and whoever
    reads the path finds the one file or the other, and whole. Where that fails, or what is done with it, what was there
    is there still.

    :param private: only its owner can read it; else it gets the mode of a file of ours that was there, or what the
        umask leaves
    :raises Unfit: what is there is a link or no regular file
    :raises OSError: it cannot be written
    """
    with _directory_of(path) as (directory, name):
        found = _demand_replaceable(directory, name, path)
        beside = f".zonerss-{secrets.token_hex(8)}"
        fd = os.open(beside, _NEW, 0o600, dir_fd=directory)
        try:
            yield fd
            os.fchmod(fd, 0o600 if private else _mode_after(found))
            _demand_replaceable(directory, name, path)
            os.rename(beside, name, src_dir_fd=directory, dst_dir_fd=directory)
        except BaseException:
            with suppress(OSError):
                os.unlink(beside, dir_fd=directory)
            raise
        finally:
            os.close(fd)


def put_in_place(path: str, content: bytes) -> None:
    """As :func:`replaced`, with this content."""
    with replaced(path) as fd:
        while content:
            content = content[os.write(fd, content) :]


def demand_replaceable(path: str) -> None:
    """
    See whether :func:`replaced` has any prospect.

    :raises Unfit: what is there is a link or no regular file
    :raises OSError: its directory is not there
    """
    with _directory_of(path) as (directory, name):
        _demand_replaceable(directory, name, path)


@contextmanager
def written(path: str) -> Iterator[int]:
    """
    A descriptor of what is at a path, to be written from its beginning: a file, which is made where there is none, or
    a pipe, a terminal, a link to something. A file in a directory that others can write to is one by :func:`replaced`.

    :raises Unfit: somebody else can have put it there, and it is no regular file
    :raises OSError: it cannot be written
    """
    with _followed(path, _MOST_LINKS) as fd:
        yield fd


@contextmanager
def _followed(path: str, links: int) -> Iterator[int]:
    owners = trusted_users()
    with _directory_of(path) as (directory, name):
        found, around = _look(directory, name), os.fstat(directory)
        ours = is_only_theirs(directory, owners)
        if found is None or stat.S_ISREG(found.st_mode):
            inner = _opened(name, _HERE, directory, path) if ours else replaced(path)
        elif not ours and not _is_kept(around, found, owners):
            raise Unfit(f"{path} is no regular file, and somebody else can have put it there")
        elif stat.S_ISLNK(found.st_mode) and around.st_dev != os.stat("/proc").st_dev:
            if not links:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            target = os.readlink(name, dir_fd=directory)
            inner = _followed(os.path.join(os.path.dirname(path), target), links - 1)
        else:
            inner = _opened(name, _THERE, directory, path)
        with inner as fd:
            yield fd


@contextmanager
def _opened(name: str, flags: int, directory: int, path: str) -> Iterator[int]:
    fd = os.open(name, flags, 0o666, dir_fd=directory)
    try:
        if flags == _HERE:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Unfit(f"{path} is no regular file any more")
            os.ftruncate(fd, 0)
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _directory_of(path: str) -> Iterator[tuple[int, str]]:
    """By O_PATH, and the name in it."""
    directory, name = os.path.split(os.path.join(os.getcwd(), path))
    if not path:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    if name in ("", ".", ".."):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if os.geteuid() == 0:
        with reached("/", directory, trusted_users()) as fd:
            yield fd, name
        return
    fd = os.open(directory, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd, name
    finally:
        os.close(fd)


def path_of(fd: int) -> str:
    """By which what a descriptor of ours is of can be opened once more, whatever has become of its name."""
    return f"/proc/self/fd/{fd}"


def _look(directory: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _demand_replaceable(directory: int, name: str, path: str) -> os.stat_result | None:
    """What is there; None: nothing."""
    found = _look(directory, name)
    if found is not None and not stat.S_ISREG(found.st_mode):
        raise Unfit(f"{path} is no regular file")
    return found


def _is_kept(around: os.stat_result, found: os.stat_result, owners: frozenset[int]) -> bool:
    """In a sticky directory, as /tmp is, only its owner and that of the directory can put another in its place."""
    return bool(around.st_mode & stat.S_ISVTX) and around.st_uid in owners and found.st_uid in owners


def _mode_after(found: os.stat_result | None) -> int:
    if found is not None and found.st_uid == os.geteuid():
        return found.st_mode & 0o777
    umask = os.umask(0o077)  # it can only be asked for by setting it
    os.umask(umask)
    return 0o666 & ~umask
