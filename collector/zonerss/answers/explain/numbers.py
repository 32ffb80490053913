"""The number that each tool prints for one zone, by its own formula. Pure.

Each formula is its vendor's, as docs/explain.md cites it. A number with unknown inputs is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from zonerss.plain import dataclass
from zonerss.records.bills import Bill


@dataclass(frozen=True, slots=True)
class Facts:
    """The inputs of the formulas, in bytes; None where unknown."""

    process_rss_bytes: int
    pss_bytes: int
    """Each frame divided by the number of address spaces that map it, summed over the zone's processes."""
    uss_bytes: int
    """Frames that one address space maps and no other, summed over the zone's processes."""
    rss_bytes: int
    incore_bytes: int | None
    exclusive_bytes: int | None
    proportional_bytes: int | None
    bill: Bill | None
    """Of the whole cgroup, zones below it included, as other tools read it."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number that a tool prints."""

    name: str
    """The tool."""
    bytes: int | None
    formula: str
    answers: str
    """The question that it answers."""
    whole_cgroup: bool = False
    """Of the zone's whole cgroup, zones below it included; else of the zone's own processes."""


def everyones(facts: Facts) -> tuple[Number, ...]:
    """The table, from the page tables' numbers to the bill's."""
    bill = facts.bill
    version = bill.version if bill else 2
    return (
        Number("ps, prstat", facts.process_rss_bytes, "sum of process RSS", "every mapping of a page"),
        Number("getvmusage", facts.incore_bytes, "--basis incore", "mapped, or cached there"),
        Number("zonerss", facts.rss_bytes, "frames mapped, each once", "mapped by the zone"),
        Number("SmartOS live", facts.exclusive_bytes, "frames no other zone maps", "goes with the zone"),
        Number("zone's share", facts.proportional_bytes, "frame / zones that map it", "adds up over zones"),
        Number("smem, ps_mem", facts.pss_bytes, "PSS: frame / processes", "adds up over processes"),
        Number("USS", facts.uss_bytes, "frames of one process only", "goes with one process"),
        *_of_the_cgroup(bill, version),
    )


def _of_the_cgroup(bill: Bill | None, version: int) -> Iterator[Number]:
    charged = bill.charged_bytes if bill else None
    active, or_0 = _without_inactive_file(bill), _without_inactive_file(bill, floor=True)
    for name, size, formula, answers in (
        (_CHARGED[version], charged, "charged to the cgroup", "first to touch it pays"),
        ("systemd-cgtop", charged, _CHARGED[version], "the same"),
        ("docker stats", active, _DOCKER[version], "bill less idle cache"),
        ("podman stats", or_0, _DOCKER[version], "the same, since 2025"),
        ("podman, before", _podman_before(bill), *_PODMAN_BEFORE[version]),
        ("podman, at first", charged, *_PODMAN_FIRST[version]),
        ("kubelet", or_0, _DOCKER[version], "working set: evicts by it"),
        *((f"memory.stat {name}", value, key, what) for name, value, key, what in _stat_rows(bill)),
    ):
        yield Number(name, size, formula, answers, whole_cgroup=True)


_CHARGED = {1: "usage_in_bytes", 2: "memory.current"}
_DOCKER = {1: "usage - total_inactive_file", 2: "current - inactive_file"}
# containers/common, each by cgroup version: #870 (December 2021), #1643 (September 2023), #2455 (June 2025)
_PODMAN_BEFORE = {
    1: ("active_anon + inactive_anon", "2023 to 2025: without cache"),
    2: ("memory.stat anon", "2022 to 2025: without cache"),
}
_PODMAN_FIRST = {
    1: ("usage_in_bytes", "until 2023: all of it"),
    2: ("memory.current", "until 2021: all of it"),
}


def _without_inactive_file(bill: Bill | None, floor: bool = False) -> int | None:
    """
    docker's, podman's and kubelet's formula. Where the cache is larger than the bill, docker prints the whole bill,
    the others 0 (floor).
    """
    if bill is None or bill.charged_bytes is None or "inactive_file" not in bill.stat:
        return None
    inactive = bill.stat["inactive_file"]
    if inactive < bill.charged_bytes:
        return bill.charged_bytes - inactive
    return 0 if floor else bill.charged_bytes


def _podman_before(bill: Bill | None) -> int | None:
    if bill is None:
        return None
    if bill.version == 2:
        return bill.anon_bytes
    return _sum(bill.stat, "active_anon", "inactive_anon")


def _sum(stat: Mapping[str, int], *names: str) -> int | None:
    return sum(stat[name] for name in names) if all(name in stat for name in names) else None


def _stat_rows(bill: Bill | None) -> tuple[tuple[str, int | None, str, str], ...]:
    stat = bill.stat if bill else {}
    if bill and bill.version == 1:
        keys = {"anon": "total_rss", "file": "total_cache", "shmem": "total_shmem"}
    else:
        keys = {"anon": "anon", "file": "file", "shmem": "shmem"}
    what = {
        "anon": "bill: anon, mapped",
        "file": "bill: cache, shmem too",
        "shmem": "bill: tmpfs, shared",
    }
    return tuple((name, stat.get(key.removeprefix("total_")), key, what[name]) for name, key in keys.items())
