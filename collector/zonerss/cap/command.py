"""The command of a cap: run in a session of its own, with a deadline, without a shell.

It is told in its environment which zone it is about: ZONERSS_ZONE, ZONERSS_RSS_BYTES and ZONERSS_CAP_BYTES. How often
it is run is the policy's. One of a zone is run at a time.

Source: setsid(2), killpg(2); subprocess closes all files but the standard ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from zonerss.plain import dataclass

DEADLINE_SECONDS = 60.0
"""After that the command is ended, and whatever it has started in its process group."""
_END_SECONDS = 1.0
"""How long to wait for one that was ended: it may be stuck in the kernel."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    until: float


class Commands:
    """The commands that run now; close() ends them."""

    def __init__(
        self, seconds: float = DEADLINE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """:param seconds: how long each may take"""
        self._seconds, self._clock = seconds, clock
        self._running: dict[str, _Running] = {}

    def start(self, zone: str, rss_bytes: int | None, cap_bytes: int, command: Sequence[str]) -> str | None:
        """
        Start the command of a zone.

        :return: why it was not, as a sentence without its end; None: it was
        """
        self.reap()
        if zone in self._running:
            return "the one before still runs"
        told = {"ZONERSS_ZONE": zone, "ZONERSS_CAP_BYTES": str(cap_bytes), "PATH": _PATH}
        if rss_bytes is not None:
            told["ZONERSS_RSS_BYTES"] = str(rss_bytes)
        try:
            process = subprocess.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
                env=told,
            )
        except (OSError, ValueError) as err:
            return err.strerror or str(err) if isinstance(err, OSError) else str(err)
        self._running[zone] = _Running(process, self._clock() + self._seconds)
        return None

    def reap(self) -> None:
        """Take the status of those that have ended, and end those that take too long."""
        for zone, running in list(self._running.items()):
            if running.process.poll() is None and self._clock() >= running.until:
                _end(running.process)
            if running.process.returncode is not None:
                del self._running[zone]

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def close(self) -> None:
        """End all that run."""
        for running in self._running.values():
            if running.process.poll() is None:
                _end(running.process)
        self._running.clear()


def _end(process: subprocess.Popen[bytes]) -> None:
    """It has not been waited for, so its process group is still its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
