"""A process as it was listed, held on to: whoever gets its pid later is not taken for it.

Source: pidfd_open(2) (Linux 5.3).
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from zonerss.kernel.proc import parse_stat
from zonerss.kernel.roots import Roots
from zonerss.records import Task


@contextmanager
def opened(roots: Roots, task: Task) -> Iterator[int]:
    """
    The pidfd of the process.

    :raises ProcessLookupError: it is gone
    :raises OSError: it cannot be opened
    """
    fd = os.pidfd_open(task.pid)
    try:
        require_same(roots, task)
        yield fd
    finally:
        os.close(fd)


def has_its_memory(roots: Roots, task: Task) -> bool:
    """
    Whether the process has the address space that it was listed with, and has not executed another program since.

    By where its stack begins (/proc/PID/task/TID/stat, field 28), which is at random. Without address space
    randomisation the same program, executed anew, is not told from the one before. False, too, where the process has
    set that itself (prctl(2), PR_SET_MM_START_STACK), or where we may not read it.

    :raises ProcessLookupError: the pid belongs to another process by now; what was opened by it may, too
    :raises OSError: it is gone
    """
    # The first thread may have ended: it then has no memory, and says 0.
    require_same(roots, task)
    walked = parse_stat((roots.proc / str(task.pid) / "task" / str(task.walk_tid) / "stat").read_bytes())
    return walked.startstack == task.stack_start != 0


def require_same(roots: Roots, task: Task) -> None:
    """
    What was opened by its pid until now is of the process, because that has lived all the while.

    :raises ProcessLookupError: the pid belongs to another process by now
    """
    if parse_stat((roots.proc / str(task.pid) / "stat").read_bytes()).start_ticks != task.start_ticks:
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH))
