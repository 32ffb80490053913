"""The number that each tool prints for one zone, by its own formula. Pure.

Each formula is its vendor's, as docs/explain.md cites it. A number with unknown inputs is None.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Number:
    """One number that a tool prints."""

    name: str
    """The tool."""
    bytes: int | None
    formula: str
    answers: str
    """The question that it answers."""


def everyones(facts: Facts) -> tuple[Number, ...]:
    """The table, from the page tables' numbers to the bill's."""
    bill = facts.bill
    version = bill.version if bill else 2
    charged = bill.charged_bytes if bill else None
    return (
        Number("ps, prstat", facts.process_rss_bytes, "sum of process RSS", "every mapping of a page"),
        Number("getvmusage", facts.incore_bytes, "--basis incore", "mapped, or cached there"),
        Number("zonerss", facts.rss_bytes, "frames mapped, each once", "mapped by the zone"),
        Number("SmartOS live", facts.exclusive_bytes, "frames no other zone maps", "goes with the zone"),
        Number("zone's share", facts.proportional_bytes, "frame / zones that map it", "adds up over zones"),
        Number("smem, ps_mem", facts.pss_bytes, "PSS: frame / processes", "adds up over processes"),
        Number("USS", facts.uss_bytes, "frames of one process only", "goes with one process"),
        Number(_CHARGED[version], charged, "charged to the cgroup", "first to touch it pays"),
        Number("systemd-cgtop", charged, _CHARGED[version], "the same"),
        Number("docker stats", _without_inactive_file(bill), _DOCKER[version], "bill less idle cache"),
        Number(
            "podman stats", _without_inactive_file(bill, floor=True), _DOCKER[version], "the same, since 2025"
        ),
        Number("podman, before", _podman_before(bill), _PODMAN_BEFORE[version], "bill without cache"),
        Number(
            "kubelet", _without_inactive_file(bill, floor=True), _DOCKER[version], "working set: evicts by it"
        ),
        *(Number(f"memory.stat {name}", value, key, what) for name, value, key, what in _stat_rows(bill)),
    )


_CHARGED = {1: "usage_in_bytes", 2: "memory.current"}
_DOCKER = {1: "usage - total_inactive_file", 2: "current - inactive_file"}
_PODMAN_BEFORE = {1: "active_anon + inactive_anon", 2: "memory.stat anon"}


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
