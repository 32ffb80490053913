"""share: complete texts of records made by hand."""

from __future__ import annotations

import json

from tests.unit import builders

from zonerss.answers.share import Sharing, pairs, shared_parts
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.usage import Member, zone_names
from zonerss.records import Task, Zone
from zonerss.records.files import FileKind, MappedFile
from zonerss.views.document import render_json
from zonerss.views.share import document, render_pairs, render_parts

LIBC = MappedFile("/usr/lib/libc.so.6", FileKind.FILE, True)
GONE = MappedFile("/tmp/x\x1b[2J", FileKind.DELETED, False)
SEGMENT = MappedFile("/SYSV00000000", FileKind.SYSV, True, inode=32814)
NAMES = ("db", "evil\n\udcff", "web")


def sharing() -> Sharing:
    """db and web map 300 pages of libc and 7 private ones of a fork; all three 5 of a deleted file."""
    census = Census(3)
    for zone, first, count, kind in (
        (0, 0, 300, Kind.FILE),
        (2, 0, 300, Kind.FILE),
        (0, 1000, 7, Kind.ANON),
        (2, 1000, 7, Kind.ANON),
        (1, 3000, 11, Kind.ANON),
        *((zone, 2000, 5, Kind.SHMEM) for zone in range(3)),
    ):
        census.mark(zone, range(first, first + count), [kind] * count)
    members = [
        Member(Task(k + 1, 0, 0, 0, "x", "/", 0, k + 1), k + 1, (Zone(name),), k, 0)
        for k, name in enumerate(NAMES)
    ]
    names = zone_names(members)
    parts = shared_parts(census.parts(), names)
    found, count = pairs(census.parts(), names)
    holdings = {}
    for part in parts:
        if part.zones == ("db", "web"):
            holdings[part.number] = [(LIBC, (0, 300, 0, 0, 0)), (None, (7, 0, 0, 0, 0))]
        if len(part.zones) == 3:
            holdings[part.number] = [(GONE, (0, 0, 4, 0, 0)), (SEGMENT, (0, 0, 1, 0, 0))]
    snapshot = builders.snapshot(*(builders.usage(name) for name in NAMES))
    return Sharing(snapshot, parts, found, count, holdings, ())


def test_parts_with_what_they_hold() -> None:
    found = sharing()
    assert render_parts(found.parts, found.holdings) == [
        " SIZE  BY  WHAT                                           ZONES",
        "1228K   2  1200K libc.so.6, 28K of a fork                 db web",
        "  44K   1  44K private                                    evil\\x0a\\xff",
        "  20K   3  16K x\\x1b[2J (deleted), 4K SysV segment 32814  db evil\\x0a\\xff web",
    ]


def test_pairs_as_a_list_where_there_are_no_colours() -> None:
    found = sharing()
    assert render_pairs(found.snapshot.zones, found.pairs[:2], found.pair_count, width=0) == [
        "SHARED  ZONE  ZONE",
        " 1248K  db    web",
        "   20K  db    evil\\x0a\\xff",
        "and 1 more pairs",
    ]


def test_no_pairs() -> None:
    assert render_pairs((), (), 0, 0) == ["No two zones map a page in common."]


def test_pairs_as_a_heat_map_on_a_terminal() -> None:
    found = sharing()
    lines = render_pairs(found.snapshot.zones, found.pairs, found.pair_count, width=100)
    assert len(lines) == 4
    assert "1248K" in lines[1]
    assert "\x1b[" in lines[1]
    assert "\x1b[2J" not in "".join(lines)
    assert "evil\\x0a\\xff" in lines[2]


def test_a_heat_map_has_its_own_pairs_and_a_list_has_not() -> None:
    found = sharing()
    zones, count = found.snapshot.zones, found.pair_count
    all_of_them = render_pairs(zones, found.pairs, count, width=100)
    assert render_pairs(zones, found.pairs[:1], count, width=100, heat=found.pairs) == all_of_them
    assert render_pairs(zones, found.pairs[:1], count, width=40, heat=found.pairs)[-1] == "and 2 more pairs"


def test_too_narrow_for_a_heat_map() -> None:
    found = sharing()
    assert render_pairs(found.snapshot.zones, found.pairs, found.pair_count, width=40)[0].startswith("SHARED")


def test_the_heat_map_leaves_out_the_smaller_zones() -> None:
    found = sharing()
    lines = render_pairs(found.snapshot.zones, found.pairs, found.pair_count, width=29 + 2 * 7)
    assert lines[-1] == "and 1 smaller zones"


def test_the_document() -> None:
    read = json.loads(render_json(document(sharing())))
    assert read["schema"] == "zonerss.sharing/1"
    assert read["parts"][0] == {
        "zones": ["db", "web"],
        "bytes": 307 * 4096,
        "anon_bytes": 7 * 4096,
        "file_bytes": 300 * 4096,
        "shmem_bytes": 0,
        "holds": [
            {"kind": "file", "name": "/usr/lib/libc.so.6", "bytes": 300 * 4096},
            {"kind": "anon", "name": None, "bytes": 7 * 4096},
        ],
    }
    assert read["parts"][1]["zones"] == ["evil\n\\xff"]
    assert read["parts"][1]["holds"] == [{"kind": "anon", "name": None, "bytes": 11 * 4096}]
    assert read["pairs"][0] == {"zones": ["db", "web"], "bytes": 312 * 4096}
    assert len(read["pairs"]) == read["pair_count"] == 3
    assert len(json.loads(render_json(document(sharing(), 1)))["pairs"]) == 1


def test_what_was_not_looked_up_is_null() -> None:
    found = sharing()
    bare = Sharing(found.snapshot, found.parts, found.pairs, found.pair_count, {}, ())
    read = json.loads(render_json(document(bare)))
    assert [part["holds"] is None for part in read["parts"]] == [True, False, True]
