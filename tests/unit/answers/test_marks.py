"""What stands out, and what does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import KIB, MACHINE, MIB, snapshot, usage

from zonerss.answers.marks import LEAST_BYTES, Mark, Why, marks_of, split_of, unaccounted_bytes
from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts

PARTS = Parts.of(2, {(0,): [5, 7, 11, 0, 0], (0, 1): [0, 13, 17, 0, 3]})
"""53 pages of rss, 20 of them of files, 28 of them shmem."""
QUIET = usage(charged_bytes=53 * KIB)


def marks(*usages: Any, **fields: Any) -> list[tuple[Why, str | None, int]]:
    found = marks_of(snapshot(*usages, **({"machine": None} | fields)))
    return [(mark.why, mark.zone, mark.amount) for mark in found]


def test_nothing_stands_out() -> None:
    assert marks(QUIET) == []


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ({"charged_bytes": 90 * MIB, "limit_bytes": 100 * MIB, "anon_bytes": 60 * MIB}, []),
        (
            {"charged_bytes": 91 * MIB, "limit_bytes": 100 * MIB, "anon_bytes": 60 * MIB},
            [(Why.LIMIT, 91 * MIB)],
        ),
        ({"charged_bytes": None, "limit_bytes": 1}, []),
        ({"oom_kills": 0}, []),
        ({"oom_kills": 3}, [(Why.KILLS, 3)]),
        ({"charged_bytes": 90 * MIB, "anon_bytes": 60 * MIB}, []),
        ({"charged_bytes": LEAST_BYTES}, []),  # twice its rss, but small
        ({"charged_bytes": 90 * MIB}, [(Why.BILL, 90 * MIB)]),
        ({"charged_bytes": 90 * MIB, "cache_unmapped_bytes": 2 * MIB}, [(Why.BILL, 90 * MIB)]),
        ({"charged_bytes": 90 * MIB, "cache_unmapped_bytes": 80 * MIB}, [(Why.CACHE, 80 * MIB)]),
        ({"dead_cgroups_bytes": LEAST_BYTES - 1}, []),
        ({"dead_cgroups_bytes": LEAST_BYTES}, [(Why.DEAD, LEAST_BYTES)]),
    ],
)
def test_a_zone(fields: dict[str, Any], found: list[tuple[Why, int]]) -> None:
    assert marks(usage("db", **fields)) == [(why, "db", amount) for why, amount in found]


def test_what_it_pays_for_others_explains_a_bill_that_page_cache_does_not() -> None:
    found = snapshot(usage("db", charged_bytes=90 * MIB, cache_unmapped_bytes=2 * MIB), machine=None)
    assert marks_of(found, {"db": 70 * MIB}) == (Mark(Why.PAYS, "db", 70 * MIB),)
    assert marks_of(found, {"db": 30 * MIB, "web": 70 * MIB}) == (Mark(Why.BILL, "db", 90 * MIB),)
    cached = snapshot(usage("db", charged_bytes=90 * MIB, cache_unmapped_bytes=60 * MIB), machine=None)
    assert marks_of(cached, {"db": 70 * MIB}) == (Mark(Why.CACHE, "db", 60 * MIB),)


def test_alarms_come_first_then_the_largest() -> None:
    small, large = usage("a", charged_bytes=70 * MIB), usage("b", charged_bytes=80 * MIB)
    killed = usage("c", oom_kills=1, charged_bytes=None)
    assert [zone for _, zone, _ in marks(small, large, killed)] == ["c", "b", "a"]


def test_the_machine_is_split_by_what_processes_map() -> None:
    split = split_of(snapshot(parts=PARTS))
    assert split is not None
    assert (split.zones, split.page_cache, split.tmpfs) == (
        53 * 4 * KIB,
        MACHINE.page_cache_bytes - 20 * 4 * KIB,
        MACHINE.shmem_bytes - 28 * 4 * KIB,
    )
    assert (split.kernel, split.hugetlb, split.free) == (47 * MIB, 32 * MIB, 211 * MIB)
    parts = (split.zones, split.page_cache, split.tmpfs, split.kernel, split.hugetlb, split.free)
    assert unaccounted_bytes(snapshot(parts=PARTS)) == split.memory - sum(parts)


def test_memory_that_is_nowhere_is_marked() -> None:
    left = unaccounted_bytes(snapshot(parts=PARTS))
    assert marks_of(snapshot(QUIET, parts=PARTS)) == (Mark(Why.UNACCOUNTED, None, left or 0),)


def test_where_only_some_processes_were_walked_the_machine_is_not_split() -> None:
    alone = usage("total", exclusive_bytes=None, proportional_bytes=None)
    assert split_of(snapshot(total=alone)) is None
    assert unaccounted_bytes(snapshot(total=alone)) is None
    assert split_of(snapshot(machine=None)) is None


@given(st.lists(st.integers(0, 1 << 20), min_size=5, max_size=5))
def test_figures_of_different_moments_make_nothing_negative(pages: list[int]) -> None:
    split = split_of(snapshot(parts=Parts.of(1, {(0,): pages})))
    assert split is not None
    assert min(split.page_cache, split.tmpfs) >= 0
    assert split.zones == 4 * KIB * (pages[Kind.ANON] + pages[Kind.FILE] + pages[Kind.SHMEM])
