"""A command in a child process, for which its parent stands: the parent ends once the child has said how it ended.

A thread that waits for an answer of a FUSE server cannot be ended by anybody, and its process stays for as long
(fs/fuse/dev.c, request_wait_answer()). So a command that may come to that works in a child, which is left behind where
it does not end; it has nothing open then that somebody waits for.

Source: fork(2); proc_pid_stat(5), Z: the first thread has ended, others may not have.
"""

from __future__ import annotations

import os
import select
import signal
import struct
import sys
from contextlib import suppress

from zonerss.kernel.parent import end_with

_STATUS = struct.Struct("=i")
_LOOK_MS = 200
LAST_WAIT_MS = 2000
"""How long a child that has said how it ended is waited for: it gives back its memory, most often."""
_HANDED_ON = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_INTERRUPT = (signal.SIGINT,)
_ENDED = b"Z"

_told_by: int | None = None
"""Of a child: where it says how it ended."""


def begin() -> int | None:
    """
    Fork, while there is one thread. None: this is the child, which goes on, and says in the end :func:`tell`; or there
    can be no child, and we go on ourselves.

    :return: for the parent, how the child has ended: its status, or less than 0: the signal
    """
    global _told_by
    parent = os.getpid()
    sys.stdout.flush()
    try:
        reading, writing = os.pipe()
    except OSError:
        return None
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_HANDED_ON, *_INTERRUPT))
    try:
        pid = os.fork()
    except OSError:
        os.close(reading)
        os.close(writing)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return None
    if not pid:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(reading)
        _told_by = writing
        end_with(parent)
        return None
    os.close(writing)

    def hand_on(number: int, _frame: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)

    for number in _HANDED_ON:
        signal.signal(number, hand_on)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _HANDED_ON)
    try:
        return _await(pid, reading)
    finally:
        os.close(reading)
        signal.sigtimedwait(_INTERRUPT, 0)  # the child has had it, too
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def tell(status: int) -> None:
    """
    Of a child: say how it ended, and let go of what others wait for. Of any other process: nothing.

    :param status: less than 0: the signal that ends it
    """
    global _told_by
    if _told_by is None:
        return
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for fd in range(3):
        os.dup2(nowhere, fd)
    os.write(_told_by, _STATUS.pack(status))
    os.close(_told_by)
    _told_by = None


def _await(pid: int, reading: int) -> int:
    waiting = select.poll()
    waiting.register(reading, select.POLLIN)
    while not waiting.poll(_LOOK_MS):
        _hand_on_interrupt(pid)
        if not _works(pid):
            break  # it was killed, and cannot say anything
    said = os.read(reading, _STATUS.size) if waiting.poll(0) else b""
    for _ in range(LAST_WAIT_MS):
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return _STATUS.unpack(said)[0] if said else os.waitstatus_to_exitcode(status)
        select.select([], [], [], 0.001)
    print(
        f"zonerss: process {pid} is left behind: it waits for a file system in user space, and ends once that answers",
        file=sys.stderr,
    )
    return _STATUS.unpack(said)[0] if said else -signal.SIGKILL


def _hand_on_interrupt(pid: int) -> None:
    """What is typed at the terminal both of us get; not what a process sends, which si_code tells (sigaction(2))."""
    found = signal.sigtimedwait(_INTERRUPT, 0)
    if found is not None and found.si_code <= 0:
        os.kill(pid, signal.SIGINT)


def _works(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b")")[2].split()[:1] != [_ENDED]
    except OSError:
        return False
