"""whatif: complete texts of records made by hand."""

from __future__ import annotations

from tests.unit import builders

from zonerss.answers.whatif import Fate, WhatIf
from zonerss.records.files import FileKind
from zonerss.views.whatif import document, render_answer

KIB = 1024
ANSWER = WhatIf(
    without=("web", "e\x1b[0m"),
    freed_bytes=24 * KIB,
    reclaimable_bytes=400 * KIB,
    stays_bytes=8 * KIB,
    kept_bytes=12 * KIB,
    kept_by=(("db", 12 * KIB), ("cron", 4 * KIB)),
    swap_bytes=0,
    hugetlb_bytes=0,
    left=(
        (Fate.RECLAIMABLE, "/srv/data", FileKind.FILE, 400 * KIB),
        (Fate.FREED, "anon", None, 24 * KIB),
        (Fate.STAYS, "/dev/shm/x", FileKind.TMPFS, 8 * KIB),
    ),
)


def test_the_sums_what_is_left_and_who_keeps_the_rest() -> None:
    assert render_answer(ANSWER, 10) == [
        "WITHOUT      SIZE  web e\\x1b[0m",
        "FREED         24K  free at once",
        "RECLAIMABLE  400K  page cache that no process maps any more",
        "STAYS          8K  tmpfs files and System V segments",
        "KEPT          12K  mapped by other zones, too",
        "",
        "SIZE  FATE         KIND   OF",
        "400K  reclaimable  file   /srv/data",
        " 24K  freed        –      anon",
        "  8K  stays        tmpfs  /dev/shm/x",
        "",
        "SIZE  KEPT BY",
        " 12K  db",
        "  4K  cron",
    ]


def test_swap_and_huge_pages_where_there_are_any() -> None:
    from zonerss.plain import replace

    answer = replace(ANSWER, swap_bytes=3 * KIB, hugetlb_bytes=2048 * KIB, left=(), kept_by=())
    assert render_answer(answer, 10)[5:] == [
        "SWAP           3K  in addition: swap slots",
        "HUGETLB      2.0M  in addition: huge pages of a pool",
    ]


def test_a_limit() -> None:
    lines = render_answer(ANSWER, 1)
    assert "/dev/shm/x" not in "".join(lines)
    assert "cron" not in "".join(lines)


def test_the_document() -> None:
    read = document(builders.snapshot(), ANSWER)
    assert read["schema"] == "zonerss.whatif/1"
    assert read["without"] == ["web", "e\x1b[0m"]
    assert read["rss_bytes"] == 444 * KIB
    assert read["kept_by"] == [{"zone": "db", "bytes": 12 * KIB}, {"zone": "cron", "bytes": 4 * KIB}]
    assert read["left"][1] == {"fate": "freed", "name": None, "kind": None, "bytes": 24 * KIB}
    assert read["left"][2] == {"fate": "stays", "name": "/dev/shm/x", "kind": "tmpfs", "bytes": 8 * KIB}
