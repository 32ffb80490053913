"""The policy acting on a model: what a cap would do, or would have done. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from zonerss.cap.policy import after, allowances, decide, excess
from zonerss.cap.records import (
    Action,
    Bound,
    Cap,
    Given,
    Gone,
    Look,
    Machine,
    Observation,
    PageOut,
    Phase,
    Settings,
    Wait,
    ZoneState,
)
from zonerss.plain import dataclass, replace


class Modelled(Protocol):
    """What the policy acts on: :class:`zonerss.cap.model.World`, or one that is worse."""

    now_ns: int

    def advance(self, now_ns: int) -> None:
        """Time passes."""

    def next_change_ns(self) -> int | None:
        """When something changes by itself; None: never again."""

    def bound(self, zone: str) -> Bound | Gone:
        """Of a zone."""

    def machine(self) -> Machine:
        """The whole machine."""

    def rss_bytes(self, zone: str) -> int:
        """What a zone has now."""

    def wanted_bytes(self, zone: str) -> int:
        """What it would have if nothing had been taken."""

    def perform(self, action: Action) -> Observation:
        """What comes of an action."""


@dataclass(frozen=True, slots=True)
class Point:
    """A zone at a moment of the model."""

    at_ns: int
    rss_bytes: int
    without_bytes: int
    """What it would have had without the cap."""
    pout_bytes: int
    refault_bytes: int
    phase: Phase


@dataclass(frozen=True, slots=True)
class Event:
    """Something that was done."""

    at_ns: int
    zone: str
    text: str
    """A sentence without its end."""


@dataclass(frozen=True, slots=True)
class Simulated:
    """What came of it."""

    began_ns: int
    ended_ns: int
    caps: Mapping[str, Cap]
    points: Mapping[str, Sequence[Point]]
    """Of each zone, in the order of time: wherever its rss, or its phase, had changed."""
    events: Sequence[Event]
    """All zones' together."""
    states: Mapping[str, ZoneState]
    """At the end."""
    walks: Mapping[str, int]
    """How many exact walks were needed."""
    asked_bytes: Mapping[str, int]
    """What page-out was asked for, all in all."""


class _Run:
    def __init__(
        self,
        settings: Settings,
        caps: Callable[[int], Mapping[str, Cap]],
        world: Modelled,
        rules_stay: bool,
    ) -> None:
        self.settings, self.caps, self.world, self.rules_stay = settings, caps, world, rules_stay
        names = caps(world.now_ns)
        self.states = {zone: ZoneState(zone) for zone in names}
        self.points: dict[str, list[Point]] = {zone: [] for zone in names}
        self.events: list[Event] = []
        self.walks = dict.fromkeys(names, 0)
        self.asked = dict.fromkeys(names, 0)

    def given(self, zone: str) -> Given:
        caps, machine = self.caps(self.world.now_ns), self.world.machine()
        excesses = {name: excess(caps[name], state) for name, state in self.states.items()}
        allowed = allowances(self.settings.threshold, machine, excesses)
        return Given(self.settings, caps[zone], machine, self.world.now_ns, allowed[zone])

    def turn(self, zone: str) -> int:
        """Decide about a zone and do it; when its turn is next."""
        bound = self.world.bound(zone)
        state = after(self.given(zone), self.states[zone], bound)
        self._note(zone, state)
        if isinstance(bound, Gone):
            return self._later(self.world.now_ns + 1, None)
        action = decide(self.given(zone), state)
        if isinstance(action, Wait):
            idle = state.phase in (Phase.UNDER, Phase.PAUSED)
            return self._later(action.until_ns, state.until_ns) if idle else action.until_ns
        seen = self.world.perform(action)
        self.walks[zone] += isinstance(seen, Look)
        self.asked[zone] += action.bytes_by_kind.total_bytes if isinstance(action, PageOut) else 0
        self._note(zone, after(self.given(zone), state, seen))
        return max(self.world.now_ns, seen.at_ns)

    def _later(self, at_ns: int, until_ns: int | None) -> int:
        """Nothing changes before the model does, or a time comes that the zone waits for: none asks each second."""
        if not self.rules_stay:
            return at_ns
        times = [self.world.next_change_ns(), until_ns]
        ahead = [time for time in times if time is not None and time > self.world.now_ns]
        return max(at_ns, min(ahead, default=_NEVER))

    def _note(self, zone: str, state: ZoneState) -> None:
        before, self.states[zone] = self.states[zone], state
        now_ns = self.world.now_ns
        if state.last_action and state.last_action != before.last_action:
            self.events.append(Event(now_ns, zone, state.last_action))
        self.events += [Event(now_ns, zone, text) for text in state.said[len(before.said) :]]
        point = Point(
            now_ns,
            self.world.rss_bytes(zone),
            self.world.wanted_bytes(zone),
            state.pout_bytes,
            state.refault_bytes,
            state.phase,
        )
        points = self.points[zone]
        if not points or replace(point, at_ns=points[-1].at_ns) != points[-1]:
            points.append(point)


_NEVER = 1 << 62


def simulate(
    caps: Mapping[str, Cap] | Callable[[int], Mapping[str, Cap]],
    world: Modelled,
    end_ns: int,
    settings: Settings | None = None,
) -> Simulated:
    """
    Let the policy act on a model until a moment of it.

    :param caps: of each zone; or how to get them at a moment, where they change
    :param settings: None: acts, with what is usual otherwise
    """
    get = caps if callable(caps) else lambda _: caps
    run = _Run(settings or Settings(enforce=True), get, world, rules_stay=not callable(caps))
    began_ns = world.now_ns
    turns = [(world.now_ns, zone) for zone in sorted(run.states)]
    while turns and turns[0][0] <= end_ns:
        at_ns, zone = heapq.heappop(turns)
        world.advance(at_ns)
        heapq.heappush(turns, (max(run.turn(zone), at_ns), zone))
    world.advance(end_ns)
    for zone, state in run.states.items():
        run._note(zone, state)
    return Simulated(
        began_ns=began_ns,
        ended_ns=end_ns,
        caps=get(end_ns),
        points=run.points,
        events=run.events,
        states=run.states,
        walks=run.walks,
        asked_bytes=run.asked,
    )
