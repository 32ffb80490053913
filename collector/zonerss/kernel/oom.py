"""What the kernel's log says of processes that it killed for want of memory.

Of each kill there are some lines, of which three tell what is asked: whose limit was hit and how large it is, which
process was chosen and where it is, and that it was killed. The first two are left out where kills follow each other
fast (ten in five seconds). Only what the kernel itself wrote counts: programs can write to the log, too, and are told
apart by the facility of their records.

Source: Documentation/ABI/testing/dev-kmsg (Linux 3.5); mm/oom_kill.c dump_header(), dump_oom_victim() (oom-kill: since
Linux 4.19, commit ef8444ea01d7), __oom_kill_process(); mm/memcontrol.c mem_cgroup_print_oom_meminfo(), which prints the
usage and the limit of the cgroup whose limit was hit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any

from zonerss.plain import dataclass, replace
from zonerss.records.kills import MEMCG
from zonerss.units import PAGE_BYTES

_RECORD_BYTES = 8192
"""PRINTKRB_RECORD_MAX and what stands around it: read(2) takes one record."""
_MOST_RECORDS = 20_000
"""Read at once: more than the log of 128 KiB that most kernels have can hold."""
_KIB = 1024
_MOST_LINES = 8
"""Kept of what precedes a kill: three tell of one."""
_HEAD = re.compile(rb"(\d{1,10}),\d{1,20},(\d{1,20}),[^;\n]*;([^\n]*)")
_ESCAPE = re.compile(rb"\\x([0-9a-f]{2})")
_MEMORY = re.compile(r"memory: usage (\d{1,20})kB, limit (\d{1,20})kB, failcnt \d+")
_INVOKED = re.compile(r".{0,15} invoked oom-killer: ", re.DOTALL)
_CHOSEN = re.compile(
    r"oom-kill:constraint=([A-Z_]{1,64}),nodemask=.*?,mems_allowed=[0-9,-]*?,"
    r"((?:oom_memcg=/|global_oom,task_memcg=/).*),pid=(\d{1,10}),uid=\d+",
    re.DOTALL,
)
_PLACES = (
    re.compile(r"oom_memcg=(/.+?),task_memcg=(\1(?:/.*)?)", re.DOTALL),
    re.compile(r"oom_memcg=(/),task_memcg=(/.*)", re.DOTALL),
    re.compile(r"global_oom(),task_memcg=(/.*)", re.DOTALL),
)
"""The cgroup whose limit was hit is the victim's or above it. A name may contain whatever stands between names."""
_KILLED = re.compile(
    r"(Memory cgroup out of memory|Out of memory(?: \([^)]*\))?): Killed process (\d{1,10}) \((.{0,15})\) total-vm:",
    re.DOTALL,
)
_NO_LIMIT_BYTES = (2**63 - 1) // PAGE_BYTES * PAGE_BYTES
GLOBAL = "CONSTRAINT_NONE"


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record of the kernel's log."""

    at_ns: int
    """Since boot, by the log's clock, which may be some milliseconds off from CLOCK_MONOTONIC."""
    text: str


@dataclass(frozen=True, slots=True)
class LoggedKill:
    """What the log says of one kill."""

    at_ns: int
    pid: int
    command: str
    constraint: str | None
    cgroup: str | None
    limit_cgroup: str | None
    limit_bytes: int | None
    words: str


class KernelLog:
    """Follows the kernel's log from now on."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        """
        :raises OSError: it cannot be read: no such device, or no CAP_SYSLOG where dmesg_restrict is set
        """
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
        self._fd = os.open(path, flags)
        os.lseek(self._fd, 0, os.SEEK_END)

    def close(self) -> None:
        """Give it back."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def fileno(self) -> int:
        """For poll(2): readable when there is a record."""
        return self._fd

    def read(self) -> list[LogLine]:
        """What the kernel has logged since the last time, as far as it was not overwritten meanwhile."""
        lines = []
        for _ in range(_MOST_RECORDS):
            try:
                record = os.read(self._fd, _RECORD_BYTES)
            except BlockingIOError:
                break
            except BrokenPipeError:
                continue  # some were overwritten: the next read goes on with the oldest that is there
            except OSError:
                break
            if not record:
                break
            if (line := parse_record(record)) is not None:
                lines.append(line)
        return lines


def parse_record(record: bytes) -> LogLine | None:
    """One record of /dev/kmsg; None: it is a program's, or not of the form that we know. Pure."""
    head = _HEAD.match(record)
    if head is None or int(head[1]) >> 3:
        return None
    text = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), head[3])
    return LogLine(int(head[2]) * 1000, text.decode("utf-8", "surrogateescape"))


@dataclass(frozen=True, slots=True)
class _Begun:
    """What was said since the OOM killer was called."""

    limit_bytes: int | None = None
    chosen: re.Match[str] | None = None
    words: tuple[str, ...] = ()


class KillReader:
    """Finds kills in a log that is read bit by bit: a kill's lines may come in two readings."""

    def __init__(self) -> None:
        self._begun = _Begun()

    def kills(self, lines: Iterable[LogLine]) -> list[LoggedKill]:
        """Those that end in these lines, in their order."""
        found = []
        for line in lines:
            if _INVOKED.match(line.text):
                self._begun = _Begun(words=(line.text,))
            elif memory := _MEMORY.fullmatch(line.text):
                self._note(line, limit_bytes=int(memory[2]) * _KIB)
            elif line.text.startswith("oom-kill:") and (chosen := _CHOSEN.fullmatch(line.text)):
                self._note(line, chosen=chosen)
            elif killed := _KILLED.match(line.text):
                found.append(_kill(line, killed, self._begun))
                self._begun = _Begun()
        return found

    def _note(self, line: LogLine, **told: Any) -> None:
        words = (*self._begun.words, line.text)[-_MOST_LINES:]
        self._begun = replace(self._begun, words=words, **told)


def parse_kills(lines: Iterable[LogLine]) -> list[LoggedKill]:
    """The kills of a log, in their order. Pure."""
    return KillReader().kills(lines)


def _kill(line: LogLine, killed: re.Match[str], begun: _Begun) -> LoggedKill:
    pid, is_of_cgroup = int(killed[2]), killed[1].startswith("Memory cgroup")
    chosen = begun.chosen if begun.chosen and int(begun.chosen[3]) == pid else None
    limit_cgroup, cgroup = _places(chosen[2], killed[3]) if chosen else (None, None)
    limit = begun.limit_bytes if is_of_cgroup else None
    return LoggedKill(
        at_ns=line.at_ns,
        pid=pid,
        command=killed[3],
        constraint=chosen[1] if chosen else MEMCG if is_of_cgroup else None,
        cgroup=cgroup,
        limit_cgroup=limit_cgroup,
        limit_bytes=None if limit is None or limit >= _NO_LIMIT_BYTES else limit,
        words="\n".join((*begun.words, line.text)),
    )


def _places(told: str, command: str) -> tuple[str | None, str | None]:
    """The cgroup whose limit was hit, if one's was, and the victim's. None: not told."""
    end = f",task={command}"
    if not told.endswith(end):
        return None, None  # it has changed its name meanwhile
    for form in _PLACES:
        if places := form.fullmatch(told.removesuffix(end)):
            return places[1] or None, places[2]
    return None, None
