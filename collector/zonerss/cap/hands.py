"""What a capper does: it looks, clears accessed bits, pages out what is cold, and sees what left and what came back.

It never stops a process, sets no limit, and touches nothing that another zone maps, nor what is locked. Whatever
belongs to somebody else is touched by a thread with a deadline: who cannot be had in time is left out, and the step
says so. Nothing is kept in the kernel, so a capper that is killed leaves nothing behind.

It needs what a walk of page tables needs (docs/pagetable.md), CAP_SYS_NICE, and CAP_FOWNER or CAP_DAC_OVERRIDE for
pages of shared mappings of files (:mod:`zonerss.kernel.pageout`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from zonerss.cap.forecast import SWAP_RESERVE, swap_room
from zonerss.cap.look import Arming, look, machine_of, scanned_in
from zonerss.cap.records import KINDS, Armed, Back, Bound, ByKind, Look, Machine, Step
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.closing import Closing
from zonerss.errors import CannotServe, UnknownZone, ZonerssError
from zonerss.evidence import Live
from zonerss.kernel import pageout
from zonerss.kernel.cgroupfs import MemoryHierarchy, find_memory_hierarchy
from zonerss.kernel.clearers import scanned_pages
from zonerss.kernel.counter_lag import find_counter_lag
from zonerss.kernel.memcg import read_bill
from zonerss.kernel.memcg import swap_room as limited_swap_room
from zonerss.kernel.pageout import PagedOut, Run, page_out, pages_present
from zonerss.kernel.patience import PATIENCE_SECONDS
from zonerss.kernel.reclaim import reclaim
from zonerss.kernel.roots import HOST, Roots
from zonerss.kernel.triggers import Triggers
from zonerss.plain import dataclass, field, replace
from zonerss.records import Cause, Gap, Task
from zonerss.snapshot import Session, Snapshot
from zonerss.units import PAGE_BYTES, pages_to_bytes
from zonerss.walk.arming import require_bits
from zonerss.walk.cold import ColdRanges
from zonerss.zones.rules import Rule

LEAST_AGE_SECONDS = 0.5
"""What was touched less long before is not called cold, whatever is asked for."""
REST = 39
"""How often as long as it works clearing sleeps: 25 ms of work a second."""
_VAIN_CALLS = 2
"""Calls one after the other in which nothing leaves: then others of that process and kind will not, either."""
_KINDS = {"anon": Kind.ANON, "file": Kind.FILE, "shmem": Kind.SHMEM}
_SCANS = ("pgscan_kswapd", "pgscan_direct")


@dataclass(slots=True)
class _Held:
    """What is kept of a zone."""

    cgroup: str | None = None
    arming: Arming | None = None
    ranges: ColdRanges | None = None
    """Of the last look."""
    at: dict[tuple[int, Kind], tuple[int, int]] = field(default_factory=dict)
    """How far the ranges of a process and a kind are done with: slices, and the address that the next one is cut at."""
    left: list[tuple[Task, tuple[Run, ...]]] = field(default_factory=list)
    """What left because of us since bits were cleared last."""
    reclaimed_pages: int = 0
    """Likewise, by memory.reclaim."""
    refaults: int = 0
    """What the cgroup had faulted back in when that began."""


class Hands(Closing):
    """One for each capper. Not for several threads at once."""

    def __init__(
        self,
        by: str = "zone",
        source: str = "auto",
        rules: Sequence[Rule] = (),
        patience: float = PATIENCE_SECONDS,
        roots: Roots = HOST,
        *,
        cold_seconds: float = LEAST_AGE_SECONDS,
        threads: int | None = None,
    ) -> None:
        """
        :param by: how processes are grouped into zones
        :param source: where frames come from: auto or pagetable
        :param rules: names for cgroups of the user's own
        :param patience: seconds that a process may make us wait in the kernel
        :param threads: how many may walk; None: as many as there are processors for us
        :param cold_seconds: how long before a look bits must have been cleared for it to tell what is cold
        :raises CannotServe: this host does not tell accessed bits; the sentence says why
        """
        require_bits(source, "cap")
        self._by, self._roots = by, roots
        self._cold_ns, self._patience = round(cold_seconds * 1e9), max(patience, pageout.PATIENCE_SECONDS)
        self._session = Session("pagetable", rules, roots, threads, patience=patience)
        self._held: dict[str, _Held] = {}
        self._armings = 0
        self._scanned = scanned_pages(roots, _SCANS)
        self._triggers = Triggers()
        self._lag = find_counter_lag(roots)

    def close(self) -> None:
        """Give back what is held."""
        self._triggers.close()
        self._held.clear()
        self._session.close()

    # ---- looking -----------------------------------------------------------------------------------------

    def bounds(self) -> dict[str, Bound]:
        """What the rss of each zone cannot be above, of all that have a process now. Of others nothing is kept."""
        at_ns = time.monotonic_ns()
        pages: dict[str, list[int]] = {}
        for task, (zone, *_) in self._session.place(self._by)[1]:
            most = task.rss_pages + self._lag.pages(task.threads)
            pages.setdefault(zone.name, []).append(most)
        self._held = {name: held for name, held in self._held.items() if name in pages}
        return {
            name: Bound(name, at_ns, pages_to_bytes(sum(found)), len(found)) for name, found in pages.items()
        }

    def machine(self) -> Machine:
        """
        The whole machine.

        :raises CannotServe: /proc/meminfo cannot be read
        """
        found = machine_of(self._roots)
        before, self._scanned = self._scanned, scanned_pages(self._roots, _SCANS)
        return replace(found, reclaiming=None not in (before, self._scanned) and before != self._scanned)

    def look(self, zones: Collection[str]) -> dict[str, Look]:
        """
        An exact walk, for all zones at once; those of which no process was seen are missing, because they have none, or
        because none could be read. What is cold is told of zones that were armed long enough ago, and where it is is
        kept for :meth:`page_out`.

        :raises CannotServe: this host does not tell accessed bits
        """
        ripe_ns = time.monotonic_ns() - self._cold_ns
        armings = {
            name: held.arming
            for name, held in self._held.items()
            if name in zones and held.arming is not None and held.arming.armed.done_ns <= ripe_ns
        }
        found = look(self._session, self._roots, self._by, zones, armings, self._armings)
        for name, seen in found.looks.items():
            held = self._held.setdefault(name, _Held())
            held.cgroup = seen.cgroup
            held.ranges = found.ranges if name in armings else None
            held.at.clear()
        return dict(found.looks)

    # ---- acting ------------------------------------------------------------------------------------------

    def arm(self, zone: str) -> Armed:
        """
        Clear the accessed bits of a zone's processes, by 25 ms of work a second. What has left before that is not seen
        after again (:meth:`back`).
        """
        held = self._held.setdefault(zone, _Held())
        held.left.clear()
        held.reclaimed_pages = 0
        try:
            armed = self._session.arm(self._by, (zone,), rest=REST)
        except (CannotServe, UnknownZone) as err:
            return Armed(zone, time.monotonic_ns(), str(err))
        cgroup = held.cgroup or self._cgroup_of(zone)
        held.arming = Arming(armed, self._armings, scanned_in(find_memory_hierarchy(self._roots), cgroup))
        self._armings += 1
        if armed.cleared or not armed.gaps:
            return Armed(zone, armed.done_ns)
        return Armed(zone, armed.done_ns, _why(armed.gaps[0]))

    def _cgroup_of(self, zone: str) -> str | None:
        return next(
            (found.cgroup for _, (found, *_) in self._session.place(self._by)[1] if found.name == zone), None
        )

    def page_out(self, zone: str, pages: ByKind) -> Step:
        """
        Page out cold pages that the last look has found, until so many bytes of each kind have left; a huge page is
        only taken whole. Goes on where it left off.
        """
        began_ns = time.monotonic_ns()
        tally = _Tally()
        held = self._held.get(zone)
        if held is None or held.ranges is None:
            tally.problems.append("it was not looked at since its bits were cleared")
        else:
            try:
                self._page_out(zone, held, held.ranges, self._allowed(held, pages, tally), tally)
            except CannotServe as err:  # what has left until then has left
                tally.problems.append(str(err))
        return tally.step(zone, "page-out", began_ns, pages.total_bytes)

    def _allowed(self, held: _Held, pages: ByKind, tally: _Tally) -> dict[Kind, int]:
        """In pages: what needs swap is no more than may be filled of it now, whatever was free before."""
        wanted = {_KINDS[kind]: pages.of(kind) // PAGE_BYTES for kind in KINDS}
        free, why = self._swap_room(held)
        if pages.swap_backed_bytes and not free:
            tally.problems.append(f"{why}: anon and shmem are left alone")
        for kind in (Kind.ANON, Kind.SHMEM):
            wanted[kind] = min(wanted[kind], free)
            free -= wanted[kind]
        return wanted

    def _swap_room(self, held: _Held) -> tuple[int, str]:
        """
        How many pages of a zone may go there now, and why none may. Zones below a common limit fill it together: so
        what it leaves is read anew, too.

        :raises CannotServe: /proc/meminfo cannot be read
        """
        machine = machine_of(self._roots)
        if not machine.swap_bytes:
            return 0, "there is no swap"
        free = swap_room(None, machine)
        hierarchy = find_memory_hierarchy(self._roots)
        limit = None if held.cgroup is None else limited_swap_room(hierarchy, held.cgroup)
        if limit is not None and limit < free:
            return limit // PAGE_BYTES, "its cgroup may not use more swap"
        return free // PAGE_BYTES, f"swap is full up to the last 1/{SWAP_RESERVE}"

    def _page_out(
        self, zone: str, held: _Held, ranges: ColdRanges, wanted: Mapping[Kind, int], tally: _Tally
    ) -> None:
        numbers = [number for number, (_, name) in enumerate(ranges.tasks) if name == zone]
        has_moved = self._session.movement(self._by)
        for kind in (Kind.FILE, Kind.ANON, Kind.SHMEM):  # the cheapest first
            goal = wanted[kind]
            for number in numbers:
                vain = 0
                for done in self._calls(held, ranges, number, kind, goal, tally, has_moved):
                    goal -= done
                    vain = 0 if done else vain + 1
                    if goal <= 0 or vain >= _VAIN_CALLS:
                        break
                if goal <= 0:
                    break
                if vain >= _VAIN_CALLS and not self._goes_on(held, ranges.tasks[number][0], kind, tally):
                    break

    def _goes_on(self, held: _Held, task: Task, kind: Kind, tally: _Tally) -> bool:
        """Whether other processes' pages of a kind may leave, though this one's do not."""
        room, why = self._swap_room(held)
        if kind is not Kind.FILE and not room:
            tally.problems.append(why)
            return False
        tally.left_out.append(f"process {task.pid}: pages of kind {kind.name.lower()} do not leave")
        return True

    def _calls(
        self,
        held: _Held,
        ranges: ColdRanges,
        number: int,
        kind: Kind,
        goal: int,
        tally: _Tally,
        has_moved: Callable[[Task], bool],
    ) -> Iterator[int]:
        """Calls for one process, and how many pages left by each that advised any."""
        task = ranges.tasks[number][0]
        first, count = ranges.of(number, kind)
        done, cut = held.at.get((number, kind), (0, 0))
        if done < count and goal > 0 and has_moved(task):
            tally.leave_out(Gap(task.pid, pageout.STEP, Cause.MOVED))
            held.at[number, kind] = count, 0
            return
        while done < count and goal > 0:
            found = page_out(self._roots, task, first + done, count - done, cut, goal, self._patience)
            if isinstance(found, Gap):
                tally.leave_out(found)
                held.at[number, kind] = count, 0
                return
            if not found.slices and found.cut == cut:
                huge = first[done]  # which is more than is to go
                tally.huge_bytes = max(tally.huge_bytes, huge.end - huge.start)
                return
            done, cut = done + found.slices, found.cut
            held.at[number, kind] = done, cut
            if found.runs:
                held.left.append((task, found.runs))
            tally.add(kind, found)
            goal -= found.left_pages
            if found.tried_pages:
                yield found.left_pages

    def reclaim(self, zone: str, nbytes: int) -> Step:
        """
        Ask the kernel for memory of a zone's cgroup. What left is told by walks of its processes before and after.

        :param nbytes: at most 8 MiB
        """
        began_ns = time.monotonic_ns()
        tally, held = _Tally(), self._held.get(zone)
        if held is None or held.cgroup is None:
            tally.problems.append("its cgroup is not known")
            return tally.step(zone, "reclaim", began_ns, nbytes)
        hierarchy = find_memory_hierarchy(self._roots)
        refaults = _refaults(hierarchy, held.cgroup)
        try:
            before = self._alone(zone)
            if problem := reclaim(hierarchy, held.cgroup, nbytes):
                tally.problems.append(problem)
            left = self._left_since(zone, before)
        except UnknownZone:
            tally.problems.append("it ended meanwhile")
            return tally.step(zone, "reclaim", began_ns, nbytes)
        except CannotServe as err:
            tally.problems.append(f"what has left could not be counted: {err}")
            return tally.step(zone, "reclaim", began_ns, nbytes)
        for kind, pages in left.items():
            tally.left[kind] += pages
        if not held.reclaimed_pages:
            held.refaults = refaults
        held.reclaimed_pages += sum(tally.left.values())
        return tally.step(zone, "reclaim", began_ns, nbytes)

    def _left_since(self, zone: str, before: Snapshot) -> dict[Kind, int]:
        """What has left since a walk. What could not be walked is walked once more: it has left all the same."""
        try:
            after = self._alone(zone)
        except CannotServe:
            after = self._alone(zone)
        return _left_between(before, after)

    def _alone(self, zone: str) -> Snapshot:
        return self._session.take(self._by, zone=zone, alone=True, processes=True)

    def back(self, zone: str) -> Back:
        """Of the pages that left because of us since bits were cleared last: how many are present again."""
        of_pages = back_pages = 0
        held = self._held.get(zone) or _Held()
        for task, runs in held.left:
            found = pages_present(self._roots, task, runs, self._patience)
            if not isinstance(found, Gap):
                of_pages += sum(end - start for start, end in runs) // PAGE_BYTES
                back_pages += found
        if held.reclaimed_pages and held.cgroup is not None:
            refaulted = _refaults(find_memory_hierarchy(self._roots), held.cgroup) - held.refaults
            of_pages += held.reclaimed_pages
            back_pages += min(max(refaulted, 0), held.reclaimed_pages)
        return Back(zone, time.monotonic_ns(), pages_to_bytes(of_pages), pages_to_bytes(back_pages))

    def wait(self, zones: Collection[str], seconds: float) -> set[str]:
        """Wait so long, or until tasks of a zone wait for memory; the zones of which some did."""
        cgroups = {name: self._held[name].cgroup for name in zones if name in self._held}
        try:
            hierarchy = find_memory_hierarchy(self._roots)
        except (ZonerssError, OSError):  # the next round says so, if it is still so
            time.sleep(seconds)
            return set()
        return self._triggers.wait(hierarchy, cgroups, seconds)


@dataclass(slots=True)
class _Tally:
    """What comes of a step."""

    tried: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(_KINDS.values(), 0))
    left: dict[Kind, int] = field(default_factory=lambda: dict.fromkeys(_KINDS.values(), 0))
    large_pages: int = 0
    huge_bytes: int = 0
    problems: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)

    def add(self, kind: Kind, found: PagedOut) -> None:
        """One call more."""
        self.tried[kind] += found.tried_pages
        self.left[kind] += found.left_pages
        self.large_pages += found.large_pages

    def leave_out(self, gap: Gap) -> None:
        """A process; of one that has ended there is nothing to be told."""
        if gap.cause is not Cause.EXITED:
            self.left_out.append(_why(gap))

    def step(self, zone: str, what: str, began_ns: int, asked_bytes: int) -> Step:
        """All of it, which ends now."""
        now_ns = time.monotonic_ns()
        return Step(
            zone=zone,
            what=what,
            at_ns=now_ns,
            took_ns=now_ns - began_ns,
            asked_bytes=asked_bytes,
            tried=_by_kind(self.tried),
            left=_by_kind(self.left),
            problem="; ".join(dict.fromkeys(self.problems)) or None,
            left_out=tuple(dict.fromkeys(self.left_out)),
            large_bytes=pages_to_bytes(self.large_pages),
            huge_bytes=self.huge_bytes,
        )


def _by_kind(pages: Mapping[Kind, int]) -> ByKind:
    return ByKind(*(pages_to_bytes(pages[_KINDS[kind]]) for kind in KINDS))


def _why(gap: Gap) -> str:
    return f"process {gap.pid}: {gap.detail or _CAUSES.get(gap.cause, gap.cause)}"


_CAUSES = {
    Cause.EXITED: "it has ended",
    Cause.BUSY: "its memory was locked for too long",
    Cause.REFUSED: "the kernel does not let us",
    Cause.EXECED: "it has executed another program since",
    Cause.MOVED: "it is in another zone by now",
}


def _refaults(hierarchy: MemoryHierarchy, cgroup: str) -> int:
    """Pages that a cgroup has used again after they were reclaimed (memory.stat)."""
    bill = read_bill(hierarchy, cgroup)
    stat = bill.stat if bill else {}
    return sum(stat.get(f"workingset_refault_{kind}", 0) for kind in ("anon", "file"))


def _left_between(before: Snapshot, after: Snapshot) -> dict[Kind, int]:
    """Frames that processes mapped and do not map any more, those of processes that have ended left out."""
    there = {(member.task.pid, member.task.start_ticks) for member in after.members}
    gone = {
        member.owner for member in before.members if (member.task.pid, member.task.start_ticks) not in there
    }
    left = dict.fromkeys(_KINDS.values(), 0)
    for overlap in _frames(before).overlaps(_frames(after)):
        if not overlap.other and not gone.issuperset(before.parts.owners_of(overlap.number)):
            for kind in left:
                left[kind] += overlap.pages[kind]
    return left


def _frames(snapshot: Snapshot) -> Census:
    evidence = snapshot.ask()
    if not isinstance(evidence, Live):
        raise TypeError("a snapshot of now keeps its frames")
    return evidence.frames
