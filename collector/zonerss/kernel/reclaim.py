"""Asking the kernel to take memory from a cgroup: memory.reclaim of version 2 (Linux 5.19, commit 94968384dde1).

What it takes is the kernel's choice, also what other cgroups use of what is billed here; it swaps out what is in use
when nothing else is left, and says that all went well (Documentation/admin-guide/cgroup-v2.rst). So it is asked for
little at a time. The write waits for all of it: it is made by a thread, which is left behind where it takes too long,
and then ends by itself. A writer that is killed leaves nothing. It needs no capability beyond the right to write the
file.
"""

from __future__ import annotations

import errno
import os

from zonerss.kernel.cgroupfs import MemoryHierarchy, directory
from zonerss.kernel.patience import Busy, patiently

MOST_BYTES = 8 << 20
PATIENCE_SECONDS = 20.0
_FILE = "memory.reclaim"
_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC


def can_reclaim(hierarchy: MemoryHierarchy, cgroup: str) -> bool:
    """Whether a cgroup can be asked, and by us: the file of one that was given to a user is his."""
    where = directory(hierarchy, cgroup) if hierarchy.version == 2 else None
    return where is not None and (where / _FILE).is_file() and os.access(where / _FILE, os.W_OK)


def reclaim(
    hierarchy: MemoryHierarchy, cgroup: str, size_bytes: int, patience: float = PATIENCE_SECONDS
) -> str | None:
    """
    Ask for so many bytes of a cgroup and of those below it.

    :param size_bytes: at most MOST_BYTES
    :param patience: seconds to wait for it
    :return: why not all of it was done, as a sentence without its end; None: the kernel says it was
    :raises CannotServe: no thread can be started to do it
    """
    if size_bytes > MOST_BYTES:
        raise ValueError(f"{size_bytes} bytes are too many for one step")
    where = directory(hierarchy, cgroup) if hierarchy.version == 2 else None
    if where is None:
        return "its cgroup has no memory.reclaim"
    try:
        number = os.stat(where).st_ino
        patiently(lambda: _write(f"{where}/{_FILE}", size_bytes), -number, patience)
    except Busy:
        return f"memory.reclaim took longer than {patience:g} s, or did lately"
    except OSError as err:
        return _SAYS.get(err.errno or 0, f"memory.reclaim: {err.strerror}")
    return None


_SAYS = {
    errno.EAGAIN: "the kernel found less to reclaim than was asked for",
    errno.ENOENT: "its cgroup is gone",
    errno.ENODEV: "its cgroup is gone",
    errno.ENOTDIR: "its cgroup is gone",
}


def _write(path: str, size_bytes: int) -> None:
    fd = os.open(path, _WRITE)
    try:
        os.write(fd, str(size_bytes).encode())
    finally:
        os.close(fd)
