"""Frames by /proc/PID/pagemap: the source that is always there.

One word per virtual page; PAGEMAP_SCAN finds what is there in large mappings (Linux 6.7, commit 52526ca7fdb9), plain
reads serve elsewhere. Source: Documentation/admin-guide/mm/pagemap.rst; fs/proc/task_mmu.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zonerss._core import ffi, lib

if TYPE_CHECKING:
    from zonerss._core import _lib as core
    from zonerss.walk.jobs import Begin, Walked


class PagemapSource:
    """Reads pagemap words in C (pagemap.c), several processes side by side."""

    name = "pagemap"
    divides = False

    def begin(self, request: core.walk_request, ret: Any) -> int:
        """Begin a walk; see :data:`zonerss.walk.jobs.Begin`."""
        return lib.pagemap_walk(request, ffi.NULL, ret)

    def again(self, found: Sequence[Walked]) -> Sequence[tuple[Begin, Sequence[int]]]:
        """Nothing: this source sees all that can be seen."""
        return ()
