"""Is it a leak? One verdict on the course of a zone or of a process, what it rests on, and what would change it. Pure.

grows       what is mapped, or its swap, grows: of which kind, by which process, or which file
unsharing   it grows because processes write to memory that they inherited at fork: each write makes a copy, so what
            they share wears off
bill-only   what is mapped does not grow, what the cgroup is charged for does: page cache that nobody maps, or memory of
            the kernel
saw-tooth   it rises and falls again, and its troughs do not climb
steady      none of these
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from zonerss.answers.slopes import Slope
from zonerss.answers.trend import Shape, Trend
from zonerss.plain import dataclass, field
from zonerss.units import format_size

_UNSHARED_PART = 0.5
"""Copies are why a zone grows if they are so much of what it grew."""
_WORN_PART = 0.25
"""What a process shares wears off if its rss changes by no more than this part of it meanwhile."""
_LONGEST_SECONDS = 10 * 365.25 * 86_400
"""What is farther away than ten years is not met."""


class Word(StrEnum):
    """A verdict."""

    STEADY = "steady"
    GROWS = "grows"
    SAW_TOOTH = "saw-tooth"
    BILL_ONLY = "bill-only"
    UNSHARING = "unsharing"


@dataclass(frozen=True, slots=True)
class Cause:
    """What it is that grows."""

    kind: str
    """anon, file, shmem, hugetlb or swap; cache, slab, sockets or kernel where only the bill grows; processes."""
    grown_bytes: int
    pid: int | None = None
    """The process that it is of; one that has the file open."""
    command: str | None = None
    file: str | None = None
    """The file that grew most."""
    processes: int = 0
    """By how many processes there are more."""


@dataclass(frozen=True, slots=True)
class Met:
    """What will be met, and in how long, at this pace."""

    what: str
    """limit, or machine."""
    in_seconds: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found."""

    word: Word | None
    """None: there are too few snapshots to tell."""
    because: str
    """What it rests on, a sentence without its full stop. Names in it are a stranger's."""
    would_change: str
    """What would change it, likewise."""
    cause: Cause | None = None
    slope: Slope | None = None
    """Of what the verdict is about: what is mapped with its swap, or the bill. None: there are too few snapshots."""
    stays: bool = False
    """Of a process whose sharing wears off: its rss does not grow."""
    period_seconds: float | None = None
    """Of a saw-tooth, where it fell twice."""
    meets: Met | None = None

    @property
    def bytes_per_second(self) -> float | None:
        """How fast its own memory grows: 0 where it is not sure that it does, or only its bill grows; None: unknown."""
        if self.word is None or self.slope is None:
            return None
        grows = self.word in (Word.GROWS, Word.UNSHARING) and not self.stays
        return self.slope.bytes_per_second if grows else 0.0


@dataclass(frozen=True, slots=True)
class Room:
    """How much there is until something is met. None: there is no such limit, or it is not known."""

    limit_bytes: int | None = None
    """To the limit, the page cache that can be reclaimed not counted."""
    limit_with_cache_bytes: int | None = None
    """To the limit, all that is charged counted."""
    machine_bytes: int | None = None
    """That programs can get from the machine."""


@dataclass(frozen=True, slots=True)
class Worker:
    """A process, and what it shares with others."""

    pid: int
    command: str
    rss_grown_bytes: int
    shared_first_bytes: int
    shared_last_bytes: int

    @property
    def worn_bytes(self) -> int:
        """What of its sharing has worn off while its rss stayed what it was."""
        worn = self.shared_first_bytes - self.shared_last_bytes
        return worn if worn > 0 and abs(self.rss_grown_bytes) <= worn * _WORN_PART else 0


@dataclass(frozen=True, slots=True)
class Courses:
    """The courses that a verdict rests on."""

    used: Trend
    """What is mapped, swap and hugetlb pages."""
    kinds: Mapping[str, Trend] = field(default_factory=dict)
    """Of it, by kind: anon, file, shmem, hugetlb, swap; empty: it does not grow."""
    charged: Trend | None = None
    """None: it has no bill."""
    beside: Trend | None = None
    """What is on the bill beyond what is used, negative where others pay."""
    billed: Mapping[str, int] = field(default_factory=dict)
    """By how many bytes of it cache, slab, sockets and kernel grew from first to last."""
    workers: Sequence[Worker] = ()
    """Processes that were there for most of the time."""
    seconds: float = 0.0
    """How long it was watched."""


def judged(courses: Courses, cause: Cause | None, billed: Cause | None, room: Room | None = None) -> Verdict:
    """
    The verdict.

    :param cause: what grows of what is mapped, if that grows; see :func:`growing_kind`
    :param billed: what grows of the bill, if that grows alone; see :func:`growing_bill`
    :param room: what can be met; None: nothing
    """
    used = courses.used
    if used.shape is None:
        return Verdict(None, used.why, f"{_MORE} would tell", slope=used.slope)
    if used.shape is Shape.GROWS:
        return _growing(courses, cause, room)
    if billed is not None:
        return _billed(courses, billed, room)
    if used.shape is Shape.SAW_TOOTH:
        return _saw(used)
    return _steady(used)


_MORE = "snapshots over a longer time"


def growing_kind(courses: Courses) -> str:
    """The kind that grows most; that which gained most, where none is sure to grow."""
    kinds = courses.kinds
    growing = {name: trend.grown_bytes for name, trend in kinds.items() if trend.shape is Shape.GROWS}
    gained = growing or {name: _gain(trend) for name, trend in kinds.items()}
    return max(gained, key=lambda name: gained[name], default="anon")


def growing_bill(courses: Courses) -> str | None:
    """What of the bill grows beside what is mapped: cache, slab, sockets, kernel, or other; None: it does not grow."""
    charged, beside = courses.charged, courses.beside
    if charged is None or beside is None or courses.used.shape is Shape.GROWS:
        return None
    alone = beside.shape is Shape.GROWS and _gain(charged) * 2 >= beside.grown_bytes
    if charged.shape is not Shape.GROWS and not alone:
        return None
    billed = courses.billed
    most = max(billed, key=lambda name: billed[name], default=None)
    return "other" if most is None or billed[most] * 2 < max(_gain(charged), 0) else most


def _gain(trend: Trend) -> int:
    return trend.last.size_bytes - trend.first.size_bytes


def _growing(courses: Courses, cause: Cause | None, room: Room | None) -> Verdict:
    used, slope = courses.used, courses.used.slope
    worn = [worker for worker in courses.workers if worker.worn_bytes]
    copied = sum(worker.worn_bytes for worker in worn)
    met = _met(slope, room.limit_bytes if room else None, room.machine_bytes if room else None)
    said = f"+{format_size(used.grown_bytes)}{_in(courses, used)}"
    if copied >= _UNSHARED_PART * used.grown_bytes and (cause is None or cause.kind == "anon"):
        return _unsharing(courses, worn, copied, said, met)
    what = "" if cause is None else f": {_what(cause)}"
    beside = ""
    if courses.beside is not None and courses.beside.shape is Shape.GROWS:
        beside = f"; its bill grows by {format_size(courses.beside.grown_bytes)} more"
    return Verdict(
        Word.GROWS,
        f"{said}{what}; {used.why}{beside}",
        "it would be steady if it did not rise for the last third of the time, and a saw-tooth if it fell back",
        cause,
        slope,
        meets=met,
    )


def _unsharing(courses: Courses, worn: Sequence[Worker], copied: int, said: str, met: Met | None) -> Verdict:
    first = sum(worker.shared_first_bytes for worker in worn) // len(worn)
    last = sum(worker.shared_last_bytes for worker in worn) // len(worn)
    most = max(
        worn, key=lambda worker: (worker.worn_bytes, worker.pid)
    )  # a parent loses as much as its last child
    many = "1 process" if len(worn) == 1 else f"each of {len(worn)} processes, on average,"
    return Verdict(
        Word.UNSHARING,
        f"{said}: {many} shared {format_size(first)} with others at first and {format_size(last)} in the end, while "
        f"its own rss stayed: they write to memory that they inherited; most of it pid {most.pid} ({most.command})",
        f"it ends when all that is written to has been copied: {format_size(last)} a process are still shared",
        Cause("anon", copied, most.pid, most.command),
        courses.used.slope,
        meets=met,
    )


def _billed(courses: Courses, billed: Cause, room: Room | None) -> Verdict:
    charged = courses.charged
    assert charged is not None
    slope = charged.slope
    met = _met(slope, room.limit_with_cache_bytes if room else None, None)
    reclaimed = (
        "it goes when memory is needed"
        if billed.kind == "cache"
        else "it is the kernel's, not its processes'"
    )
    own = "rises and falls" if courses.used.shape is Shape.SAW_TOOTH else "does not grow"
    return Verdict(
        Word.BILL_ONLY,
        f"+{format_size(max(_gain(charged), billed.grown_bytes))} charged{_in(courses, charged)}, while what it maps "
        f"{own}: {_what(billed)}; {reclaimed}",
        "it would grow itself if what it maps grew as well",
        billed,
        slope,
        meets=met,
    )


def _saw(used: Trend) -> Verdict:
    each = "" if used.period_seconds is None else f", one fall every {_seconds(used.period_seconds)}"
    far = format_size(used.amplitude_bytes)
    return Verdict(
        Word.SAW_TOOTH,
        f"{used.why}, by {far} the median{each}" if each else f"{used.why}; the fall was of {far}",
        "it would grow if each of five troughs lay above the one before"
        if each
        else f"{_MORE} would tell whether it falls again",
        slope=used.slope,
        period_seconds=used.period_seconds,
    )


def _steady(used: Trend) -> Verdict:
    return Verdict(
        Word.STEADY,
        used.why,
        f"growth of less than {format_size(used.least_bytes)} in this time would not be told: {_MORE} would",
        slope=used.slope,
    )


def _what(cause: Cause) -> str:
    process = "" if cause.pid is None else f"pid {cause.pid} ({cause.command})"
    grown = format_size(cause.grown_bytes)
    if cause.kind == "processes":
        return f"{cause.processes} processes more than at first"
    if cause.kind == "cache":
        of = (
            f" of {cause.file} (open by {process})"
            if cause.file and process
            else f" of {cause.file}"
            if cause.file
            else ""
        )
        unknown = "" if cause.file else ", of which file was not recorded"
        return f"{grown} of it page cache that nobody maps{of}{unknown}"
    if cause.kind in ("slab", "sockets", "kernel", "other"):
        return f"{grown} of it {_BILLED[cause.kind]}"
    named = f"{cause.kind} of {process}" if process else cause.kind
    return f"{grown} of it {named}{f', most of it {cause.file}' if cause.file else ''}"


_BILLED = {
    "slab": "slab memory of the kernel",
    "sockets": "socket buffers",
    "kernel": "memory of the kernel",
    "other": "neither page cache nor memory of the kernel",
}


def _in(courses: Courses, trend: Trend) -> str:
    seconds = courses.seconds
    if trend.since_seconds is not None:
        seconds = trend.last.seconds - trend.since_seconds
    fell = " since it fell" if trend.since_seconds is not None else ""
    return f" in {_seconds(seconds)}{fell}"


def _seconds(seconds: float) -> str:
    for unit, name in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _met(slope: Slope | None, limit_bytes: int | None, machine_bytes: int | None) -> Met | None:
    if slope is None or slope.bytes_per_second <= 0:
        return None
    rooms = {"limit": limit_bytes, "machine": machine_bytes}
    found = [
        Met(what, max(room, 0) / slope.bytes_per_second) for what, room in rooms.items() if room is not None
    ]
    nearest = min(found, key=lambda met: met.in_seconds, default=None)
    return None if nearest is None or nearest.in_seconds > _LONGEST_SECONDS else nearest
