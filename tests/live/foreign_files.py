"""A file system of one file whose answers the test decides: what a process can map to make its observers wait.

Source: include/uapi/linux/fuse.h; Documentation/filesystems/fuse.rst.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.oracle import PAGE

LIBC = ctypes.CDLL(None, use_errno=True)
MNT_FORCE = 1  # what is not answered yet fails
ROOT, FILE = 1, 2  # inode numbers
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, INTERRUPT, DESTROY, BATCH_FORGET = 25, 26, 27, 36, 38, 42
UNANSWERED = (FORGET, BATCH_FORGET, INTERRUPT)
ANSWERED = (LOOKUP, GETATTR, OPEN, READ, STATFS, FLUSH, OPENDIR)
HEADER = "=IIQQIII4x"
HELD = -1
"""In place of an errno: no answer until let_go()."""


class ForeignFiles:
    """``path`` is its file, of so many pages. A thread answers until close()."""

    def __init__(self, directory: Path, pages: int) -> None:
        """:raises OSError: it cannot be mounted"""
        self.path, self._pages = directory / "file", pages
        self.answers: dict[int, int] = {}
        """By operation: the errno that it fails with, or HELD."""
        self.name_seconds = 3600
        """For how long the kernel need not look the file up again."""
        self.asked: list[int] = []
        """The operations that threads of ours have asked for: others may look at the file, too."""
        self.when_held: Callable[[], None] = lambda: None
        """Called once, in the server's thread."""
        self._held: list[int] = []
        self._directory = os.fsencode(directory)
        self._fd = os.open("/dev/fuse", os.O_RDWR)
        options = f"fd={self._fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
        if LIBC.mount(b"zonerss", self._directory, b"fuse", 0, options):
            number = ctypes.get_errno()
            os.close(self._fd)
            raise OSError(number, os.strerror(number))
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def let_go(self) -> None:
        """Answer what was held, and all that comes."""
        self.answers.clear()
        while self._held:
            self._reply(self._held.pop(), -errno.EIO)

    def close(self) -> None:
        """Unmount it; whoever uses it gets an error."""
        LIBC.umount2(self._directory, MNT_FORCE)
        LIBC.umount2(self._directory, 2)  # MNT_DETACH: it may be mapped still
        self._thread.join()
        os.close(self._fd)

    def _serve(self) -> None:
        while True:
            try:
                request = os.read(self._fd, 1 << 20)
            except OSError as error:
                if error.errno == errno.ENODEV:  # unmounted
                    return
                continue
            _, operation, unique, node, _, _, asker = struct.unpack_from(HEADER, request)
            if os.path.exists(f"/proc/self/task/{asker}"):
                self.asked.append(operation)
            answer = self.answers.get(operation, 0)
            if answer == HELD:
                self._held.append(unique)
                if len(self._held) == 1:
                    self.when_held()
            elif answer:
                self._reply(unique, -answer)
            elif operation not in UNANSWERED:
                self._answer(operation, unique, node, request[40:])

    def _reply(self, unique: int, error: int, body: bytes = b"") -> None:
        with suppress(FileNotFoundError):  # nobody waits for it any more
            os.write(self._fd, struct.pack("=IiQ", 16 + len(body), error, unique) + body)

    def _answer(self, operation: int, unique: int, node: int, body: bytes) -> None:
        if operation == INIT:
            self._reply(unique, 0, struct.pack("=IIIIHHIIHHI28x", 7, 31, 65536, 0, 12, 9, 65536, 1, 0, 0, 0))
        elif operation == LOOKUP:
            found = body.rstrip(b"\0") == b"file"
            # What is known of it is of the past at once: each stat(2) of it asks.
            entry = struct.pack("=QQQQII", FILE, 1, self.name_seconds, 0, 0, 0) + self._attributes(FILE)
            self._reply(unique, 0 if found else -errno.ENOENT, entry if found else b"")
        elif operation == GETATTR:
            self._reply(unique, 0, struct.pack("=QII", 0, 0, 0) + self._attributes(node))
        elif operation in (OPEN, OPENDIR):
            self._reply(unique, 0, struct.pack("=QIi", 0, 2, 0))  # FOPEN_KEEP_CACHE
        elif operation == READ:
            _, offset, size = struct.unpack_from("=QQI", body)
            self._reply(unique, 0, b"z" * max(0, min(size, self._pages * PAGE - offset)))
        elif operation == STATFS:
            self._reply(unique, 0, struct.pack("=QQQQQIIII24x", 1, 0, 0, 1, 0, PAGE, 255, PAGE, 0))
        elif operation in (FLUSH, RELEASE, DESTROY):
            self._reply(unique, 0)
        else:
            self._reply(unique, -errno.ENOSYS)

    def _attributes(self, node: int) -> bytes:
        mode = stat.S_IFDIR | 0o755 if node == ROOT else stat.S_IFREG | 0o644
        size = 0 if node == ROOT else self._pages * PAGE
        return struct.pack(
            "=QQQQQQIIIIIIIIII", node, size, size // 512, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, PAGE, 0
        )
