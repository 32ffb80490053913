"""Memory that is there from the beginning, and is neither swapped out nor has to be got when there is none.

Source: mmap(2), mlock(2): RLIMIT_MEMLOCK bounds it but for CAP_IPC_LOCK.
"""

from __future__ import annotations

import ctypes
import mmap
import os

from zonerss.closing import Closing


class LockedMemory(Closing):
    """Anonymous memory of a fixed size. Use it as a context manager."""

    def __init__(self, size_bytes: int) -> None:
        """:raises OSError: there is none"""
        self.memory = mmap.mmap(-1, size_bytes, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        libc = ctypes.CDLL(None, use_errno=True)
        view = ctypes.c_char.from_buffer(self.memory)
        try:
            failed = libc.mlock(ctypes.c_void_p(ctypes.addressof(view)), ctypes.c_size_t(size_bytes))
            self.why_not = f"it cannot be locked: {os.strerror(ctypes.get_errno())}" if failed else None
            """Why it can be swapped out, and has to be got page by page; None: it cannot be, it is there."""
        finally:
            del view  # which would keep the mapping from being closed

    def close(self) -> None:
        """Give it back."""
        self.memory.close()
