"""Programs of BPF at functions of the kernel, where there is no tracepoint.

Source: kernel/trace/trace_kprobe.c; through perf since Linux 4.17 (commit e12f03d7031a), so that nothing is left in
tracefs.
"""

from __future__ import annotations

import os
from pathlib import Path

from zonerss._core import lib
from zonerss.errors import CannotServe
from zonerss.kernel.roots import Roots


def _place(roots: Roots) -> Path:
    return roots.sys / "bus/event_source/devices/kprobe/type"


def can_probe(roots: Roots) -> bool:
    """Whether the kernel lets its functions be probed at all (CONFIG_KPROBES, CONFIG_PERF_EVENTS)."""
    return _place(roots).exists()


def attach_function(roots: Roots, name: str, program: int) -> int:
    """
    Run a program whenever a function of the kernel is called; until the descriptor that comes back is closed.

    :param program: its descriptor; of the type KPROBE
    :raises CannotServe: there is no such function, or it is not for us
    """
    try:
        pmu = int(_place(roots).read_text("ascii"))
    except (OSError, ValueError):
        raise CannotServe(
            "the kernel does not let its functions be probed: it needs CONFIG_KPROBES"
        ) from None
    fd: int = lib.probe_function(pmu, name.encode(), program)
    if fd < 0:
        raise CannotServe(f"the kernel does not let us probe its function {name}: {os.strerror(-fd)}")
    return fd
