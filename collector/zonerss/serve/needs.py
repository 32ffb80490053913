"""Which capabilities the server keeps, and why. tests/live/test_serve.py tries what is missing without each."""

from __future__ import annotations

from collections.abc import Mapping

KEPT: Mapping[str, str] = {
    "CAP_SYS_ADMIN": "frame numbers in /proc/PID/pagemap and /proc/iomem, BPF",
    "CAP_SYS_PTRACE": "memory, namespaces and file names of other users' processes",
    "CAP_DAC_READ_SEARCH": "files in /proc that only another user may open, and names that rootless engines keep",
}
"""For every walk."""
LOADING: Mapping[str, str] = {
    **KEPT,
    "CAP_NET_ADMIN": "hearing of processes that begin (the process connector)",
    "CAP_NET_BIND_SERVICE": "ports below 1024",
    "CAP_SYS_RESOURCE": "locked memory for BPF maps, on kernels that count it",
    "CAP_SETPCAP": "keeping programs that are executed from getting any of these",
    "CAP_DAC_OVERRIDE": "sockets and recordings in other users' directories",
}
"""Until everything is loaded and open."""
