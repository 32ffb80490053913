"""A directory that is ours alone, and a file that nobody sees."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from zonerss.kernel.safely import Unfit


def make_private_directory(path: str) -> None:
    """
    Make a directory that only its owner, who we are, can enter; one that is there must be ours, and nobody else's to
    write to. The directories above it must exist.

    :raises Unfit: it is a link, no directory, or others can write to it
    :raises OSError: it cannot be made
    """
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode):
            raise Unfit(f"{path} is no directory") from None
        if found.st_uid != os.geteuid():
            raise Unfit(f"{path} belongs to the user {found.st_uid}") from None
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise Unfit(f"{path} can be written to by others") from None


@contextmanager
def memory_file(text: str) -> Iterator[str]:
    """
    A path of a file with this text, for those who take nothing else. It is in memory, and goes with the context.

    Source: memfd_create(2) (Linux 3.17); proc_pid_fd(5).
    """
    with open(os.memfd_create("zonerss"), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        yield f"/dev/fd/{file.fileno()}"
