"""A /proc of a few processes, written by hand. Any of its files may keep its reader waiting."""

from __future__ import annotations

import fcntl
import os
import signal
import struct
from collections.abc import Sequence
from pathlib import Path

from tests.unit.builders import host
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.roots import Roots
from zonerss.units import PAGE_BYTES
from zonerss.walk.host import Host

STAT = (
    b"%d (%s) %c 1 1 1 0 -1 %d 100 0 0 0 1 2 0 0 20 0 %d 0 %d %d 57 18446744073709551615 1 1 140720308486144 0 0 0 0"
    b" 0 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
)
V2 = MemoryHierarchy(version=2, mount_point=Path("/cg"), mount_root="/")
PRESENT = 1 << 63
"""Of a word of pagemap."""


def stat(
    pid: int = 42,
    comm: bytes = b"sh",
    state: bytes = b"S",
    flags: int = 0x400000,
    threads: int = 1,
    start: int = 77,
    vsize: int = 8192,
) -> bytes:
    return STAT % (pid, comm, state, flags, threads, start, vsize)


class FakeProc:
    """Writes it."""

    def __init__(self, root: Path) -> None:
        self.roots = Roots(proc=root)

    def process(
        self, pid: int, text: bytes, cgroup: bytes = b"0::/a\n", threads: dict[int, bytes] | None = None
    ) -> None:
        directory = self.roots.proc / str(pid)
        for tid, thread in (threads or {pid: text}).items():
            (directory / "task" / str(tid)).mkdir(parents=True)
            (directory / "task" / str(tid) / "stat").write_bytes(thread)
            (directory / "task" / str(tid) / "cgroup").write_bytes(cgroup)
        (directory / "stat").write_bytes(text)
        (directory / "cgroup").write_bytes(cgroup)
        (directory / "status").write_bytes(b"Name:\tsh\nUid:\t1000\t0\t0\t0\n")

    def memory(self, pid: int, pfns: Sequence[int], page: int = 16) -> None:
        """One anonymous mapping of a process: these frames, from this page of its address space on."""
        task = self.roots.proc / str(pid) / "task" / str(pid)
        start, end = page * PAGE_BYTES, (page + len(pfns)) * PAGE_BYTES
        (task / "maps").write_text(f"{start:08x}-{end:08x} rw-p 00000000 00:00 0 \n")
        words = b"".join(struct.pack("=Q", PRESENT | pfn) for pfn in pfns)
        (task / "pagemap").write_bytes(bytes(8 * page) + words)

    def host(self, threads: int = 1) -> Host:
        """Walks read it; kpageflags says nothing."""
        (self.roots.proc / "kpageflags").touch()
        return host(self.roots, threads=threads)

    def block(self, path: str) -> Blocked:
        """Whoever opens this file next waits."""
        return Blocked(self.roots.proc / path)


class Blocked:
    """A file that is leased to us (fcntl(2), F_SETLEASE): its next reader waits in open(2) until we give it back."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_RDWR)
        fcntl.fcntl(
            self._fd, fcntl.F_SETSIG, signal.SIGURG
        )  # who waits is told by a signal: one that nobody minds
        fcntl.fcntl(self._fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)

    def is_read(self) -> bool:
        """Whether somebody waits."""
        return fcntl.fcntl(self._fd, fcntl.F_GETLEASE) != fcntl.F_WRLCK

    def let_go(self) -> None:
        """Whoever waits goes on."""
        os.close(self._fd)
