"""Run under faults.c (LD_PRELOAD): one call of the core after the other fails, and each time a question is asked.

    unshare --pid --fork --mount-proc python -m tests.live.every_fault SOURCE QUESTION

In a pid namespace of its own, so that there are few processes, and few calls. Prints one line for each function and way
of failing: how many calls were made to fail, and what was wrong.
"""

from __future__ import annotations

import ctypes
import errno
import json
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import zonerss
from tests.workloads.mem import Mem
from zonerss._core import _lib
from zonerss.errors import ZonerssError
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.roots import HOST
from zonerss.kernel.task_iterator import TaskIterator
from zonerss.plain import dataclass

SHORT = 0
"""Instead of an errno: half of what was asked for."""
WAYS = {
    "open": (errno.EMFILE, errno.EIO, errno.EINTR),
    "openat": (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EACCES, errno.EINTR),
    "read": (errno.EINTR, errno.EIO, errno.ENOMEM, SHORT),
    "pread": (errno.EINTR, errno.EIO, errno.ENOMEM, SHORT),
    "ioctl": (errno.EINTR, errno.EIO, errno.ENOMEM, errno.EFAULT),
    "mmap": (errno.ENOMEM, errno.EAGAIN),
    "malloc": (errno.ENOMEM,),
    "calloc": (errno.ENOMEM,),
    "realloc": (errno.ENOMEM,),
    "aligned_alloc": (errno.ENOMEM,),
    "statx": (errno.EIO, errno.ENOMEM, errno.EINTR),
    "fstatat": (errno.EIO, errno.ENOMEM, errno.EINTR),
    "fstatfs": (errno.EIO, errno.EINTR),
    "pthread_create": (errno.EAGAIN, errno.EPERM),
    "eventfd": (errno.EMFILE, errno.ENOMEM),
    "poll": (errno.EINTR, errno.ENOMEM),
    "syscall": (errno.EINTR, errno.EIO, errno.ENOMEM, errno.EPERM),
    "fcntl": (errno.EMFILE,),
    "fdopendir": (errno.ENOMEM, errno.EMFILE),
    "readdir": (errno.EIO, errno.ENOENT),
    "mincore": (errno.EAGAIN, errno.ENOMEM),
    "madvise": (errno.EINVAL, errno.ENOMEM),
    "getrandom": (errno.EINTR, errno.ENOSYS),
    "write": (errno.EAGAIN, errno.EINTR),
}
FOR_GOOD = (errno.EMFILE, errno.ENOMEM)
"""What may fail from some call on, for ever."""
STEPS = int(os.environ.get("ZONERSS_FAULT_STEPS", "3"))
"""Each of the first so many calls fails, of twice as many every second one, and so on."""
ZONE = "mem"
Figures = dict[str, int]


class Faults:
    """The library, which knows where the core's code is."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL(None)
        self._lib.fault_name.restype = ctypes.c_char_p
        self._lib.fault_arm.argtypes = (ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_int)
        self._lib.fault_code.argtypes = (ctypes.c_ulong, ctypes.c_ulong)
        self._numbers: dict[str, int] = {}
        while name := self._lib.fault_name(len(self._numbers)):
            self._numbers[name.decode()] = len(self._numbers)
        self._lib.fault_code(*_code_of(_lib.__file__))

    @property
    def functions(self) -> frozenset[str]:
        """Those that it can let fail."""
        return frozenset(self._numbers)

    def arm(self, function: str, number: int, how: int, for_good: bool) -> None:
        """Let the number-th call fail."""
        self._lib.fault_arm(self._numbers[function], number, how, for_good)

    def disarm(self) -> int:
        """How many have failed."""
        return int(self._lib.fault_disarm())


def _code_of(library: str) -> tuple[int, int]:
    for row in Path("/proc/self/maps").read_text().splitlines():
        if row.endswith(os.path.realpath(library)) and " r-xp " in row:
            start, end = row.split()[0].split("-")
            return int(start, 16), int(end, 16)
    raise LookupError(library)


@dataclass(frozen=True)
class Answer:
    """What a question came to."""

    figures: Figures
    """Of the still zone."""
    excused: bool
    """It says that it lacks something of the zone."""


def figures_of(usage: zonerss.records.Usage) -> Figures:
    return {
        name: getattr(usage, name)
        for name in (
            "processes",
            "process_rss_bytes",
            "anon_bytes",
            "file_bytes",
            "shmem_bytes",
            "swap_bytes",
        )
    }


def snapshot(source: str, pids: frozenset[int], basis: str = "mapped") -> Answer:
    found = zonerss.take_snapshot(by="command", source=source, basis=basis)
    (usage,) = [usage for usage in found.zones if usage.zone == ZONE] or [None]
    excused = bool(found.gaps and {gap.pid for gap in found.gaps} & pids)
    return Answer(figures_of(usage) if usage else {}, excused)


def incore(source: str, pids: frozenset[int]) -> Answer:
    return snapshot(source, pids, "incore")


def holdings(source: str, pids: frozenset[int]) -> Answer:
    """What of the zone's pages is of which sort of file, and who pays."""
    found = zonerss.take_snapshot(by="command", source=source)
    held, gaps = found.ask().holdings()
    figures: Figures = {}
    owners = {member.owner for member in found.members if member.zones[0].name == ZONE}
    for number, files in held.items():
        if not owners & set(found.parts.owners_of(number)):
            continue
        for file, pages in files:
            kind = str(file.kind) if file else "none"
            figures[kind] = figures.get(kind, 0) + sum(pages)
    found.ask().payers()
    return Answer(figures, bool({gap.pid for gap in (*found.gaps, *gaps)} & pids))


def listing(source: str, pids: frozenset[int]) -> Answer:
    """Who is there, by the kernel's iterator; no source is asked."""
    with TaskIterator() as iterator:
        found = iterator.read(find_memory_hierarchy(HOST))
    still = [task for task in found.tasks if task.command == ZONE]
    figures = {"processes": len(still), "size_bytes": sum(task.size_bytes for task in still)}
    return Answer(figures, bool({gap.pid for gap in found.gaps} & pids))


QUESTIONS: dict[str, Callable[[str, frozenset[int]], Answer]] = {
    "snapshot": snapshot,
    "incore": incore,
    "holdings": holdings,
    "listing": listing,
}


def wrong_with(ask: Callable[[], Answer], true: Figures) -> str:
    """Empty: nothing."""
    try:
        answer = ask()
    except (ZonerssError, MemoryError):
        return ""  # a sentence
    except OSError as error:
        return "" if error.errno and re.search(r"\w", str(error)) else f"{error!r}"
    except Exception as error:
        return f"raised {error!r}"
    if answer.excused or answer.figures == true:
        return ""
    return f"figures {answer.figures}"


def each_fault(
    faults: Faults, function: str, how: int, for_good: bool, ask: Callable[[], Answer], true: Figures
) -> tuple[int, list[str]]:
    """
    How many calls were made to fail, and what was wrong with the answers where one failed.

    Each of the first ones, then fewer and fewer: a question may make thousands of calls, most of them in one loop.
    ZONERSS_FAULT_STEPS makes them more.
    """
    wrong: list[str] = []
    number = failed = 0
    while True:
        faults.arm(function, number, how, for_good)
        said = wrong_with(ask, true)
        if not faults.disarm():
            return failed, wrong
        if said:
            wrong.append(f"call {number}: {said}")
        failed += 1
        number += 1 + number // STEPS


def still_processes() -> Iterator[Mem]:
    mems = [Mem(), Mem()]
    mems[0].map("anon 503")
    mems[0].map("memfd 61")
    mems[1].map("anon 1009")
    mems[1].map("shm 17")
    for mem in mems:
        os.kill(mem.pid, signal.SIGSTOP)
        yield mem


def main(source: str, question: str) -> None:
    faults = Faults()
    mems = list(still_processes())
    pids = frozenset(mem.pid for mem in mems)
    assert faults.functions == WAYS.keys()

    def ask() -> Answer:
        return QUESTIONS[question](source, pids)

    try:
        true = ask().figures
        assert true, "there is no such zone"
        assert ask() == Answer(true, False), "it is not still"
        for function, ways in WAYS.items():
            for how in ways:
                for for_good in (False, True) if how in FOR_GOOD else (False,):
                    calls, wrong = each_fault(faults, function, how, for_good, ask, true)
                    assert all(mem.process.poll() is None for mem in mems), "they have ended"
                    print(
                        json.dumps([function, errno.errorcode.get(how, "short"), for_good, calls, wrong]),
                        flush=True,
                    )
    finally:
        for mem in mems:
            mem.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
