"""Looking at things from another IPC namespace.

Source: setns(2) (Linux 3.0); a thread may have an IPC namespace of its own. It takes CAP_SYS_ADMIN.
"""

from __future__ import annotations

import ctypes
import os
from _thread import allocate_lock, start_new_thread  # threading takes a millisecond to import
from collections.abc import Callable
from typing import TypeVar

from zonerss.kernel.roots import Roots

_CLONE_NEWIPC = 0x08000000  # include/uapi/linux/sched.h
Result = TypeVar("Result")


def in_ipc_namespace(roots: Roots, pid: int, call: Callable[[], Result]) -> Result:
    """
    What call() returns in the IPC namespace of a process, by a thread of its own that ends after that.

    :raises OSError: the process has left, or its namespace may not be entered
    """
    answers: list[Result] = []
    errors: list[BaseException] = []
    done = allocate_lock()
    done.acquire()

    def run() -> None:
        try:
            _enter(roots, pid)
            answers.append(call())
        except BaseException as err:
            errors.append(err)
        finally:
            done.release()

    start_new_thread(run, ())
    done.acquire()
    if errors:
        raise errors[0]
    return answers[0]


def _enter(roots: Roots, pid: int) -> None:
    namespace = os.open(roots.proc / str(pid) / "ns" / "ipc", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(namespace, _CLONE_NEWIPC):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(namespace)
