"""Reading files at paths that somebody else than root can write to, without being led elsewhere.

Whoever owns a directory can put there a symbolic link to any file, a device, a pipe, a file of a terabyte, or a file
system of his own whose server does not answer. To open some of them has an effect already (/dev/ptmx makes a terminal,
reading /proc/kmsg takes the kernel's messages away). So a file is first opened by O_PATH, which does nothing to it,
and read once it is known to be a regular file, of an owner who may say what we read there, and not too long.

Source: open(2), O_PATH (Linux 2.6.39); openat2(2) (Linux 5.6; before, the path is walked by its components);
symlink(7), "magic links".
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path

from zonerss._core import check, lib
from zonerss.kernel.numbers import whole_number

_PATH = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY  # waits for no lease and no writer of a pipe
_PIECE_BYTES = 1 << 16
_MOST_LINKS = 40  # as in the kernel, path_resolution(7)
_NO_LINKS = 0x02 | 0x04 | 0x08  # RESOLVE_NO_MAGICLINKS, NO_SYMLINKS and BENEATH of linux/openat2.h
_NO_MOUNTS = 0x01  # RESOLVE_NO_XDEV
# What openat2() says where it cannot tell: EPERM is what container engines say of a call that they do not know.
_UNKNOWN_CALL = (errno.ENOSYS, errno.EPERM)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Unfit(OSError):
    """A file that is not to be read: it is no regular file, or not of the right owner."""


class TooLong(Unfit):
    """A file or a directory with more in it than we take."""


@contextmanager
def reached(top: str | Path, path: str, owners: Collection[int]) -> Iterator[int]:
    """
    A file below a directory by O_PATH. Links are followed only where they lie in a directory that nobody but the owners
    can write to; they and ``..`` do not lead out of the directory.

    :param owners: user ids
    :raises OSError: as of open(2); ELOOP: a link that somebody else can have made
    """
    with ExitStack() as opened:
        top_fd = os.open(top, os.O_PATH | os.O_CLOEXEC)
        opened.callback(os.close, top_fd)
        try:
            fd = _open_below(top_fd, path.strip("/"), _NO_LINKS)
        except OSError as err:
            if err.errno not in (errno.ELOOP, errno.EXDEV, *_UNKNOWN_CALL):
                raise
            yield _walk(top_fd, path, owners, opened)
        else:
            opened.callback(os.close, fd)
            yield fd


@contextmanager
def beneath(directory_fd: int, path: str) -> Iterator[int]:
    """
    A file below a directory by O_PATH, with no link of any kind on the way and on the same mount.

    :raises OSError: as of openat2(2); ELOOP: a link, EXDEV: another mount or ``..``
    """
    try:
        fd = _open_below(directory_fd, path, _NO_LINKS | _NO_MOUNTS)
    except OSError as err:
        if err.errno not in _UNKNOWN_CALL:
            raise
        fd = _walk_beneath(directory_fd, path)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def trusted(top: str | Path, path: str, owners: Collection[int]) -> Iterator[int]:
    """
    A file or directory by O_PATH that only the owners can have put there and can change: it and every directory on the
    way, from the top on, are theirs, and nobody else can write to them. Links that lie there are followed.

    :raises Unfit: says which of them is not so
    :raises OSError: as of open(2)
    """
    with ExitStack() as opened:
        top_fd = os.open(top, os.O_PATH | os.O_CLOEXEC)
        opened.callback(os.close, top_fd)
        _demand_theirs(top_fd, owners)
        yield _walk(top_fd, path, owners, opened, lambda fd: _demand_theirs(fd, owners))


def _demand_theirs(fd: int, owners: Collection[int]) -> None:
    found = os.fstat(fd)
    if found.st_uid not in owners:
        why = f"belongs to the user {found.st_uid}"
    elif found.st_mode & _OTHERS_WRITE:
        why = f"can be written to by {'everybody' if found.st_mode & stat.S_IWOTH else 'its group'}"
    else:
        return
    raise Unfit(f"{os.readlink(f'/proc/self/fd/{fd}')} {why}")


def trusted_users() -> frozenset[int]:
    """Whose files are what a user has named: root's, ours, and those of who called sudo(8)."""
    caller = whole_number(os.fsencode(os.environ.get("SUDO_UID", "")))
    return frozenset({0, os.geteuid()} | ({caller} if caller is not None else set()))


def read_named(path: str, most_bytes: int) -> bytes:
    """
    A regular file that was named on the command line, if it is root's, ours, or that of the user who called sudo(8).

    :raises Unfit: it is not, or everybody can write to it
    :raises TooLong: it is longer than most_bytes
    :raises OSError: it cannot be read
    """
    owners = trusted_users()
    with reached("/", os.path.join(os.getcwd(), path), owners) as fd:
        return read_regular(fd, owners, most_bytes)


def read_kept(path: str, owners: Collection[int], most_bytes: int) -> bytes:
    """
    A regular file that is no link, and that only its owners can have put there and can change: it is theirs, neither
    its group nor everybody can write to it, and nobody else can put another one in its place.

    :raises Unfit: it is not so; says what is wrong
    :raises TooLong: it is longer than most_bytes
    :raises OSError: it cannot be read
    """
    directory, name = os.path.split(os.path.abspath(path))
    with ExitStack() as opened:
        top_fd = os.open("/", os.O_PATH | os.O_CLOEXEC)
        opened.callback(os.close, top_fd)
        parent = _walk(top_fd, directory, owners, opened, lambda fd: _demand_kept(fd, owners))
        fd = os.open(name, _PATH, dir_fd=parent)
        opened.callback(os.close, fd)
        if stat.S_ISLNK(os.fstat(fd).st_mode):
            raise Unfit("it is a symbolic link")
        _demand_theirs(fd, owners)
        return read_regular(fd, owners, most_bytes)


def _demand_kept(directory_fd: int, owners: Collection[int]) -> None:
    """In a sticky directory, as /tmp is, a file can be replaced by its owner and the directory's only: sticky(7)."""
    if not os.fstat(directory_fd).st_mode & stat.S_ISVTX:
        _demand_theirs(directory_fd, owners)
    elif os.fstat(directory_fd).st_uid not in owners:
        raise Unfit(
            f"{os.readlink(f'/proc/self/fd/{directory_fd}')} belongs to the user {os.fstat(directory_fd).st_uid}"
        )


def read_regular(fd: int, owners: Collection[int], most_bytes: int) -> bytes:
    """
    The whole of a file that was opened by O_PATH.

    :raises Unfit: it is no regular file of one of these users, or everybody can write to it
    :raises TooLong: it is longer than most_bytes
    :raises OSError: it cannot be read
    """
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        raise Unfit("it is no regular file")
    if found.st_uid not in owners:
        raise Unfit(f"it belongs to the user {found.st_uid}")
    if found.st_mode & stat.S_IWOTH:
        raise Unfit("everybody can write to it")
    if found.st_size > most_bytes:
        raise TooLong(f"it is longer than {most_bytes:,} bytes")
    readable = os.open(f"/proc/self/fd/{fd}", _READ)
    try:
        text = os.read(readable, min(found.st_size, most_bytes) + 1)
        while piece := os.read(readable, _PIECE_BYTES):
            text += piece
            if len(text) > most_bytes:
                break
    finally:
        os.close(readable)
    if len(text) > most_bytes:
        raise TooLong(f"it is longer than {most_bytes:,} bytes")
    return text


def read_names(fd: int, owners: Collection[int], most: int | None) -> list[str]:
    """
    What is in a directory that was opened by O_PATH, sorted.

    :raises Unfit: it belongs to none of these users
    :raises TooLong: there is more in it than ``most``
    :raises OSError: it cannot be read, or is no directory
    """
    if os.fstat(fd).st_uid not in owners:
        raise Unfit(f"it belongs to the user {os.fstat(fd).st_uid}")
    directory = os.open(".", _READ | os.O_DIRECTORY, dir_fd=fd)
    try:
        with os.scandir(directory) as entries:
            names = [entry.name for entry in islice(entries, None if most is None else most + 1)]
    finally:
        os.close(directory)
    if most is not None and len(names) > most:
        raise TooLong(f"there are more than {most:,} files in it")
    return sorted(names)


def is_only_theirs(directory_fd: int, owners: Collection[int]) -> bool:
    """Whether a directory is of one of these users, and nobody else can write to it."""
    found = os.fstat(directory_fd)
    return found.st_uid in owners and not found.st_mode & _OTHERS_WRITE


def _open_below(directory_fd: int, path: str, resolve: int) -> int:
    if "\0" in path:
        raise ValueError(f"no path: {path!r}")
    return check(lib.open_below(directory_fd, os.fsencode(path) or b".", resolve), path)


def _walk(
    top_fd: int,
    path: str,
    owners: Collection[int],
    opened: ExitStack,
    demand: Callable[[int], None] = lambda fd: None,
) -> int:
    """:param demand: is asked about each file on the way that is no link; raises where that is not to be used"""
    trail, todo, links = [top_fd], path.split("/")[::-1], 0
    while todo:
        part = todo.pop()
        if part in ("", "."):
            continue
        if part == "..":
            del trail[max(len(trail) - 1, 1) :]
            continue
        fd = os.open(part, _PATH, dir_fd=trail[-1])
        opened.callback(os.close, fd)
        if not stat.S_ISLNK(os.fstat(fd).st_mode):
            demand(fd)
            trail.append(fd)
            continue
        links += 1
        if links > _MOST_LINKS or not is_only_theirs(trail[-1], owners):
            raise OSError(errno.ELOOP, "a symbolic link that is not to be followed", path)
        target = os.readlink("", dir_fd=fd)
        if target.startswith("/"):
            del trail[1:]
        todo.extend(target.split("/")[::-1])
    return trail[-1]


def _walk_beneath(directory_fd: int, path: str) -> int:
    device = os.fstat(directory_fd).st_dev
    fd = os.dup(directory_fd)
    for part in path.split("/"):
        try:
            if part == "..":
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
            inner = os.open(part or ".", _PATH, dir_fd=fd)
        finally:
            os.close(fd)
        fd = inner
        found = os.fstat(fd)
        if stat.S_ISLNK(found.st_mode) or found.st_dev != device:
            os.close(fd)
            code = errno.ELOOP if stat.S_ISLNK(found.st_mode) else errno.EXDEV
            raise OSError(code, os.strerror(code), path)
    return fd
