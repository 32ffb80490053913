"""Ending with the process that started us.

Source: prctl(2), PR_SET_PDEATHSIG: it is the end of the thread that started us that counts, and what execve(2) gives
more privileges forgets it.
"""

from __future__ import annotations

import os
import signal
from functools import cache
from typing import Any

_PR_SET_PDEATHSIG = 1


@cache
def _libc() -> Any:
    import ctypes  # late: whoever only lists zones forks nothing

    return ctypes.CDLL(None)


def before_fork() -> None:
    """To be called where other threads run: a new process cannot import what one of them is importing."""
    _libc()


def end_with(parent: int, number: int = signal.SIGKILL) -> None:
    """
    To be called in a new process: let the kernel send it a signal when its parent ends; end at once if it has.

    :param parent: the pid of the process that started us, as it was told before fork(2)
    :param number: the signal
    """
    _libc().prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(1)
