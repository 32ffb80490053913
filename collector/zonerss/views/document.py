"""Snapshots as JSON: the contract with programs (docs/json.md). Whole bytes; unknown is null, never 0."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from zonerss.records import Gap, Grouping, ProcessUsage, Usage
from zonerss.snapshot import Snapshot
from zonerss.views.text import encodable


def snapshot_document(snapshot: Snapshot, limit: int | None = None) -> dict[str, Any]:
    """``zonerss.snapshot/1``: what each zone uses. limit: only the first zones of each grouping."""
    document = header("zonerss.snapshot/1", snapshot) | {
        "total": usage_fields(snapshot.total),
        "zones": [usage_fields(usage) for usage in snapshot.zones[:limit]],
    }
    if len(snapshot.groupings) > 1:
        document["groupings"] = [_grouping(grouping, limit) for grouping in snapshot.groupings]
    return document | {"gaps": gap_list(snapshot.gaps)}


def processes_document(snapshot: Snapshot, processes: Iterable[ProcessUsage]) -> dict[str, Any]:
    """``zonerss.processes/1``: what each process maps."""
    return header("zonerss.processes/1", snapshot) | {
        "processes": [process_fields(process) for process in processes],
        "gaps": gap_list(snapshot.gaps),
    }


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
        "uncertainty": snapshot.uncertainty,
    }


def time_text(moment: datetime) -> str:
    """RFC 3339, in UTC, to the microsecond."""
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def usage_fields(usage: Usage) -> dict[str, Any]:
    """The ZONE FIELDS."""
    return {
        "zone": encodable(usage.zone),
        "cgroup": None if usage.cgroup is None else encodable(usage.cgroup),
        "id": None if usage.id is None else encodable(usage.id),
        "kind": usage.kind,
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
        "uncertainty_bytes": usage.uncertainty_bytes,
    }


def _grouping(grouping: Grouping, limit: int | None) -> dict[str, Any]:
    return {"by": grouping.by, "zones": [usage_fields(usage) for usage in grouping.zones[:limit]]}


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


def gap_list(gaps: Iterable[Gap]) -> list[dict[str, Any]]:
    """Everything that could not be seen."""
    return [
        {"pid": g.pid, "step": g.step, "cause": str(g.cause), "detail": encodable(g.detail)} for g in gaps
    ]


def render_json(document: dict[str, Any]) -> str:
    """The document as text, two spaces deep, ASCII only."""
    return json.dumps(document, indent=2)


_CHUNK = 512


class Json(str):
    """Text that is JSON already: an entry of a list too long to be made of dictionaries first."""

    __slots__ = ()


def render_lines(document: dict[str, Any]) -> str:
    """The document as text, one line for each field and each entry of a list: for those that may be long."""
    return "".join(_chunks(document))


def _chunks(document: dict[str, Any]) -> Iterator[str]:
    before = "{\n"
    for name, value in document.items():
        yield f"{before}  {json.dumps(name)}: "
        before = ",\n"
        if not isinstance(value, list) or not value:
            yield json.dumps(value)
            continue
        for start in range(0, len(value), _CHUNK):
            entries = (e if isinstance(e, Json) else json.dumps(e) for e in value[start : start + _CHUNK])
            yield (",\n    " if start else "[\n    ") + ",\n    ".join(entries)
        yield "\n  ]"
    yield "\n}"
