"""Process groups.

Source: getpgid(2).
"""

from __future__ import annotations

import os
from contextlib import suppress

from zonerss.kernel.proc import pids
from zonerss.kernel.roots import HOST, Roots


def has_others(group: int, roots: Roots = HOST) -> bool:
    """
    Whether a process group has another process than its leader.

    :raises OSError: /proc cannot be listed
    """
    for pid in pids(roots) - {group}:
        with suppress(OSError):  # it has ended
            if os.getpgid(pid) == group:
                return True
    return False
