"""The JSON, field by field: it is the contract."""

from __future__ import annotations

import json

from tests.unit.builders import KIB, process, snapshot, usage

from zonerss.records import Cause, Gap, Grouping
from zonerss.views.document import processes_document, render_json, snapshot_document

ZONE = {
    "zone": "web",
    "cgroup": "/web",
    "id": None,
    "kind": "cgroup",
    "processes": 3,
    "process_rss_bytes": 101 * KIB,
    "rss_bytes": 61 * KIB,
    "anon_bytes": 23 * KIB,
    "file_bytes": 31 * KIB,
    "shmem_bytes": 7 * KIB,
    "hugetlb_bytes": 0,
    "exclusive_bytes": 41 * KIB,
    "shared_bytes": 20 * KIB,
    "proportional_bytes": 47 * KIB,
    "swap_bytes": 0,
    "charged_bytes": 53 * KIB,
    "uncertainty_bytes": None,
}


def test_snapshot() -> None:
    document = json.loads(
        render_json(snapshot_document(snapshot(gaps=(Gap(1, "open", Cause.REFUSED, "why"),))))
    )
    assert {key: value for key, value in document["zones"][0].items() if key in ZONE} == ZONE
    assert document["total"]["zone"] == "total"
    del document["zones"], document["total"]
    assert document == {
        "schema": "zonerss.snapshot/1",
        "began": "2026-11-22T12:00:00.000250Z",
        "ended": "2026-11-22T12:00:00.017250Z",
        "source": "pagemap",
        "basis": "mapped",
        "by": "zone",
        "page_size": 4096,
        "uncertainty": None,
        "gaps": [{"pid": 1, "step": "open", "cause": "refused", "detail": "why"}],
    }


def test_unknown_is_null_and_never_zero() -> None:
    unknown = usage(exclusive_bytes=None, proportional_bytes=None, charged_bytes=None)
    (zone,) = snapshot_document(snapshot(unknown))["zones"]
    assert [zone[f"{name}_bytes"] for name in ("exclusive", "shared", "proportional", "charged")] == [
        None
    ] * 4


def test_several_groupings() -> None:
    both = (Grouping("zone", (usage(),)), Grouping("user", (usage("root"),)))
    document = snapshot_document(snapshot(groupings=both))
    assert [(g["by"], g["zones"][0]["zone"]) for g in document["groupings"]] == [
        ("zone", "web"),
        ("user", "root"),
    ]


def test_hostile_names() -> None:
    hostile = b"a\nb\x1b[2J\xff".decode("utf-8", "surrogateescape")
    text = render_json(snapshot_document(snapshot(usage(hostile, cgroup=hostile))))
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["zones"][0]["zone"] == "a\nb\x1b[2J\\xff"


def test_processes() -> None:
    document = processes_document(snapshot(), [process()])
    assert document["schema"] == "zonerss.processes/1"
    assert document["processes"] == [
        {
            "pid": 42,
            "zone": "web",
            "uid": 0,
            "command": "httpd",
            "size_bytes": 1024 * KIB,
            "rss_bytes": 61 * KIB,
            "anon_bytes": 23 * KIB,
            "file_bytes": 31 * KIB,
            "shmem_bytes": 7 * KIB,
            "hugetlb_bytes": 0,
            "exclusive_bytes": 11 * KIB,
            "proportional_bytes": 29 * KIB,
            "swap_bytes": 0,
        }
    ]
