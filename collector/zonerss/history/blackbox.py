"""The black box: the last minutes in memory, and in the recording when the kernel kills a process for want of memory.

    every 2 s, say                          look, lean, into the ring              BlackBox.look()
    whom did the kernel kill meanwhile?     tracepoint, log, or counters           Kills.since_last()
    if anybody                              the kernel's words, then the ring,     Keeper.add_kill(), Keeper.add()
                                            newest first, into the recording

Kills are kept first: what ends the recorder while the looks are written, which may take seconds, costs looks only. A
kill that follows while another one is being kept is found by the next asking: the tracepoint remembers 256, the log as
much as it holds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Protocol

from zonerss.errors import CannotServe, StoreFull, StoreTooLarge
from zonerss.history.keeper import MACHINE_KILLS, ZONE_KILLS, Keeper
from zonerss.history.moment import Moment, take_moment
from zonerss.history.ring import Ring, RingTooSmall
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.controls import Controls
from zonerss.kernel.killers import JournalKills, ProgramKill
from zonerss.kernel.kills_below import KillsBelow
from zonerss.kernel.oom import KernelLog, KillReader, LoggedKill
from zonerss.kernel.roots import HOST, Roots
from zonerss.plain import replace
from zonerss.records.kills import MEMCG, PROGRAMS, BoxTally, Kill, ToldBy
from zonerss.snapshot import Session

if TYPE_CHECKING:
    from zonerss.motion.victims import Victim

MOST_KILLS = 256
"""Kept at once: the rest is counted."""
_LOG_LAGS_SECONDS = 0.05
"""The log has a victim's last line a little after the tracepoint."""
_LOOKS_AT_ONCE = 16
"""Kept with one wait for the disk."""
_LAST_SECONDS = 0.3
"""For looks, once the recorder is to end."""


class _Tracer(Protocol):
    def read(self) -> tuple[list[Victim], int]: ...
    def close(self) -> None: ...


class Kills:
    """Tells whom the kernel has killed. What of it cannot be had here is said in :attr:`missing`."""

    def __init__(self, roots: Roots = HOST) -> None:
        self.missing: list[str] = []
        """Sentences: what cannot be had, and what follows."""
        self._tracer: _Tracer | None = None
        self._log: KernelLog | None = None
        self._reader = KillReader()
        self._late: set[int] = set()
        """Victims that the tracepoint told and the log did not yet."""
        try:
            from zonerss.motion.victims import VictimTracer

            self._tracer = VictimTracer(roots)
        except CannotServe as err:
            self.missing.append(f"oom:mark_victim cannot be traced: {err}")
        try:
            self._log = KernelLog()
        except OSError as err:
            self.missing.append(
                f"the kernel's log cannot be read ({err.strerror}): of a kill limit and constraint are not known"
            )
        if self._tracer is None:
            how = "the kernel's log" if self._log else "a cgroup's count of kills, at each look"
            self.missing.append(f"kills are told by {how}")
        self._programs: JournalKills | None = None
        try:
            self._programs = JournalKills()
        except FileNotFoundError:
            pass  # there is nothing to tell of
        except OSError as err:
            self.missing.append(f"kills by earlyoom and systemd-oomd are not told: {err.strerror or err}")
        self._roots, self._kills_below = roots, KillsBelow()
        self._counts: dict[str, int] = {}
        """Of kills, by cgroup, at the last time."""
        self._last_ns = time.monotonic_ns()

    def close(self) -> None:
        """Give back what is held."""
        for one in (self._tracer, self._log, self._programs):
            if one is not None:
                one.close()

    def since_last(self, latest: Moment | None) -> tuple[list[Kill], int]:
        """
        The kills since the last time, and how many more there were.

        :param latest: the last look before them, which tells the victims' zones
        """
        after_ns, logged = self._last_ns, self._logged()
        victims, lost = self._traced()  # after the log: whom that tells the tracepoint has told before
        if victims and self._log is not None:
            time.sleep(_LOG_LAGS_SECONDS)
            logged += self._logged()
            more, lost_meanwhile = self._traced()
            victims, lost = [*victims, *more], lost + lost_meanwhile
        logged = [kill for kill in logged if kill.pid not in self._late]
        self._late = {victim.pid for victim in victims} - {kill.pid for kill in logged}
        self._last_ns = now_ns = time.monotonic_ns()
        found = joined(victims, logged, (after_ns, now_ns), datetime.now(UTC), latest)
        if self._tracer is None and self._log is None and latest is not None:
            found = self._counted(latest)
        if self._programs is not None:
            ended = [_placed(of_program(kill), latest) for kill in self._programs.read()]
            found = sorted((*found, *ended), key=lambda kill: kill.time)
        told = shared_out(found)[:MOST_KILLS]
        return told, lost + len(found) - len(told)

    def trouble(self) -> str | None:
        """A sentence about what cannot be had any more, once; None: there is none."""
        return None if self._programs is None else self._programs.trouble()

    def _logged(self) -> list[LoggedKill]:
        return self._reader.kills(self._log.read()) if self._log else []

    def _traced(self) -> tuple[list[Victim], int]:
        if self._tracer is None:
            return [], 0
        try:
            return self._tracer.read()
        except CannotServe:
            return [], 0

    def _counted(self, latest: Moment) -> list[Kill]:
        """By the counts of kills of its cgroups: those that have risen since the look before."""
        zones = {usage.cgroup: usage for usage in latest.snapshot.groupings[-1].zones if usage.cgroup}
        counts = {path: usage.oom_kills for path, usage in zones.items() if usage.oom_kills is not None}
        counts |= self._of_the_emptied(counts)
        more = risen(self._counts, counts)
        self._counts = counts
        at, found = latest.snapshot.ended, []
        for path, kills in more.items():
            kill = Kill(at, None, None, None, path, None, None, None, ToldBy.COUNTER)
            found += [_placed(kill, latest)] * kills
        return found

    def _of_the_emptied(self, counts: Mapping[str, int]) -> dict[str, int]:
        """Of cgroups that are there and have no process any more: who was killed may have been the last one."""
        emptied = self._counts.keys() - counts.keys()
        if not emptied:
            return {}
        controls = Controls(find_memory_hierarchy(self._roots), kills_below=self._kills_below)
        found = {
            path: controls.own_kills(path, [other for other in counts if other.startswith(f"{path}/")])
            for path in emptied
        }
        return {path: kills for path, kills in found.items() if kills is not None}


def shared_out(kills: Sequence[Kill]) -> list[Kill]:
    """The first of each zone, and of the whole machine, as many as are kept of one at once. Pure."""
    seen: Counter[tuple[bool, str | None]] = Counter()
    found = []
    for kill in kills:
        share = kill.is_of_machine, None if kill.is_of_machine else kill.zone
        seen[share] += 1
        if seen[share] <= (MACHINE_KILLS if kill.is_of_machine else ZONE_KILLS):
            found.append(kill)
    return found


def of_program(kill: ProgramKill) -> Kill:
    """What a program has ended. Pure."""
    at = datetime.fromtimestamp(0, UTC) + timedelta(microseconds=kill.at_us)
    place = kill.command, None, kill.cgroup
    return Kill(at, kill.pid, *place, None, None, None, ToldBy(kill.program), kill.words)


def risen(before: Mapping[str, int], now: Mapping[str, int]) -> dict[str, int]:
    """By how much the counts of kills of cgroups have risen that were there before. Pure."""
    more = {path: count - before.get(path, count) for path, count in now.items()}
    return {path: kills for path, kills in more.items() if kills > 0}


def joined(
    victims: Sequence[Victim],
    logged: Sequence[LoggedKill],
    between_ns: tuple[int, int],
    now: datetime,
    latest: Moment | None,
) -> list[Kill]:
    """
    The kills that the tracepoint and the log tell, each once, in the order of time. Pure.

    :param between_ns: when it was last asked, and now, by CLOCK_MONOTONIC
    :param now: the second of them by the time of day
    :param latest: the last look before
    """

    def moment_of(at_ns: int) -> datetime:
        return now - timedelta(
            microseconds=(between_ns[1] - min(max(at_ns, between_ns[0]), between_ns[1])) // 1000
        )

    rest, found = list(logged), []
    for victim in victims:
        told = next((kill for kill in rest if kill.pid == victim.pid), None)
        if told is not None:
            rest.remove(told)
        found.append(_kill(moment_of(victim.at_ns), victim.pid, victim.command, told, ToldBy.TRACEPOINT))
    found += [_kill(moment_of(kill.at_ns), kill.pid, kill.command, kill, ToldBy.LOG) for kill in rest]
    placed = [_placed(kill, latest) for kill in found]
    return sorted(placed, key=lambda kill: kill.time)


def _kill(at: datetime, pid: int, command: str | None, told: LoggedKill | None, told_by: ToldBy) -> Kill:
    if told is None:
        return Kill(at, pid, command, None, None, None, None, None, told_by)
    return Kill(
        time=at,
        pid=pid,
        command=told.command,
        zone=None,
        cgroup=told.cgroup,
        limit_cgroup=told.limit_cgroup,
        limit_bytes=told.limit_bytes,
        constraint=told.constraint,
        told_by=told_by,
        words=told.words,
    )


def _placed(kill: Kill, latest: Moment | None) -> Kill:
    """With the victim's zone, as the last look had it, or as the zone that its cgroup lies in."""
    if latest is None:
        return kill
    for member in latest.snapshot.members:
        if member.task.pid == kill.pid:
            return replace(
                kill,
                zone=member.zones[0].name,
                cgroup=kill.cgroup or member.task.cgroup,
                command=kill.command or member.task.command,
            )
    if kill.cgroup is None:
        return kill
    path = PurePosixPath(kill.cgroup)
    zones = [usage for usage in latest.snapshot.zones if usage.cgroup and path.is_relative_to(usage.cgroup)]
    inner = max(zones, key=lambda usage: len(usage.cgroup or ""), default=None)
    return kill if inner is None else replace(kill, zone=inner.zone)


class BlackBox:
    """Looks, asks whom the kernel has killed, and keeps what was before; use it as a context manager."""

    def __init__(
        self,
        keeper: Keeper,
        ring: Ring,
        kills: Kills,
        interval_seconds: float,
        say: Callable[[str], None],
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        :param keeper: of the recording that looks go to at a kill
        :param kills: tells whom the kernel has killed
        :param interval_seconds: from one look to the next, as it was asked for
        :param say: takes a sentence
        :param is_ending: whether the recorder is to end: then looks are kept for a moment longer only
        """
        self._keeper, self._ring, self._kills, self._say = keeper, ring, kills, say
        self._is_ending = is_ending
        self._latest: Moment | None = None
        self._owes_looks = False
        """A kill was kept, and what was before it not yet."""
        self._refused: Collection[str] = ()
        self.tally = BoxTally(ring.span_seconds, interval_seconds, ring_bytes=ring.size_bytes)

    def look(
        self,
        session: Session,
        clock: Callable[[], float],
        while_looking: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """
        Look once, into the ring. What was before a kill is kept first.

        :param clock: processor time, in seconds
        :param while_looking: around the look alone: what may end it must not end the keeping of what was before
        :raises CannotServe: nothing can be walked, or the recording cannot be written for another reason than room
        """
        before, kept = clock(), self.tally.keeping_seconds
        with while_looking():
            moment = take_moment(session, lean=True)
        self.seen(moment)
        try:
            self._ring.add(moment)
        except RingTooSmall as err:
            self._say(str(err))
        self.tally.looks += 1
        self.tally.used_bytes = self._ring.used_bytes
        self.tally.processor_seconds += clock() - before - (self.tally.keeping_seconds - kept)

    def seen(self, moment: Moment) -> None:
        """
        A look was taken that is in the recording: keep what was before if anything was killed since the look before it.

        :raises CannotServe: the recording cannot be written for another reason than room
        """
        self.keep_kills()
        self._latest = moment

    def keep_kills(self) -> None:
        """
        If anything was killed since the last time, keep that, and then the ring.

        :raises CannotServe: the recording cannot be written for another reason than room
        """
        began = time.thread_time()
        kills, lost = self._kills.since_last(self._latest)
        self.tally.kills_lost += lost
        if trouble := self._kills.trouble():
            self._say(trouble)
        if not kills and not self._owes_looks:
            return
        try:
            refused = self._keep(kills)
            left_out = self._keep_looks()
        finally:
            self.tally.keeping_seconds += time.thread_time() - began
        if left_out is not None:
            refused[str(left_out)] = None
        for sentence in refused:
            if sentence not in self._refused:  # a storm that goes on is said once
                self._say(f"a kill is not kept, or not all that was before it: {sentence}")
        self._refused = refused.keys()

    def _keep(self, kills: Sequence[Kill]) -> dict[str, None]:
        """Why some could not be kept, in sentences."""
        refused, named = dict[str, None](), set[str | None]()
        with self._keeper.together():
            for kill in kills:
                try:
                    self._keeper.add_kill(kill)
                except StoreFull as err:
                    self.tally.kills_lost += 1
                    refused[str(err)] = None
                    if kill.cgroup in named:  # a storm of kills in one cgroup is one sentence
                        continue
                    named.add(kill.cgroup)
                else:
                    self.tally.kills += 1
                self._say(kill_sentence(kill))
        return refused

    def _keep_looks(self) -> StoreFull | None:
        """Keep what is in the ring, newest first; why not all of it, if so, but for an end that is asked for."""
        self._owes_looks, refused, began = False, None, time.monotonic()
        with self._keeper.together():
            for count, moment in enumerate(self._ring.not_kept(), 1):
                if self._is_ending() and time.monotonic() - began >= _LAST_SECONDS:
                    self._owes_looks = True
                    break
                try:
                    self._keeper.add(moment, beside_kills=True)
                except StoreTooLarge as err:
                    refused = err
                    continue
                except StoreFull as err:
                    return err
                self.tally.looks_kept += 1
                if count % _LOOKS_AT_ONCE == 0:
                    self._keeper.sync()
        return refused


def opening_sentences(ring: Ring, kills: Kills) -> list[str]:
    """What is to be said of a black box at its beginning: what it lacks here."""
    locked = (
        [] if ring.why_not_locked is None else [f"the black box can be swapped out: {ring.why_not_locked}"]
    )
    return [*locked, *kills.missing]


def kill_sentence(kill: Kill) -> str:
    """Who was killed, and why as far as it was told."""
    by = f"{kill.told_by}" if kill.told_by in PROGRAMS else "the kernel"
    some = "the processes" if kill.told_by is ToldBy.OOMD else "a process"
    who = some if kill.pid is None else f"pid {kill.pid}{f', {kill.command},' if kill.command else ''}"
    where = f" of {kill.zone or kill.cgroup}" if kill.zone or kill.cgroup else ""
    if kill.limit_cgroup:
        why = f": the limit of {kill.limit_cgroup}"
    elif kill.constraint == MEMCG:
        why = ": the limit of its cgroup"
    else:
        why = f": {kill.constraint}" if kill.constraint else ""
    return f"{by} has killed {who}{where} for want of memory{why}; zonerss autopsy tells more"
