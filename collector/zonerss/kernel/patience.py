"""Reading what belongs to other processes, without waiting for longer than we want to.

Any user can make a reader of his process, or of a file that it maps, wait in the kernel: the mmap lock is held while a
FUSE server does not answer a write, and a file of a network file system whose server is gone answers nothing. Such a
wait can be ended by a fatal signal only, and that of process_madvise(2) by none: before each such call pagemap is read,
which waits for the same lock (clear.h, pageout.h). So the call is made by a thread, which is left behind where the call
takes too long: it ends by itself once the kernel lets it go, and exit does not wait for it.

A process that made us wait is not asked again for a while, each time for longer, and never while a thread waits for
it: so there is one thread a process at most.
"""

from __future__ import annotations

import os
import time
from _thread import allocate_lock, start_new_thread  # threading takes a millisecond to import
from collections.abc import Callable, Collection
from typing import Any, Generic, NamedTuple, TypeVar

from zonerss.errors import NO_THREAD, CannotServe

PATIENCE_SECONDS = 2.0
"""How long a call may take, beyond what the size of its answer explains."""
EXPLAINED_PAGES = os.sysconf("SC_PHYS_PAGES")
"""So many pages can explain that a call takes long, and no more: as many as the machine has. A process can be as large
as its user likes: a page that is mapped many times counts each time in its RSS, and a file may be one long hole."""
FIRST_PAUSE_SECONDS = 10.0
LONGEST_PAUSE_SECONDS = 300.0

Result = TypeVar("Result")


def explained_seconds(pages: int, seconds_of_a_page: float) -> float:
    """How much longer than a small one a call may take that has so many pages to look at."""
    return min(pages, EXPLAINED_PAGES) * seconds_of_a_page


class Busy(CannotServe):
    """The kernel did not answer in time."""


class _Pause(NamedTuple):
    until: float
    seconds: float


class Pauses:
    """Who made us wait, and when to ask again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """:param clock: seconds, never going back"""
        self._clock = clock
        self._lock = allocate_lock()
        self._pauses: dict[int, _Pause] = {}
        self._waited_for: dict[int, int] = {}
        self._walkers: frozenset[int] = frozenset()

    def is_asked(self, pid: int) -> bool:
        """Whether the process may be asked now."""
        with self._lock:
            pause = self._pauses.get(pid)
            waited_for = pid in self._walkers or self._waited_for.get(pid)
            return not waited_for and (pause is None or self._clock() >= pause.until)

    @property
    def any(self) -> bool:
        """Whether anybody has a pause."""
        return bool(self._pauses)

    def note_pause(self, pid: int) -> None:
        """It made us wait."""
        with self._lock:
            before = self._pauses.get(pid)
            seconds = min(before.seconds * 2, LONGEST_PAUSE_SECONDS) if before else FIRST_PAUSE_SECONDS
            self._pauses[pid] = _Pause(self._clock() + seconds, seconds)

    def note_wait(self, pid: int) -> None:
        """It made us wait, and a thread of this module is left behind for it."""
        self.note_pause(pid)
        with self._lock:
            self._waited_for[pid] = self._waited_for.get(pid, 0) + 1

    def note_walkers(self, pids: frozenset[int]) -> None:
        """Threads of walks wait for these now, and for no others."""
        self._walkers = pids

    def note_end(self, pid: int) -> None:
        """The thread that waited for it has ended."""
        with self._lock:
            self._waited_for[pid] -= 1
            if not self._waited_for[pid]:
                del self._waited_for[pid]

    def note_answers(self, pids: Collection[int]) -> None:
        """These have answered: what they did before is forgotten."""
        if self._pauses:
            with self._lock:
                for pid in (self._pauses.keys() & set(pids)) - self._waited_for.keys():
                    del self._pauses[pid]

    @property
    def threads(self) -> int:
        """How many threads are left behind, those of the latest walk not counted."""
        return sum(self._waited_for.values()) + len(self._walkers)


PAUSES = Pauses()
"""Those of this program: a thread that is left behind is left behind for all who ask."""


class _Call(Generic[Result]):
    """One call, its thread's answer, and whether anybody still waits for it."""

    def __init__(self, call: Callable[[], Result], pid: int) -> None:
        self.call, self.pid = call, pid
        self.result: Result | None = None
        self.error: BaseException | None = None
        self._lock = allocate_lock()
        self._done = allocate_lock()  # held until it is
        self._done.acquire()
        self._noted: Pauses | None = None
        """Where it was noted that it was left behind: there its end is noted, too."""

    def run(self) -> bool:
        """Make the call. False: it was left behind, and this thread is to end."""
        try:
            self.result = self.call()
        except BaseException as err:
            self.error = err
        with self._lock:
            self._done.release()
            noted = self._noted
        if noted is not None:
            noted.note_end(self.pid)
        return noted is None

    def wait(self, seconds: float) -> bool:
        """Wait until it is done. False: it took longer."""
        return self._done.acquire(timeout=seconds)

    def leave(self) -> bool:
        """Stop waiting for it. False: it has just been done."""
        with self._lock:
            if not self._done.locked():
                return False
            self._noted = PAUSES
            self._noted.note_wait(self.pid)
            return True


class _Descriptor:
    """Closed where nobody takes it, as where the call that opened it was left behind."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def take(self) -> int:
        """It is the caller's now."""
        fd, self._fd = self._fd, -1
        return fd

    def __del__(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


class _Thread:
    """Makes calls, one after the other, until one of them is left behind. Exit does not wait for it."""

    def __init__(self) -> None:
        """:raises CannotServe: no thread can be started"""
        self._asked = allocate_lock()  # held until there is a call
        self._asked.acquire()
        self._call: _Call[Any] | None = None
        try:
            start_new_thread(self._run, ())
        except RuntimeError as err:
            raise CannotServe(NO_THREAD) from err

    def give(self, call: _Call[Any]) -> None:
        """Make it."""
        self._call = call
        self._asked.release()

    def end(self) -> None:
        """There are no more calls."""
        self._asked.release()

    def _run(self) -> None:
        while self._asked.acquire():
            call, self._call = self._call, None
            if call is None or not call.run():
                return
            del call  # and what it holds, while there is nothing to do


_idle: list[_Thread] = []


def retire_threads() -> None:
    """End the threads that wait for a call: those that begin later have the capabilities of who asks then."""
    while _idle:
        _idle.pop().end()


def patiently(
    call: Callable[[], Result],
    pid: int,
    seconds: float = PATIENCE_SECONDS,
    is_stuck: Callable[[], bool] = lambda: True,
) -> Result:
    """
    What call() says, if it says so in time.

    :param call: reads something that belongs to a process, or a file that it maps
    :param pid: the process, for whom the others wait
    :param seconds: after so many it is asked whether it is stuck, again and again
    :param is_stuck: False: it takes long because there is much to do, and it is waited for
    :raises Busy: it did not, or has not lately
    :raises CannotServe: no thread can be started to ask
    :raises Exception: what call() raises
    """
    if not PAUSES.is_asked(pid):
        raise Busy(f"process {pid} made us wait before: its memory is not read for now")
    try:
        thread = _idle.pop()
    except IndexError:
        thread = _Thread()
    asked = _Call(call, pid)
    thread.give(asked)
    try:
        while not (in_time := asked.wait(seconds)) and not is_stuck():
            pass
    except BaseException:
        if not asked.leave():
            _idle.append(thread)
        raise
    if not in_time and asked.leave():
        raise Busy(
            f"process {pid} cannot be read: the kernel did not answer within {seconds:g} s, "
            "because its memory is locked or a file that it maps does not answer"
        )
    _idle.append(thread)
    if asked.error is not None:
        raise asked.error
    return asked.result  # type: ignore[return-value]


def opened_patiently(path: str, flags: int, pid: int, seconds: float = PATIENCE_SECONDS) -> int:
    """
    A descriptor of what belongs to a process, to be closed by the caller.

    O_PATH does not keep an open from waiting. What a link of /proc/PID/fd or map_files leads to is not opened by its
    file system, but revalidated (fs/namei.c complete_walk(), d_weak_revalidate()): FUSE does not do that, 9p asks its
    server, and so does NFS once the file has no name any more (fs/nfs/dir.c nfs_lookup_verify_inode() answers ESTALE,
    and do_filp_open() tries again with LOOKUP_REVAL). An overlay does what lies below it does.

    :raises Busy: it was not opened in time
    :raises CannotServe: no thread can be started to open it
    :raises OSError: as of open(2)
    """
    return patiently(lambda: _Descriptor(os.open(path, flags | os.O_CLOEXEC)), pid, seconds).take()
