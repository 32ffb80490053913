"""Waiting until what was under way in the kernel on each processor is done.

Two ways. A thread that has run on a processor knows that whatever ran there with preemption disabled before is done:
tens of microseconds for an idle processor, but a real-time process can keep the thread from it. membarrier(2) with
MEMBARRIER_CMD_GLOBAL waits for an RCU grace period (kernel/sched/membarrier.c: synchronize_rcu()): sections that
disable preemption are RCU read-side sections since Linux 5.0, and spinlocks are with PREEMPT_RT, where they do not
disable it. That takes some 20 ms, whatever runs at which priority, and runs nothing on the processors in question. The
kernel refuses it where nohz_full is in use.
"""

from __future__ import annotations

import ctypes
import os
import re
from collections.abc import Iterable

from zonerss.kernel.roots import Roots

_SYS_MEMBARRIER = (
    324 if os.uname().machine == "x86_64" else 283
)  # include/uapi/asm-generic/unistd.h: arm64, riscv64
_CPU_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_MOST_PROCESSORS = 1 << 16
_MEMBARRIER_CMD_GLOBAL = (
    1  # include/uapi/linux/membarrier.h, since Linux 4.16; MEMBARRIER_CMD_SHARED since 4.3
)


def parse_cpu_list(text: str) -> frozenset[int]:
    """
    The processors of a list as in /sys/devices/system/cpu/online: ``0-3,8``; none of an empty or other text.

    Numbers are below 2**16; NR_CPUS, which the kernel is built for, is below that.
    """
    found: set[int] = set()
    for match in filter(None, map(_CPU_RANGE.fullmatch, text.strip().split(","))):
        first, last = int(match[1]), int(match[2] or match[1])
        found.update(range(first, min(last + 1, _MOST_PROCESSORS)))
    return frozenset(found)


def online(roots: Roots) -> frozenset[int]:
    """The processors that run."""
    return _listed(roots, "online") or frozenset(range(os.cpu_count() or 1))


def to_visit(roots: Roots) -> frozenset[int]:
    """
    The processors that a thread of ours may visit, and learn something by it.

    Not those that this thread's affinity leaves out, nor isolated ones (isolcpus, nohz_full, isolated partitions).
    None with PREEMPT_RT, where a section with a spinlock can be preempted.
    """
    if (roots.sys / "kernel" / "realtime").exists():
        return frozenset()
    return frozenset(os.sched_getaffinity(0)) - _listed(roots, "isolated") - _listed(roots, "nohz_full")


def visit(processors: Iterable[int], visited: set[int]) -> None:
    """Run the calling thread on one processor after the other; visited: filled. Its affinity is changed."""
    for cpu in processors:
        try:
            os.sched_setaffinity(0, {cpu})
        except OSError:  # offline by now, or not of our cpuset
            continue
        visited.add(cpu)


def wait_grace_period() -> bool:
    """Wait for an RCU grace period of the kernel. False: it refused."""
    arguments = (_SYS_MEMBARRIER, _MEMBARRIER_CMD_GLOBAL, 0, 0)
    return bool(ctypes.CDLL(None).syscall(*map(ctypes.c_long, arguments)) == 0)


def _listed(roots: Roots, name: str) -> frozenset[int]:
    try:
        return parse_cpu_list((roots.sys / "devices" / "system" / "cpu" / name).read_text())
    except OSError:
        return frozenset()
