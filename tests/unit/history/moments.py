"""Moments made by hand, for tests and benchmarks that need no kernel: hosts whose zones share parts."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from tests.unit import builders

from zonerss.census.parts import Parts
from zonerss.census.usage import Member, zones_usage
from zonerss.history.moment import GROUPINGS, Moment, member_order
from zonerss.kernel.boot import Uptime
from zonerss.plain import dataclass, replace
from zonerss.records import Cause, Gap, Grouping, ProcessUsage, Task, Zone
from zonerss.records.bills import Bill, Billed
from zonerss.records.files import FileKind, Holding, MappedFile, OpenFile, holding_order
from zonerss.records.images import Image
from zonerss.units import PAGE_BYTES

SECOND_NS = 1_000_000_000
STATS = (
    "anon",
    "file",
    "shmem",
    "file_mapped",
    "kernel_stack",
    "pagetables",
    "slab",
    "sock",
    "inactive_file",
)


@dataclass(frozen=True)
class Process:
    """A process of a simulated host."""

    pid: int
    zone: Zone
    cgroup: str
    command: str
    figures: tuple[int, ...]
    """Of rss, anon, file, shmem, hugetlb, exclusive, proportional, swap, in pages."""


def moment(
    processes: Sequence[Process],
    parts: dict[tuple[int, ...], Sequence[int]],
    *,
    seconds: float = 0,
    lean: bool = False,
    files: dict[tuple[int, ...], Sequence[Holding]] | None = None,
    billed: Sequence[Billed] = (),
    bills: dict[str, Bill] | None = None,
    extra: dict[str, dict[str, Any]] | None = None,
    host_name: str = "vm",
    **fields: Any,
) -> Moment:
    """
    A moment whose figures follow from its parts.

    :param parts: by owners, which are numbered as members of a moment are
    :param extra: fields of a zone's usage that do not follow from parts, by zone
    """
    members = _members(processes)
    counted = Parts.of(len({m.owner for m in members}), parts)
    groupings, total = [], None
    for position, by in enumerate(GROUPINGS):
        usages, all_of_them = zones_usage(counted, members, position, lambda zone: 53 * PAGE_BYTES)
        total = total or all_of_them
        groupings.append(Grouping(by, tuple(replace(u, **(extra or {}).get(u.zone, {})) for u in usages)))
    assert total
    number = dict(zip(counted.members(counted.filled()), counted.filled(), strict=True))
    snapshot = builders.snapshot(
        *groupings[0].zones,
        total=total,
        groupings=tuple(groupings),
        parts=counted,
        members=members,
        processes=_usages(processes, members),
        began=builders.BEGAN + timedelta(seconds=seconds),
        ended=builders.BEGAN + timedelta(seconds=seconds, milliseconds=17),
        page_size=PAGE_BYTES,
        machine=replace(builders.MACHINE, host_name=host_name),
    )
    paths = {zone.cgroup for m in members for zone in m.zones if zone.cgroup}
    return replace(
        Moment(
            snapshot=snapshot,
            holdings=None
            if lean
            else {number[s]: tuple(sorted(rows, key=holding_order)) for s, rows in (files or {}).items()},
            holding_gaps=(),
            billed=None if lean else tuple(sorted(billed, key=lambda row: (row.owners, row.inode))),
            cgroups={} if lean else {row.inode: f"/{row.inode}" for row in billed if row.inode},
            bills=bills or {},
            charged=dict.fromkeys(sorted(paths), 59 * PAGE_BYTES),
            ipc_namespaces={} if lean else {m.task.pid: 4026531839 for m in members[:1]},
            users={0: "root"},
            containers={m.zones[0].id: m.zones[0].name for m in members if m.zones[0].id},
            host_name=host_name,
            boot_id="6bb31aad-e0c0-4a63-b8f4-f1ff633ad674",
            processors=2,
            uptime=Uptime(round((100 + seconds) * SECOND_NS), round((200 + seconds) * SECOND_NS)),
        ),
        **fields,
    )


def _members(processes: Sequence[Process]) -> tuple[Member, ...]:
    members = []
    for process in processes:
        task = Task(
            *(process.pid, 7 * process.pid, 0, 1, process.command, process.cgroup, 0, process.pid),
            size_bytes=100 * PAGE_BYTES + process.pid,
        )
        zones = (process.zone, Zone(process.cgroup, process.cgroup))
        members.append(Member(task, process.pid, zones, 0, process.figures[0]))
    members.sort(key=member_order)
    number: dict[tuple[Zone, ...], int] = {}
    return tuple(replace(m, owner=number.setdefault(m.zones, len(number))) for m in members)


def _usages(processes: Sequence[Process], members: Sequence[Member]) -> tuple[ProcessUsage, ...]:
    figures_of = {process.pid: process.figures for process in processes}
    usages = []
    for member in members:
        sizes = [pages * PAGE_BYTES for pages in figures_of[member.task.pid]]
        task = member.task
        usages.append(
            ProcessUsage(task.pid, member.zones[0].name, task.uid, task.command, *sizes, task.size_bytes)
        )
    return tuple(sorted(usages, key=lambda usage: (-usage.rss_bytes, usage.pid)))


def same(one: Moment, other: Moment) -> None:
    """Assert that two moments are equal in every field, whatever numbers their sets have."""
    assert _comparable(one) == _comparable(other)


def _comparable(moment: Moment) -> tuple[Any, ...]:
    parts = moment.snapshot.parts
    filled = parts.filled()
    owners = dict(zip(filled, parts.members(filled), strict=True))
    held = moment.holdings
    return (
        replace(moment, holdings=None),
        moment.snapshot.members,
        dict(zip(owners.values(), filled.values(), strict=True)),
        None if held is None else {owners[number]: tuple(rows) for number, rows in held.items()},
        parts.owners,
    )


_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9) | st.just("\udcff\udc80/x")
_PAGES = st.tuples(*[st.just(0) | st.integers(0, 1 << 40)] * 5).filter(any)
_SIZES = st.none() | st.integers(0, (1 << 57) - 1)
_GAPS = st.builds(Gap, st.integers(0, 1 << 22), st.just("maps"), st.sampled_from(Cause), _NAMES)
_STATS = st.dictionaries(st.sampled_from(["anon", "file", "sock"]), st.integers(0, 1 << 62))
_FILES = st.builds(
    MappedFile,
    name=_NAMES,
    kind=st.sampled_from(FileKind),
    lasts=st.booleans(),
    size_bytes=_SIZES,
    device=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    inode=st.integers(0, (1 << 64) - 1),
    ipc_namespace=st.none() | st.integers(0, 1 << 32),
    aliases=st.lists(_NAMES, max_size=2).map(tuple),
)
_OPEN_FILES = st.builds(
    OpenFile,
    name=_NAMES,
    device=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    inode=st.integers(0, (1 << 64) - 1),
    pid=st.integers(1, 1 << 22),
    size_bytes=st.integers(0, 1 << 62),
    cached_bytes=st.integers(0, 1 << 62),
)
_IMAGES = st.builds(Image, id=_NAMES, name=st.none() | _NAMES) | st.builds(Image, id=st.none(), name=_NAMES)
_BILLS = st.builds(
    Bill,
    version=st.sampled_from([1, 2]),
    charged_bytes=_SIZES,
    stat=_STATS,
    own=st.none() | _STATS,
    kernel_bytes=_SIZES,
    swap_bytes=_SIZES,
    dying=st.none() | st.integers(0, 99),
)


@st.composite
def moments(draw: st.DrawFn, seconds: float = 0) -> Moment:
    """Any partition of frames among any zones, with anything that may be known of them or not."""
    zones = draw(
        st.lists(
            st.builds(
                Zone, _NAMES, st.none() | _NAMES, st.none() | _NAMES, st.sampled_from(["docker", "global"])
            ),
            min_size=1,
            max_size=5,
            unique_by=lambda zone: zone.name,
        )
    )
    pids = draw(st.lists(st.integers(1, 1 << 22), min_size=len(zones), max_size=8, unique=True))
    processes = [
        Process(
            pid,
            zones[n % len(zones)],
            draw(st.sampled_from(["/a", "/a/b", "/c"])),
            draw(_NAMES),
            draw(st.tuples(*[st.integers(0, 1 << 40)] * 8)),
        )
        for n, pid in enumerate(pids)
    ]
    owners = len({(process.zone, process.cgroup) for process in processes})
    sets = st.sets(st.integers(0, owners - 1), min_size=1).map(lambda one: tuple(sorted(one)))
    parts = draw(st.dictionaries(sets, _PAGES, max_size=9))
    some_of_them = st.sampled_from(sorted(parts)) if parts else st.nothing()
    held = st.lists(
        st.tuples(st.none() | _FILES, _PAGES), min_size=1, max_size=3, unique_by=lambda row: row[0]
    )
    bills = st.builds(Billed, some_of_them, st.integers(0, (1 << 64) - 1), _PAGES)
    unique = {(row.owners, row.inode): row for row in draw(st.lists(bills, max_size=5))}
    return moment(
        processes,
        parts,
        seconds=seconds,
        lean=draw(st.booleans()),
        files=draw(st.dictionaries(some_of_them, held)),
        billed=list(unique.values()),
        bills=draw(st.dictionaries(_NAMES, _BILLS, max_size=3)),
        extra={
            zone.name: {"limit_bytes": draw(_SIZES), "pressure_some": draw(st.integers(0, 10000)) / 100}
            for zone in zones
        },
        holding_gaps=tuple(draw(st.lists(_GAPS, max_size=2))),
        users=draw(st.dictionaries(st.integers(0, 1 << 32), _NAMES, max_size=2)),
        capper=draw(st.none() | st.text()),
        images=draw(st.none() | st.dictionaries(_NAMES, _IMAGES, max_size=3)),
        open_files=draw(st.none() | st.lists(_OPEN_FILES, max_size=2).map(tuple)),
    )


class Host:
    """A host whose zones each have private memory and some processes, and share parts; its figures drift."""

    def __init__(
        self,
        zones: int,
        shared: int,
        seed: int = 1,
        *,
        processes: int = 4,
        name: str = "vm",
        prefix: str = "zone",
        names: Sequence[str] = (),
        images: Sequence[str] = (),
    ) -> None:
        """
        :param shared: how many parts several zones share
        :param names: of the zones; none: the prefix and a number
        :param images: names of those that the zones are made of, empty where one has none; none: seven, in turn
        """
        self._random = random.Random(seed)
        self._name = name
        self.zones = [
            Zone(names[n] if names else f"{prefix}-{n:04}", f"/docker/{n:064x}", f"{n:064x}", "docker")
            for n in range(zones)
        ]
        of = images or [f"registry.example/app-{n % 7}:1" for n in range(zones)]
        self._images = {
            zone.id: Image(f"{of.index(name):064x}", name or None)
            for zone, name in zip(self.zones, of, strict=True)
            if zone.id
        }
        owners = [zone for zone in self.zones for _ in range(processes)]
        self._processes = list(enumerate(owners, start=100))
        sets = {tuple(range(zones))} if zones > 1 else set()
        for _ in range(3 * shared if zones > 2 else 0):
            if len(sets) >= shared:
                break
            few = self._random.sample(range(zones), min(zones, self._random.choice((2, 2, 3, 5, 8, 20))))
            sets.add(tuple(sorted(few)))
        self._parts = {(n,): self._pages(20_000) for n in range(zones)} | {
            s: self._pages(800) for s in sorted(sets)
        }
        self._files = {
            s: MappedFile(f"/usr/lib/lib{n}.so", FileKind.FILE, True, 999 * n, (8, 1), n + 11)
            for n, s in enumerate(self._parts)
        }
        self._figures = {pid: [self._random.randrange(5000) for _ in range(7)] for pid, _ in self._processes}
        self._stats = {zone: {stat: self._random.randrange(1 << 18) for stat in STATS} for zone in self.zones}
        self._extra = {zone: [self._random.randrange(1 << 18) for _ in range(3)] for zone in self.zones}

    def _pages(self, most: int) -> list[int]:
        return [self._random.randrange(most), self._random.randrange(most), 0, 0, 0]

    def drift(self, how_many: float = 1.0) -> None:
        """Let this part of the figures change a little, up or down."""

        def moved(figure: int) -> int:
            if figure and self._random.random() < how_many:
                return max(1, figure + self._random.choice((-1, 1)) * self._random.randrange(1, 200))
            return figure

        for figures in (*self._parts.values(), *self._figures.values(), *self._extra.values()):
            figures[:] = map(moved, figures)
        for stats in self._stats.values():
            stats.update({name: moved(value) for name, value in stats.items()})

    def grow(self, zone: int, pages: int) -> None:
        """Let a zone have so many more pages of private memory."""
        self._parts[(zone,)][0] += pages

    def eat(self, pid: int, pages: int) -> None:
        """Let a process have so many more pages of private memory."""
        self._figures[pid][0] += pages

    def moment(self, seconds: float = 0, *, lean: bool = False) -> Moment:
        """As it is now."""
        processes = [
            Process(pid, zone, zone.cgroup or "/", f"worker{pid % 7}", (sum(figures[:3]), *figures))
            for (pid, zone), figures in zip(self._processes, self._figures.values(), strict=True)
        ]
        order = {zone: n for n, zone in enumerate(dict.fromkeys(m.zones[0] for m in _members(processes)))}
        parts = {tuple(sorted(order[self.zones[n]] for n in s)): pages for s, pages in self._parts.items()}
        files: dict[tuple[int, ...], Sequence[Holding]] = {
            tuple(sorted(order[self.zones[n]] for n in s)): (
                (None, (pages[0], 0, 0, 0, 0)),
                (self._files[s], (0, pages[1], 0, 0, 0)),
            )
            for s, pages in self._parts.items()
            if sum(pages)
        }
        billed = [Billed(s, 1000 + s[0], tuple(pages)) for s, pages in parts.items()]
        bills = {
            zone.cgroup or "/": Bill(
                2,
                extra[0] * PAGE_BYTES,
                {n: v * PAGE_BYTES for n, v in stats.items()},
                None,
                7 * PAGE_BYTES,
                0,
                1,
            )
            for (zone, stats), extra in zip(self._stats.items(), self._extra.values(), strict=True)
        }
        extra: dict[str, dict[str, Any]] = {
            zone.name: {
                "charged_bytes": figures[0] * PAGE_BYTES,
                "limit_bytes": 1 << 30,
                "pressure_some": figures[1] % 10000 / 100,
                "pressure_full": 0.0,
                "oom_kills": 0,
                "cache_unmapped_bytes": figures[2] * PAGE_BYTES,
            }
            for zone, figures in self._extra.items()
        }
        return moment(
            processes,
            parts,
            seconds=seconds,
            lean=lean,
            files=files,
            billed=billed,
            bills=bills,
            extra=extra,
            host_name=self._name,
            images=self._images,
        )


def drifting(zones: int = 3, shared: int = 3, states: int = 1 << 30) -> Iterator[Moment]:
    """
    A host looked at every ten seconds, some of whose figures change.

    :param states: after so many the host is as at first
    """
    host, made = Host(zones, shared), []
    for number in count():
        if number < states:
            made.append(host.moment())
            host.drift()
        moment, later = made[number % states], timedelta(seconds=10 * number)
        shown = replace(moment.snapshot, began=builders.BEGAN + later, ended=builders.BEGAN + later)
        uptime = Uptime(number * 10 * SECOND_NS, number * 10 * SECOND_NS)
        yield replace(moment, snapshot=shown, uptime=uptime)


def half_overwritten(recording: Path, directory: Path) -> Iterator[Path]:
    """Copies of a recording of which the second half, the first half, or a page in the midst is something else."""
    raw = recording.read_bytes()
    for at, size in ((len(raw) // 2, len(raw) // 2), (0, len(raw) // 2), (len(raw) // 3, 4096)):
        path = directory / f"{at}.zrec"
        path.write_bytes(raw[:at] + b"\xa5" * size + raw[at + size :])
        yield path
