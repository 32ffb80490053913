"""A call in the IPC namespace of a process; of another namespace: tests/live/test_machine.py."""

from __future__ import annotations

import os

import pytest

from zonerss.kernel.ipc import in_ipc_namespace
from zonerss.kernel.roots import HOST


def test_a_process_that_is_gone_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        in_ipc_namespace(HOST, 0, list)


@pytest.mark.skipif(os.geteuid() != 0, reason="entering a namespace takes CAP_SYS_ADMIN")
def test_what_the_call_returns_and_raises() -> None:
    assert in_ipc_namespace(HOST, os.getpid(), lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        in_ipc_namespace(HOST, os.getpid(), lambda: 1 // 0)
