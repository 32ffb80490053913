"""The metrics of one look, in Prometheus' text format and in OpenMetrics. Pure.

What a look does not know is no series, never 0. The names are our
own: container_memory_rss and the like mean something else (docs/prometheus.md).

Source: prometheus.io/docs/instrumenting/exposition_formats; OpenMetrics 1.0 (RFC draft), "Metric Types".
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import accumulate
from typing import NamedTuple

from prometheus_client.metrics_core import Metric
from prometheus_client.utils import floatToGoString

from zonerss.cap.status import ZoneStatus
from zonerss.records import Cause, Usage
from zonerss.records.machine import Machine
from zonerss.serve.labels import info_labels, spelled
from zonerss.serve.look import WALK_BUCKETS, Look
from zonerss.views.text import printable

CONTENT_TYPES = {
    False: "text/plain; version=0.0.4; charset=utf-8",
    True: "application/openmetrics-text; version=1.0.0; charset=utf-8",
}
"""By whether it is OpenMetrics."""

Labels = dict[str, str]
Sample = tuple[str, Labels, float]
"""What the name ends with beyond that of its family (of histograms only), labels, value."""


class Family(NamedTuple):
    """The series of one name."""

    name: str
    """Of a counter with _total, of an info with _info: as it is queried."""
    type: str
    """gauge, counter, histogram or info."""
    labels: tuple[str, ...]
    help: str
    samples: Callable[[_Read], Iterable[Sample]]


class _Read:
    """A look, and the labels of its zones, which all families need."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.snapshot = look.snapshot
        self.label = spelled(
            {usage.zone for usage in look.snapshot.zones}.union(*(pair.zones for pair in look.pairs))
        )
        self.zones = [({"zone": self.label[usage.zone]}, usage) for usage in look.snapshot.zones]


# ---- each zone -------------------------------------------------------------------------------------------


def _of_zone(name: str, help: str, value: Callable[[Usage], float | None], type: str = "gauge") -> Family:
    def samples(read: _Read) -> Iterator[Sample]:
        for labels, usage in read.zones:
            if (amount := value(usage)) is not None:
                yield "", labels, amount

    return Family(f"zonerss_zone_{name}", type, ("zone",), help, samples)


def _ratio(percent: float | None) -> float | None:
    return None if percent is None else round(percent / 100, 6)


def _kinds(usage: Usage) -> Iterator[tuple[str, int]]:
    yield "anon", usage.anon_bytes
    yield "file", usage.file_bytes
    yield "shmem", usage.shmem_bytes


def _info(read: _Read) -> Iterator[Sample]:
    for labels, usage in read.zones:
        yield "", info_labels(usage, labels["zone"]), 1


def _rss(read: _Read) -> Iterator[Sample]:
    for labels, usage in read.zones:
        for kind, amount in _kinds(usage):
            yield "", {**labels, "kind": kind}, amount


def _growth(read: _Read) -> Iterator[Sample]:
    for labels, usage in read.zones:
        by_minute = read.look.growth.bytes_per_minute(usage.zone)
        if by_minute is not None:
            yield "", labels, by_minute / 60


def _of_cap(name: str, help: str, value: Callable[[ZoneStatus], float | None], type: str = "gauge") -> Family:
    def samples(read: _Read) -> Iterator[Sample]:
        for labels, usage in read.zones:
            cap = read.look.caps.get(usage.zone)
            if cap is not None and (amount := value(cap)) is not None:
                yield "", labels, amount

    return Family(f"zonerss_zone_cap_{name}", type, ("zone",), help, samples)


_CAPS = (
    _of_cap(
        "bytes", "What its rss is held under. These are of zones under a cap only.", lambda c: c.cap_bytes
    ),
    _of_cap("excess_bytes", "Its rss above its cap; 0: it is not above.", lambda c: c.excess_bytes),
    _of_cap(
        "cold_bytes",
        "What it alone maps, once, and had not touched when the capper looked last. No series: not measured.",
        lambda c: c.cold_bytes,
    ),
    _of_cap("episodes_total", "How often it went over its cap.", lambda c: c.nover, "counter"),
    _of_cap(
        "paged_out_bytes_total",
        "What left its memory because of its cap.",
        lambda c: c.pout_bytes,
        "counter",
    ),
    _of_cap(
        "refault_bytes_total",
        "Of what left: came back within 5 s. Much of it: its working set is above its cap.",
        lambda c: c.refault_bytes,
        "counter",
    ),
)

_ZONES = (
    Family(
        "zonerss_zone_info",
        "info",
        ("zone", "kind", "namespace", "pod", "container", "id", "cgroup"),
        "What is known of a zone beside its figures; join it by the label zone. Always 1.",
        _info,
    ),
    Family(
        "zonerss_zone_rss_bytes",
        "gauge",
        ("zone", "kind"),
        "Memory that the zone maps, each page once however many of its processes map it, by kind: anon, file, shmem.",
        _rss,
    ),
    _of_zone("exclusive_bytes", "Of its rss: mapped by no other zone.", lambda u: u.exclusive_bytes),
    _of_zone("shared_bytes", "Of its rss: mapped by other zones, too.", lambda u: u.shared_bytes),
    _of_zone(
        "proportional_bytes",
        "Each page of its rss divided by the number of zones that map it; adds up to zonerss_system_rss_bytes.",
        lambda u: u.proportional_bytes,
    ),
    _of_zone(
        "hugetlb_bytes", "hugetlb pages that it maps, which are not in its rss.", lambda u: u.hugetlb_bytes
    ),
    _of_zone("swap_bytes", "Swap slots that its page tables refer to, each once.", lambda u: u.swap_bytes),
    _of_zone(
        "charged_bytes",
        "What the kernel bills its cgroup (memory.current or usage_in_bytes), less other zones below it.",
        lambda u: u.charged_bytes,
    ),
    _of_zone(
        "limit_bytes",
        "The smallest limit (memory.max or limit_in_bytes) from its cgroup up. No series: none, or not known.",
        lambda u: u.limit_bytes,
    ),
    _of_zone(
        "process_rss_bytes",
        "The sum of its processes' RSS as ps tells it, which counts a shared page once per process: too much.",
        lambda u: u.process_rss_bytes,
    ),
    _of_zone(
        "uncertainty_bytes",
        "How far its rss can be from its value at any one moment, because processes ran on during the walk.",
        lambda u: u.uncertainty_bytes,
    ),
    _of_zone("processes", "Processes that were walked.", lambda u: u.processes),
    _of_zone(
        "cache_unmapped_bytes",
        "Page cache and shared memory on its bill that no process of any zone maps.",
        lambda u: u.cache_unmapped_bytes,
    ),
    _of_zone(
        "dead_cgroups_bytes",
        "On its bill, and charged to cgroups that were removed. cgroup version 1 only.",
        lambda u: u.dead_cgroups_bytes,
    ),
    _of_zone(
        "dying_cgroups",
        "Cgroups below it that were removed and are still charged or referred to. cgroup version 2 only.",
        lambda u: u.dying_cgroups,
    ),
    _of_zone(
        "pressure_ratio",
        "Share of the last 10 s in which a task of its cgroup waited for memory (PSI some). cgroup version 2 only.",
        lambda u: _ratio(u.pressure_some),
    ),
    _of_zone(
        "oom_kills_total",
        "Its processes that were killed for want of memory since its cgroup was made.",
        lambda u: u.oom_kills,
        "counter",
    ),
    Family(
        "zonerss_zone_growth_bytes_per_second",
        "gauge",
        ("zone",),
        "Robust slope of its rss over the latest walks; 0 where it is not sure that it grows or shrinks.",
        _growth,
    ),
)


# ---- the machine -----------------------------------------------------------------------------------------


def _of_machine(name: str, help: str, value: Callable[[Machine], float | None]) -> Family:
    def samples(read: _Read) -> Iterator[Sample]:
        machine = read.snapshot.machine
        if machine is not None and (amount := value(machine)) is not None:
            yield "", {}, amount

    return Family(f"zonerss_machine_{name}", "gauge", (), help, samples)


def _system_rss(read: _Read) -> Iterator[Sample]:
    for kind, amount in _kinds(read.snapshot.total):
        yield "", {"kind": kind}, amount


def _pairs(read: _Read) -> Iterator[Sample]:
    for pair in read.look.pairs:
        one, other = (read.label[zone] for zone in pair.zones)
        yield "", {"zone_a": one, "zone_b": other}, pair.bytes


_MACHINE = (
    Family(
        "zonerss_system_rss_bytes",
        "gauge",
        ("kind",),
        "Memory that all zones taken together map, each page once, by kind.",
        _system_rss,
    ),
    Family(
        "zonerss_pair_shared_bytes",
        "gauge",
        ("zone_a", "zone_b"),
        "What two zones both map; the pairs that share most, as many as serve --pairs says.",
        _pairs,
    ),
    _of_machine("memory_bytes", "All memory that the kernel manages (MemTotal).", lambda m: m.memory_bytes),
    _of_machine("free_bytes", "MemFree.", lambda m: m.free_bytes),
    _of_machine("available_bytes", "MemAvailable, an estimate of the kernel's.", lambda m: m.available_bytes),
    _of_machine(
        "page_cache_bytes",
        "Files on disk and block devices in page cache, mapped or not (Cached + Buffers - Shmem).",
        lambda m: m.page_cache_bytes,
    ),
    _of_machine("shmem_bytes", "tmpfs, memfds and shared memory, mapped or not.", lambda m: m.shmem_bytes),
    _of_machine(
        "kernel_bytes",
        "Slab, page tables, stacks, per-cpu memory, vmalloc: what the kernel counts of its own memory.",
        lambda m: m.kernel_bytes,
    ),
    _of_machine("hugetlb_bytes", "hugetlb pools of all sizes, in use or not.", lambda m: m.hugetlb_bytes),
    _of_machine("swap_bytes", "SwapTotal.", lambda m: m.swap_bytes),
    _of_machine("swap_free_bytes", "SwapFree.", lambda m: m.swap_free_bytes),
    _of_machine(
        "pressure_ratio",
        "Share of the last 10 s in which some task waited for memory (PSI some).",
        lambda m: _ratio(m.pressure_some),
    ),
)


# ---- the walk and the program ----------------------------------------------------------------------------


def _of_look(
    name: str, help: str, value: Callable[[Look], float], type: str = "gauge", prefix: str = "zonerss_walk_"
) -> Family:
    return Family(prefix + name, type, (), help, lambda read: [("", {}, value(read.look))])


def _gaps(read: _Read) -> Iterator[Sample]:
    found = Counter(gap.cause for gap in read.snapshot.gaps)
    for cause in Cause:
        yield "", {"cause": str(cause)}, found[cause]


def _gaps_total(read: _Read) -> Iterator[Sample]:
    for cause in Cause:
        yield "", {"cause": str(cause)}, read.look.counts.gaps.get(cause, 0)


def _durations(read: _Read) -> Iterator[Sample]:
    counts = read.look.counts
    so_far = tuple(accumulate(counts.walks_by_seconds))
    for bound, count in zip((*map(floatToGoString, WALK_BUCKETS), "+Inf"), so_far, strict=True):
        yield "_bucket", {"le": bound}, count
    yield "_count", {}, so_far[-1]
    yield "_sum", {}, counts.walk_seconds


def _warnings(read: _Read) -> Iterator[Sample]:
    for name in dict.fromkeys(caveat.name for caveat in read.snapshot.warnings):
        yield "", {"name": name}, 1


def _walk_info(read: _Read) -> Iterator[Sample]:
    snapshot = read.snapshot
    yield "", {"source": snapshot.source, "basis": snapshot.basis, "by": printable(snapshot.by, "utf-8")}, 1


def _build_info(read: _Read) -> Iterator[Sample]:
    build = read.look.build
    yield (
        "",
        {"version": build.version, "python": build.python, "kernel": printable(build.kernel, "utf-8")},
        1,
    )


_WALK = (
    _of_look("seconds", "How long the walk of these figures took.", lambda look: look.walk_seconds),
    _of_look(
        "timestamp_seconds",
        "When it was done, in seconds of Unix time.",
        lambda look: look.snapshot.ended.timestamp(),
    ),
    _of_look(
        "pages",
        "Page table entries that map memory, of all address spaces.",
        lambda look: look.snapshot.walk_pages,
    ),
    _of_look(
        "interval_seconds",
        "Time between the beginnings of two walks, as --max-cpu lets it be.",
        lambda look: look.stretched_seconds,
    ),
    _of_look(
        "interval_wanted_seconds",
        "The same as --interval asks for.",
        lambda look: look.interval_seconds,
    ),
    Family(
        "zonerss_walk_duration_seconds",
        "histogram",
        ("le",),
        "How long walks took since the start.",
        _durations,
    ),
    _of_look(
        "failures_total",
        "Walks that could not be done; the one before them is served on.",
        lambda look: look.counts.failures,
        "counter",
    ),
    _of_look(
        "cpu_seconds_total",
        "Processor time that walks, encoding them, and keeping what was before kills took.",
        lambda look: look.counts.processor_seconds,
        "counter",
    ),
    Family("zonerss_gaps", "gauge", ("cause",), "What this walk could not see, by cause.", _gaps),
    Family(
        "zonerss_gaps_met_total",
        "counter",
        ("cause",),
        "What all walks since the start could not see, by cause.",
        _gaps_total,
    ),
    Family(
        "zonerss_warning",
        "gauge",
        ("name",),
        "What holds for all figures: pid_namespace, cgroups or names (docs/json.md, warnings). 1 where it does.",
        _warnings,
    ),
    Family(
        "zonerss_walk_info",
        "info",
        ("source", "basis", "by"),
        "Where frames came from, what counts, and how zones are grouped. Always 1.",
        _walk_info,
    ),
    Family(
        "zonerss_build_info",
        "info",
        ("version", "python", "kernel"),
        "What this program is and runs on. Always 1.",
        _build_info,
    ),
)

FAMILIES: tuple[Family, ...] = (*_ZONES, *_CAPS, *_MACHINE, *_WALK)
"""Every series of a look. How old it is at the time of a scrape is :mod:`zonerss.serve.moving`'s."""


# ---- encoding --------------------------------------------------------------------------------------------

_SUFFIX = {"counter": "_total", "info": "_info"}
"""What a type adds to the name."""
_float_text: Callable[[float], str] = floatToGoString  # which not every version of the library annotates
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def exposition(look: Look, openmetrics: bool) -> bytes:
    """
    The metrics of a look, as a scrape gets them.

    Byte for byte what prometheus_client makes of :func:`metrics_of`, in a fraction of the time: what is spelled the
    same in many lines is spelled once.

    :param openmetrics: in OpenMetrics, which ends with ``# EOF``; else in the classic text format
    """
    read, text = _Read(look), _Text()
    lines: list[str] = []
    for family in FAMILIES:
        lines += _head(family, openmetrics)
        for suffix, labels, value in family.samples(read):
            lines.append(f"{family.name}{suffix}{text.labels(labels)} {text.value(value)}\n")
    if openmetrics:
        lines.append("# EOF\n")
    return "".join(lines).encode()


def _head(family: Family, openmetrics: bool) -> tuple[str, str]:
    name, type = family.name, family.type
    if openmetrics:
        name = name.removesuffix(_SUFFIX.get(type, ""))
    elif type == "info":
        type = "gauge"
    return f"# HELP {name} {family.help}\n", f"# TYPE {name} {type}\n"


class _Text:
    """Spells labels and values, each once."""

    def __init__(self) -> None:
        self._labels: dict[int, tuple[Labels, str]] = {}
        """By identity, for as long as they are kept here: the same labels are in most lines of a zone."""
        self._values: dict[float, str] = {}

    def labels(self, labels: Labels) -> str:
        if not labels:
            return ""
        known = self._labels.get(id(labels))
        if known is None:
            pairs = ",".join([f'{name}="{labels[name].translate(_ESCAPES)}"' for name in sorted(labels)])
            known = self._labels[id(labels)] = labels, f"{{{pairs}}}"
        return known[1]

    def value(self, value: float) -> str:
        if value not in self._values:
            self._values[value] = _float_text(value)
        return self._values[value]


def metrics_of(look: Look) -> Iterator[Metric]:
    """The families of a look as prometheus_client has them: their names without what the type adds."""
    read = _Read(look)
    for family in FAMILIES:
        name = family.name.removesuffix(_SUFFIX.get(family.type, ""))
        found = Metric(name, family.help, family.type)
        for suffix, labels, value in family.samples(read):
            found.add_sample(family.name + suffix, labels, value)
        yield found
