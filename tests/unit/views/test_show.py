"""show: the tables, whole, and the JSON, field by field: it is the contract."""

from __future__ import annotations

import json
from typing import Any

from tests.unit.builders import KIB, MACHINE, process, snapshot, usage

from zonerss.records import Cause, Caveat, Gap, Grouping
from zonerss.views.document import render_json
from zonerss.views.show import document, render

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


def test_show() -> None:
    gaps = (Gap(1, "open", Cause.REFUSED), Gap(7, "list", Cause.BEGAN), Gap(8, "list", Cause.BEGAN))
    lines = render(
        snapshot(usage(), usage("db\x1b[2J", anon_bytes=50_000 * KIB, charged_bytes=None), gaps=gaps)
    )
    assert lines == [
        "ZONE       KIND    PROCS  RSS  MEMORY  EXCL  SHARED  PROP  ANON  FILE  SHMEM  CHARGED  PSRSS",
        "db\\x1b[2J  cgroup      3  49M    4.9%   41K     49M   47K   49M   31K     7K        –   101K",
        "web        cgroup      3  61K    0.0%   41K     20K   47K   23K   31K     7K      53K   101K",
        "",
        "2 zones, 3 processes: 61K, each page once (ps adds up to 101K). 0.017 s",
        "Not counted: 2 processes that began after the listing (pid 7, 8); 1 process that may not be read (pid 1).",
    ]


def test_swap_and_hugetlb_have_columns_where_there_is_any() -> None:
    lines = render(snapshot(usage(swap_bytes=4 * KIB), usage("db", hugetlb_bytes=2048 * KIB)))
    assert lines[0].endswith("SHMEM  HUGETLB  SWAP  CHARGED  PSRSS")


def test_whole_bytes() -> None:
    lines = render(snapshot(), in_bytes=True)
    assert str(61 * KIB) in lines[1]
    assert f"{61 * KIB}, each page once (ps adds up to {101 * KIB})" in lines[3]


def test_snapshot() -> None:
    warned = snapshot(gaps=(Gap(1, "open", Cause.REFUSED, "why"),), warnings=(Caveat("names", "some\x1b"),))
    assert render(warned)[-2:] == ["some\\x1b", "Not counted: 1 process that may not be read (pid 1)."]
    read = json.loads(render_json(document(warned)))
    assert {key: value for key, value in read["zones"][0].items() if key in ZONE} == ZONE
    assert read["total"]["zone"] == "total"
    machine = read.pop("machine")
    assert (machine["memory_bytes"], machine["host_name"]) == (MACHINE.memory_bytes, "vm")
    assert read["zones"][0]["limit_bytes"] is None
    del read["zones"], read["total"]
    assert read == {
        "schema": "zonerss.snapshot/1",
        "began": "2026-11-22T12:00:00.000250Z",
        "ended": "2026-11-22T12:00:00.017250Z",
        "source": "pagemap",
        "basis": "mapped",
        "by": "zone",
        "page_size": 4096,
        "uncertainty": None,
        "warnings": [{"name": "names", "text": "some\x1b"}],
        "gaps": [{"pid": 1, "step": "open", "cause": "refused", "detail": "why"}],
    }


def test_unknown_is_null_and_never_zero() -> None:
    unknown = usage(exclusive_bytes=None, proportional_bytes=None, charged_bytes=None)
    (zone,) = document(snapshot(unknown))["zones"]
    assert [zone[f"{name}_bytes"] for name in ("exclusive", "shared", "proportional", "charged")] == [
        None
    ] * 4


def test_several_groupings() -> None:
    both = (Grouping("zone", (usage(),)), Grouping("user", (usage("root"),)))
    read = document(snapshot(groupings=both))
    assert [(g["by"], g["zones"][0]["zone"]) for g in read["groupings"]] == [
        ("zone", "web"),
        ("user", "root"),
    ]


def test_hostile_names() -> None:
    hostile = b"a\nb\x1b[2J\xff".decode("utf-8", "surrogateescape")
    text = render_json(document(snapshot(usage(hostile, cgroup=hostile))))
    assert text.isascii()
    assert "\x1b" not in text
    assert json.loads(text)["zones"][0]["zone"] == "a\nb\x1b[2J\\xff"


class OnDemand(dict[int, str]):
    """A mapping that is empty until it is asked."""

    def get(self, uid: int, default: Any = None) -> Any:
        return {0: "root"}.get(uid, default)


def test_processes_come_first_with_their_users_names() -> None:
    lines = render(snapshot(processes=(process(), process(43, uid=7))), users=OnDemand())
    assert [line.split()[:2] for line in lines[:3]] == [["PID", "USERNAME"], ["42", "root"], ["43", "7"]]
