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
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

import zonerss
from tests.live.fault_questions import ACTED_ON, Answer, Figures, Scene, Walker
from tests.workloads.mem import Mem
from zonerss._core import _lib
from zonerss.errors import ZonerssError
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.roots import HOST
from zonerss.kernel.task_iterator import TaskIterator

SHORT = 0
"""Instead of an errno: half of what was asked for."""
ODD = -1
"""Likewise, of a file of words: it ends within one."""
WAYS = {
    "open": (errno.EMFILE, errno.EIO, errno.EINTR),
    "openat": (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EIO, errno.EACCES, errno.EINTR),
    "read": (errno.EINTR, errno.EIO, errno.ENOMEM, SHORT),
    "pread": (errno.EINTR, errno.EIO, errno.ENOMEM, SHORT, ODD),
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
    "fork": (errno.EAGAIN, errno.ENOMEM),
    "waitpid": (errno.EINTR,),
}
FOR_GOOD = (errno.EMFILE, errno.ENOMEM)
"""What may fail from some call on, for ever."""
NOT_THE_KERNEL = {("cold", "syscall", errno.ENOMEM)}
"""Of a question: process_madvise(2) says so where a part of the range is not mapped, and has done the rest."""
TRIES = 3
"""So often must an answer be wrong: reclaim or compaction may have a page in hand for a moment, but not each time."""
STEPS = int(os.environ.get("ZONERSS_FAULT_STEPS", "3"))
"""Each of the first so many calls fails, of twice as many every second one, and so on."""
ZONE = "mem"


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
        if error := self._lib.fault_code(*_code_of(_lib.__file__)):
            raise OSError(error, os.strerror(error))

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


def told_by(ask: Callable[[], Answer]) -> Answer | str | None:
    """None: a sentence was told. A text: what is wrong."""
    try:
        return ask()
    except (ZonerssError, MemoryError):
        return None
    except OSError as error:
        return None if error.errno and re.search(r"\w", str(error)) else f"{error!r}"
    except Exception as error:
        return f"raised {error!r}"


def wrong_with(told: Answer | str | None, true: Figures) -> str:
    """Empty: nothing."""
    if not isinstance(told, Answer):
        return told or ""
    if told.excused or (found := figures_in(told)) == true:
        return ""
    return f"figures {found}"


def figures_in(told: Answer) -> Figures:
    return told.figures() if callable(told.figures) else told.figures


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
        for _ in range(TRIES):
            faults.arm(function, number, how, for_good)
            told = told_by(ask)
            if not faults.disarm():
                return failed, wrong
            if not (said := wrong_with(told, true)):
                break
        else:
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
    assert faults.functions == WAYS.keys()
    with ExitStack() as stack:
        if question in ACTED_ON:
            scene = stack.enter_context(closing(Scene()))
            ask = partial(ACTED_ON[question], scene, stack.enter_context(closing(Walker(scene))))
            mems = [scene.mem, scene.other]
        else:
            mems = []
            for mem in still_processes():
                stack.callback(mem.end)
                mems.append(mem)
            ask = partial(QUESTIONS[question], source, frozenset(mem.pid for mem in mems))
        true = figures_in(ask())
        assert true, "there is no such zone"
        again = ask()
        assert (figures_in(again), again.excused) == (true, False), "it is not still"
        for function, ways in WAYS.items():
            for how in ways:
                if (question, function, how) in NOT_THE_KERNEL:
                    continue
                for for_good in (False, True) if how in FOR_GOOD else (False,):
                    calls, wrong = each_fault(faults, function, how, for_good, ask, true)
                    assert all(mem.process.poll() is None for mem in mems), "they have ended"
                    name = {SHORT: "short", ODD: "odd"}.get(how) or errno.errorcode[how]
                    print(json.dumps([function, name, for_good, calls, wrong]), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
