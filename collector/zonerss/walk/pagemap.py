"""Frames by /proc/PID/pagemap: the source that is always there.

One word per virtual page; PAGEMAP_SCAN finds what is there in large mappings (Linux 6.7, commit 52526ca7fdb9), plain
reads serve elsewhere. Source: Documentation/admin-guide/mm/pagemap.rst; fs/proc/task_mmu.c.
"""

from __future__ import annotations

from typing import Any

from zonerss._core import check, lib
from zonerss.census.census import Census


class PagemapSource:
    """Reads pagemap words in C (walk.c), several processes side by side."""

    name = "pagemap"

    def __init__(self, scan: bool | None = None) -> None:
        """:param scan: use PAGEMAP_SCAN; None: if the kernel has it"""
        self._scan = scan

    def walk(self, census: Census, jobs: Any, count: int, settings: Any) -> None:
        """Walk the jobs; see :class:`zonerss.walk.jobs.Source`."""
        if self._scan is not None:
            settings.use_scan = self._scan and settings.use_scan
        check(lib.walk_pagemap(census.handle, jobs, count, settings), "walking the processes")
