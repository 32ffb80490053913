"""The tables, whole."""

from __future__ import annotations

import pytest
from tests.unit.builders import KIB, snapshot, usage

from zonerss.commands.show import render
from zonerss.records import Cause, Gap
from zonerss.views.columns import CHARGED, EXCLUSIVE, RSS, ZONE
from zonerss.views.table import sort_records


def test_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sysconf", lambda name: 1000)
    gaps = (Gap(1, "open", Cause.REFUSED), Gap(7, "list", Cause.BEGAN), Gap(8, "list", Cause.BEGAN))
    lines = render(
        snapshot(usage(), usage("db\x1b[2J", anon_bytes=50_000 * KIB, charged_bytes=None), gaps=gaps)
    )
    assert lines == [
        "NPROC  RSS  MEMORY  EXCL  SHARED  PROP  ANON  FILE  SHMEM  CHARGED  PSRSS  ZONE",
        "    3  49M   1251%   41K     49M   47K   49M   31K     7K        –   101K  db\\x1b[2J",
        "    3  61K    1.5%   41K     20K   47K   23K   31K     7K      53K   101K  web",
        "",
        "Total: 3 processes, 61K (23K anon, 31K file, 7K shmem), 1.5% of memory; 101K by summing process RSS.",
        "Read 1,234 page table entries by pagemap in 17 ms.",
        "Gaps: 2 began after the listing (pid 7, 8); 1 may not be read, even by us (pid 1).",
    ]


def test_swap_and_hugetlb_have_columns_where_there_is_any() -> None:
    lines = render(snapshot(usage(swap_bytes=4 * KIB), usage("db", hugetlb_bytes=2048 * KIB)))
    assert lines[0].endswith("SHMEM  HUGETLB  SWAP  CHARGED  PSRSS  ZONE")


def test_whole_bytes() -> None:
    assert str(61 * KIB) in render(snapshot(), in_bytes=True)[1]


def test_sorted_by_the_value_shown_unknown_last() -> None:
    rows = [usage("a", charged_bytes=None), usage("b", charged_bytes=1), usage("c", charged_bytes=2)]
    assert [u.zone for u in sort_records(rows, CHARGED)] == ["c", "b", "a"]
    assert [u.zone for u in sort_records(rows, ZONE)] == ["a", "b", "c"]
    assert [u.zone for u in sort_records(rows, RSS, 1)] == ["a"]
    assert [u.zone for u in sort_records(rows, EXCLUSIVE)] == ["a", "b", "c"]
