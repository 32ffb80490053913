"""Sentences about caps."""

from __future__ import annotations

import pytest
from tests.unit.cap.samples import ARMED, SECOND, M, cap, classes, look, machine

from zonerss.cap import words
from zonerss.cap.records import MAY, ByKind
from zonerss.plain import replace


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *((0, "0 s"), (0.04, "0 s"), (1.25, "1.2 s"), (3, "3 s"), (9.94, "9.9 s")),
        *((10, "10 s"), (119, "119 s"), (120, "2 min"), (300, "5 min"), (-1, "0 s")),
    ],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(int(seconds * SECOND)) == text


def test_lists() -> None:
    assert words.kinds(ByKind()) == "nothing"
    assert words.kinds(ByKind(1 * M, 2 * M, 3 * M)) == "3.0M shmem, 2.0M file and 1.0M anon"
    assert words.names([]) == "others"
    assert words.names([("db", 1)]) == "db"
    assert words.names([(name, 1) for name in "abc"]) == "a, b and c"
    assert words.names([(name, 1) for name in "abcde"]) == "a, b, c and 2 more"


def test_what_cannot_be_had_is_told_class_by_class() -> None:
    found = classes(
        shared_bytes=100 * M,
        shared_with=(("db", 100 * M),),
        locked_bytes=1 * M,
        several_anon_bytes=24 * M,
        own_anon_bytes=400 * M,
        own_file_bytes=75 * M,
        cold_anon_bytes=0,
        cold_file_bytes=0,
        cold_shmem_bytes=0,
        cold_seconds=3.0,
    )
    none = machine(swap_bytes=0, swap_free_bytes=0)
    assert words.nothing(cap(400 * M), look(found), none) == (
        "over by 200M (RSS 600M of 400M), and nothing can be had: 400M is anon or shmem (there is no swap), "
        "100M is shared with db, 75M is in use, "
        "24M is mapped by several of its processes (whether it is cold is not known), 1.0M is locked"
    )
    rule = cap(400 * M, may=MAY - {"anon"})
    assert "400M may not be paged out by its rule" in words.nothing(rule, look(found), machine())
    full = machine(swap_free_bytes=0)
    assert "(swap is full)" in words.nothing(cap(400 * M), look(found), full)


def test_obstacles_and_what_can_be_had_are_all_of_it() -> None:
    """Nothing of the zone goes without a word, but what is cold."""
    found = look(replace(ARMED, locked_bytes=7 * M))
    assert words.obstacles(cap(400 * M), found, machine()) == [
        "250M is in use",
        "100M is shared with db",
        "7.0M is locked",
    ]


def test_a_command_and_an_end() -> None:
    assert words.ran((), None) == "ran no command"
    assert words.stayed_out(0, 0) == "paged out pages of processes that have ended"
