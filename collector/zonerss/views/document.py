"""What all documents have in common (docs/json.md): JSON, sizes in whole bytes, unknown is null, never 0."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from zonerss.plain import asdict
from zonerss.records import MAPCOUNT_CLASSES, Gap, Mapcounts, ProcessUsage, Usage
from zonerss.records.machine import Machine
from zonerss.snapshot import Snapshot
from zonerss.views.text import encodable


def header(schema: str, snapshot: Snapshot) -> dict[str, Any]:
    """What every document of a snapshot begins with."""
    return {
        "schema": schema,
        "began": time_text(snapshot.began),
        "ended": time_text(snapshot.ended),
        "source": snapshot.source,
        "basis": snapshot.basis,
        "by": snapshot.by,
        "page_size": snapshot.page_size,
        "machine": machine_fields(snapshot.machine),
        "uncertainty": snapshot.uncertainty,
        **({"unsettled_bytes": snapshot.unsettled_bytes} if snapshot.unsettled_bytes else {}),
        "warnings": [{"name": caveat.name, "text": encodable(caveat.text)} for caveat in snapshot.warnings],
    }


def machine_fields(machine: Machine | None) -> dict[str, Any] | None:
    """The memory of the whole machine by the kernel's counters; None: it is not known."""
    return None if machine is None else {**asdict(machine), "host_name": encodable(machine.host_name)}


def time_text(moment: datetime) -> str:
    """RFC 3339, in UTC, to the microsecond."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def zone_identity(zone: str, cgroup: str | None, id: str | None, kind: str) -> dict[str, Any]:
    """Which zone figures are of."""
    return {
        "zone": encodable(zone),
        "cgroup": None if cgroup is None else encodable(cgroup),
        "id": None if id is None else encodable(id),
        "kind": kind,
    }


def usage_fields(usage: Usage) -> dict[str, Any]:
    """The ZONE FIELDS."""
    return {
        **zone_identity(usage.zone, usage.cgroup, usage.id, usage.kind),
        "processes": usage.processes,
        "process_rss_bytes": usage.process_rss_bytes,
        "rss_bytes": usage.rss_bytes,
        "anon_bytes": usage.anon_bytes,
        "file_bytes": usage.file_bytes,
        "shmem_bytes": usage.shmem_bytes,
        "hugetlb_bytes": usage.hugetlb_bytes,
        "exclusive_bytes": usage.exclusive_bytes,
        "shared_bytes": usage.shared_bytes,
        "proportional_bytes": usage.proportional_bytes,
        "swap_bytes": usage.swap_bytes,
        "charged_bytes": usage.charged_bytes,
        "limit_bytes": usage.limit_bytes,
        "high_bytes": usage.high_bytes,
        "pressure_some": usage.pressure_some,
        "pressure_full": usage.pressure_full,
        "oom_kills": usage.oom_kills,
        "cache_unmapped_bytes": usage.cache_unmapped_bytes,
        "dead_cgroups_bytes": usage.dead_cgroups_bytes,
        "dying_cgroups": usage.dying_cgroups,
        "uncertainty_bytes": usage.uncertainty_bytes,
    }


def process_fields(process: ProcessUsage) -> dict[str, Any]:
    """What one process maps."""
    return {
        "pid": process.pid,
        "zone": encodable(process.zone),
        "uid": process.uid,
        "command": encodable(process.command),
        "size_bytes": process.size_bytes,
        "rss_bytes": process.rss_bytes,
        "anon_bytes": process.anon_bytes,
        "file_bytes": process.file_bytes,
        "shmem_bytes": process.shmem_bytes,
        "hugetlb_bytes": process.hugetlb_bytes,
        "exclusive_bytes": process.exclusive_bytes,
        "proportional_bytes": process.proportional_bytes,
        "swap_bytes": process.swap_bytes,
    }


def mapcount_fields(mapcounts: Mapcounts | None) -> dict[str, Any]:
    """How much memory is mapped how often on the whole machine; None: the kernel does not say."""
    if mapcounts is None:
        return {"mapcounts": None, "mapcount_unknown_bytes": None}
    classes = zip(MAPCOUNT_CLASSES, mapcounts.classes_bytes, strict=True)
    return {
        "mapcounts": [{"least": least, "most": most, "bytes": size} for (least, most), size in classes],
        "mapcount_unknown_bytes": mapcounts.unknown_bytes,
    }


def gap_list(gaps: Iterable[Gap]) -> list[dict[str, Any]]:
    """Everything that could not be seen."""
    return [
        {"pid": g.pid, "step": g.step, "cause": str(g.cause), "detail": encodable(g.detail)} for g in gaps
    ]


class Listing(dict[str, Any]):
    """A document with lists that may be long: written with each of their entries on a line of its own."""


class Sentences(dict[str, Any]):
    """A document with text for people: written in UTF-8, not escaped to ASCII."""


class Json(str):
    """Text that is JSON already: an entry of a list too long to be made of dictionaries first."""

    __slots__ = ()


def render_json(document: dict[str, Any], compact: bool = False) -> str:
    """
    The document as text; ASCII but for :class:`Sentences`.

    :param compact: on one line; else indented by two, or as a :class:`Listing` is
    """
    if not isinstance(document, Listing):
        ascii_only = not isinstance(document, Sentences)
        return json.dumps(document, indent=None if compact else 2, ensure_ascii=ascii_only)
    fields = (f"{json.dumps(name)}: {_value(value, compact)}" for name, value in document.items())
    return f"{{{', '.join(fields)}}}" if compact else "{\n  " + ",\n  ".join(fields) + "\n}"


def _value(value: Any, compact: bool) -> str:
    if not isinstance(value, list) or not value:
        return json.dumps(value)
    entries = (entry if isinstance(entry, Json) else json.dumps(entry) for entry in value)
    return f"[{', '.join(entries)}]" if compact else "[\n    " + ",\n    ".join(entries) + "\n  ]"
