"""Command lines of processes: memory of theirs, which they may have changed, moved, or made unreadable.

Source: proc(5), /proc/PID/cmdline; fs/proc/base.c get_mm_cmdline(): what the process has between arg_start and arg_end
now, read under its mmap lock. prctl(2) PR_SET_MM lets it lie in a mapping of a file whose server does not answer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from functools import partial

from zonerss.errors import KernelFormatError
from zonerss.kernel.patience import PATIENCE_SECONDS, Busy, patiently
from zonerss.kernel.proc import parse_stat, text_of
from zonerss.kernel.roots import Roots
from zonerss.records import Task

MOST_BYTES = 4096
"""As much of a command line is read; it may be of megabytes."""


def read_command_lines(
    roots: Roots, tasks: Iterable[Task], seconds: float = PATIENCE_SECONDS
) -> dict[int, tuple[str, ...]]:
    """
    The arguments of processes, by pid; a process that has none, has left, or cannot be read in time, is missing.

    :param seconds: that all of them together may take
    """
    until, found = time.monotonic() + seconds, {}
    for task in tasks:
        left = until - time.monotonic()
        if left <= 0:
            break
        try:
            raw = patiently(partial(_read, roots, task), task.pid, left)
        except (Busy, OSError, KernelFormatError):
            continue
        if line := _arguments(raw):
            found[task.pid] = line
    return found


def _read(roots: Roots, task: Task) -> bytes:
    """Empty where the pid is another process's by now."""
    directory = os.open(f"{roots.proc}/{task.pid}", os.O_RDONLY | os.O_DIRECTORY)
    try:
        if parse_stat(_content(directory, "stat")).start_ticks != task.start_ticks:
            return b""
        return _content(directory, "cmdline")
    finally:
        os.close(directory)


def _content(directory: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        return os.read(fd, MOST_BYTES)
    finally:
        os.close(fd)


def _arguments(raw: bytes) -> tuple[str, ...]:
    """NULs end the arguments; a process that writes its title there may end it by many, or by blanks."""
    return tuple(text_of(part) for part in raw.rstrip(b"\0 ").split(b"\0")) if raw.strip(b"\0 ") else ()
