"""What zones, processes and files have touched, from parts made by hand."""

from __future__ import annotations

import pytest
from tests.unit import builders
from tests.unit.builders import usage

from zonerss.answers.wss import working_sets
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.touched import Apart, Touches
from zonerss.kernel.clearing import Clearing
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.records.files import FileKind, MappedFile
from zonerss.snapshot import Snapshot
from zonerss.walk.arming import Armed

P = 4096
MEMBERS = builders.members("web", "db", "web")
APART = Apart(3)
LIBC = MappedFile("/lib/libc.so", FileKind.FILE, True)
ARMED = Armed(
    method="cold",
    done_ns=1_000_000_000,
    seen=frozenset({(1, 0), (2, 0), (3, 0)}),
    cleared={(1, 0): Clearing(300, 400), (3, 0): Clearing(700, 900)},
    gaps=(Gap(2, "clear", Cause.BUSY), Gap(99, "clear", Cause.EXITED)),
    scanned=None,
)
MARKS = (
    (0, Kind.ANON, 5),  # touched by a process of web
    (APART.idle_owner(2), Kind.ANON, 7),  # not touched by its other one
    (APART.kept_owner(1), Kind.ANON, 11),  # of db, whose bits were not cleared
)


def taken(**fields: object) -> Snapshot:
    census, pfn = Census(APART.count), 1
    for owner, kind, count in MARKS:
        census.mark(owner, range(pfn, pfn + count), [kind] * count)
        pfn += count
    # Mapped by both zones, so more than once: 3 pages that web has touched, 2 that nobody has.
    for owner in (0, APART.idle_owner(1), APART.several):
        census.mark(owner, range(pfn, pfn + 3), [Kind.FILE] * 3)
    for owner in (APART.idle_owner(0), APART.idle_owner(1), APART.several):
        census.mark(owner, range(pfn + 3, pfn + 5), [Kind.SHMEM] * 2)
    parts = census.parts()
    return replace(
        builders.snapshot(usage("web"), usage("db")),
        members=MEMBERS,
        parts=APART.without(parts),
        touches=Touches(parts, APART, False),
        armed=ARMED,
        touch_seconds=3.5,
        **fields,
    )


def test_each_zone() -> None:
    found = working_sets(taken())
    web, db = found.zones
    assert (web.zone, web.rss_bytes, web.touched_bytes, web.unknown_bytes) == ("web", 17 * P, 5 * P, 3 * P)
    assert (web.touched_anon_bytes, web.touched_file_bytes, web.idle_bytes) == (5 * P, 0, 9 * P)
    assert (db.zone, db.rss_bytes, db.touched_bytes, db.unknown_bytes) == ("db", 16 * P, 0, 11 * P)
    assert (web.longest_stall_ns, db.longest_stall_ns) == (700, None)
    assert (found.seconds, found.method) == (3.5, "cold")
    assert found.processes is None
    assert found.files is None


def test_all_together_have_each_page_once() -> None:
    total = working_sets(taken()).total
    assert (total.rss_bytes, total.touched_bytes, total.unknown_bytes) == (28 * P, 5 * P, 14 * P)
    assert total.longest_stall_ns == 700


def test_bits_of_shared_pages_tell_where_they_were_cleared() -> None:
    one = taken()
    assert one.touches is not None
    web, db = working_sets(replace(one, touches=replace(one.touches, sees_several=True))).zones
    assert (web.touched_bytes, web.touched_file_bytes, web.unknown_bytes) == (8 * P, 3 * P, 0)
    assert (db.touched_bytes, db.unknown_bytes) == (0, 11 * P)


def test_each_process() -> None:
    found = working_sets(taken(), processes=True).processes
    assert found is not None
    assert [(one.pid, one.touched_bytes, one.unknown_bytes, one.longest_stall_ns) for one in found] == [
        (1, 5 * P, 3 * P, 300),
        (2, 0, 11 * P, None),
        (3, 0, 0, 700),
    ]


def test_each_file() -> None:
    one = taken()
    assert one.touches is not None
    parts = one.touches.parts
    held = {number: [(LIBC if pages[Kind.FILE] else None, pages)] for number, pages in parts.filled().items()}
    gap = Gap(7, "pagemap", Cause.EXITED)
    found = working_sets(one, held=(held, (gap,)))
    assert found.files is not None
    assert [(file.file, file.bytes, file.touched_bytes, file.unknown_bytes) for file in found.files] == [
        (None, 2 * P, 0, 0),
        (LIBC, 3 * P, 0, 3 * P),
    ]
    assert gap in found.gaps


def test_only_processes_that_count_are_said_to_be_unknown() -> None:
    assert working_sets(taken()).unarmed == (Gap(2, "clear", Cause.BUSY),)


def test_a_snapshot_of_processes_that_were_not_armed_tells_nothing() -> None:
    with pytest.raises(ValueError, match="not armed"):
        working_sets(builders.snapshot())
