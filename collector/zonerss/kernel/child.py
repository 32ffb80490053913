"""Running a command as time(1) does: with our standard streams, terminal and process group, and our signals.

What the terminal's keys send, SIGINT and SIGQUIT, the command gets from the terminal; we ignore it until the command
has ended. SIGTERM and SIGHUP, sent to us alone, are passed on to it.

Source: fork(2), execve(2), wait4(2), pidfd_open(2) (Linux 5.3); POSIX.1-2017, Shell Command Language 2.8.2 for the exit
status of what cannot be run; fs/exec.c exec_mmap() for ru_maxrss.
"""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from zonerss.errors import NO_THREAD
from zonerss.plain import dataclass

_FROM_THE_TERMINAL = (signal.SIGINT, signal.SIGQUIT)
_PASSED_ON = (signal.SIGTERM, signal.SIGHUP)
_ITS_END = signal.SIGCHLD
"""Where it is ignored, as it may be inherited, the kernel keeps no status of a child that ends (wait(2), NOTES)."""
_SET_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)
"""Ignored by the interpreter, by default in other programs."""
NOT_FOUND, NOT_RUN = 127, 126
"""The exit status of a command that is not there, and of one that cannot be executed."""
_SHELL = "/bin/sh"


class CannotRun(OSError):
    """The command was not started; errno says why."""

    @property
    def status(self) -> int:
        """With what a shell ends then."""
        return NOT_FOUND if self.errno in (errno.ENOENT, errno.ENOTDIR) else NOT_RUN


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended."""

    status: int
    """As a shell has it: of exit(3), or 128 and the number of the signal that ended it."""
    signal: int | None
    moment: datetime
    """When, by the time of day, in UTC."""
    wall_ns: int
    """From when it was executed until it ended, by the clock that nobody sets."""
    user_seconds: float
    """Processor time of it and of all its children that were waited for."""
    system_seconds: float
    largest_rss_bytes: int | None
    """The greatest RSS of any one of its processes that were waited for. None: below what we have, so that the kernel's
    figure, which begins with ours, does not tell."""


class Child:
    """A command that runs; see :func:`running`."""

    def __init__(self, pid: int, our_rss_bytes: int) -> None:
        self.pid = pid
        self.began_ns = time.monotonic_ns()
        self._our_rss_bytes = our_rss_bytes
        self._pidfd = os.pidfd_open(pid)
        self._ended = threading.Event()
        self._ended_ns, self._ended_at = 0, datetime.now(UTC)
        self._waiter = threading.Thread(target=self._watch, daemon=True)
        try:
            self._waiter.start()
        except RuntimeError as err:
            self.close()
            raise OSError(errno.EAGAIN, NO_THREAD) from err

    def wait(self, seconds: float) -> bool:
        """Wait until it has ended, at most so long; whether it has."""
        return self._ended.wait(max(seconds, 0))

    @property
    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return not self._ended.is_set()

    def send(self, number: int) -> None:
        """Send it a signal, if it is still there."""
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, number)

    def reap(self) -> Ended:
        """
        How it ended, once it has; to be called once.

        :raises ChildProcessError: something else has taken its status
        """
        self._ended.wait()
        self._waiter.join()
        _, status, usage = os.wait4(self.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        largest = usage.ru_maxrss * 1024
        return Ended(
            status=code if code >= 0 else 128 - code,
            signal=-code if code < 0 else None,
            moment=self._ended_at,
            wall_ns=self._ended_ns - self.began_ns,
            user_seconds=usage.ru_utime,
            system_seconds=usage.ru_stime,
            largest_rss_bytes=largest if largest > self._our_rss_bytes else None,
        )

    def close(self) -> None:
        """Give back what is held."""
        os.close(self._pidfd)

    def _watch(self) -> None:
        # Beside the main thread, which may be within a walk when it ends.
        try:
            os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        except ChildProcessError:
            pass  # it has ended, and something else has taken its status
        finally:
            self._ended_ns, self._ended_at = time.monotonic_ns(), datetime.now(UTC)
            self._ended.set()


@contextmanager
def running(command: Sequence[str], join: Callable[[], None]) -> Iterator[Child]:
    """
    Run a command; what is done meanwhile must not return before it has ended.

    :param command: program, found as a shell finds it, and arguments
    :param join: is called in the new process before the program is executed
    :raises CannotRun: it is not there, or cannot be executed
    :raises OSError: join raised it, or it cannot be waited for, and was killed
    """
    before: dict[int, Any] = {
        number: signal.getsignal(number) for number in (*_FROM_THE_TERMINAL, *_PASSED_ON, _ITS_END)
    }
    child: Child | None = None
    early: list[int] = []

    def pass_on(number: int, frame: object) -> None:
        if child is None:
            early.append(number)
        else:
            child.send(number)

    try:
        for number in _FROM_THE_TERMINAL:
            signal.signal(number, signal.SIG_IGN)
        for number in _PASSED_ON:
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, pass_on)
        signal.signal(_ITS_END, signal.SIG_DFL)
        child = _start(command, join, before)
        for one in early:
            child.send(one)
        try:
            yield child
        finally:
            child.close()
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _start(command: Sequence[str], join: Callable[[], None], handlers: dict[int, Any]) -> Child:
    # The kernel's ru_maxrss of a process begins with what its process had before it executed the program: ours.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    read_end, write_end = os.pipe()
    try:
        pid = os.fork()
        if pid == 0:
            _execute(command, join, handlers, write_end)
        os.close(write_end)
        write_end = -1
        # Until it executes the program the new process is a copy of this one: nobody is to look at that.
        said = os.read(read_end, 64)
    finally:
        os.close(read_end)
        if write_end >= 0:
            os.close(write_end)
    if said:
        os.waitpid(pid, 0)
        step, _, number = said.decode().partition(" ")
        error = OSError if step == "join" else CannotRun
        raise error(int(number), os.strerror(int(number)), command[0])
    try:
        return Child(pid, ours)
    except BaseException:
        os.kill(pid, signal.SIGKILL)  # it has just begun, and nobody would wait for it
        os.waitpid(pid, 0)
        raise


def _execute(
    command: Sequence[str], join: Callable[[], None], handlers: dict[int, Any], report_fd: int
) -> None:
    """In the new process: does not return. Whoever waits is told of an error as STEP ERRNO."""
    step = "join"
    try:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_IGN if handler is signal.SIG_IGN else signal.SIG_DFL)
        for number in _SET_BY_PYTHON:
            signal.signal(number, signal.SIG_DFL)
        join()
        step = "run"
        try:
            os.execvp(command[0], list(command))
        except OSError as err:
            path = shutil.which(command[0])
            if err.errno != errno.ENOEXEC or path is None:
                raise
            os.execv(_SHELL, [_SHELL, path, *command[1:]])  # a script without #!, as execvp(3) does it
    except OSError as err:
        os.write(report_fd, f"{step} {err.errno or errno.EIO}".encode())
    except BaseException:
        os.write(report_fd, f"{step} {errno.EINVAL}".encode())
    finally:
        os._exit(NOT_RUN)
