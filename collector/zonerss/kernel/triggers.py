"""Being woken where the tasks of a cgroup wait for memory.

Source: Documentation/accounting/psi.rst, "Monitoring for pressure thresholds" (Linux 5.2); cgroups of version 2. What
is written to an open memory.pressure is watched for as long as it is open; poll(2) then says POLLPRI, and POLLERR once
the cgroup is gone.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Mapping
from itertools import islice

from zonerss.kernel.cgroupfs import MemoryHierarchy, directory

TRIGGER = b"some 50000 1000000\0"
"""Tasks waited for 50 ms in a second."""
MOST = 32
"""So many cgroups are watched: each takes an open file and work of the kernel's."""
_OPEN = os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


class Triggers:
    """Those of some cgroups; each is open from the first wait for it to the first that is not, or :meth:`close`."""

    def __init__(self) -> None:
        self._fds: dict[str, int] = {}

    def close(self) -> None:
        """Watch nothing any more."""
        while self._fds:
            os.close(self._fds.popitem()[1])

    def wait(self, hierarchy: MemoryHierarchy, cgroups: Mapping[str, str | None], seconds: float) -> set[str]:
        """
        Wait so long, or until a cgroup is under pressure. Where the kernel has no triggers only the time is waited for.

        :param cgroups: of each name, those that matter most first, for only :data:`MOST` are watched; None: it is none
        :return: the names of those that were
        """
        wanted = dict.fromkeys(cgroup for cgroup in cgroups.values() if cgroup is not None)
        self._watch(hierarchy, set(islice(wanted, MOST)))
        if not self._fds:
            time.sleep(seconds)
            return set()
        poll = select.poll()
        for fd in self._fds.values():
            poll.register(fd, select.POLLPRI)
        events = dict(poll.poll(seconds * 1000))
        woken = {cgroup for cgroup, fd in self._fds.items() if events.get(fd, 0) & select.POLLPRI}
        for cgroup in [cgroup for cgroup, fd in self._fds.items() if events.get(fd, 0) & select.POLLERR]:
            os.close(self._fds.pop(cgroup))
        return {name for name, cgroup in cgroups.items() if cgroup in woken}

    def _watch(self, hierarchy: MemoryHierarchy, wanted: set[str]) -> None:
        for cgroup in self._fds.keys() - wanted:
            os.close(self._fds.pop(cgroup))
        for cgroup in wanted - self._fds.keys():
            fd = _open(hierarchy, cgroup)
            if fd is not None:
                self._fds[cgroup] = fd


def _open(hierarchy: MemoryHierarchy, cgroup: str) -> int | None:
    where = directory(hierarchy, cgroup) if hierarchy.version == 2 else None
    if where is None or cgroup == "/":
        return None
    try:
        fd = os.open(where / "memory.pressure", _OPEN)
    except OSError:
        return None
    try:
        os.write(fd, TRIGGER)
    except OSError:
        os.close(fd)
        return None
    return fd
