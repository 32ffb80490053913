"""The loop of the capper: what the policy decides is done by the hands, and what came of it is told to the policy.

    read the caps anew, if their file has changed
    read each zone's bound, and ask the machine       Acts.bounds, Acts.machine
    for each zone: decide                             zonerss.cap.policy
    do it                                             Acts
    remember what came of it                          zonerss.cap.policy
    wait until the next is due, or pressure wakes     Acts.wait

A dry run takes nothing and runs nothing. Of a zone that is over it measures what is cold, so as to tell what could be
had; that clears accessed bits, as `wss` does.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, datetime
from typing import Protocol

from zonerss.cap import words
from zonerss.cap.command import Commands
from zonerss.cap.forecast import forecast, why_not_reclaim, without
from zonerss.cap.policy import after, allowances, decide, excess, is_unknown
from zonerss.cap.records import (
    Action,
    Arm,
    Armed,
    Back,
    Bound,
    ByKind,
    Cap,
    CheckBack,
    Failed,
    Given,
    Gone,
    Look,
    LookCold,
    Machine,
    Measure,
    Observation,
    PageOut,
    Phase,
    Ran,
    Reclaim,
    RunCommand,
    Settings,
    Step,
    Wait,
    ZoneState,
)
from zonerss.cap.rules import Caps
from zonerss.cap.status import Status, ZoneStatus, laid_flat
from zonerss.errors import UsageError, ZonerssError
from zonerss.plain import replace
from zonerss.records import Caveat

LEAST_COLD_SECONDS = 1.0
"""What is acted on was not touched for so long at least."""
_READ_NS = 2_000_000_000
"""How often the file of caps is looked at."""
_AGAIN_NS = 60_000_000_000
"""How often a dry run measures what is cold of a zone that is over."""
_LONGEST_WAIT_SECONDS = 2.0
"""Zones come and go meanwhile, and caps change."""
_MOST_KEPT = 1000
"""Of zones that have ended: what was counted of them is kept, in case they come back."""


class Acts(Protocol):
    """What the hands do; see :class:`zonerss.cap.hands.Hands`."""

    def bounds(self) -> dict[str, Bound]:
        """The cheap upper bound of each zone that has a process now."""

    def machine(self) -> Machine:
        """The whole machine."""

    def look(self, zones: Collection[str]) -> dict[str, Look]:
        """An exact walk; those of which no process was seen are missing."""

    def arm(self, zone: str) -> Armed:
        """Clear accessed bits."""

    def page_out(self, zone: str, pages: ByKind) -> Step:
        """Page out cold pages of the last look."""

    def reclaim(self, zone: str, nbytes: int) -> Step:
        """Write to memory.reclaim."""

    def back(self, zone: str) -> Back:
        """What came back."""

    def wait(self, zones: Collection[str], seconds: float) -> set[str]:
        """Wait so long, or until the pressure of a zone wakes; the zones that did. Those that matter most are first."""


Say = Callable[[str], None]
"""Takes a sentence that is news, without its end."""


class LiveCaps:
    """Caps that are read again while they are held: what is wrong is said, and the old ones stay."""

    def __init__(self, read: Callable[[], Caps]) -> None:
        """
        :param read: reads them; called again and again
        :raises UsageError: they are wrong already
        """
        self._read = read
        self.caps = read()
        self.problem: str | None = None
        """Why those of now are not used."""
        self._next_ns = 0

    def check(self, known: Collection[str]) -> None:
        """
        Each rule of the command line is for a zone that is there. One of a file that is for none is a warning:
        when the machine starts, its zone may come later.

        :raises UnknownZone: it is not; says which
        :raises UsageError: its name can mean several
        """
        self.caps.demand_arguments(known)

    def refresh(self, now_ns: int) -> bool:
        """Read them again, if it is time; whether they or what is wrong with them is new."""
        if now_ns < self._next_ns:
            return False
        self._next_ns = now_ns + _READ_NS
        before = (self.caps, self.problem)
        try:
            self.caps, self.problem = self._read(), None
        except UsageError as err:
            self.problem = str(err)
        return (self.caps, self.problem) != before


class Capper:
    """Holds zones under their caps; one round after the other."""

    def __init__(
        self,
        acts: Acts,
        caps: LiveCaps,
        settings: Callable[[Caps], Settings],
        commands: Commands,
        say: Say = lambda sentence: None,
        clock: Callable[[], int] = time.monotonic_ns,
        by: str = "zone",
    ) -> None:
        """
        :param settings: how it works, by what the caps say of it
        :param say: is told what is done and found
        """
        self._acts, self._caps, self._settings, self._commands = acts, caps, settings, commands
        self._say, self._clock, self._by = say, clock, by
        self._began = datetime.now(UTC)
        self._states: dict[str, ZoneState] = {}
        self._held: dict[str, Cap] = {}
        self._due_ns: dict[str, int] = {}
        self._asked: dict[str, int] = {}
        self._cold: dict[str, tuple[int, int]] = {}
        """Of a dry run: when bits of a zone were cleared, and when they are to be read; 0: they were."""
        self._machine = acts.machine()
        self._allowances: dict[str, int | None] = {}
        """Of this round, where there is a threshold."""
        self._said: dict[str, str] = {}
        self._blind = ""
        """Why the last round could not measure; empty: it could."""
        self._judged: tuple[Caps, frozenset[str]] | None = None
        """By what the caps of now were told."""
        self._problems: tuple[str, ...] = ()
        """What is wrong with one of them; the others hold."""

    def round(self) -> bool:
        """
        One decision for each zone that is due, done.

        :return: whether all wait: nothing is under way
        """
        now_ns = self._clock()
        try:
            bounds, self._machine = self._acts.bounds(), self._acts.machine()
        except (ZonerssError, OSError) as err:
            self._is_blind(err)
            return False
        self._blind = ""
        self._read_caps(bounds, now_ns)
        self._allowances = self._share_out()
        due = [zone for zone in self._held if self._due_ns.get(zone, 0) <= now_ns]
        for zone in due:
            self._tell(zone, bounds.get(zone) or Gone(zone, now_ns))
        there = [zone for zone in due if zone in bounds]
        actions = {zone: decide(self._given(zone), self._states[zone]) for zone in there}
        for zone in due:
            if zone not in bounds:
                self._due_ns[zone] = now_ns + _READ_NS
        self._do(actions)
        self._commands.reap()
        return all(self._is_at_rest(zone) for zone in self._held)

    def wait(self, at_most_seconds: float = _LONGEST_WAIT_SECONDS) -> None:
        """Until the next decision is due, or pressure wakes."""
        at_most_seconds = min(at_most_seconds, _LONGEST_WAIT_SECONDS)
        soonest = min((self._due_ns.get(zone, 0) for zone in self._held), default=None)
        soonest = min([soonest or 0, *(until for _, until in self._cold.values() if until)])
        whole = self._blind or not self._held
        seconds = _LONGEST_WAIT_SECONDS if whole else (soonest - self._clock()) / 1e9
        if seconds > 0:
            woken = self._acts.wait(self._nearest(), min(seconds, at_most_seconds))
            for zone in woken:
                self._due_ns[zone] = 0

    def _nearest(self) -> tuple[str, ...]:
        """The zones that are held, those that are furthest above their cap or nearest below it first."""

        def below(zone: str) -> float:
            bound = self._states[zone].bound
            return 0.0 if bound is None else -bound.bytes / self._held[zone].cap_bytes

        return tuple(sorted(self._held, key=below))

    def _is_blind(self, err: Exception) -> None:
        """Nothing can be measured for now: that is said once, and tried again."""
        if self._blind != str(err):
            self._blind = str(err)
            self._say(f"nothing can be measured: {self._blind}; it is tried again")

    # ---- which caps ----

    def _read_caps(self, known: Collection[str], now_ns: int) -> None:
        if self._caps.refresh(now_ns):
            if self._caps.problem is not None:
                self._say(f"{self._caps.problem}; the caps from before stay")
            else:
                self._say("the caps were read anew")
        told_by = (self._caps.caps, frozenset(known))
        if told_by == self._judged:
            return
        self._judged = told_by
        held, problems = self._caps.caps.judge(known)
        for problem in problems:
            if problem not in self._problems:
                self._say(problem)
        self._problems = problems
        self._hold(held, known, now_ns)

    def _hold(self, held: dict[str, Cap], known: Collection[str], now_ns: int) -> None:
        for zone, cap in held.items():
            if self._held.get(zone) != cap:
                self._due_ns[zone] = 0
            self._states.setdefault(zone, ZoneState(zone))
        for zone in self._held.keys() - held.keys():
            if zone not in known:
                self._tell(zone, Gone(zone, now_ns))
            self._due_ns.pop(zone, None)
            self._cold.pop(zone, None)
        self._held = dict(sorted(held.items()))
        self._forget()

    def _forget(self) -> None:
        """What was counted of the zones that ended first, where there are too many of them."""
        ended = [zone for zone in self._states if zone not in self._held]
        for zone in ended[: max(len(self._states) - _MOST_KEPT, 0)]:
            del self._states[zone]
            self._asked.pop(zone, None)
            self._said.pop(zone, None)

    # ---- what is done ----

    def _given(self, zone: str) -> Given:
        settings = self._settings(self._caps.caps)
        allowance = self._allowances.get(zone, 0) if settings.threshold else None
        return Given(settings, self._held[zone], self._machine, self._clock(), allowance)

    def _share_out(self) -> dict[str, int | None]:
        """What each zone may give up in this round; of use only where there is a threshold."""
        threshold = self._settings(self._caps.caps).threshold
        if not threshold:
            return {}
        excesses = {name: excess(cap, self._states[name]) for name, cap in self._held.items()}
        return allowances(threshold, self._machine, excesses)

    def _tell(self, zone: str, seen: Observation) -> None:
        cap = self._held.get(zone)
        if cap is None:
            return
        self._states[zone] = after(self._given(zone), self._states[zone], seen)
        said = self._states[zone].last_action
        if said and said != self._said.get(zone):
            self._say(f"{zone}: {said}")
        self._said[zone] = said

    def _do(self, actions: dict[str, Action]) -> None:
        walk = [zone for zone, action in actions.items() if isinstance(action, (Measure, LookCold))]
        walk += [zone for zone in self._cold_due() if zone not in walk]
        if walk:
            self._look(walk)
        for zone, action in actions.items():
            if isinstance(action, Wait):
                self._due_ns[zone] = action.until_ns
            elif not isinstance(action, (Measure, LookCold)):
                self._act(zone, action)
                self._due_ns[zone] = 0

    def _act(self, zone: str, action: Action) -> None:
        if isinstance(action, Arm):
            self._tell(zone, self._tried(zone, "clear", lambda: self._acts.arm(zone)))
        elif isinstance(action, PageOut):
            pages = action.bytes_by_kind
            self._took(zone, self._tried(zone, "page-out", lambda: self._acts.page_out(zone, pages)))
        elif isinstance(action, Reclaim):
            self._took(zone, self._tried(zone, "reclaim", lambda: self._acts.reclaim(zone, action.bytes)))
        elif isinstance(action, CheckBack):
            self._tell(zone, self._tried(zone, "check", lambda: self._acts.back(zone)))
        elif isinstance(action, RunCommand):
            state, cap = self._states[zone], self._held[zone]
            waits = self._commands.no_place(zone, cap.origin)
            problem = waits or self._commands.start(
                zone, cap.origin, state.rss_bytes, cap.cap_bytes, action.command
            )
            self._tell(zone, Ran(zone, self._clock(), problem, waits is not None))
        else:
            raise TypeError(f"no action: {action!r}")

    def _took(self, zone: str, seen: Observation) -> None:
        if isinstance(seen, Step):
            self._asked[zone] = self._asked.get(zone, 0) + seen.asked_bytes
        self._tell(zone, seen)

    def _tried(self, zone: str, what: str, act: Callable[[], Observation]) -> Observation:
        try:
            return act()
        except (ZonerssError, OSError) as err:
            return Failed(zone, self._clock(), what, str(err))

    def _look(self, zones: Sequence[str]) -> None:
        try:
            looks = self._acts.look(zones)
            there = self._acts.bounds() if looks.keys() != set(zones) else {}
        except (ZonerssError, OSError) as err:
            for zone in zones:
                self._tell(zone, Failed(zone, self._clock(), "walk", str(err)))
                self._due_ns[zone] = 0
            return
        for zone in zones:
            self._tell(zone, looks.get(zone) or self._unseen(zone, zone in there))
            self._due_ns[zone] = 0
            if zone in looks:
                self._measure_cold(zone, looks[zone])

    def _unseen(self, zone: str, is_there: bool) -> Failed | Gone:
        if is_there:
            return Failed(zone, self._clock(), "walk", "none of its processes could be read")
        return Gone(zone, self._clock())

    # ---- what is cold, in a dry run ----

    def _measure_cold(self, zone: str, look: Look) -> None:
        """Of a zone that is over: bits are cleared now, and read when they tell."""
        settings = self._settings(self._caps.caps)
        if settings.enforce or not settings.cold_ns:
            return
        armed_ns, until_ns = self._cold.get(zone, (None, 0))
        if armed_ns is not None and until_ns <= self._clock():
            self._cold[zone] = (armed_ns, 0)
        is_due = armed_ns is None or self._clock() >= max(armed_ns + _AGAIN_NS, until_ns)
        if look.rss_bytes > self._held[zone].cap_bytes and is_due:
            armed = self._tried(zone, "clear", lambda: self._acts.arm(zone))
            now_ns = self._clock()
            failed = isinstance(armed, Failed) or (isinstance(armed, Armed) and armed.problem is not None)
            self._cold[zone] = (now_ns, 0 if failed else now_ns + settings.cold_ns)

    def _cold_due(self) -> list[str]:
        now_ns = self._clock()
        return [zone for zone, (_, until_ns) in self._cold.items() if until_ns and until_ns <= now_ns]

    def _is_at_rest(self, zone: str) -> bool:
        state = self._states[zone]
        rests = state.phase in (Phase.UNDER, Phase.OVER, Phase.PAUSED)
        return rests and self._due_ns.get(zone, 0) > self._clock() and not self._cold.get(zone, (0, 0))[1]

    # ---- what is said of it ----

    def status(self) -> Status:
        """What it says of itself now."""
        settings = self._settings(self._caps.caps)
        machine = self._machine
        return Status(
            began=_time(self._began),
            ended=_time(datetime.now(UTC)),
            pid=os.getpid(),
            enforce=settings.enforce,
            by=self._by,
            cold_seconds=settings.cold_ns / 1e9,
            threshold=settings.threshold,
            memory_bytes=machine.memory_bytes,
            used_bytes=machine.used_bytes,
            swap_total_bytes=machine.swap_bytes,
            swap_free_bytes=machine.swap_free_bytes,
            zones=tuple(self._zone(zone, cap) for zone, cap in self._held.items()),
            warnings=tuple(self._warnings()),
        )

    def _warnings(self) -> Iterable[Caveat]:
        if self._caps.problem is not None:
            yield Caveat("caps", f"{self._caps.problem}; the caps from before stay")
        if self._blind:
            yield Caveat("blind", f"Nothing can be measured: {self._blind}; all figures are from before")
        yield from (Caveat("caps", problem) for problem in self._problems)
        yield from filter(None, (_unread(self._states[zone], cap) for zone, cap in self._held.items()))
        said = dict.fromkeys(sentence for zone in self._held for sentence in self._states[zone].said)
        yield from (Caveat("swap", sentence[:1].upper() + sentence[1:]) for sentence in said)

    def _zone(self, zone: str, cap: Cap) -> ZoneStatus:
        state = self._states[zone]
        walked = None if is_unknown(cap, state) else state
        look = None if walked is None else _look_of_now(walked)
        bound = None if state.bound is None else state.bound.bytes
        is_under = bound is not None and bound <= cap.cap_bytes
        rss = None if walked is None else walked.rss_bytes
        if rss is not None and bound is not None and rss > bound and is_under:
            rss = None  # it has shrunk since the walk; where it is over, the bound lags by some pages of each processor
        over = 0 if is_under else None if rss is None else max(rss - cap.cap_bytes, 0)
        swap, all_swap = state.swap_bytes, self._machine.swap_bytes
        cold = None if look is None or look.classes.cold is None else look.classes.cold.total_bytes
        return ZoneStatus(
            zone=zone,
            cgroup=None if state.look is None else state.look.cgroup,
            rss_bytes=rss,
            bound_bytes=bound,
            cap_bytes=cap.cap_bytes,
            floor_bytes=cap.floor_bytes,
            excess_bytes=over,
            nover=state.nover,
            asked_bytes=self._asked.get(zone, 0),
            pout_bytes=state.pout_bytes,
            refault_bytes=state.refault_bytes,
            swap_bytes=swap,
            swap_percent=None if swap is None or not all_swap else round(100 * swap / all_swap, 2),
            cold_bytes=cold,
            working_set_bytes=None if look is None else look.classes.working_set_bytes,
            last_action=state.last_action or (words.reclaiming() if self._machine.reclaiming else ""),
            origin=cap.origin,
            forecast=None
            if look is None
            else laid_flat(forecast(cap, look, self._machine), why_not_reclaim(cap, look, self._machine)),
        )


def _look_of_now(state: ZoneState) -> Look | None:
    """
    The latest look, less what was paged out since; None: there was none, or memory.reclaim has taken something since:
    nothing tells in which class that was.
    """
    look = state.look
    if look is None or not state.left.total_bytes:
        return look
    return None if state.reclaim_bytes else replace(look, classes=without(look.classes, state.left))


def _unread(state: ZoneState, cap: Cap) -> Caveat | None:
    """That what is told of a zone is too little; None: it is not, or the bound tells enough."""
    look, bound = state.look, state.bound
    if look is None or look.problem is None or (bound is not None and bound.bytes <= cap.cap_bytes):
        return None
    return Caveat("unread", f"{state.zone}: {look.problem}: its RSS is more than what was read")


def settings_of(
    caps: Caps, settings: Settings, cold_seconds: float | None, threshold: float | None
) -> Settings:
    """
    How the capper works: by the command line, by what the file of caps says, or as it does where neither says it.

    :param cold_seconds: of the command line; None: it does not say
    """
    cold = caps.cold_seconds if cold_seconds is None else cold_seconds
    if cold is not None and settings.enforce:
        cold = max(cold, LEAST_COLD_SECONDS)
    share = caps.threshold if threshold is None else threshold
    return replace(
        settings,
        cold_ns=settings.cold_ns if cold is None else round(cold * 1e9),
        threshold=settings.threshold if share is None else share,
    )


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
