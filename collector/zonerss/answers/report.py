"""What a recording tells of its zones and processes: their courses, and a verdict on each. Pure.

Snapshots are taken in one after the other; of each only figures are kept, eight bytes each, so that a day of a thousand
zones fits into memory.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from operator import attrgetter
from typing import Any, TypeVar

from zonerss.answers.files import FileUsage
from zonerss.answers.slopes import Point
from zonerss.answers.trend import Shape, Trend, trend_of
from zonerss.answers.verdict import (
    Cause,
    Courses,
    Room,
    Verdict,
    Word,
    Worker,
    growing_bill,
    growing_kind,
    judged,
)
from zonerss.plain import dataclass
from zonerss.records import ProcessUsage, Usage
from zonerss.records.bills import Bill
from zonerss.records.files import OpenFile
from zonerss.records.machine import Machine
from zonerss.snapshot import Snapshot
from zonerss.units import PAGE_BYTES, format_size, nanoseconds_of, pages_to_bytes

_KINDS = ("anon", "file", "shmem", "hugetlb", "swap")
_BILLS = ("cache", "slab", "sockets", "kernel")
_ZONE = ("look", "rss", *_KINDS, "proportional", "charged", *_BILLS, "uncertainty", "processes")
_PROCESS = ("look", "rss", *_KINDS, "exclusive")
_SIZES = tuple(f"{kind}_bytes" for kind in _KINDS)
_of_zone = attrgetter("rss_bytes", *_SIZES, "proportional_bytes", "charged_bytes", "cache_unmapped_bytes")
_of_process = attrgetter("rss_bytes", *_SIZES, "exclusive_bytes")
_NONE = -1
"""Stands for unknown in an array."""
_BATCH_BYTES = pages_to_bytes(64)
"""Charged in advance for each processor (MEMCG_CHARGE_BATCH)."""
_WORKER_PART = 0.8
"""A process is one of the workers of a zone if it was there in so many of the zone's looks."""
_COUNTED = 1 << 20
"""What a process more stands for, so that a number of processes has a course."""

Key = TypeVar("Key")
ProcessKey = tuple[str, int, int]
"""Boot id, pid, start ticks: what identifies a process."""


class Rows:
    """Figures of one zone or process, one row for each look that it was in."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = {name: array("q") for name in columns}

    def add(self, *figures: int | None) -> None:
        """A row, in the order of the columns."""
        for column, figure in zip(self._columns.values(), figures, strict=True):
            column.append(_NONE if figure is None else figure)

    def __len__(self) -> int:
        return len(self._columns["look"])

    def forget(self, looks: int) -> None:
        """The first looks are no more: their rows go, and the others are of looks that are so much fewer."""
        column = self._columns["look"]
        gone = bisect_left(column, looks)
        for figures in self._columns.values():
            del figures[:gone]
        self._columns["look"] = array("q", (look - looks for look in column))

    def column(self, name: str) -> Sequence[int | None]:
        """Its figures."""
        return [None if figure == _NONE else figure for figure in self._columns[name]]

    def gained(self, name: str) -> int | None:
        """From the first to the last of a column's figures that are known; None: none is."""
        known = [figure for figure in self._columns[name] if figure != _NONE]
        return known[-1] - known[0] if known else None

    def points(self, seconds: Sequence[float], *names: str, less: Collection[str] = ()) -> list[Point]:
        """The sum of some columns, without some others; rows in which one of them is unknown are left out."""
        doubts = self._columns.get("uncertainty") or (0,) * len(self)
        return [
            Point(seconds[look], size, max(doubt, 0))
            for look, size, doubt in zip(self._columns["look"], self._sums(names, less), doubts, strict=True)
            if size is not None
        ]

    def _sums(self, names: Sequence[str], less: Collection[str]) -> Sequence[int | None]:
        if len(names) == 1 and not less:
            return self.column(names[0])
        count = len(names)
        rows = zip(*(self._columns[name] for name in (*names, *less)), strict=True)
        return [None if _NONE in row else sum(row[:count]) - sum(row[count:]) for row in rows]


@dataclass(frozen=True, slots=True)
class MachineLook:
    """The whole machine at one look."""

    began: datetime
    machine: Machine | None
    total: Usage
    gaps: int


@dataclass(frozen=True, slots=True)
class Course:
    """What became of a zone or a process."""

    first: Point
    last: Point
    peak: Point
    """By rss, of all snapshots of the range; seconds since the first look of the recording."""
    looks: int
    trend: Trend
    """Of what is mapped, with its swap."""
    verdict: Verdict
    rows: Rows


@dataclass(frozen=True, slots=True)
class ZoneReport(Course):
    """A zone."""

    usage: Usage
    """At its last look."""


@dataclass(frozen=True, slots=True)
class ProcessReport(Course):
    """A process."""

    usage: ProcessUsage
    """At its last look."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a recording tells."""

    file: str
    host_name: str
    by: str
    looks: Sequence[MachineLook]
    seconds: Sequence[float]
    """Of each look, since the first one."""
    snapshots: int
    """In the range; those that were looked at are no more."""
    peak_snapshots: int
    """Of them, those that peaks are the largest of."""
    zones: Sequence[ZoneReport]
    """Those that grow first, then the largest."""
    processes: Sequence[ProcessReport]
    """Likewise."""
    damaged: Sequence[str] = ()
    """Sentences about what was left out: snapshots that could not be read."""
    clock_jumps: int = 0
    """How often the time of day was set meanwhile."""

    @property
    def span_seconds(self) -> float:
        """From the first look to the last one."""
        return self.seconds[-1] - self.seconds[0]

    def time_of(self, seconds: float) -> datetime:
        """When it was so many seconds after the first look, by the clock of then."""
        look = max(bisect_right(self.seconds, seconds) - 1, 0)
        return self.looks[look].began + timedelta(seconds=seconds - self.seconds[look])

    def timeline(self) -> list[datetime]:
        """A time of each look, in order: where the clock was set, all are counted back from the last look."""
        times = [look.began for look in self.looks]
        if self.clock_jumps or any(after < before for before, after in pairwise(times)):
            return [times[-1] - timedelta(seconds=self.seconds[-1] - seconds) for seconds in self.seconds]
        return times


@dataclass(slots=True)
class _Cached:
    """An open file of a zone."""

    name: str
    pid: int
    seen: list[tuple[int, int]]
    """Looks, and the bytes of it in the page cache."""

    def forget(self, looks: int) -> None:
        """As of rows; what it had before is what it began with."""
        before = [size for look, size in self.seen if look < looks][-1:]
        rest = [(look - looks, size) for look, size in self.seen if look >= looks]
        self.seen = [*((0, size) for size in before), *rest]

    def grown(self, first: int) -> tuple[int, int]:
        """
        By how much, and to what; one that came later grew from nothing.

        :param first: the look at which open files were looked at first
        """
        (look, began), (_, last) = self.seen[0], self.seen[-1]
        return last - (began if look <= first else 0), last


class Reporter:
    """Takes in the snapshots of a recording, the oldest first."""

    def __init__(self, by: str, processors: int = 1) -> None:
        """
        :param by: the grouping
        :param processors: of the machine
        """
        self._by = by
        self._doubt = 2 * processors * _BATCH_BYTES
        self._looks: list[MachineLook] = []
        self._seconds: list[float] = []
        self._zones: dict[str, Rows] = {}
        self._usages: dict[str, Usage] = {}
        self._processes: dict[ProcessKey, Rows] = {}
        self._process_usages: dict[ProcessKey, ProcessUsage] = {}
        self._opened: dict[str, dict[tuple[object, ...], _Cached]] = {}
        self._first_ns: int | None = None
        """When the first look was taken, by the clock that :meth:`add` is given."""
        self._first_opened: int | None = None
        self._zone_peaks: dict[str, Point] = {}
        self._process_peaks: dict[ProcessKey, Point] = {}

    def add(
        self,
        snapshot: Snapshot,
        boot_id: str = "",
        bill: Callable[[str], Bill | None] = lambda cgroup: None,
        zones: Collection[str] | None = None,
        at_ns: int | None = None,
    ) -> None:
        """
        A look, with processes and the files of the memory controller.

        :param bill: of a cgroup
        :param zones: only these; None: all
        :param at_ns: when, by a clock that does not go back; None: by the snapshot's
        """
        look = len(self._looks)
        when = nanoseconds_of(snapshot.began) if at_ns is None else at_ns
        self._first_ns = when if self._first_ns is None else self._first_ns
        self._looks.append(MachineLook(snapshot.began, snapshot.machine, snapshot.total, len(snapshot.gaps)))
        self._seconds.append((when - self._first_ns) / 1e9)
        for usage in snapshot.zones:
            if zones is None or usage.zone in zones:
                found = None if usage.cgroup is None else bill(usage.cgroup)
                self._add_zone(look, usage, found)
        start_of = {member.task.pid: member.task.start_ticks for member in snapshot.members}
        for process in snapshot.processes or ():
            if process.zone in self._zones:
                key = boot_id, process.pid, start_of.get(process.pid, 0)
                self._add_process(look, key, process)

    def passed_over(self, at_ns: int, zones: Mapping[str, int], processes: Mapping[ProcessKey, int]) -> None:
        """A snapshot that is no look: of it only the RSS counts, in bytes, for those that are in some look before."""
        seconds = 0.0 if self._first_ns is None else (at_ns - self._first_ns) / 1e9
        _raise(self._zone_peaks, zones, self._zones, seconds)
        _raise(self._process_peaks, processes, self._processes, seconds)

    def forget(self, most: int) -> None:
        """Keep the latest looks only, and who was in them."""
        gone = len(self._looks) - most
        if gone <= 0:
            return
        del self._looks[:gone], self._seconds[:gone]
        _forget(self._zones, self._usages, gone)
        _forget(self._processes, self._process_usages, gone)
        if self._first_opened is not None:
            self._first_opened = max(self._first_opened - gone, 0)
        for files in self._opened.values():
            for key, file in list(files.items()):
                if file.seen[-1][0] < gone:
                    del files[key]
                else:
                    file.forget(gone)

    def opened(self, files: Iterable[tuple[str, OpenFile]]) -> None:
        """What is in the page cache of the files that zones hold open, at the look that was added last."""
        look = len(self._looks) - 1
        if self._first_opened is None:
            self._first_opened = look
        for zone, found in files:
            key = found.device, found.inode
            file = self._opened.setdefault(zone, {}).setdefault(key, _Cached(found.name, found.pid, []))
            file.name, file.pid = found.name, found.pid
            file.seen.append((look, found.cached_bytes))

    def _add_zone(self, look: int, usage: Usage, bill: Bill | None) -> None:
        if usage.zone not in self._zones:
            self._zones[usage.zone] = Rows(_ZONE)
        stat = {} if bill is None else bill.stat
        kernel = None if bill is None else bill.kernel_bytes
        billed = stat.get("slab"), stat.get("sock"), kernel
        row = (look, *_of_zone(usage), *billed, usage.uncertainty_bytes, usage.processes)
        self._zones[usage.zone].add(*row)
        self._usages[usage.zone] = usage

    def _add_process(self, look: int, key: ProcessKey, process: ProcessUsage) -> None:
        if key not in self._processes:
            self._processes[key] = Rows(_PROCESS)
        self._processes[key].add(look, *_of_process(process))
        self._process_usages[key] = process

    # ---- and what they tell ------------------------------------------------------------------------------

    def report(
        self,
        file: str,
        host_name: str,
        snapshots: int,
        files: Callable[[str], tuple[Sequence[FileUsage], Sequence[FileUsage]]] | None = None,
        damaged: Sequence[str] = (),
        peak_snapshots: int | None = None,
        clock_jumps: int = 0,
    ) -> Report:
        """
        The report.

        :param snapshots: how many the range has
        :param peak_snapshots: how many were looked at or passed over; None: all were looked at
        :param files: the files of a zone at the first and at the last look; None: not kept
        :param clock_jumps: how often the time of day was set in the range
        """
        of_zone = self._keys()
        zones = [self._zone(name, of_zone.get(name, ()), files) for name in self._zones]
        unsharing = {zone.usage.zone for zone in zones if zone.verdict.word is Word.UNSHARING}
        processes = [self._process(key, unsharing) for key in self._processes]
        return Report(
            file,
            host_name,
            self._by,
            self._looks,
            self._seconds,
            snapshots,
            len(self._looks) if peak_snapshots is None else peak_snapshots,
            sorted(zones, key=lambda zone: (*_order(zone), zone.usage.zone)),
            sorted(processes, key=lambda process: (*_order(process), process.usage.pid)),
            damaged,
            clock_jumps,
        )

    def zone(
        self,
        name: str,
        files: Callable[[str], tuple[Sequence[FileUsage], Sequence[FileUsage]]] | None = None,
    ) -> ZoneReport | None:
        """
        What is told of one zone; None: it was in no look.

        :param files: as for :meth:`report`
        """
        return self._zone(name, self._keys().get(name, ()), files) if name in self._zones else None

    def _keys(self) -> dict[str, list[ProcessKey]]:
        """The processes of each zone."""
        found: dict[str, list[ProcessKey]] = {}
        for key, usage in self._process_usages.items():
            found.setdefault(usage.zone, []).append(key)
        return found

    def _zone(
        self,
        name: str,
        keys: Sequence[ProcessKey],
        files: Callable[[str], tuple[Sequence[FileUsage], Sequence[FileUsage]]] | None,
    ) -> ZoneReport:
        rows, usage = self._zones[name], self._usages[name]
        rss, used = self._points(rows, "rss"), self._used(rows)
        charged, trend = self._points(rows, "charged"), _trend(used)
        courses = Courses(
            used=trend,
            kinds=self._by_kind(rows) if trend.shape is Shape.GROWS else {},
            charged=trend_of(charged, self._doubt),
            beside=trend_of(rows.points(self._seconds, "charged", less=("rss",)), self._doubt),
            billed={part: gained for part in _BILLS if (gained := rows.gained(part)) is not None},
            workers=self._workers(rows, keys),
            seconds=used[-1].seconds - used[0].seconds,
        )
        cause = self._cause(courses, keys, usage, files) if courses.used.shape is Shape.GROWS else None
        billed = self._billed(courses, name)
        found = judged(courses, cause, billed, self._room(usage))
        return ZoneReport(*_ends(rss, self._zone_peaks.get(name)), courses.used, found, rows, usage)

    def _process(self, key: ProcessKey, unsharing: Collection[str]) -> ProcessReport:
        rows, usage = self._processes[key], self._process_usages[key]
        used = self._used(rows)
        trend = _trend(used)
        grows = trend.shape is Shape.GROWS
        courses = Courses(
            used=trend,
            kinds=self._by_kind(rows) if grows else {},
            seconds=used[-1].seconds - used[0].seconds,
        )
        cause = Cause(growing_kind(courses), trend.grown_bytes) if grows else None
        zone = self._usages.get(usage.zone)
        found = judged(courses, cause, None, None if zone is None else self._room(zone))
        worker = self._worker(key)
        if usage.zone in unsharing and worker.worn_bytes and found.word is not Word.GROWS:
            found = _wears_off(worker, found)
        ends = _ends(self._points(rows, "rss"), self._process_peaks.get(key))
        return ProcessReport(*ends, courses.used, found, rows, usage)

    def _by_kind(self, rows: Rows) -> dict[str, Trend]:
        return {kind: _trend(self._points(rows, kind)) for kind in _KINDS if any(rows.column(kind))}

    def _points(self, rows: Rows, name: str) -> list[Point]:
        return rows.points(self._seconds, name)

    def _used(self, rows: Rows) -> list[Point]:
        return rows.points(self._seconds, "rss", "hugetlb", "swap")

    def _workers(self, rows: Rows, keys: Iterable[ProcessKey]) -> list[Worker]:
        least = _WORKER_PART * len(rows)
        return [self._worker(key) for key in keys if len(self._processes[key]) >= least]

    def _worker(self, key: ProcessKey) -> Worker:
        rows, usage = self._processes[key], self._process_usages[key]
        rss, shared = self._points(rows, "rss"), rows.points(self._seconds, "rss", less=("exclusive",))
        return Worker(
            usage.pid,
            usage.command,
            rss[-1].size_bytes - rss[0].size_bytes,
            shared[0].size_bytes,
            shared[-1].size_bytes,
        )

    def _cause(
        self,
        courses: Courses,
        keys: Sequence[ProcessKey],
        usage: Usage,
        files: Callable[[str], tuple[Sequence[FileUsage], Sequence[FileUsage]]] | None,
    ) -> Cause:
        kind = growing_kind(courses)
        grown = courses.kinds[kind].grown_bytes or courses.used.grown_bytes
        gained = {key: self._gained(key, kind, usage.zone) for key in keys}
        key = max(gained, key=lambda key: (gained[key], -key[1]), default=None)
        more = self._more_processes(usage.zone)
        if key is None or (gained[key] * 2 < grown and more > 1):
            return Cause("processes", grown, processes=more)
        process = self._process_usages[key]
        file = None
        if kind in ("file", "shmem", "hugetlb") and files is not None:
            file = _grown_file(*files(usage.zone))
        return Cause(kind, grown, process.pid, process.command, file)

    def _gained(self, key: ProcessKey, kind: str, zone: str) -> int:
        """By how much a process grew of a kind; all that it has, if it began later than its zone."""
        names = ("anon", "swap") if kind in ("anon", "swap") else (kind,)
        points = self._processes[key].points(self._seconds, *names)
        began = points[0].seconds <= self._used(self._zones[zone])[0].seconds
        return points[-1].size_bytes - (points[0].size_bytes if began else 0)

    def _more_processes(self, zone: str) -> int:
        counts = [count or 0 for count in self._zones[zone].column("processes")]
        seconds = [point.seconds for point in self._used(self._zones[zone])]
        points = [Point(when, count * _COUNTED) for when, count in zip(seconds, counts, strict=True)]
        return counts[-1] - counts[0] if _trend(points).shape is Shape.GROWS else 0

    def _billed(self, courses: Courses, zone: str) -> Cause | None:
        kind = growing_bill(courses)
        if kind is None:
            return None
        grown = courses.billed.get(kind, 0)
        first = self._first_opened or 0
        # Of one that came later nothing may have been seen before because others were larger.
        files = sorted(
            self._opened.get(zone, {}).values(),
            key=lambda file: (min(file.grown(first)[0], grown), file.seen[0][0] <= first, file.grown(first)),
        )
        if kind != "cache" or not files:
            charged = courses.charged.grown_bytes if courses.charged else 0
            return Cause(kind, grown or charged)
        file = files[-1]
        command = next(
            (usage.command for key, usage in self._process_usages.items() if key[1] == file.pid), None
        )
        return Cause(kind, grown, file.pid, command, file.name)

    def _room(self, usage: Usage) -> Room:
        machine = self._looks[-1].machine
        limit = None
        if usage.limit_bytes is not None and usage.charged_bytes is not None:
            limit = usage.limit_bytes - usage.charged_bytes
        return Room(
            None if limit is None else limit + (usage.cache_unmapped_bytes or 0),
            limit,
            None if machine is None else machine.available_bytes,
        )


def _forget(rows: dict[Key, Rows], usages: dict[Key, Any], looks: int) -> None:
    for key, found in list(rows.items()):
        found.forget(looks)
        if not len(found):
            del rows[key], usages[key]


def _trend(points: Sequence[Point]) -> Trend:
    found = trend_of(points)
    assert found is not None  # who is in a report was in a look
    return found


def _raise(peaks: dict[Key, Point], sizes: Mapping[Key, int], known: Collection[Key], seconds: float) -> None:
    for key, size in sizes.items():
        peak = peaks.get(key)
        if (peak is None or size > peak.size_bytes) and key in known:
            peaks[key] = Point(seconds, size, 0)


def _ends(points: Sequence[Point], passed_over: Point | None) -> tuple[Point, Point, Point, int]:
    peak = max(points, key=lambda point: point.size_bytes)
    if passed_over is not None:
        peak = max(peak, passed_over, key=lambda point: (point.size_bytes, -point.seconds))
    return points[0], points[-1], peak, len(points)


def _order(course: Course) -> tuple[float, int]:
    """Those that grow fastest first, then the largest."""
    return -(course.verdict.bytes_per_second or 0.0), -course.last.size_bytes


def _grown_file(before: Sequence[FileUsage], after: Sequence[FileUsage]) -> str | None:
    """The name of the file of which there is more than before, most of all."""
    had = {usage.file: usage.bytes for usage in before}
    names = {(file.device, file.inode, file.kind): size for file, size in had.items() if file is not None}
    gained = {
        usage.file.name: usage.bytes - names.get((usage.file.device, usage.file.inode, usage.file.kind), 0)
        for usage in after
        if usage.file is not None
    }
    most = max(gained, key=lambda name: gained[name], default=None)
    return None if most is None or gained[most] < PAGE_BYTES else most


def _wears_off(worker: Worker, found: Verdict) -> Verdict:
    return Verdict(
        Word.UNSHARING,
        f"of what it maps it shared {format_size(worker.shared_first_bytes)} with others at first and "
        f"{format_size(worker.shared_last_bytes)} in the end, while its rss stayed: it, or those that it "
        "shares with, write to memory that was inherited",
        "it ends when all that is written to has been copied",
        Cause("anon", worker.worn_bytes, worker.pid, worker.command),
        found.slope,
        stays=True,
    )


@dataclass(frozen=True, slots=True)
class Compared:
    """A zone in two reports. None: it is not in one of them."""

    zone: str
    before: ZoneReport | None
    after: ZoneReport | None

    @property
    def growth_change(self) -> float | None:
        """By how many bytes a second it grows faster; None: not known of both."""
        paces = [None if one is None else one.verdict.bytes_per_second for one in (self.before, self.after)]
        return None if paces[0] is None or paces[1] is None else paces[1] - paces[0]

    @property
    def peak_change(self) -> int | None:
        """By how many bytes its peak is higher; None: it is in one of them only."""
        if self.before is None or self.after is None:
            return None
        return self.after.peak.size_bytes - self.before.peak.size_bytes


def compared(before: Report, after: Report) -> list[Compared]:
    """The zones of two reports, worst growth first: how much faster, then how much more at the peak."""
    sides: tuple[Mapping[str, ZoneReport], ...] = tuple(
        {zone.usage.zone: zone for zone in report.zones} for report in (before, after)
    )
    names = dict.fromkeys([*sides[1], *sides[0]])
    rows = [Compared(name, sides[0].get(name), sides[1].get(name)) for name in names]

    def order(row: Compared) -> tuple[float, int, str]:
        pace = row.growth_change
        if pace is None and row.after is not None:
            pace = row.after.verdict.bytes_per_second
        return -(pace or 0.0), -(row.peak_change or 0), row.zone

    return sorted(rows, key=order)
