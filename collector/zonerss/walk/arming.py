"""Arming: clearing the accessed bits of processes, so that a later walk tells which pages they have touched since.

pagemap tells nothing of these bits: neither the words of /proc/PID/pagemap nor the categories of PAGEMAP_SCAN have them
(Documentation/admin-guide/mm/pagemap.rst; PAGE_IS_ACCESSED of later kernels is only of memory that its process has
registered with userfaultfd). So this needs the page tables.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from zonerss._core import check, ffi, lib
from zonerss.census.census import Census
from zonerss.census.touched import Apart
from zonerss.errors import CannotServe, UsageError
from zonerss.kernel.clearers import caveats, note_clearing, others_cleared, running_damon, scanned_pages
from zonerss.kernel.clearing import (
    STALL_SECONDS,
    STEP,
    Clearing,
    clear_by_clear_refs,
    clear_by_cold,
    require_process_madvise,
)
from zonerss.kernel.roots import Roots
from zonerss.plain import dataclass, replace
from zonerss.records import Cause, Caveat, Gap, Task
from zonerss.walk.host import Host
from zonerss.walk.jobs import Source, walk

if TYPE_CHECKING:
    from zonerss._core import _lib as core

METHODS = ("cold", "clear_refs")
_CLEARED_BY = {"cold": lib.CLEARED_BY_COLD, "clear_refs": lib.CLEARED_BY_CLEAR_REFS}
_NOTES = 2
"""Of one arming: when it begins, and when it is done."""
Process = tuple[int, int]
"""pid and start_ticks."""


@dataclass(frozen=True, slots=True)
class Armed:
    """Processes whose accessed bits were cleared. What began later has touched all that it maps."""

    method: str
    """cold or clear_refs."""
    done_ns: int
    """When it was done, by the monotonic clock."""
    seen: frozenset[Process]
    """All that there were."""
    cleared: Mapping[Process, Clearing]
    """Of these: those whose bits were cleared, one of each address space, and those that share it."""
    gaps: tuple[Gap, ...]
    """The others that were to be cleared, and why they were not."""
    scanned: int | None
    """Pages that reclaim had looked at until then."""
    damon: tuple[str, ...] = ()
    """What of DAMON ran then."""
    noted: int | None = None
    """How many notes there were that bits were cleared, by whomever; None: it cannot be told."""
    notes: int = _NOTES
    """How many of them are ours."""
    by_class: bool = False
    """A walk is to tell what may be paged out from what may not; see :func:`for_classes`."""
    zones: frozenset[str] | None = None
    """Of whose frames it is asked whether they are mapped more than once; None: of all."""

    @property
    def sees_several(self) -> bool:
        """Bits of frames that are mapped more than once were cleared, too."""
        return self.method == "clear_refs"

    def apart(self, owners: int, tasks: Collection[Task]) -> Apart:
        """How a walk tells the entries of these processes apart; owners: of its plan."""
        kept = {
            task.pid
            for task in tasks
            if (task.pid, task.start_ticks) not in self.cleared
            and (self.by_class or (task.pid, task.start_ticks) in self.seen)
        }
        return Apart(owners, frozenset(kept), _CLEARED_BY[self.method], self.by_class)

    def longest_stall_ns(self, task: Task) -> int | None:
        """For how long this process may have been held up at once; None: its bits were not cleared."""
        clearing = self.cleared.get((task.pid, task.start_ticks))
        return clearing.longest_ns if clearing else None

    def seconds(self, until_ns: int) -> float:
        """How long ago that was."""
        return (until_ns - self.done_ns) / 1e9

    def caveats(self, roots: Roots) -> tuple[Caveat, ...]:
        """Who else has cleared bits meanwhile."""
        now = scanned_pages(roots)
        between = None if now is None or self.scanned is None else now - self.scanned
        damon = dict.fromkeys((*self.damon, *running_damon(roots)))
        return caveats(tuple(damon), between, others_cleared(roots, self.noted, self.notes))


def for_classes(armed: Sequence[Armed], zones: Collection[str]) -> Armed:
    """
    How a walk is to tell the pages of all processes apart by what can be done about them.

    :param zones: names of those of whose pages that is asked
    :param armed: by MADV_COLD; of all processes that are in none of these nothing is known, nor of those that have
        begun since. None: nothing is known of any process
    """
    if not armed:
        asked = frozenset(zones)
        return Armed("cold", time.monotonic_ns(), frozenset(), {}, (), None, by_class=True, zones=asked)
    first = min(armed, key=lambda one: one.done_ns)
    cleared = {process: clearing for one in armed for process, clearing in one.cleared.items()}
    gaps = tuple(gap for one in armed for gap in one.gaps)
    return replace(first, cleared=cleared, gaps=gaps, by_class=True, zones=frozenset(zones))


def arm(
    source: Source,
    host: Host,
    tasks: Sequence[Task],
    wanted: Sequence[Task],
    mm_of: Mapping[int, int],
    method: str = "cold",
    stall: float = STALL_SECONDS,
    rest: int = 1,
) -> Armed:
    """
    Clear the accessed bits of processes.

    :param source: of page tables
    :param tasks: all that there are
    :param wanted: those whose bits are to be cleared
    :param mm_of: pid -> the lowest pid that has its address space; each is cleared once
    :param method: one of METHODS
    :param stall: for how many seconds clear_refs may hold up a process, as far as can be told before
    :param rest: cold: how often as long as it works it sleeps
    :raises UsageError: an unknown method
    :raises CannotServe: the kernel or our privileges do not allow it
    """
    if method not in METHODS:
        raise UsageError(f"there is no method {method!r}; say {' or '.join(METHODS)}")
    scanned, damon, noted = scanned_pages(host.roots), running_damon(host.roots), note_clearing(host.roots)
    one_of_each = list({mm_of[task.pid]: task for task in wanted}.values())
    found = (
        _by_cold(source, host, one_of_each, rest)
        if method == "cold"
        else _by_clear_refs(host, one_of_each, stall)
    )
    of_mm = {mm_of[task.pid]: one for task, one in zip(one_of_each, found, strict=True)}
    cleared = {}
    for task in wanted:
        if isinstance(clearing := of_mm[mm_of[task.pid]], Clearing):
            cleared[task.pid, task.start_ticks] = clearing
    note_clearing(host.roots)
    return Armed(
        method=method,
        done_ns=time.monotonic_ns(),
        seen=frozenset((task.pid, task.start_ticks) for task in tasks),
        cleared=cleared,
        gaps=tuple(one for one in found if isinstance(one, Gap)),
        scanned=scanned,
        damon=damon,
        noted=noted,
    )


def _by_clear_refs(host: Host, tasks: Sequence[Task], stall: float) -> list[Clearing | Gap]:
    """One for each process. What clears is real-time: between two of them it sleeps for as long as the call took."""
    found: list[Clearing | Gap] = []
    for task in tasks:
        if found and isinstance(before := found[-1], Clearing):
            time.sleep(before.took_ns / 1e9)
        found.append(clear_by_clear_refs(host.roots, task, stall, host.patience_seconds))
    return found


_NO_FIRST_THREAD = "its first thread has ended, and process_madvise(2) takes no such process"


def _by_cold(source: Source, host: Host, tasks: Sequence[Task], rest: int) -> list[Clearing | Gap]:
    """One for each process: the ranges that have bits to clear are found by a walk, which changes nothing."""
    require_process_madvise(host.roots)
    slices = make_slices()
    walked, gaps = walk(source.begin, Census(1), None, [(task, 0) for task in tasks], host, slices=slices)
    failed = {gap.pid: gap for gap in gaps}
    found: list[Clearing | Gap] = []
    for number, (task, seen) in enumerate(zip(tasks, walked, strict=True)):
        if task.walk_tid != task.pid:
            found.append(Gap(task.pid, STEP, Cause.REFUSED, _NO_FIRST_THREAD))
            continue
        if task.pid in failed or not seen.vmas:
            found.append(failed.get(task.pid) or Gap(task.pid, "tables", Cause.EXITED))
            continue
        first = ffi.new("struct slice **")
        count = lib.slices_of(slices, number, 0, first)
        found.append(clear_by_cold(host.roots, task, first[0], count, host.patience_seconds, rest, slices))
    return found


def make_slices() -> core.slices:
    """Ranges that a walk is to collect: none yet."""
    ret = ffi.new("struct slices **")
    check(lib.slices_create(ret), "collecting ranges")
    slices: core.slices = ffi.gc(ret[0], lib.slices_destroy)
    return slices


def require_bits(source: str, who: str = "wss") -> None:
    """
    :param who: needs them
    :raises CannotServe: this source of frames, which was named, does not tell accessed bits
    """
    if source == "pagemap":
        raise CannotServe(
            "pagemap does not tell which pages were touched (it has no accessed bits): "
            f"{who} needs the page tables, --source pagetable"
        )
