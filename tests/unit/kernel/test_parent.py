"""A process whose parent ends is sent the signal that it asked for, and one whose parent has ended already ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from zonerss.kernel.parent import end_with

ORPHAN = """
import os, signal, sys
from zonerss.kernel.parent import end_with

parent = os.getpid()
ready, told = os.pipe()
if not os.fork():
    signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"ended"), os._exit(0)))
    end_with(parent, signal.SIGTERM)
    os.write(told, b".")
    while True:
        signal.pause()
os.read(ready, 1)
os._exit(0)
"""


def test_it_is_told_of_its_parents_end() -> None:
    done = subprocess.run([sys.executable, "-c", ORPHAN], capture_output=True, timeout=60)
    assert done.stdout == b"ended"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_if_its_parent_has_ended(number: int) -> None:
    pid = os.fork()
    if not pid:
        try:
            end_with(os.getpid(), number)  # not its parent
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1


def test_it_goes_on_while_its_parent_lives() -> None:
    parent = os.getpid()
    pid = os.fork()
    status = 0
    if not pid:
        try:
            end_with(parent)
            status = 7
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
