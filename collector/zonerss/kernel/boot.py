"""Which boot of the machine this is, and how long ago it was.

Source: Documentation/admin-guide/sysctl/kernel.rst, random; clock_gettime(2), CLOCK_BOOTTIME (Linux 2.6.39), which goes
on while the machine sleeps and which nobody sets, as CLOCK_MONOTONIC, which stops then.
"""

from __future__ import annotations

import re
import time

from zonerss.errors import KernelFormatError
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import dataclass

_OFFSET = re.compile(rb"\s*\S+\s+(-?[0-9]{1,19})\s+([0-9]{1,9})\s*")


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


def boot_offset_ns(roots: Roots = HOST) -> int:
    """
    What /proc/PID/stat adds to a process's start time in our time namespace (time_namespaces(7), Linux 5.6).

    0 where there are no time namespaces.
    """
    path = roots.proc / "self" / "timens_offsets"
    try:
        text = path.read_bytes()
    except OSError:
        return 0
    return parse_boot_offset(text, str(path))


def parse_boot_offset(text: bytes, path: str = "/proc/self/timens_offsets") -> int:
    """
    Nanoseconds of the boot clock's line; 0: there is none. Pure.

    :raises KernelFormatError: its figures are none; gives path and line

    Source: kernel/time/namespace.c proc_timens_show_offsets(); clocks are numbers before Linux 5.7.
    """
    for line in text.split(b"\n"):
        if line.split()[:1] in ([b"boottime"], [b"7"]):
            if not (match := _OFFSET.fullmatch(line)):
                raise KernelFormatError(f"{path}: not a clock and its offset: {line!r}")
            return int(match[1]) * 1_000_000_000 + int(match[2])
    return 0
