"""How the C library gives memory back. Source: mallopt(3)."""

from __future__ import annotations

import ctypes

_M_MMAP_THRESHOLD = -3  # malloc.h
LARGE_BYTES = 64 * 1024


def map_large_blocks(bytes: int = LARGE_BYTES) -> bool:
    """
    From now on blocks of this size and more are mappings of their own, which go back to the kernel when they are freed.

    Without this glibc raises the threshold up to 32 MiB as such blocks are freed, and keeps them.

    :return: False where the C library has no such setting (musl)
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return bool(mallopt and mallopt(_M_MMAP_THRESHOLD, bytes))
