"""Which namespaces we are in. Source: namespaces(7); include/linux/proc_ns.h, PROC_PID_INIT_INO and its like."""

from __future__ import annotations

import os

from zonerss.kernel.roots import Roots

_FIRST = {"pid": "pid:[4026531836]", "cgroup": "cgroup:[4026531835]"}


def is_first_namespace(roots: Roots, name: str) -> bool | None:
    """Whether our pid or cgroup namespace is the one that the kernel began with; None: it has none of that sort."""
    try:
        return os.readlink(roots.proc / "self" / "ns" / name) == _FIRST[name]
    except FileNotFoundError:
        return None
