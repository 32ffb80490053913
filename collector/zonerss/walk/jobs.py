"""A walk: its jobs, what comes of them, and how we wait for it.

A source of frames walks the page tables of processes in C and marks their frames in a census. There are two: pagemap
(:mod:`zonerss.walk.pagemap`), always there, and pagetable (:mod:`zonerss.walk.pagetable`), by BPF. The work is done by
threads of the core's; this thread only waits, so that a signal (Ctrl-C) is answered at once, whatever the kernel does.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.census.touched import Apart
from zonerss.errors import EXHAUSTED, NO_THREAD, NoThread
from zonerss.kernel import patience
from zonerss.kernel.patience import PAUSES
from zonerss.kernel.proc import TaskList, gap_of_errno
from zonerss.plain import dataclass, replace
from zonerss.records import Cause, Gap, Task
from zonerss.units import PAGE_BYTES
from zonerss.walk.host import Host

if TYPE_CHECKING:
    from zonerss._core import _lib as core

_STEPS = {
    lib.STEP_OPEN: "open",
    lib.STEP_MAPS: "maps",
    lib.STEP_PAGEMAP: "pagemap",
    lib.STEP_CGROUP: "cgroup",
    lib.STEP_KPAGEFLAGS: "kpageflags",
    lib.STEP_TABLES: "tables",
}
_CAUSES = {
    lib.WALK_EXITED: Cause.EXITED,
    lib.WALK_REUSED: Cause.REUSED,
    lib.WALK_EXECED: Cause.EXECED,
    lib.WALK_MOVED: Cause.MOVED,
    lib.WALK_BUSY: Cause.BUSY,
    lib.WALK_LEFT: Cause.BUSY,
    lib.WALK_UNREACHED: Cause.EXITED,
}
_APART = {None: lib.APART_NOT, False: lib.APART_BY_TOUCH, True: lib.APART_BY_CLASS}
_LOOK_MS = 250
_STRIPE_PAGES = (1 << 30) // PAGE_BYTES
"""A job of less is not worth its own: walking a GiB takes about a millisecond."""

Begin = Callable[[Any, Any], int]
"""Begins a walk of a request (struct walk_request *, struct walk **); 0 or a negative errno."""


@dataclass(frozen=True, slots=True)
class Walked:
    """What the walk of one address space found, in base pages: page table entries, not frames."""

    rss_pages: int
    hugetlb_pages: int
    swap_pages: int
    zero_pages: int
    vmas: int
    """Mappings looked at; 0: nothing of the process was seen."""
    entries: int
    """Looked at."""
    refused: int
    """Entries whose frame or table is no memory that the source knows of."""
    unreached: bool
    """The source cannot see it; another one may."""


Again = Callable[[Sequence[Walked]], Sequence[tuple[Begin, Sequence[int]]]]
"""Says which of the jobs of a walk are to be walked once more, by number, and what begins that walk."""


NOTHING = Walked(0, 0, 0, 0, 0, 0, 0, False)


class Source(Protocol):
    """Where frames come from."""

    name: str
    divides: bool
    """Whether it can walk a part of an address space."""

    def begin(self, request: core.walk_request, ret: Any) -> int:
        """Begin a walk; see :data:`Begin`."""

    def again(self, found: Sequence[Walked]) -> Sequence[tuple[Begin, Sequence[int]]]:
        """What is to be walked once more; see :data:`Again`."""


def walk(
    begin: Begin,
    census: Census,
    listed: TaskList | None,
    assigned: Sequence[tuple[Task, int]],
    host: Host,
    twice: Collection[int] = (),
    again: Again | None = None,
    apart: Apart | None = None,
    slices: core.slices | None = None,
    divides: bool = False,
) -> tuple[list[Walked], list[Gap]]:
    """
    Walk address spaces and mark their frames for owners.

    :param begin: of a source
    :param listed: where the tasks are from, to see whether one has moved meanwhile; None: do not look
    :param assigned: whose address space is walked for which owner
    :param twice: pids of these whose address space is walked for another owner, too
    :param again: of the source, too; None: what it cannot see is a gap
    :param apart: by page tables only: tell entries apart by their accessed bits. What only pagemap sees is kept
    :param slices: by page tables only: mark nothing, but collect the ranges of each assignment that have accessed bits
        to clear; with apart, those that are cold, and whose frames the census has for them alone
    :param divides: of the source, too: a process that is most of the work may be walked by several threads
    :return: one Walked per assignment, in their order, and the gaps; of a process that made us wait for too long what
        was met until then, and a gap
    :raises OSError: the walk as a whole failed
    :raises NoThread: no thread can be started for it
    """
    found: list[Walked] = [NOTHING] * len(assigned)
    gaps: list[Gap | None] = [None] * len(assigned)

    def look(begin: Begin, numbers: Sequence[int], divides: bool = False) -> None:
        chosen = [assigned[number] for number in numbers]
        more, more_gaps = _walk_once(begin, census, listed, chosen, host, twice, told_apart, slices, divides)
        for at, number in enumerate(numbers):
            found[number], gaps[number] = more[at], more_gaps[at]

    asked = _whom_to_ask(assigned)
    told_apart = apart
    look(begin, asked, divides)
    if apart:
        unreached = {assigned[number][0].pid for number, row in enumerate(found) if row.unreached}
        told_apart = replace(apart, kept=apart.kept | unreached)
    for another, numbers in again(found) if again else ():
        look(another, numbers)
    for number in set(range(len(assigned))) - set(asked):
        gaps[number] = Gap(assigned[number][0].pid, "open", Cause.BUSY, "it made us wait before")
    outside = [
        _outside(task.pid, row.refused) for row, (task, _) in zip(found, assigned, strict=True) if row.refused
    ]
    return found, [*filter(None, gaps), *outside]


def _whom_to_ask(assigned: Sequence[tuple[Task, int]]) -> Sequence[int]:
    """The numbers of those that are not paused because they have made us wait."""
    waiting = _waited_for()
    PAUSES.note_walkers(waiting)
    everybody = range(len(assigned))
    if not waiting and not PAUSES.any:
        return everybody
    return [number for number in everybody if PAUSES.is_asked(assigned[number][0].pid)]


def _walk_once(
    begin: Begin,
    census: Census,
    listed: TaskList | None,
    assigned: Sequence[tuple[Task, int]],
    host: Host,
    twice: Collection[int],
    apart: Apart | None,
    slices: core.slices | None,
    divides: bool,
) -> tuple[list[Walked], list[Gap | None]]:
    """One Walked and one gap, or None, per assignment."""
    ret = ffi.new("struct walk **")
    with host.opened() as opened:
        pages = [task.rss_pages for task, _ in assigned]
        threads = host.threads_for(sum(pages))
        stripes = stripes_of(pages, threads) if divides else [1] * len(pages)
        jobs = _jobs(assigned, stripes, twice, apart)
        request = ffi.new("struct walk_request *")
        request.census, request.jobs, request.count = census.handle, jobs, sum(stripes)
        request.host, request.threads = opened, threads
        request.tasks = listed.handle if listed and listed.handle else ffi.NULL
        request.apart = _APART[apart.by_class if apart else None]
        request.slices = slices or ffi.NULL
        try:  # from before it begins: a signal's handler may raise as soon as it has
            _check(begin(request, ret))
            _wait(ret[0], round(host.patience_seconds * 1e9))
            done = lib.walk_jobs(ret[0])
            rows = [done[number] for number in range(sum(stripes))]
            failed = [number for number, row in enumerate(rows) if row.step]
            _note_pauses(rows, failed)
            gaps: list[Gap | None] = [None] * len(rows)
            for number in failed:
                gaps[number] = _gap(rows[number])
            return _whole([_walked(row) for row in rows], gaps, stripes)
        finally:
            if ret[0] != ffi.NULL:
                lib.walk_end(ret[0])


def stripes_of(pages: Sequence[int], threads: int) -> list[int]:
    """
    Into how many jobs each process is cut: 1, but for those that would keep a thread busy when the others have ended.

    :param pages: of each
    """
    share = sum(pages) // threads
    return [
        min(threads, count // _STRIPE_PAGES) if count > max(share, 2 * _STRIPE_PAGES) else 1
        for count in pages
    ]


def _whole(
    walked: list[Walked], gaps: list[Gap | None], stripes: Sequence[int]
) -> tuple[list[Walked], list[Gap | None]]:
    """What the jobs found, process by process; each job of a process has met all of its mappings."""
    if len(walked) == len(stripes):
        return walked, gaps
    found, first, at = list[Walked](), list[Gap | None](), 0
    for count in stripes:
        found.append(_sum(walked[at : at + count]))
        first.append(next(filter(None, gaps[at : at + count]), None))
        at += count
    return found, first


def _sum(walked: Sequence[Walked]) -> Walked:
    return Walked(
        rss_pages=sum(one.rss_pages for one in walked),
        hugetlb_pages=sum(one.hugetlb_pages for one in walked),
        swap_pages=sum(one.swap_pages for one in walked),
        zero_pages=sum(one.zero_pages for one in walked),
        vmas=max(one.vmas for one in walked),
        entries=sum(one.entries for one in walked),
        refused=sum(one.refused for one in walked),
        unreached=any(one.unreached for one in walked),
    )


def _check(result: int) -> int:
    """
    The result of a function of walk.h, if it is none of failure.

    :raises NoThread: no thread can be had
    :raises OSError: it failed otherwise
    """
    if result == -errno.EAGAIN:
        raise NoThread(NO_THREAD)
    return check(result, "walking the processes")


def _wait(running: core.walk, patience_ns: int) -> None:
    while True:
        # After a signal it returns, too: whoever handles it does so now.
        if _check(lib.walk_wait(running, _LOOK_MS)):
            return
        lib.walk_leave_overdue(running, patience_ns)


def _waited_for() -> frozenset[int]:
    """The processes for whom a thread of an earlier walk still waits in the kernel."""
    room = 0
    while (count := lib.walk_waited_for(pids := ffi.new("int32_t[]", room + 1), room)) > room:
        room = count
    return frozenset(ffi.unpack(pids, count)) if count else frozenset()


def _note_pauses(jobs: Sequence[core.walk_job], failed: Sequence[int]) -> None:
    left = {jobs[number].leader for number in failed if jobs[number].error == lib.WALK_LEFT}
    for pid in left:
        PAUSES.note_pause(pid)
    if PAUSES.any:
        PAUSES.note_answers({job.leader for job in jobs} - left)


def _jobs(
    assigned: Sequence[tuple[Task, int]], stripes: Sequence[int], twice: Collection[int], apart: Apart | None
) -> Any:
    """One job for each stripe of each; at least one."""
    cut = [
        (*one, stripe, count) for one, count in zip(assigned, stripes, strict=True) for stripe in range(count)
    ]
    jobs = ffi.new("struct walk_job[]", max(len(cut), 1))
    for number, (task, owner, stripe, count) in enumerate(cut):
        job: core.walk_job = jobs[number]
        job.stripe, job.stripes = stripe, count
        job.pid, job.leader, job.owner = task.walk_tid, task.pid, owner
        job.cgroup, job.start_ticks, job.expected_pages = (
            task.cgroup_text,
            task.start_ticks,
            min(task.rss_pages, patience.EXPLAINED_PAGES) // count,
        )
        job.twice = task.pid in twice
        if apart:
            job.owner, job.idle_owner, job.kept_owner = apart.of(task.pid, owner)
            job.cleared_by = apart.cleared_by
    return jobs


def _walked(job: core.walk_job) -> Walked:
    return Walked(
        rss_pages=job.rss_pages,
        hugetlb_pages=job.hugetlb_pages,
        swap_pages=job.swap_pages,
        zero_pages=job.zero_pages,
        vmas=job.vmas,
        entries=job.entries,
        refused=job.refused,
        unreached=job.error == lib.WALK_UNREACHED,
    )


def _outside(pid: int, entries: int) -> Gap:
    return Gap(pid, "tables", Cause.OUTSIDE, f"{entries} page table entries")


def _gap(job: core.walk_job) -> Gap:
    """
    Why a job is not done.

    :raises OSError: it is us, not this process
    """
    if job.error in EXHAUSTED:
        check(-job.error, "walking the processes")
    step, cause = _STEPS[job.step], _CAUSES.get(job.error)
    return Gap(job.leader, step, cause) if cause else gap_of_errno(job.leader, step, job.error)
