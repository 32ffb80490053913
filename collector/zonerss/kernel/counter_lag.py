"""How far a process's RSS by the kernel's counters (stat, ps) can be below what its page tables map.

Source: include/linux/mm.h get_mm_rss(), which fs/proc/array.c do_task_stat() prints. Since Linux 6.2 (f1a7941243c1,
"mm: convert mm's rss stats into percpu_counter") each processor holds back less than a batch of each of three counters,
file, anon and shmem: lib/percpu_counter.c, a batch is 32 or twice the processors. Before, each thread held back what it
had mapped by its last 64 page faults (mm/memory.c check_sync_rss_stat()), and one fault maps what lies around it in the
file, fault_around_bytes: 4 MiB a thread. Distributions carry the newer way back to older kernels, so that these are
taken to hold back both.
"""

from __future__ import annotations

import os
import re

from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass
from zonerss.units import PAGE_BYTES

_COUNTERS = 3
_FAULTS = 66
"""TASK_RSS_EVENTS_THRESH is 64, and it is compared before it is counted."""
_FAULT_AROUND_BYTES = 65_536
"""mm/memory.c, where debugfs does not tell another."""


@dataclass(frozen=True, slots=True)
class CounterLag:
    """At most so many pages of a process are not in its counters yet."""

    process_pages: int
    thread_pages: int
    """For each of its threads."""

    def pages(self, threads: int) -> int:
        """Of a process with so many threads."""
        return self.process_pages + self.thread_pages * max(threads, 1)


def counter_lag(release: str, processors: int, fault_around_pages: int) -> CounterLag:
    """
    Of a kernel; one whose release is not understood is taken for an old one.

    :param release: as `uname -r` prints it
    :param processors: that are online
    :param fault_around_pages: what a page fault in a file maps at most
    """
    version = re.match(r"(\d+)\.(\d+)", release)
    is_new = version is not None and (int(version[1]), int(version[2])) >= (6, 2)
    batch = max(32, 2 * processors)
    return CounterLag(
        _COUNTERS * processors * (batch - 1), 0 if is_new else _FAULTS * max(fault_around_pages, 1)
    )


def find_counter_lag(roots: Roots) -> CounterLag:
    """Of the kernel that runs."""
    try:
        around = int((roots.sys / "kernel" / "debug" / "fault_around_bytes").read_bytes()[:32])
    except (OSError, ValueError):
        around = _FAULT_AROUND_BYTES
    return counter_lag(os.uname().release, os.sysconf("SC_NPROCESSORS_ONLN"), around // PAGE_BYTES)
