"""share: complete texts of records made by hand."""

from __future__ import annotations

import json

from tests.unit import builders

from zonerss.answers.share import Own, Pair, Sharing, neighbours, pairs, shared_parts, with_any
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.census.usage import Member, zone_names
from zonerss.records import Task, Zone
from zonerss.records.files import FileKind, MappedFile
from zonerss.units import format_size
from zonerss.views.document import render_json
from zonerss.views.share import document, render, render_pairs, render_parts
from zonerss.views.terminal import Style, Terminal, printing_to
from zonerss.views.text import cells, fit

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
        "SIZE  BY  WHAT                                           ZONES",
        "1.2M   2  1.2M libc.so.6, 28K of a fork                  db web",
        " 44K   1  44K private                                    evil\\x0a\\xff",
        " 20K   3  16K x\\x1b[2J (deleted), 4K SysV segment 32814  db evil\\x0a\\xff web",
    ]


def test_pairs_as_a_list_where_there_are_no_colours() -> None:
    found = sharing()
    assert render_pairs(found.snapshot.zones, found.pairs[:2], found.pair_count, width=0) == [
        "SHARED  ZONE  ZONE",
        "  1.2M  db    web",
        "   20K  db    evil\\x0a\\xff",
        "and 1 more pair (--all)",
    ]


def test_no_pairs() -> None:
    assert render_pairs((), (), 0, 0) == ["No two zones map a page in common."]


def test_pairs_as_a_heat_map_on_a_terminal() -> None:
    found = sharing()
    lines = render_pairs(found.snapshot.zones, found.pairs, found.pair_count, width=100)
    assert len(lines) == 4
    assert "1.2M" in lines[1]
    assert "\x1b[" in lines[1]
    assert "\x1b[2J" not in "".join(lines)
    assert "evil\\x0a\\xff" in lines[2]


def test_a_heat_map_has_its_own_pairs_and_a_list_has_not() -> None:
    found = sharing()
    zones, count = found.snapshot.zones, found.pair_count
    all_of_them = render_pairs(zones, found.pairs, count, width=100)
    assert render_pairs(zones, found.pairs[:1], count, width=100, heat=found.pairs) == all_of_them
    assert (
        render_pairs(zones, found.pairs[:1], count, width=40, heat=found.pairs)[-1]
        == "and 2 more pairs (--all)"
    )


def test_too_narrow_for_a_heat_map() -> None:
    found = sharing()
    assert render_pairs(found.snapshot.zones, found.pairs, found.pair_count, width=40)[0].startswith("SHARED")


def test_the_heat_map_leaves_out_the_smaller_zones() -> None:
    found = sharing()
    lines = render_pairs(found.snapshot.zones, found.pairs, found.pair_count, width=29 + 2 * 7)
    assert lines[-1] == "and 1 smaller zone"


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


# ---- what is folded into one line, and a zone's own row --------------------------------------------------------

VDSO = MappedFile("[vdso]", FileKind.KERNEL, True)


def noisy() -> Sharing:
    """a and b share 1000 pages of libc, a and c 20, b and c 9, which is below 1 %; all three the vdso."""
    census = Census(3)
    pages = {(0, 1): 1000, (0, 2): 20, (1, 2): 9, (0, 1, 2): 40}
    first = 0
    for owners, count in pages.items():
        for owner in owners:
            census.mark(owner, range(first, first + count), [Kind.FILE] * count)
        first += count
    parts, names = census.parts(), dict(enumerate("abc"))
    listed = shared_parts(parts, names)
    holdings = {
        part.number: [(VDSO if len(part.zones) == 3 else LIBC, (0, part.bytes // 4096, 0, 0, 0))]
        for part in listed
    }
    found, count = pairs(parts, names)
    zones = [builders.usage(name) for name in "abc"]
    return Sharing(builders.snapshot(*zones), listed, found, count, holdings, ())


def table(lines: list[str]) -> list[list[str]]:
    return [line.split() for line in lines]


def test_the_vdso_and_what_is_below_a_hundredth_is_one_line() -> None:
    lines = table(render(noisy(), 10, 0))
    assert lines[:4] == [
        ["SHARED", "ZONE", "ZONE"],
        ["4.1M", "a", "b"],
        ["240K", "a", "c"],
        ["and", "1", "more", "pair", "(--all)"],
    ]
    assert lines[5:9] == [
        ["SIZE", "BY", "WHAT", "ZONES"],
        ["3.9M", "2", "3.9M", "libc.so.6", "a", "b"],
        ["80K", "2", "80K", "libc.so.6", "a", "c"],
        ["and", "196K", "in", "2", "smaller", "parts", "(--all)"],
    ]


def test_all_is_shown_where_it_is_asked_for() -> None:
    text = "\n".join(render(noisy(), None, 0, noise=0))
    assert "[vdso]" in text
    assert "--all" not in text


def test_two_zones_that_share_the_vdso_only() -> None:
    found = noisy()
    (vdso,) = (part for part in found.parts if len(part.zones) == 3)
    only = Sharing(found.snapshot, [vdso], [Pair(("a", "b"), vdso.bytes)], 1, found.holdings, ())
    assert render(only, 10, 0)[:3] == ["and 1 more pair (--all)", "", "and 160K in 1 smaller part (--all)"]


def own(zone: str) -> Sharing:
    found = noisy()
    parts = with_any(found.parts, [zone])
    (usage,) = (usage for usage in found.snapshot.zones if usage.zone == zone)
    return Sharing(
        found.snapshot,
        parts,
        (),
        2,
        found.holdings,
        (),
        own=[Own(usage, neighbours(parts, found.holdings, zone))],
    )


def test_a_zones_own_row() -> None:
    lines = render(own("a"), 10, 0)
    usage = builders.usage("a")
    assert lines[0] == (
        f"a: {format_size(usage.rss_bytes)}, {format_size(usage.exclusive_bytes)} of it exclusive, "
        f"{format_size(usage.shared_bytes)} shared with 2 zones"
    )
    assert table(lines[2:5]) == [
        ["SHARED", "WITH", "WHAT"],
        ["4.1M", "b", "3.9M", "libc.so.6,", "160K", "[vdso]"],
        ["240K", "c", "160K", "[vdso],", "80K", "libc.so.6"],
    ]
    assert table(lines[6:8]) == [
        ["SIZE", "BY", "WHAT", "ZONES"],
        ["3.9M", "2", "3.9M", "libc.so.6", "a", "b"],
    ]


def test_neighbours_beyond_the_limit_are_one_line() -> None:
    assert "and 1 more zone, with 240K or less each (--all)" in render(own("a"), 1, 0)


def test_a_zone_that_shares_nothing() -> None:
    usage = builders.usage("a")
    alone = Sharing(builders.snapshot(usage), (), (), 0, {}, (), own=[Own(usage, ())])
    assert render(alone, 10, 0)[0].endswith("none of it shared with another zone")


def test_what_of_a_neighbour_was_not_looked_up_is_unknown() -> None:
    found = own("a")
    bare = neighbours(found.parts, {}, "a")
    assert [one.holds for one in bare] == [None, None]
    usage = builders.usage("a")
    lines = render(Sharing(found.snapshot, found.parts, (), 2, {}, (), own=[Own(usage, bare)]), 10, 0)
    assert lines[3].split() == ["4.1M", "b", "–"]
    read = json.loads(render_json(document(own("a"))))
    assert read["own"][0]["neighbours"][1]["holds"][0] == {
        "kind": "kernel",
        "name": "[vdso]",
        "bytes": 40 * 4096,
    }


def test_a_narrow_terminal_has_whole_names_rather_than_rests_of_many() -> None:
    with printing_to(Terminal(80)):
        lines = render(noisy(), None, 0, noise=0)
    assert max(map(len, lines)) <= 80
    (vdso,) = (line for line in lines if "[vdso]" in line)
    assert vdso.split() == ["160K", "3", "160K", "[vdso]", "a", "and", "2", "more"]


def test_the_heat_map_is_as_wide_as_its_terminal() -> None:
    for width in (60, 80, 120):
        with printing_to(Terminal(width, style=Style(True))):
            lines = render(noisy(), 10, width)
        assert max(map(cells, fit(lines, width))) <= width
