"""How many threads a walk is worth."""

from __future__ import annotations

import pytest
from tests.unit.builders import host

from zonerss.errors import UsageError
from zonerss.kernel.roots import HOST
from zonerss.plain import replace
from zonerss.walk.host import find_host

LARGE = host(threads=48, threads_named=False)


@pytest.mark.parametrize(
    ("expected_pages", "threads"), [(0, 8), (2_000_000, 8), (5_000_000, 20), (1 << 30, 48)]
)
def test_more_than_a_few_threads_only_where_there_is_much_to_walk(expected_pages: int, threads: int) -> None:
    assert LARGE.threads_for(expected_pages) == threads


def test_few_processors_are_all_used() -> None:
    assert replace(LARGE, threads=2).threads_for(0) == 2


def test_so_many_as_were_named() -> None:
    assert replace(LARGE, threads_named=True).threads_for(0) == 48


@pytest.mark.parametrize("threads", [0, -1])
def test_no_thread_is_too_few(threads: int) -> None:
    with pytest.raises(UsageError, match=f"not {threads}$"):
        find_host(HOST, threads)
