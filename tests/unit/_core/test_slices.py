"""Ranges that a walk has found, by job."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from zonerss._core import ffi, lib


@pytest.fixture
def slices() -> Iterator[Any]:
    ret = ffi.new("struct slices **")
    assert lib.slices_create(ret) == 0
    yield ret[0]
    lib.slices_destroy(ret[0])


def add(slices: Any, *rows: tuple[int, ...]) -> None:
    assert lib.slices_add(slices, ffi.new("struct slice[]", list(rows)), len(rows)) == 0


def of(slices: Any, job: int, kind: int = 0) -> list[tuple[int, int]]:
    first = ffi.new("struct slice **")
    count = lib.slices_of(slices, job, kind, first)
    return [(first[0][at].start, first[0][at].end) for at in range(count)]


def test_there_are_none(slices: Any) -> None:
    assert of(slices, 0) == []


def test_those_of_a_job_are_in_order_whoever_found_them(slices: Any) -> None:
    add(slices, (7, 30, 40), (2, 0, 10))
    add(slices, (7, 10, 20), (5, 0, 1), (7, 20, 30))
    assert of(slices, 7) == [(10, 20), (20, 30), (30, 40)]
    assert of(slices, 2) == [(0, 10)]
    assert of(slices, 3) == of(slices, 9) == []
    add(slices, (3, 1, 2))
    assert of(slices, 3) == [(1, 2)]


def test_huge_pages_are_the_last(slices: Any) -> None:
    add(slices, (3, 0, 512, 7, 0, 1), (3, 600, 700, 8, 0, 0))
    assert of(slices, 3) == [(600, 700), (0, 512)]


def test_those_of_a_kind_are_apart(slices: Any) -> None:
    add(slices, (3, 50, 60, 7, 1), (3, 10, 20, 8, 2), (3, 30, 40, 9, 1), (4, 0, 1, 5, 1))
    assert of(slices, 3, 1) == [(30, 40), (50, 60)]
    assert of(slices, 3, 2) == [(10, 20)]
    assert of(slices, 3, 0) == of(slices, 4, 2) == []
