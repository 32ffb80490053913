"""Processes that take as much memory as they are told to, until the kernel or somebody else ends them."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from tests.live.cgroups import move

_HERE, _DONE = "here\n", "done\n"
_SCRIPT = """
import mmap, sys
held = []
print("here", flush=True)
for line in sys.stdin:
    held.append(mmap.mmap(-1, int(line), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE))
    print("done", flush=True)
"""


class Eater:
    """A process in a cgroup that takes memory, a page for each page; it has nothing on a disk to wait for."""

    def __init__(self, cgroup: Path | None = None, oom_score_adj: int | None = None) -> None:
        """
        :param cgroup: a directory of the hierarchy that carries the memory controller; None: that of this process
        :param oom_score_adj: see proc(5); None: that of this process
        """
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", _SCRIPT],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=None if cgroup is None else lambda: move(os.getpid(), cgroup),
        )
        self.pid = self.process.pid
        if oom_score_adj is not None:
            Path(f"/proc/{self.pid}/oom_score_adj").write_text(str(oom_score_adj))
        assert self._says() == _HERE

    def _says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def take_bytes(self, size: int) -> bool:
        """Map and touch so many, whole pages; False: it was killed."""
        assert self.process.stdin
        try:
            print(size, file=self.process.stdin, flush=True)
            return self._says() == _DONE
        except BrokenPipeError:
            return False

    def take_all(self, step_bytes: int) -> int:
        """Until it is killed; how it ended, as of subprocess."""
        while self.take_bytes(step_bytes):
            pass
        return self.process.wait(60)

    def end(self) -> None:
        """Whether it has ended or not."""
        self.process.kill()
        with suppress(BrokenPipeError):
            self.process.communicate()
