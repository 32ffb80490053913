"""A file of ours in which data are kept, and that one process at a time writes to.

Source: open(2), O_NOFOLLOW; flock(2), which is dropped with the process and which no other lock of SQLite's on the same
file interferes with.
"""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from zonerss.kernel.safely import Unfit

_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Taken(OSError):
    """Another process writes to it."""


def hold_file(path: str, beside: tuple[str, ...] = ()) -> int:
    """
    A descriptor of a file that is ours to write to for as long as it is open; it is made where there is none, readable
    by its owner alone.

    :param beside: what is added to the path to name files that belong to it: they are to be ours, too, if they exist
    :raises Taken: another process holds it
    :raises Unfit: it is a link or no regular file, not ours, or others can write to it
    :raises OSError: as of open(2)
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    _demand_regular(path)
    fd = os.open(path, flags, 0o600)
    try:
        _demand_ours(os.fstat(fd), path)
        for suffix in beside:
            if os.path.lexists(path + suffix):
                _demand_ours(os.lstat(path + suffix), path + suffix)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as err:
        os.close(fd)
        raise Taken(err.errno, "another process writes to it", path) from None
    except BaseException:
        os.close(fd)
        raise
    return fd


def sync_file(path: str) -> None:
    """
    Wait until what was written to a regular file is on the disk.

    Source: fdatasync(2), of all that is in the page cache of the file, whoever wrote it.

    :raises OSError: as of open(2), which follows no link, and of fdatasync(2)
    """
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        os.fdatasync(fd)
    finally:
        os.close(fd)


def descriptors_of(held: int) -> frozenset[int]:
    """The descriptors of this process, but that one, that are of the file that is held."""
    file = os.fstat(held)
    return frozenset(fd for fd in _descriptors() if fd != held and _is_of(fd, file))


def _is_open(file: os.stat_result) -> bool:
    return any(_is_of(fd, file) for fd in _descriptors())


def _descriptors() -> list[int]:
    """Of this process, that of the directory that is read for that included."""
    return list(map(int, os.listdir("/proc/self/fd")))


def _is_of(fd: int, file: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), file)
    except OSError:
        return False  # it has been closed, as that of the directory that is read


@contextmanager
def occupied(path: str, beside: tuple[str, ...]) -> Iterator[None]:
    """
    Where everybody can make files beside a file that is held, as in /tmp: make those that belong to it, empty, before
    somebody else does. Those that are there are ours. At the end what is empty still goes, unless it was opened.

    The directory is sticky: only their owner and the directory's can take them away, or put others in their place.

    :raises Unfit: everybody can do that, or what is there is not ours
    :raises OSError: they cannot be made
    """
    directory = os.path.dirname(path)
    mode = os.stat(directory).st_mode
    if not mode & stat.S_IWOTH:
        yield
        return
    if not mode & stat.S_ISVTX:
        raise Unfit(f"everybody can put another file in place of {path}: {directory} is not sticky")
    made = []
    try:
        for name in (path + suffix for suffix in beside):
            try:
                os.close(
                    os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
                )
                made.append(name)
            except FileExistsError:
                _demand_ours(os.lstat(name), name)
        yield
    finally:
        for name in made:
            with suppress(FileNotFoundError):
                found = os.lstat(name)
                if not found.st_size and not _is_open(found):
                    os.unlink(name)


def demand_regular(path: str, beside: tuple[str, ...] = ()) -> None:
    """
    Whose ever it is: that to read a file, and what belongs to it, waits for nobody.

    :raises Unfit: one of them is no regular file
    :raises OSError: it is not there
    """
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise Unfit(f"{path} is no regular file")
    for suffix in beside:
        _demand_regular(path + suffix)


def _demand_regular(path: str) -> None:
    if os.path.lexists(path) and not stat.S_ISREG(os.lstat(path).st_mode):
        raise Unfit(f"{path} is no regular file")


def _demand_ours(found: os.stat_result, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise Unfit(f"{path} is no regular file")
    if found.st_uid != os.geteuid():
        raise Unfit(f"{path} belongs to the user {found.st_uid}")
    if found.st_mode & _OTHERS_WRITE:
        raise Unfit(f"{path} can be written to by others")


def write_whole(path: str, content: bytes, mode: int = 0o644) -> None:
    """
    Put a file in place of what is there, so that whoever reads it finds the one or the other, and whole.

    :param path: in a directory that nobody else can write to
    :raises OSError: it cannot be written; then what was there is there still
    """
    beside = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(beside)
    fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with _removed_on_error(fd, beside):
        _fill(fd, content, mode)
        os.rename(beside, path)


@contextmanager
def _removed_on_error(fd: int, path: str) -> Iterator[None]:
    """Close a file that is being made; what was interrupted leaves none behind."""
    try:
        yield
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise
    finally:
        os.close(fd)


def _fill(fd: int, content: bytes, mode: int) -> None:
    os.fchmod(fd, mode)
    while content:
        content = content[os.write(fd, content) :]


def make_own_directory(path: str) -> None:
    """
    Make a directory that everybody can read and only we can write to; one that is there must be so.

    :raises Unfit: it is a link, no directory, not ours, or others can write to it
    :raises OSError: it cannot be made
    """
    with suppress(FileExistsError):
        os.mkdir(path, 0o755)
    found = os.lstat(path)
    if not stat.S_ISDIR(found.st_mode):
        raise Unfit(f"{path} is no directory")
    if found.st_uid != os.geteuid():
        raise Unfit(f"{path} belongs to the user {found.st_uid}")
    if found.st_mode & _OTHERS_WRITE:
        raise Unfit(f"{path} can be written to by others")


def is_held(path: str) -> bool:
    """
    Whether a process holds a file by :func:`hold_file`, as far as we may see.

    To ask takes the lock for a moment: who wants to hold it then tries again.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
