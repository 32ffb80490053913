"""A machine made of figures, for the policy to act on: zones whose memory is areas that grow, shrink and are touched.

It answers as a kernel would: what is touched comes back, what left takes room in swap, and each thing done takes time.
Nothing in it is drawn by lot.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence

from zonerss.cap.records import (
    KINDS,
    Action,
    Arm,
    Armed,
    Back,
    Bound,
    ByKind,
    CheckBack,
    Classes,
    Gone,
    Look,
    LookCold,
    Machine,
    Measure,
    Observation,
    PageOut,
    Ran,
    Reclaim,
    RunCommand,
    Step,
)
from zonerss.plain import dataclass, field, replace

SECOND_NS = 1_000_000_000
MEMORY_BYTES = 8 << 30

WALK_NS = 100_000_000
"""What a walk takes. The study's first took 0.34 s for a zone of 600 MiB at load, its second 0.1."""
ARM_NS = 200_000_000
PAGE_OUT_NS_PER_BYTE = SECOND_NS * 231 // 100 / (212 << 20)
"""Into zram: 2.31 s for 212 MiB in the study."""
BACK_NS = 10_000_000


@dataclass(frozen=True, slots=True)
class Area:
    """Some memory of a zone that is of one kind, and used in one way."""

    kind: str
    sizes: tuple[tuple[int, int], ...]
    """(from when on, bytes), ascending. Before the first it is not there."""
    period_ns: int | None = None
    """How often all of it is touched; None: only when it is made, or grows."""
    shared_with: str | None = None
    """Another zone that maps it, too."""
    processes: int = 1
    """Of this zone that map it."""
    locked: bool = False

    def size_at(self, now_ns: int) -> int:
        """How large it is."""
        position = bisect_right(self.sizes, now_ns, key=lambda size: size[0])
        return self.sizes[position - 1][1] if position else 0


@dataclass(slots=True)
class _Layer:
    """What of an area was made at one time."""

    size_bytes: int
    touched_ns: int
    out_bytes: int = 0
    """Of it: left because of us."""
    cold: bool = False
    """At the last look."""
    of_bytes: int = 0
    """Of what is out: left since bits were cleared last."""

    @property
    def present_bytes(self) -> int:
        return self.size_bytes - self.out_bytes

    def shrink(self, size_bytes: int) -> None:
        """What is freed is taken from what is out in proportion."""
        self.out_bytes = self.out_bytes * size_bytes // self.size_bytes if self.size_bytes else 0
        self.of_bytes = min(self.of_bytes, self.out_bytes)
        self.size_bytes = size_bytes


_OLD_NS = 60 * SECOND_NS


@dataclass(slots=True)
class _Held:
    """An area as it is now: what was made last is freed first."""

    area: Area
    layers: list[_Layer] = field(default_factory=list)
    came_back_bytes: int = 0
    """Of what left since then."""

    @property
    def size_bytes(self) -> int:
        return sum(layer.size_bytes for layer in self.layers)

    @property
    def out_bytes(self) -> int:
        return sum(layer.out_bytes for layer in self.layers)

    @property
    def present_bytes(self) -> int:
        return sum(layer.present_bytes for layer in self.layers)

    @property
    def is_own(self) -> bool:
        area = self.area
        return area.shared_with is None and area.processes == 1 and not area.locked

    @property
    def is_several(self) -> bool:
        area = self.area
        return area.shared_with is None and area.processes > 1 and not area.locked

    def advance(self, since_ns: int, now_ns: int) -> None:
        self._resize(self.area.size_at(now_ns), now_ns)
        period = self.area.period_ns
        if period is not None and now_ns // period > since_ns // period:
            for layer in self.layers:
                layer.touched_ns = now_ns // period * period
                self.came_back_bytes += layer.of_bytes
                layer.out_bytes = layer.of_bytes = 0

    def _resize(self, size_bytes: int, now_ns: int) -> None:
        has = self.size_bytes
        if size_bytes > has:
            self.layers.append(_Layer(size_bytes - has, now_ns))
        while has > size_bytes:
            last = self.layers[-1]
            keeps = max(last.size_bytes - (has - size_bytes), 0)
            has -= last.size_bytes - keeps
            last.shrink(keeps)
            if not keeps:
                self.layers.pop()
        while len(self.layers) > 1 and self.layers[1].touched_ns < now_ns - _OLD_NS:
            old, first = self.layers.pop(0), self.layers[0]
            first.size_bytes += old.size_bytes
            first.out_bytes += old.out_bytes
            first.of_bytes += old.of_bytes
            first.cold = first.cold and old.cold


@dataclass(slots=True)
class _Zone:
    held: list[_Held]
    armed_ns: int | None = None
    cache_taken_bytes: int = 0


@dataclass(slots=True)
class World:
    """Zones by name, and what the machine has besides."""

    zones: Mapping[str, Sequence[Area]]
    swap_bytes: int = 1 << 30
    memory_bytes: int = MEMORY_BYTES
    used_elsewhere_bytes: int = 0
    """What the machine uses but for these zones."""
    swap_used_elsewhere_bytes: int = 0
    knows_several: bool = False
    """What is mapped more than once is known to be cold where it is: nothing else has cleared bits. Then there is a
    memory.reclaim, too, and what a zone maps is charged to it."""
    cache_bytes: int = 0
    """Page cache that each zone is charged for and nobody maps: memory.reclaim takes it first."""
    reclaiming: tuple[tuple[int, int], ...] = ()
    """When the whole machine reclaims: from, to."""
    now_ns: int = 0
    _zones: dict[str, _Zone] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Begin at now_ns."""
        for name, areas in self.zones.items():
            self._zones[name] = _Zone([_Held(area) for area in areas])
        self.advance(self.now_ns)

    def advance(self, now_ns: int) -> None:
        """Time passes; zones use their memory."""
        for zone in self._zones.values():
            for held in zone.held:
                held.advance(self.now_ns, now_ns)
        self.now_ns = max(now_ns, self.now_ns)

    def next_change_ns(self) -> int | None:
        """When a size changes next, what is out is used, or the machine begins to reclaim, or ends; None: never."""
        periods = {
            held.area.period_ns for zone in self._zones.values() for held in zone.held if held.out_bytes
        }
        touches = [(self.now_ns // period + 1) * period for period in periods if period]
        times = touches
        times += [at for areas in self.zones.values() for area in areas for at, _ in area.sizes]
        times += [at for span in self.reclaiming for at in span]
        return min((at for at in times if at > self.now_ns), default=None)

    # ---- what can be asked ---------------------------------------------------------------------------

    def rss_bytes(self, zone: str) -> int:
        """What a zone has now."""
        return sum(held.present_bytes for held in self._zones[zone].held)

    def wanted_bytes(self, zone: str) -> int:
        """What it would have if nothing had been taken."""
        return sum(held.size_bytes for held in self._zones[zone].held)

    def bound(self, zone: str) -> Bound | Gone:
        """As /proc/PID/statm would add up."""
        held = self._zones[zone].held
        if not any(one.size_bytes for one in held):
            return Gone(zone, self.now_ns)
        processes = max(one.area.processes for one in held)
        total = sum(one.present_bytes * one.area.processes for one in held)
        return Bound(zone, self.now_ns, total, processes)

    def machine(self) -> Machine:
        """The whole machine."""
        used = self.used_elsewhere_bytes + sum(map(self.rss_bytes, self._zones))
        return Machine(
            at_ns=self.now_ns,
            memory_bytes=self.memory_bytes,
            used_bytes=min(used, self.memory_bytes),
            swap_bytes=self.swap_bytes,
            swap_free_bytes=max(self.swap_bytes - self.swap_used_elsewhere_bytes - self.swapped_bytes(), 0),
            reclaiming=any(begin <= self.now_ns < end for begin, end in self.reclaiming),
        )

    def swapped_bytes(self) -> int:
        """What has left into swap."""
        return sum(
            held.out_bytes
            for zone in self._zones.values()
            for held in zone.held
            if held.area.kind in ("anon", "shmem")
        )

    # ---- what can be done ----------------------------------------------------------------------------

    def perform(self, action: Action) -> Observation:
        """
        What comes of an action; time passes.

        :raises TypeError: to wait is left to whoever has the clock
        """
        match action:
            case Measure():
                return self._look(action.zone, tells_cold=False)
            case LookCold():
                return self._look(action.zone, tells_cold=True)
            case Arm():
                self.advance(self.now_ns + ARM_NS)
                _forget(self._zones[action.zone].held)
                self._zones[action.zone].armed_ns = self.now_ns
                return Armed(action.zone, self.now_ns)
            case PageOut():
                return self._page_out(action.zone, action.bytes_by_kind)
            case Reclaim():
                return self._reclaim(action.zone, action.bytes)
            case CheckBack():
                return self._back(action.zone)
            case RunCommand():
                return Ran(action.zone, self.now_ns)
        raise TypeError(f"{type(action).__name__} is not for a model")

    def _look(self, name: str, tells_cold: bool) -> Look:
        zone, began_ns = self._zones[name], self.now_ns
        armed_ns = zone.armed_ns if tells_cold else None
        for layer in (layer for held in zone.held for layer in held.layers):
            layer.cold = False
        cold = None if armed_ns is None else _mark(zone.held, armed_ns, lambda held: held.is_own)
        seconds = None if armed_ns is None else (began_ns - armed_ns) / SECOND_NS
        classes = _classes(zone.held, cold, seconds)
        if armed_ns is not None and self.knows_several:
            several = _mark(zone.held, armed_ns, lambda held: held.is_several)
            classes = replace(
                classes,
                cold_several_anon_bytes=several.anon_bytes,
                cold_several_file_bytes=several.file_bytes,
                cold_several_shmem_bytes=several.shmem_bytes,
            )
        self.advance(self.now_ns + WALK_NS)
        return Look(
            zone=name,
            cgroup=f"/{name}",
            at_ns=began_ns,
            took_ns=WALK_NS,
            classes=classes,
            charged_bytes=None,
            swap_bytes=sum(held.out_bytes for held in zone.held if held.area.kind != "file"),
            billed_here_mapped_elsewhere_bytes=classes.shared_bytes if self.knows_several else None,
            reclaimable=self.knows_several,
        )

    def _page_out(self, name: str, wanted: ByKind) -> Step:
        began_ns, tried, left = self.now_ns, dict.fromkeys(KINDS, 0), dict.fromkeys(KINDS, 0)
        room = self.machine().swap_free_bytes
        own = [held for held in self._zones[name].held if held.is_own]
        for kind, layer in ((held.area.kind, layer) for held in own for layer in held.layers if layer.cold):
            size = min(layer.present_bytes, wanted.of(kind) - tried[kind])
            goes = size if kind == "file" else min(size, room)
            room -= 0 if kind == "file" else goes
            tried[kind] += size
            left[kind] += goes
            layer.out_bytes += goes
            layer.of_bytes += goes
        asked = wanted.total_bytes
        self.advance(self.now_ns + int(asked * PAGE_OUT_NS_PER_BYTE))
        return Step(
            zone=name,
            what="page-out",
            at_ns=self.now_ns,
            took_ns=self.now_ns - began_ns,
            asked_bytes=asked,
            tried=ByKind(*(tried[kind] for kind in KINDS)),
            left=ByKind(*(left[kind] for kind in KINDS)),
        )

    def _reclaim(self, name: str, nbytes: int) -> Step:
        """Cache that nobody maps first, then what is cold, then what is not: whoever maps it."""
        began_ns, left, zone = self.now_ns, dict.fromkeys(KINDS, 0), self._zones[name]
        goes = min(nbytes, self.cache_bytes - zone.cache_taken_bytes)
        zone.cache_taken_bytes += goes
        rest = nbytes - goes
        layers = [
            (held.area.kind, layer) for held in zone.held if not held.area.locked for layer in held.layers
        ]
        for kind, layer in sorted(layers, key=lambda row: not row[1].cold):
            size = min(layer.present_bytes, rest)
            if kind != "file":
                size = min(size, self.machine().swap_free_bytes)
            layer.out_bytes += size
            layer.of_bytes += size
            left[kind] += size
            rest -= size
        self.advance(self.now_ns + int(nbytes * PAGE_OUT_NS_PER_BYTE))
        return Step(
            zone=name,
            what="reclaim",
            at_ns=self.now_ns,
            took_ns=self.now_ns - began_ns,
            asked_bytes=nbytes,
            tried=ByKind(),
            left=ByKind(*(left[kind] for kind in KINDS)),
        )

    def _back(self, name: str) -> Back:
        held = self._zones[name].held
        back = sum(one.came_back_bytes for one in held)
        of = back + sum(layer.of_bytes for one in held for layer in one.layers)
        self.advance(self.now_ns + BACK_NS)
        return Back(name, self.now_ns, of, back)


def _forget(held: Iterable[_Held]) -> None:
    """What has left before bits are cleared is not seen after again."""
    for one in held:
        one.came_back_bytes = 0
        for layer in one.layers:
            layer.of_bytes = 0


def _mark(held: Iterable[_Held], armed_ns: int, counts: Callable[[_Held], bool]) -> ByKind:
    """Which pages of these areas are cold, and how much."""
    total = dict.fromkeys(KINDS, 0)
    for one in filter(counts, held):
        for layer in one.layers:
            layer.cold = layer.touched_ns <= armed_ns
            total[one.area.kind] += layer.present_bytes if layer.cold else 0
    return ByKind(*(total[kind] for kind in KINDS))


def _by_kind(held: Iterable[_Held]) -> ByKind:
    sums = dict.fromkeys(KINDS, 0)
    for one in held:
        sums[one.area.kind] += one.present_bytes
    return ByKind(*(sums[kind] for kind in KINDS))


def _classes(held: Sequence[_Held], cold: ByKind | None, seconds: float | None) -> Classes:
    shared: dict[str, int] = {}
    for one in held:
        if one.area.shared_with is not None:
            shared[one.area.shared_with] = shared.get(one.area.shared_with, 0) + one.present_bytes
    alone = [one for one in held if one.area.shared_with is None]
    several = _by_kind(one for one in alone if not one.area.locked and one.area.processes > 1)
    own = _by_kind(one for one in alone if one.is_own)
    classes = Classes(
        shared_bytes=sum(shared.values()),
        shared_with=tuple(sorted(shared.items(), key=lambda row: (-row[1], row[0]))),
        locked_bytes=sum(one.present_bytes for one in alone if one.area.locked),
        several_anon_bytes=several.anon_bytes,
        several_file_bytes=several.file_bytes,
        several_shmem_bytes=several.shmem_bytes,
        own_anon_bytes=own.anon_bytes,
        own_file_bytes=own.file_bytes,
        own_shmem_bytes=own.shmem_bytes,
    )
    if cold is None:
        return classes
    return replace(
        classes,
        cold_anon_bytes=cold.anon_bytes,
        cold_file_bytes=cold.file_bytes,
        cold_shmem_bytes=cold.shmem_bytes,
        unknown_bytes=0,
        cold_seconds=seconds,
    )
