"""Drive one mem process (mem.c) over its stdin and stdout."""

from __future__ import annotations

import os
import select
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.workloads.build import build_mem
from zonerss.kernel.hugepages import pmd_pages

PAGE = os.sysconf("SC_PAGE_SIZE")
HUGE = pmd_pages() or PAGE // 8
"""Base pages of a huge page, as mem makes them."""


class MemError(Exception):
    """The workload could not do what it was told."""

    def __init__(self, command: str, errno: int):
        super().__init__(f"mem: {command}: {os.strerror(errno)}")
        self.errno = errno


@dataclass(frozen=True)
class Range:
    """Pages that a command mapped."""

    pid: int
    start: int
    pages: int
    fd: int = -1
    """Of the memory's file, where it has one."""
    id: int = -1
    """Of a System V segment."""

    @property
    def end(self) -> int:
        return self.start + self.pages * PAGE

    @property
    def path(self) -> str:
        """By which another process can open it."""
        return f"/proc/{self.pid}/fd/{self.fd}"


class Mem:
    """A process whose memory is known to the page."""

    def __init__(
        self,
        before_exec: Callable[[], None] | None = None,
        program: Path | None = None,
        runner: Sequence[str] = (),
    ):
        """:param runner: what runs it, as time(1) would: it has the same streams, and pid is the runner's"""
        # The child dies with the thread that started it: mem asks the kernel for that.
        self.process = subprocess.Popen(
            [*runner, program or build_mem()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            preexec_fn=before_exec,
            bufsize=0,
        )
        self.pid = self.process.pid
        self._answer("start")

    def tell(self, command: str) -> dict[str, str]:
        """Obey one command; what it answered, by name."""
        self.process.stdin.write(command.encode() + b"\n")
        return self._answer(command)

    def map(self, command: str, pid: int | None = None) -> Range:
        """Obey a command that maps pages; with a pid, the child of that pid obeys it."""
        answer = self.tell(command if pid is None else f"to {pid} {command}")
        return Range(
            pid or self.pid,
            int(answer["addr"], 16),
            int(answer["pages"]),
            int(answer.get("fd", -1)),
            int(answer.get("id", -1)),
        )

    def fork(self) -> int:
        return int(self.tell("fork")["pid"])

    def write(self, where: Range, first: int, pages: int, pid: int | None = None) -> None:
        self._touch("write", where, first, pages, pid)

    def read(self, where: Range, first: int, pages: int, pid: int | None = None) -> None:
        self._touch("read", where, first, pages, pid)

    def map_file_of_single_pages(self, path: Path, pages: int) -> Range:
        """Make a file and map it: its pages are read one by one, so that none is of a large folio."""
        path.write_bytes(os.urandom(pages * PAGE))
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            for at in range(pages):
                os.pread(file.fileno(), PAGE, at * PAGE)
        return self.map(f"file {path} {pages} shared read")

    def unmap(self, where: Range, first: int, pages: int, pid: int | None = None) -> None:
        self._touch("unmap", where, first, pages, pid)

    def advise(self, where: Range, first: int, pages: int, advice: str) -> None:
        self._touch("advise", where, first, pages, None, f" {advice}")

    def end(self) -> None:
        """End it, stopped or not, and wait until it is gone."""
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def _touch(
        self, verb: str, where: Range, first: int, pages: int, pid: int | None, rest: str = ""
    ) -> None:
        command = f"{verb} {where.start + first * PAGE:x} {pages}{rest}"
        self.tell(command if pid is None else f"to {pid} {command}")

    def _answer(self, command: str) -> dict[str, str]:
        line = b""
        ready = select.poll()  # select() takes no descriptor above 1023
        ready.register(self.process.stdout, select.POLLIN)
        while not line.endswith(b"\n"):
            # No test depends on this number: it only turns a workload that hangs into a failure.
            if not ready.poll(300_000):
                raise TimeoutError(f"mem does not answer to {command!r}")
            part = os.read(self.process.stdout.fileno(), 4096)
            if not part:
                raise EOFError(f"mem ended at {command!r}, having said {line!r}")
            line += part
        word, *rest = line.decode().split()
        if word == "error":
            raise MemError(command, int(rest[0]))
        return dict(part.split("=", 1) for part in rest)
