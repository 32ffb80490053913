"""Which boot of the machine this is, and how long ago it was.

Source: Documentation/admin-guide/sysctl/kernel.rst, random; clock_gettime(2), CLOCK_BOOTTIME (Linux 2.6.39), which goes
on while the machine sleeps and which nobody sets, as CLOCK_MONOTONIC, which stops then.
"""

from __future__ import annotations

import time

from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass


@dataclass(frozen=True, slots=True)
class Uptime:
    """One instant by the two clocks that nobody sets. Nanoseconds since boot."""

    monotonic_ns: int
    """Without the time in which the machine slept."""
    boottime_ns: int
    """With it."""


def read_boot_id(roots: Roots) -> str:
    """The UUID that the kernel drew at its start; empty where /proc does not have it."""
    try:
        text = (roots.proc / "sys" / "kernel" / "random" / "boot_id").read_bytes()
    except OSError:
        return ""
    return text[:64].strip().decode("ascii", "replace")


def read_uptime() -> Uptime:
    """Now."""
    return Uptime(time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))
