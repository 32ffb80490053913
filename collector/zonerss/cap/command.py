"""The command of a cap: run in a session of its own, with a deadline, without a shell.

It is told in its environment which zone it is about: ZONERSS_ZONE, ZONERSS_RSS_BYTES and ZONERSS_CAP_BYTES. How often
it is run is the policy's. One of a zone is run at a time, and few of a rule and of all.

One whose leader has ended runs on while other processes of its process group do. Until then its leader is not waited
for: so its process id, which names the group, is nobody else's.

Source: setsid(2), killpg(2), waitid(2) WNOWAIT; subprocess closes all files but the standard ones.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from zonerss.kernel.groups import has_others
from zonerss.plain import dataclass

DEADLINE_SECONDS = 60.0
"""After that the command is ended, and whatever it has started in its process group."""
MOST, MOST_OF_RULE = 8, 4
"""How many run at a time: in all, and of one rule, so that no rule's keep the others' out."""
_END_SECONDS = 1.0
"""How long to wait for one that was ended: it may be stuck in the kernel."""
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    until: float
    rule: str


class Commands:
    """The commands that run now; close() ends them."""

    def __init__(
        self, seconds: float = DEADLINE_SECONDS, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """:param seconds: how long each may take"""
        self._seconds, self._clock = seconds, clock
        self._running: dict[str, _Running] = {}

    def no_place(self, zone: str, rule: str) -> str | None:
        """
        Why another command has to end first, as a sentence without its end; None: one may be started.

        :param rule: whose command it is
        """
        self.reap()
        if zone in self._running:
            return "the one before still runs"
        if len(self._running) >= MOST:
            return f"{MOST} commands run already"
        if sum(running.rule == rule for running in self._running.values()) >= MOST_OF_RULE:
            return f"{MOST_OF_RULE} commands of its rule run already"
        return None

    def start(
        self, zone: str, rule: str, rss_bytes: int | None, cap_bytes: int, command: Sequence[str]
    ) -> str | None:
        """
        Start the command of a zone.

        :param rule: whose it is
        :return: why it was not, as a sentence without its end; None: it was
        """
        if (why := self.no_place(zone, rule)) is not None:
            return why
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
        self._running[zone] = _Running(process, self._clock() + self._seconds, rule)
        return None

    def reap(self) -> None:
        """Take the status of those that have ended, and end those that take too long."""
        for zone, running in list(self._running.items()):
            process = running.process
            if _has_ended(process) and not has_others(process.pid):
                process.poll()
            elif self._clock() >= running.until:
                _end(process)
            if process.returncode is not None:
                del self._running[zone]

    @property
    def running(self) -> int:
        """How many run."""
        return len(self._running)

    def close(self) -> None:
        """End all that run."""
        for running in self._running.values():
            if running.process.returncode is None:
                _end(running.process)
        self._running.clear()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has; it is not waited for."""
    try:
        return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return True  # of who ignores SIGCHLD, children are waited for by the kernel


def _end(process: subprocess.Popen[bytes]) -> None:
    """It has not been waited for, so its process group is still its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(subprocess.TimeoutExpired):
        process.wait(_END_SECONDS)
