"""Where the kernel's file systems are. Every reader takes a Roots, so that tests can hand it a recorded tree."""

from __future__ import annotations

from pathlib import Path

from zonerss.plain import dataclass


@dataclass(frozen=True, slots=True)
class Roots:
    """The directories that stand for /proc, /sys and / (host state on disk: container engines' files)."""

    proc: Path = Path("/proc")
    sys: Path = Path("/sys")
    host: Path = Path("/")


HOST = Roots()
CAPPER_DIRECTORY = "/run/zonerss-cap"
"""Where a capper that runs keeps what it says of itself (:mod:`zonerss.kernel.capper`)."""
