"""Parts and pairs against sums over real sets of frames; whom to walk again to name parts."""

from __future__ import annotations

from hypothesis import given
from tests.unit.builders import members, snapshot
from tests.unit.frames_by_hand import NAMES, PATHS, Frames, censuses, frames, in_rss

from zonerss.answers.share import (
    Pair,
    cover,
    held_together,
    is_kernels,
    kernel_bytes,
    neighbours,
    pairs,
    pairs_among,
    shared_parts,
    with_any,
    zone_pairs,
)
from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts
from zonerss.records.files import FileKind, MappedFile

LIBC = MappedFile("/lib/libc.so.6", FileKind.FILE, True)
VDSO = MappedFile("[vdso]", FileKind.KERNEL, True)


@given(frames)
def test_parts_add_up_to_the_total_and_are_those_of_the_sets(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    found = {frozenset(part.zones): part for part in shared_parts(parts, NAMES)}
    assert sum(part.bytes for part in found.values()) == in_rss(frames, bool)
    for zones, part in found.items():
        assert part.bytes == in_rss(frames, lambda z, zones=zones: {PATHS[k] for k in z} == zones)
        assert len(zones) == len(part.zones)
    sizes = [part.bytes for part in shared_parts(parts, NAMES)]
    assert sizes == sorted(sizes, reverse=True)
    assert 0 not in sizes


@given(frames)
def test_pairs_are_what_both_map(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    found = {pair.zones: pair.bytes for pair in pairs(parts, NAMES)[0]}
    for one in range(len(PATHS)):
        for other in range(len(PATHS)):
            both = in_rss(frames, lambda z, one=one, other=other: {one, other} <= z)
            if PATHS[one] < PATHS[other]:
                assert found.pop((PATHS[one], PATHS[other]), 0) == both
    assert not found


def test_pairs_of_zones_join_the_owners_of_a_zone() -> None:
    parts = Parts.of(4, {(0, 1): (1, 2, 0, 0), (0, 1, 2): (0, 5, 0, 0), (1, 2, 3): (0, 0, 7, 0)})
    taken = snapshot(parts=parts, members=members("web", "web", "db", "cache"))
    expected = [(("db", "web"), 12), (("cache", "db"), 7), (("cache", "web"), 7)]
    found = zone_pairs(taken)
    assert found[0] == Pair(("db", "web"), 12 * 4096)
    assert sorted(found) == sorted(Pair(zones, pages * 4096) for zones, pages in expected)
    assert zone_pairs(taken, 1) == found[:1]
    assert zone_pairs(snapshot(parts=Parts.of(0, {}))) == []


@given(frames)
def test_pairs_among_some_zones_are_those_of_all(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    chosen = [PATHS[0], PATHS[2]]
    wanted = [pair for pair in pairs(parts, NAMES)[0] if set(pair.zones) <= set(chosen)]
    assert pairs_among(parts, NAMES, chosen) == wanted


def test_one_zone_names_all_parts_that_it_is_in() -> None:
    parts = [(11, (0, 1)), (12, (1, 2)), (13, (0, 2)), (14, (3, 4))]
    assert cover(parts, {0: 9, 1: 2, 2: 5, 3: 1, 4: 1}, surely=2, budget=7) == ({1, 2}, [11, 12, 13])
    assert cover(parts, {0: 9, 1: 2, 2: 5, 3: 1, 4: 1}, surely=2, budget=8) == ({1, 2, 3}, [11, 12, 13, 14])


def test_the_largest_are_named_at_any_cost() -> None:
    assert cover([(5, (0, 1))], {0: 1 << 40, 1: 1 << 41}, surely=1, budget=0) == ({0}, [5])


@given(frames)
def test_neighbours_are_the_pairs_of_a_zone(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    listed = shared_parts(parts, NAMES)
    for zone in PATHS:
        wanted = {
            next(z for z in pair.zones if z != zone): pair.bytes
            for pair in pairs(parts, NAMES)[0]
            if zone in pair.zones
        }
        found = neighbours(listed, {}, zone)
        assert {one.zone: one.bytes for one in found} == wanted
        assert [one.bytes for one in found] == sorted(wanted.values(), reverse=True)


@given(frames)
def test_what_parts_hold_together_is_the_sum(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    listed = with_any(shared_parts(parts, NAMES), [PATHS[0]])
    assert all(PATHS[0] in part.zones for part in listed)
    holdings = {part.number: [(LIBC, parts.filled()[part.number])] for part in listed}
    held = held_together(listed, holdings)
    assert held is not None
    assert sum(
        sum(pages[kind] for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM)) for _, pages in held
    ) * 4096 == sum(part.bytes for part in listed)
    assert len(held) <= 1
    with_files = [part for part in listed if part.anon_bytes < part.bytes]
    assert (held_together(listed, {}) is None) == bool(with_files)


def test_the_kernels_own_pages() -> None:
    assert is_kernels([(VDSO, (0, 2, 0, 0, 0))])
    assert not is_kernels([(VDSO, (0, 2, 0, 0, 0)), (LIBC, (0, 1, 0, 0, 0))])
    assert not is_kernels([(None, (2, 0, 0, 0, 0))])
    assert not is_kernels([])
    assert not is_kernels(None)
    assert kernel_bytes([(VDSO, (0, 2, 0, 0, 0)), (LIBC, (0, 1, 0, 0, 0))]) == 2 * 4096
    assert kernel_bytes(None) == 0
