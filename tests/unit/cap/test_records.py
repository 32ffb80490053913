"""Sums of what is known of a zone under a cap."""

from __future__ import annotations

from zonerss.cap.records import ByKind, Classes, Machine
from zonerss.plain import replace

M = 1 << 20
CLASSES = Classes(
    shared_bytes=100 * M,
    shared_with=(("db", 100 * M),),
    locked_bytes=1 * M,
    several_anon_bytes=2 * M,
    several_file_bytes=3 * M,
    several_shmem_bytes=4 * M,
    own_anon_bytes=400 * M,
    own_file_bytes=100 * M,
    own_shmem_bytes=5 * M,
)
ARMED = replace(
    CLASSES,
    cold_anon_bytes=200 * M,
    cold_file_bytes=50 * M,
    cold_shmem_bytes=0,
    unknown_bytes=0,
    cold_seconds=3.0,
)


def test_classes_add_up_to_rss() -> None:
    assert CLASSES.rss_bytes == 615 * M
    assert CLASSES.several == ByKind(2 * M, 3 * M, 4 * M)


def test_cold_is_unknown_without_arming() -> None:
    assert CLASSES.cold is None
    assert CLASSES.working_set_bytes is None
    assert ARMED.cold == ByKind(200 * M, 50 * M, 0)
    assert ARMED.working_set_bytes == 365 * M


def test_what_several_map_is_used_unless_it_is_known_to_be_cold() -> None:
    assert ARMED.cold_several is None
    known = replace(
        ARMED,
        cold_several_anon_bytes=2 * M,
        cold_several_file_bytes=0,
        cold_several_shmem_bytes=0,
    )
    assert known.working_set_bytes == 363 * M


def test_kinds_are_added_and_taken_away_one_by_one() -> None:
    assert ByKind(1, 2, 3).plus(ByKind(4, 5, 6)) == ByKind(5, 7, 9)
    assert ByKind(1, 5, 3).less(ByKind(4, 2, 3)) == ByKind(0, 3, 0)
    assert ByKind(1, 2, 4).swap_backed_bytes == 5


def test_a_machine_without_memory_is_not_used() -> None:
    assert Machine(0, 0, 0, 0, 0, reclaiming=False).used_share == 0
    assert Machine(0, 8, 6, 0, 0, reclaiming=False).used_share == 0.75
