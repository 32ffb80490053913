"""What a service manager is told and asks for: sd_notify(3) and its watchdog. Without one nothing is sent."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress


def watchdog_seconds(environ: Mapping[str, str], pid: int) -> float | None:
    """Within how many seconds the service manager wants to hear from this process; None: it does not."""
    text = environ.get("WATCHDOG_USEC", "")
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid) or not (text.isascii() and text.isdigit()):
        return None
    return int(text) / 1e6 or None


class Notifier:
    """Sends lines to the socket of a service manager."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        name = environ.get("NOTIFY_SOCKET", "")
        # The name of an abstract socket begins with a zero byte, which is spelled @.
        self._place = "\0" + name[1:] if name.startswith("@") else name
        self._socket: socket.socket | None = None
        if self._place[:1] in ("/", "\0"):
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)

    def send(self, *lines: str) -> None:
        """Tell it; where it does not listen, or has too much to read, nothing happens."""
        if self._socket is not None:
            with suppress(OSError):
                self._socket.sendto("\n".join(lines).encode("utf-8", "replace"), self._place)

    def ready(self, status: str) -> None:
        """The service is up, or has read its configuration again."""
        self.send("READY=1", f"STATUS={_line(status)}")

    def status(self, status: str) -> None:
        """One line for people."""
        self.send(f"STATUS={_line(status)}")

    def reloading(self) -> None:
        """The configuration is being read again; ready() follows."""
        self.send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        """The service ends."""
        self.send("STOPPING=1")

    def alive(self) -> None:
        """The service works."""
        self.send("WATCHDOG=1")

    def close(self) -> None:
        """Nothing is sent any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _line(text: str) -> str:
    return " ".join(text.split())


def journal_stream(environ: Mapping[str, str], fd: int = 2) -> bool:
    """Whether what is written to a file descriptor goes to the journal (systemd.exec(5), JOURNAL_STREAM)."""
    device, _, inode = environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino))
