"""Which namespaces we are in, and which one a /proc shows.

Source: namespaces(7), pid_namespaces(7); include/linux/proc_ns.h, PROC_PID_INIT_INO and its like, constant since Linux
3.8 (commit 98f842e675f9); fs/proc/array.c task_state(), NSpid since Linux 4.1.
"""

from __future__ import annotations

import os
import re

from zonerss.kernel.roots import Roots
from zonerss.records import Caveat

FIRST_CGROUP_NAMESPACE = 0xEFFFFFFB
"""The inode of the cgroup namespace that the kernel began with (PROC_CGROUP_INIT_INO, Linux 4.6)."""
_FIRST = {"pid": "pid:[4026531836]", "cgroup": f"cgroup:[{FIRST_CGROUP_NAMESPACE}]"}
_NSPID = re.compile(rb"^NSpid:((?:\s+\d+)+)$", re.MULTILINE)


def is_first_namespace(roots: Roots, name: str) -> bool | None:
    """Whether our pid or cgroup namespace is the one that the kernel began with; None: it has none of that sort."""
    try:
        return os.readlink(roots.proc / "self" / "ns" / name) == _FIRST[name]
    except FileNotFoundError:
        return None


def shows_whole_host(roots: Roots) -> bool | None:
    """
    Whether /proc shows the processes of the first pid namespace: all there are. None: it cannot be told.

    The process 1 that it shows is in the very namespace that it shows.
    """
    try:
        return os.readlink(roots.proc / "1" / "ns" / "pid") == _FIRST["pid"]
    except OSError:
        return None


def shows_our_pids(roots: Roots) -> bool:
    """
    Whether the pids of /proc are those that system calls of ours take: whether it shows our own pid namespace.

    A /proc of a namespace above ours tells our pid in each one, from its own down to ours.
    """
    try:
        found = _NSPID.search((roots.proc / "self" / "status").read_bytes())
    except OSError:
        return False  # we are not in what it shows
    return found is None or found[1].split() == [str(os.getpid()).encode()]


def namespace_caveats(roots: Roots) -> tuple[Caveat, ...]:
    """What a snapshot of this /proc must say of it: nothing where it shows the whole host, or where that is unknown."""
    if shows_whole_host(roots) is not False:
        return ()
    text = (
        f"Only processes of one pid namespace: {roots.proc} shows no others. What they share with others counts as "
        "theirs alone. Run zonerss on the host, or in a container with --pid=host."
    )
    return (Caveat("pid_namespace", text),)
