"""How much of the files that processes hold open is in the page cache, whether or not anything maps it.

A descriptor that has a path is opened once more by O_PATH, which does not ask FUSE, with a deadline: it may ask others
(:func:`zonerss.kernel.patience.opened_patiently`). Which sort it is of is told by its mount; what FUSE serves, and what
is mounted where its process does not see it, is not asked anything. Whatever else may wait (a network file system, a
lease) is asked with a deadline, too.

Source: proc_pid_fd(5), proc_pid_fdinfo(5) (mnt_id, Linux 3.15); cachestat(2) (Linux 6.5), else mincore(2), which also
serves for files of an overlay, whose pages are those of the file below.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from zonerss._core import lib
from zonerss.errors import EXHAUSTED, CannotServe
from zonerss.kernel.patience import Busy, explained_seconds, opened_patiently, patiently
from zonerss.kernel.roots import Roots
from zonerss.records.files import OpenFile, OpenFiles
from zonerss.units import PAGE_BYTES, pages_to_bytes
from zonerss.walk.files import Mounts
from zonerss.walk.host import Host
from zonerss.walk.incore import count_cached, has_cachestat

MOST_FDS = 10_000
"""Looked at of one process."""
MOST_DESCRIPTORS = 100_000
"""Looked at of all of them: one file may be held open by many descriptors."""
MOST_SECONDS = 10.0
"""Taken by one look, but for the file that is being asked."""
MOST_FILES = 20_000
"""Asked of all of them."""
MOST_PAGES = 1 << 26
"""Of a file that mincore is asked about: it looks at each page, and a file of nothing but a hole may have 2^51."""
_SECONDS_OF_A_PAGE = 2e-6
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_POSIX_LOCK = re.compile(rb"^lock:\s+\d+: POSIX ", re.MULTILINE)
_MNT_ID = re.compile(rb"^mnt_id:\s+([0-9]{1,10})$", re.MULTILINE)
_ASKED = (lib.FS_ORDINARY, lib.FS_TMPFS, lib.FS_RAMFS, lib.FS_ROOTFS, lib.FS_OVERLAY)
_File = tuple[int, int]
"""Device and inode."""


def read_open_files(host: Host, pids: Iterable[int]) -> OpenFiles:
    """
    The regular files and memfds that processes hold open, each once.

    :param pids: processes; those that have left meanwhile hold nothing
    """
    look = _Look(host)
    for pid in sorted(pids):
        if not look.process(pid):
            break
    files = sorted(look.found.values(), key=lambda file: (-file.cached_bytes, file.name, file.inode))
    return OpenFiles(tuple(files), tuple(look.unseen))


class _Look:
    """One look at the open files of some processes."""

    def __init__(self, host: Host) -> None:
        self._host, self._roots = host, host.roots
        self._has_cachestat = has_cachestat()
        self._own_mount = _own_mount(host.roots)
        self._locked = _locked_files(host.roots)
        self._asked: set[_File] = set()
        self._descriptors = 0
        self._end = time.monotonic() + MOST_SECONDS
        self.found: dict[_File, OpenFile] = {}
        self.unseen: list[str] = []

    def process(self, pid: int) -> bool:
        """Look at those of one process; whether there is anything left to look at others with."""
        try:
            mounts = self._mounts(pid)
            for number in self._numbers(pid):
                if spent := self._spent():
                    self.unseen.append(f"open files beyond {spent}")
                    return False
                self._descriptors += 1
                self._descriptor(pid, number, mounts)
        except Busy as err:
            self.unseen.append(f"open files of process {pid}: {err}")
        except OSError as err:
            if err.errno in EXHAUSTED:
                raise CannotServe(EXHAUSTED[err.errno]) from err
            # it has left, or may not be read, which the walk has said
        return True

    def _spent(self) -> str | None:
        """What there is no more of, if so."""
        if len(self._asked) >= MOST_FILES:
            return f"the first {MOST_FILES:,}"
        if self._descriptors >= MOST_DESCRIPTORS:
            return f"those of the first {MOST_DESCRIPTORS:,} descriptors"
        if time.monotonic() >= self._end:
            return f"those of the first {MOST_SECONDS:g} seconds"
        return None

    def _mounts(self, pid: int) -> Mounts:
        directory = os.open(self._roots.proc / str(pid), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return patiently(lambda: Mounts(directory), pid, self._host.patience_seconds)
        finally:
            os.close(directory)

    def _numbers(self, pid: int) -> Iterator[str]:
        with os.scandir(self._roots.proc / str(pid) / "fd") as entries:
            for entry in islice(entries, MOST_FDS):
                yield entry.name
            if next(entries, None) is not None:
                self.unseen.append(f"open files of process {pid} beyond the first {MOST_FDS:,}")

    def _descriptor(self, pid: int, number: str, mounts: Mounts) -> None:
        path = str(self._roots.proc / str(pid) / "fd" / number)
        try:
            name = _name(path)
            if not name.startswith("/"):
                return  # a socket, a pipe
            there = opened_patiently(path, os.O_PATH, pid, self._host.patience_seconds)
        except FileNotFoundError:
            return  # it was closed
        except OSError as err:
            if err.errno != errno.ESTALE:
                raise
            self.unseen.append(f"{name}, which process {pid} holds open: {err.strerror}")
            return
        try:
            mount = _mount_of(self._roots, there)
            if mount is None:
                return
            kind = lib.FS_TMPFS if mount == self._own_mount else mounts.kind_at(mount, (0, 0))
            if kind in _ASKED:
                self._file(pid, there, name, kind)
        finally:
            os.close(there)

    def _file(self, pid: int, there: int, name: str, kind: int) -> None:
        seconds = self._host.patience_seconds
        ours = os.dup(there)  # a call that is left behind has a descriptor of its own

        def look() -> os.stat_result:
            return os.fstat(ours)

        try:
            found = patiently(look, pid, seconds)
            key = found.st_dev, found.st_ino
            if not stat.S_ISREG(found.st_mode) or key in self._asked:
                return
            self._asked.add(key)
            if key in self._locked:
                self.unseen.append(f"{name}: zonerss itself has locked it, and would lose the lock")
                return
            cached = self._cached(pid, ours, name, kind, found.st_size)
        except Busy:
            self.unseen.append(f"{name}, which process {pid} holds open, does not answer")
            ours = -1  # whoever is left behind still uses it
            raise
        finally:
            if ours >= 0:
                os.close(ours)
        if cached is not None:
            device = os.major(found.st_dev), os.minor(found.st_dev)
            self.found[key] = OpenFile(name, device, found.st_ino, pid, found.st_size, cached)

    def _cached(self, pid: int, there: int, name: str, kind: int, size_bytes: int) -> int | None:
        """None: it could not be asked."""
        pages = -(-size_bytes // PAGE_BYTES)
        by_cachestat = self._has_cachestat and kind != lib.FS_OVERLAY
        if not by_cachestat and pages > MOST_PAGES:
            self.unseen.append(
                f"{name}: a file of {size_bytes:,} bytes, too long to be asked about page by page"
            )
            return None
        means = lib.BY_CACHESTAT if by_cachestat else lib.BY_MINCORE

        def ask() -> int:
            fd = _open_again(there)
            try:
                return sum(count_cached(fd, means, [(0, pages)])) if pages else 0
            finally:
                os.close(fd)

        try:
            seconds = self._host.patience_seconds + explained_seconds(pages, _SECONDS_OF_A_PAGE)
            return pages_to_bytes(patiently(ask, pid, seconds))
        except OSError as err:
            if err.errno in EXHAUSTED:
                raise
            self.unseen.append(f"{name}, which process {pid} holds open: {err.strerror}")
            return None


def _name(path: str) -> str:
    """What a descriptor is of; the path of the descriptor itself where that is too long to be told."""
    try:
        return os.readlink(path)
    except OSError as err:
        if err.errno != errno.ENAMETOOLONG:
            raise
        return path


def _open_again(there: int) -> int:
    """For reading, and without a trace in its times where we may."""
    path = f"/proc/self/fd/{there}"
    try:
        return os.open(path, _READ | os.O_NOATIME)
    except PermissionError:
        return os.open(path, _READ)


def _own_mount(roots: Roots) -> int | None:
    """The number of the kernel's own tmpfs mount, which memfds are of."""
    fd = os.memfd_create("zonerss", os.MFD_CLOEXEC)
    try:
        return _mount_of(roots, fd)
    finally:
        os.close(fd)


def _mount_of(roots: Roots, fd: int) -> int | None:
    """The number of the mount that a descriptor of ours is of; the kernel's own tmpfs may be 0. None: not told."""
    found = _MNT_ID.search((roots.proc / "self" / "fdinfo" / str(fd)).read_bytes())
    return int(found[1]) if found else None


def _locked_files(roots: Roots) -> frozenset[_File]:
    """
    The files that this process has locked, as a recorder has its recording.

    To close any descriptor of one gives up the locks, whoever's descriptor it was opened by (fcntl_locking(2)).
    Source: proc_pid_fdinfo(5), lock: (Linux 4.1), which has this process's own locks and no others.
    """
    found = set()
    for number in os.listdir(roots.proc / "self" / "fdinfo"):
        try:
            if _POSIX_LOCK.search((roots.proc / "self" / "fdinfo" / number).read_bytes()):
                status = os.fstat(int(number))
                found.add((status.st_dev, status.st_ino))
        except OSError:
            continue  # it was closed
    return frozenset(found)
