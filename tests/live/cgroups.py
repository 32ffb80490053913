"""Make and remove cgroups in the hierarchy that carries the memory controller, on whatever host this is."""

from __future__ import annotations

import fcntl
import os
import re
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.oracle import memory_cgroup_of, read_file
from tests.own import NAME, pid_of

TRIES = 200
VFORK = {"x86_64": "58", "aarch64": "220"}.get(os.uname().machine)
"""The number of the system call that vfork(3) makes."""


class Hierarchy:
    """The memory hierarchy as we see it: where it is mounted, and which cgroup its mount begins at."""

    def __init__(self) -> None:
        version1 = version2 = None
        self.mounts_of_version2: list[Path] = []
        for line in os.fsdecode(read_file("/proc/self/mountinfo")).splitlines():
            left, right = line.split(" - ", 1)
            root, mount = left.split(" ")[3:5]
            kind, _source, options = right.split(" ", 2)
            if kind == "cgroup" and "memory" in options.split(","):
                version1 = version1 or (root, mount)
            if kind == "cgroup2":
                version2 = version2 or (root, mount)
                self.mounts_of_version2.append(Path(unescape(mount)))
        if not version1 and not version2:
            raise FileNotFoundError("no cgroup file system that carries the memory controller is mounted")
        self.version = 1 if version1 else 2
        root, mount = version1 or version2
        self.mount = Path(unescape(mount))
        self.root = unescape(root)

    def name_of(self, directory: Path) -> str:
        """The path of a cgroup as /proc/PID/cgroup spells it."""
        return os.path.normpath(os.path.join(self.root, directory.relative_to(self.mount)))

    def parent_of_tests(self) -> Path:
        """Where the tests' cgroups go.

        On version 1 below the cgroup that we are in, if the mount shows it. On version 2 at the top,
        because a cgroup with processes cannot hand the memory controller to its children.
        """
        own = self.mount / os.path.relpath(memory_cgroup_of(os.getpid()), self.root)
        return own if self.version == 1 and own.is_dir() else self.mount


def unescape(text: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)


class TestCgroups:
    """One cgroup for this run, and the zones below it."""

    __test__ = False

    def __init__(self) -> None:
        self.hierarchy = Hierarchy()
        self.parent = self.hierarchy.parent_of_tests()
        self.top = self.parent / NAME
        self._lent: list[Path] = []
        self._made: list[Path] = []
        self._lock = -1

    def open(self) -> None:
        """Make it, after what test runs that were killed have left."""
        for mount in (self.hierarchy.mount, *self.hierarchy.mounts_of_version2):
            sweep(mount)
        self.top.mkdir()
        self._lock = os.open(self.top, os.O_RDONLY)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        if self.hierarchy.version == 2:
            for directory in (self.parent, self.top):
                self._hand_memory_down(directory)

    def close(self) -> None:
        for path in reversed(self._made):
            self.remove(path)
        remove(self.top)
        os.close(self._lock)
        for directory in self._lent:
            if directory != self.top:
                (directory / "cgroup.subtree_control").write_text("-memory")

    def make(self, name: str) -> Path:
        path = self.top / name
        path.mkdir()
        self._made.append(path)
        return path

    def remove(self, path: Path) -> None:
        """End whatever is left in a cgroup of ours, and remove it."""
        if path in self._made:
            end_processes(path)
            remove(path)
            self._made.remove(path)

    def name_of(self, path: Path) -> str:
        return self.hierarchy.name_of(path)

    def _hand_memory_down(self, directory: Path) -> None:
        control = directory / "cgroup.subtree_control"
        if "memory" not in control.read_text().split():
            # Busy where the directory has processes of its own: the zones then have no charge, which is all.
            with suppress(OSError):
                control.write_text("+memory")
                self._lent.append(directory)


def sweep(mount: Path) -> None:
    """Remove the cgroups of test runs that have ended without, and end what is left in them."""
    for above, names, _ in os.walk(mount):
        for name in names:
            if is_of_the_dead(Path(above, name)):
                for directory, *_ in os.walk(Path(above, name), topdown=False):
                    with suppress(OSError):  # another test run may be at it
                        end_processes(Path(directory))
                        remove(Path(directory))
        names[:] = [name for name in names if pid_of(name) is None]


def is_of_the_dead(path: Path) -> bool:
    """
    Whether a cgroup is one of a test run that has ended.

    A test run has a lock on its cgroup, because it may be one of another pid namespace, where its pid is another.
    """
    pid = pid_of(path.name)
    if pid is None or (pid != os.getpid() and Path(f"/proc/{pid}").exists()):
        return False
    try:
        fd = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(fd)
    return True


def pids_in(path: Path) -> list[int]:
    return [int(line) for line in (path / "cgroup.procs").read_text().split()]


def move(pid: int, path: Path) -> None:
    (path / "cgroup.procs").write_text(str(pid))


def end_processes(path: Path) -> None:
    """Only the tests put processes into this cgroup, so all of them were started by us."""
    for _ in range(TRIES):
        pids = pids_in(path)
        if not pids:
            return
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def remove(path: Path) -> None:
    """A cgroup stays busy for a moment after its last process."""
    for _ in range(TRIES):
        try:
            path.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.01)
        else:
            return
    path.rmdir()


def state_of(pid: int, tid: int) -> str:
    return os.fsdecode(read_file(f"/proc/{pid}/task/{tid}/stat")).rpartition(")")[2].split()[0]


def is_in_vfork(pid: int, tid: int) -> bool:
    return os.fsdecode(read_file(f"/proc/{pid}/task/{tid}/syscall")).split()[0] == VFORK


def is_at_rest(pid: int) -> bool:
    """No thread of it can run: stopped, ended, or asleep in vfork until its child lets go."""
    try:
        threads = [int(name) for name in os.listdir(f"/proc/{pid}/task")]
        return all(state_of(pid, tid) in "TtZX" or is_in_vfork(pid, tid) for tid in threads)
    except (FileNotFoundError, ProcessLookupError):
        return True


@contextmanager
def stopped(paths: list[Path]) -> Iterator[list[int]]:
    """Stop every process of some cgroups of ours, and let them go on afterwards."""
    pids = [pid for path in paths for pid in pids_in(path)]
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        while not all(is_at_rest(pid) for pid in pids):
            time.sleep(0.001)
        yield pids
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
