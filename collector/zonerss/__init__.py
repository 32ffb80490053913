"""zonerss: how much physical memory each zone of a Linux host really uses.

A zone is a set of processes, chosen by cgroup: a container, a service, a user. Each physical page counts once in a
zone however many of its processes map it, and in full in every zone that maps it.

    >>> import zonerss  # as root
    >>> snapshot = zonerss.take_snapshot(by="zone")
    >>> for usage in snapshot.zones:
    ...     print(usage.zone, usage.rss_bytes, usage.exclusive_bytes)

Names are loaded when first used, so that a command does not pay for what it does not need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zonerss.errors import ZonerssError
    from zonerss.snapshot import Session, Snapshot, take_snapshot
    from zonerss.walk.frames import frames

__version__ = "0.2.0"

__all__ = ["Session", "Snapshot", "ZonerssError", "__version__", "frames", "take_snapshot"]

_HOMES = {
    "Session": "zonerss.snapshot",
    "Snapshot": "zonerss.snapshot",
    "ZonerssError": "zonerss.errors",
    "frames": "zonerss.walk.frames",
    "take_snapshot": "zonerss.snapshot",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'zonerss' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
