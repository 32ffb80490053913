"""What a test can know of threads that are not its own."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

# ThreadSanitizer's own thread comes with the first that is started (vm/host sanitize): it is none of the test's.
_first = threading.Thread()
_first.start()
_first.join()

Threads = frozenset[str]


def until(holds: Callable[[], object], what: str) -> None:
    """Wait for what a thread does by itself."""
    for _ in range(5000):
        if holds():
            return
        time.sleep(0.002)
    pytest.fail(f"waited in vain: {what}")


def threads() -> Threads:
    """Of this process, each by its number: one of an earlier test that is just ending is no new one."""
    return frozenset(os.listdir("/proc/self/task"))


@contextmanager
def all_end() -> Iterator[Threads]:
    """The threads that there are; in the end there are no others, and no more open files."""
    before, files = threads(), descriptors()
    yield before
    until(lambda: threads() <= before, "all threads have ended")
    until(lambda: descriptors() <= files, "all files are closed")


def descriptors() -> int:
    """Open ones of this process."""
    return len(os.listdir("/proc/self/fd"))
