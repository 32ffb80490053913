"""What is kept of a look: owners by zone and cgroup instead of address spaces, and what goes with them."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit import builders
from tests.unit.builders import MIB

from zonerss.census.parts import Parts
from zonerss.census.usage import Member, zones_usage
from zonerss.errors import CannotServe
from zonerss.history import moment
from zonerss.history.moment import GROUPINGS, MOST_SAID_BYTES, Seldom, take_moment
from zonerss.plain import replace
from zonerss.records import Grouping, Task, Zone
from zonerss.records.bills import Billed
from zonerss.records.files import FileKind, MappedFile, OpenFile, OpenFiles
from zonerss.records.images import Image
from zonerss.snapshot import Snapshot

LIBC = MappedFile("/lib/libc.so.6", FileKind.FILE, True, 2 * MIB, (8, 1), 77)
WEB, DB = Zone("web", "/web"), Zone("db", "/db", "1f" * 32, "docker")


def member(pid: int, zone: Zone, owner: int) -> Member:
    task = Task(pid, 10 * pid, 7, 8, "x", zone.cgroup or "/", 55, pid + 1, 4096, 0x7FFF, 3)
    assert zone.cgroup
    return Member(task, pid, (zone, Zone(zone.cgroup, zone.cgroup)), owner, 5)


NOTHING: dict[str, Any] = {
    "cgroups": dict,
    "bill": lambda cgroup: None,
    "charged": lambda cgroup: None,
    "ipc_namespace": lambda pid: None,
    "images": lambda: lambda id, uid: Image(None, "web:1"),
}
"""Answers of a host without a memory controller."""


class Looks:
    """A session whose one look found two processes of web and one of db, each an owner of its own; 3: nobody's."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.members = (member(10, DB, 0), member(20, WEB, 1), member(21, WEB, 2))
        self.parts = Parts.of(
            4,
            {
                (0,): (1, 0, 0, 0, 0),
                (1,): (2, 0, 0, 0, 0),
                (1, 2): (0, 3, 0, 0, 0),
                (0, 1): (0, 5, 0, 0, 0),
                (0, 1, 2): (0, 7, 11, 0, 0),
                (3,): (13, 0, 0, 0, 0),
            },
        )
        usages, total = zones_usage(self.parts, self.members, 0, lambda zone: None)
        groupings = tuple(
            Grouping(by, zones_usage(self.parts, self.members, position, lambda zone: None)[0])
            for position, by in enumerate(GROUPINGS)
        )
        self.snapshot = builders.snapshot(
            *usages,
            total=total,
            groupings=groupings,
            processes=(),
            parts=self.parts,
            members=self.members,
            evidence=builders.evidence(**NOTHING),
        )

    def take(self, *args: Any, **options: Any) -> Snapshot:
        self.asked.append((args, options))
        return self.snapshot


def test_one_walk_whose_owners_become_those_of_the_zones() -> None:
    looks = Looks()
    billed = (
        Billed((1,), 5, (2, 0, 0, 0, 0)),
        Billed((1, 2), 5, (0, 3, 0, 0, 0)),
        Billed((0, 1, 2), 0, (0, 7, 0, 0, 0)),
        Billed((0, 1), 0, (0, 5, 0, 0, 0)),
    )
    number = dict(zip(looks.parts.members(looks.parts.filled()), looks.parts.filled(), strict=True))
    held = {
        number[0, 1]: [(LIBC, (0, 5, 0, 0, 0))],
        number[0, 1, 2]: [(LIBC, (0, 6, 0, 0, 0)), (None, (0, 1, 11, 0, 0))],
        number[3,]: [(None, (13, 0, 0, 0, 0))],
    }
    looks.snapshot = replace(
        looks.snapshot,
        evidence=builders.evidence(**NOTHING | {"payers": lambda: billed, "holdings": lambda: (held, ())}),
    )
    moment = take_moment(looks)
    assert looks.asked == [((GROUPINGS,), {"zone": None, "processes": True, "controls": True})]
    assert dict(moment.snapshot.parts) == {
        (0,): (1, 0, 0, 0, 0),
        (1,): (2, 3, 0, 0, 0),
        (0, 1): (0, 12, 11, 0, 0),
    }
    assert [(m.task.pid, m.owner) for m in moment.snapshot.members] == [(10, 0), (20, 1), (21, 1)]
    assert moment.snapshot.evidence is None
    assert moment.billed == (Billed((0, 1), 0, (0, 12, 0, 0, 0)), Billed((1,), 5, (2, 3, 0, 0, 0)))
    assert moment.holdings is not None
    ((both, rows),) = moment.holdings.items()
    assert moment.snapshot.parts.owners_of(both) == (0, 1)
    assert dict(rows) == {LIBC: (0, 11, 0, 0, 0), None: (0, 1, 11, 0, 0)}
    assert moment.containers == {"1f" * 32: "db"}
    assert moment.images == {"1f" * 32: Image(None, "web:1")}
    for position in (0, 1):
        usages, _ = zones_usage(moment.snapshot.parts, moment.snapshot.members, position, lambda zone: None)
        assert usages == looks.snapshot.groupings[position].zones


def test_lean_reads_no_frame_and_no_process_again() -> None:
    moment = take_moment(Looks(), lean=True, zone=["web"])
    assert moment.holdings is None
    assert moment.billed is None
    assert moment.ipc_namespaces == {}
    task = moment.snapshot.members[1].task
    assert (task.pid, task.start_ticks, task.uid, task.euid, task.size_bytes) == (20, 200, 7, 8, 4096)
    assert (task.rss_pages, task.walk_tid, task.stack_start, task.cgroup_text) == (0, 20, 0, 0)


def test_open_files_are_looked_at_seldom_and_only_where_there_is_much_cache() -> None:
    now, asked = [0.0], []

    def open_files(members: list[Member]) -> OpenFiles:
        asked.append([member.zones[0].name for member in members])
        now[0] += 0.5
        large = [OpenFile(f"/{n}", (8, 1), n, 1, 9 << 20, n << 20) for n in range(9, 0, -1)]
        return OpenFiles((*large, OpenFile("/small", (8, 1), 99, 1, 9, 4096)), ())

    full = builders.snapshot(
        builders.usage("web", cache_unmapped_bytes=1 << 20),
        builders.usage("db", cache_unmapped_bytes=4096),
        builders.usage("old"),
        members=builders.members("web", "db", "old"),
        evidence=builders.evidence(open_files=open_files),
    )
    seldom = Seldom(lambda: now[0])
    found = seldom.look(full)
    assert found is not None
    assert ([file.name for file in found], asked) == (["/9", "/8", "/7", "/6", "/5"], [["web"]])
    now[0] += 24
    assert seldom.look(full) is None
    now[0] += 1.5
    assert seldom.look(full) == found


def test_open_files_that_cannot_be_looked_at_are_not_known() -> None:
    def refuse(members: object) -> OpenFiles:
        raise CannotServe("no")

    usage = builders.usage("web", cache_unmapped_bytes=1 << 20)
    evidence = builders.evidence(open_files=refuse)
    assert Seldom().look(builders.snapshot(usage, members=builders.members("web"), evidence=evidence)) is None


def test_a_look_at_open_files_has_an_end_however_many_zones_there_are() -> None:
    now, asked = [0.0], []

    def open_files(members: Any) -> OpenFiles:
        asked.append([member.zones[0].name for member in members])
        now[0] += 6
        return OpenFiles((), ())

    names = ("a", "b", "c", "d")
    full = builders.snapshot(
        *(builders.usage(name, cache_unmapped_bytes=1 << 20) for name in names),
        members=builders.members(*names),
        evidence=builders.evidence(open_files=open_files),
    )
    assert Seldom(lambda: now[0]).look(full) == ()
    assert asked == [["a"], ["b"]]


def refused() -> bytes:
    raise CannotServe("only root may ask")


@pytest.mark.parametrize(
    ("read", "kept"),
    [
        (lambda: None, None),
        (lambda: b"{}", "{}"),
        (lambda: b" " * MOST_SAID_BYTES, " " * MOST_SAID_BYTES),
        (lambda: b" " * (MOST_SAID_BYTES + 1), None),
        (refused, None),
    ],
    ids=["none runs", "one says something", "much", "too much", "not to be asked"],
)
def test_what_the_capper_says_is_kept(read: Any, kept: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moment, "read_said", read)
    assert take_moment(Looks(), lean=True).capper == kept
