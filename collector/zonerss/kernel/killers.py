"""Programs that end processes before the kernel has to: earlyoom and systemd-oomd, as the journal has their words.

They send a signal, and the kernel counts no kill. What they have said is all that tells of it. Only what journald says
is of their units counts (_SYSTEMD_UNIT, which it takes from the cgroup of the sender): anybody may call himself so. A
journalctl of our own follows the journal; nothing is waited for.

Source: systemd.journal-fields(7), journalctl(1); earlyoom kill.c kill_process(), "badness" until 1.7 and "oom_score"
since; systemd src/oom/oomd-manager.c, since 248; "Marked" for "Killed" since 258.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from zonerss.kernel.parent import before_fork, end_with
from zonerss.plain import dataclass

UNITS = ("earlyoom.service", "systemd-oomd.service")
_DIRECTORIES = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_JOURNAL = "run/systemd/journal"
_COMMAND = (
    "/usr/bin/journalctl",
    "--follow",
    "--no-tail",
    "--quiet",
    "--output=json",
    "--output-fields=MESSAGE",
)
_MOST_BYTES = 1 << 18
"""Read at once, and kept of a line that has not ended."""
_MOST_ASKED = 256
_END_SECONDS = 2.0
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 300.0
"""Before a journalctl that has ended is started again; each time twice as long."""
_CURSOR = re.compile(r"[0-9a-z=;]{1,256}")
_ASKED = re.compile(
    r'sending SIG(TERM|KILL) to process (\d{1,10}) uid \d{1,10} "(.{0,15})": (?:badness|oom_score) .{1,4096}',
    re.DOTALL,
)
_ENDED = re.compile(
    r"(?:Killed|Marked) (/.{0,4095}?)(?: for killing)? due to (?:memory pressure for /|memory used \(|swap used \().*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class ProgramKill:
    """What one of these programs has said that it ends."""

    at_us: int
    """Since 1970, by the journal."""
    program: str
    """earlyoom or systemd-oomd."""
    pid: int | None
    """None: all processes of a cgroup."""
    command: str | None
    cgroup: str | None
    words: str


class JournalKills:
    """Follows what these programs say from now on. A journalctl that ends is started again, where it was."""

    def __init__(
        self,
        root: str = "/",
        command: tuple[str, ...] = _COMMAND,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """
        :param root: where /etc and /run are
        :param clock: seconds, never going back
        :raises OSError: none of them is installed, there is no journal, or it cannot be followed
        """
        if not any(
            os.path.lexists(os.path.join(root, path, unit)) for path in _DIRECTORIES for unit in UNITS
        ):
            raise FileNotFoundError("neither earlyoom nor systemd-oomd is installed")
        if not os.path.isdir(os.path.join(root, _JOURNAL)):
            raise FileNotFoundError("there is no journal of systemd")
        self._command, self._clock = command, clock
        self._rest, self._asked = b"", deque[int](maxlen=_MOST_ASKED)
        self._from = f"--since=@{time.time():.6f}"
        self._wait, self._due = _FIRST_WAIT_SECONDS, 0.0
        self._trouble: str | None = None
        self._is_said = False
        self._child: subprocess.Popen[bytes] | None = self._started()

    def _started(self) -> subprocess.Popen[bytes]:
        """:raises OSError: it cannot be started"""
        before_fork()
        child = subprocess.Popen(
            [*self._command, self._from, *(f"_SYSTEMD_UNIT={unit}" for unit in UNITS)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
            cwd="/",
            preexec_fn=partial(end_with, os.getpid()),  # it would follow the journal for nobody
        )
        assert child.stdout is not None
        os.set_blocking(child.stdout.fileno(), False)
        return child

    def close(self) -> None:
        """End the journalctl."""
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        with suppress(subprocess.TimeoutExpired):
            child.wait(_END_SECONDS)
        if child.stdout is not None:
            child.stdout.close()

    def read(self) -> list[ProgramKill]:
        """What they have said since the last time, as far as it is of the forms that we know."""
        if self._child is None:
            self._start_again()
        said = self._said()
        if said is None:
            self._ended()
            return []
        *lines, self._rest = (self._rest + said).split(b"\n")
        if len(self._rest) >= _MOST_BYTES:
            self._rest = b""
        return [kill for line in lines if (kill := self._new(line)) is not None]

    def trouble(self) -> str | None:
        """A sentence about a journalctl that has ended, the first time that it is asked for; None: there is none."""
        trouble, self._trouble = self._trouble, None
        return trouble

    def _said(self) -> bytes | None:
        """What there is to read; None: its other end is closed."""
        if self._child is None or self._child.stdout is None:
            return b""
        try:
            said = os.read(self._child.stdout.fileno(), _MOST_BYTES)
        except OSError:  # nothing is there
            return b""
        return said or None

    def _ended(self) -> None:
        self.close()
        self._rest = b""
        self._due = self._clock() + self._wait
        self._wait = min(2 * self._wait, _LONGEST_WAIT_SECONDS)
        if not self._is_said:
            self._is_said = True
            self._trouble = (
                "the journalctl that tells of kills by earlyoom and systemd-oomd has ended: it is started again, after "
                f"{_FIRST_WAIT_SECONDS:g} s at first and {_LONGEST_WAIT_SECONDS:g} s at the most"
            )

    def _start_again(self) -> None:
        if self._clock() >= self._due:
            try:
                self._child = self._started()
            except OSError:
                self._ended()

    def _new(self, line: bytes) -> ProgramKill | None:
        """earlyoom asks first (SIGTERM), and ends what does not go (SIGKILL): that is one."""
        if cursor := cursor_of(line):
            self._from, self._wait = f"--after-cursor={cursor}", _FIRST_WAIT_SECONDS
        kill = parse_entry(line)
        if kill is None or kill.pid is None:
            return kill
        if "sending SIGKILL" in kill.words and kill.pid in self._asked:
            self._asked.remove(kill.pid)
            return None
        self._asked.append(kill.pid)
        return kill


def cursor_of(line: bytes) -> str | None:
    """Where in the journal one line of ``journalctl --output=json`` is; None: it does not tell. Pure."""
    try:
        cursor = json.loads(line)["__CURSOR"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return cursor if isinstance(cursor, str) and _CURSOR.fullmatch(cursor) else None


def parse_entry(line: bytes) -> ProgramKill | None:
    """One line of ``journalctl --output=json``; None: it tells of nothing that is ended. Pure."""
    try:
        entry = json.loads(line)
        at_us, said = int(entry["__REALTIME_TIMESTAMP"]), entry["MESSAGE"]
        text = said if isinstance(said, str) else bytes([*said]).decode("utf-8", "surrogateescape")
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not 0 <= at_us < 1 << 55:
        return None
    if asked := _ASKED.fullmatch(text.rstrip("\n")):
        return ProgramKill(at_us, "earlyoom", int(asked[2]), asked[3], None, text)
    if ended := _ENDED.fullmatch(text):
        return ProgramKill(at_us, "systemd-oomd", None, None, ended[1], text)
    return None
