"""Parts, pairs, files, what-if, the tree and the join, against sums over real sets of frames."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.answers.share import (
    Fate,
    Holdings,
    cover,
    fate,
    files_usage,
    pairs,
    sets_within,
    shared_parts,
    whatif,
    zone_names,
)
from zonerss.census.census import RSS_KINDS, Census, Kind
from zonerss.census.tree import tree_usage
from zonerss.census.usage import Member
from zonerss.records import FileKind, MappedFile, Task, Zone
from zonerss.units import PAGE_BYTES

PATHS = ("/", "/a", "/a/b", "/a/b/c", "/a/d", "/e/f")
FILES = (
    MappedFile("/lib/one.so", FileKind.FILE, True),
    MappedFile("/memfd:two", FileKind.MEMFD, False),
    MappedFile("/dev/shm/three", FileKind.TMPFS, True),
    MappedFile("/SYSV00000000", FileKind.SYSV, True, ipc_namespace=7),
)
FRAMES = 24
# Each frame: its kind, its file (None: none found), and the zones that map it.
frames = st.lists(
    st.tuples(
        st.sampled_from(list(Kind)),
        st.one_of(st.none(), st.integers(0, len(FILES) - 1)),
        st.frozensets(st.integers(0, len(PATHS) - 1)),
    ),
    max_size=FRAMES,
)
Frames = list[tuple[Kind, int | None, frozenset[int]]]


def member(key: int, rss_pages: int = 0) -> Member:
    path = PATHS[key]
    return Member(
        Task(key + 1, 0, 0, 0, "x", path, 0, key + 1), key + 1, (Zone(path, path),), key, rss_pages, 0
    )


MEMBERS = [member(key) for key in range(len(PATHS))]
NAMES = zone_names(MEMBERS)


def censuses(frames: Frames) -> tuple[Census, Census]:
    """By zone and by file."""
    by_zone, by_file = Census(len(PATHS)), Census(len(FILES))
    for pfn, (kind, file, zones) in enumerate(frames):
        for zone in sorted(zones):
            by_zone.mark(zone, [pfn], [kind])
        if file is not None and kind is not Kind.SWAP:
            by_file.mark(file, [pfn], [kind])
    return by_zone, by_file


def holdings(by_zone: Census, by_file: Census) -> Holdings:
    files = by_file.parts()
    held: dict[int, list[tuple[MappedFile | None, tuple[int, ...]]]] = defaultdict(list)
    for joint in by_zone.join(by_file):
        file = FILES[files.zones_of(joint.other)[0]] if joint.other else None
        held[joint.number].append((file, joint.pages))
    return held


def in_rss(frames: Frames, condition) -> int:  # type: ignore[no-untyped-def]
    return PAGE_BYTES * sum(kind in RSS_KINDS and condition(zones) for kind, _, zones in frames)


# ---- parts and pairs -----------------------------------------------------------------------------------


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
            assert parts.pairs()[one][other] * PAGE_BYTES == both
            if PATHS[one] < PATHS[other]:
                assert found.pop((PATHS[one], PATHS[other]), 0) == both
    assert not found


# ---- the join --------------------------------------------------------------------------------------------


@given(frames)
def test_the_join_tells_each_frame_by_both(frames: Frames) -> None:
    by_zone, by_file = censuses(frames)
    zones, files = by_zone.parts(), by_file.parts()
    found: dict[tuple[tuple[int, ...], tuple[int, ...], Kind], int] = defaultdict(int)
    for joint in by_zone.join(by_file):
        for kind in Kind:
            if joint.pages[kind]:
                key = zones.zones_of(joint.number), files.zones_of(joint.other), kind
                found[key] += joint.pages[kind]
    expected: dict[tuple[tuple[int, ...], tuple[int, ...], Kind], int] = defaultdict(int)
    for kind, file, mapped in frames:
        if mapped:
            named = () if file is None or kind is Kind.SWAP else (file,)
            expected[tuple(sorted(mapped)), named, kind] += 1
    assert found == expected


@given(frames, st.frozensets(st.integers(0, 12)))
def test_the_join_of_some_sets_is_that_part_of_the_whole(frames: Frames, wanted: frozenset[int]) -> None:
    by_zone, by_file = censuses(frames)
    wanted = frozenset(number for number in by_zone.parts().filled() if number in wanted)
    whole = [joint for joint in by_zone.join(by_file) if joint.number in wanted]
    assert sorted(by_zone.join(by_file, wanted)) == sorted(whole)


# ---- the tree --------------------------------------------------------------------------------------------


@given(frames)
def test_the_tree_counts_each_frame_once_in_each_subtree(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    nodes = tree_usage(parts, MEMBERS, lambda path: len(path))
    assert [node.usage.zone for node in nodes] == ["/", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f"]
    for node in nodes:
        path = node.usage.zone.rstrip("/")
        below = {
            key for key, other in enumerate(PATHS) if other == node.usage.zone or other.startswith(path + "/")
        }
        assert node.usage.rss_bytes == in_rss(frames, lambda z, below=below: bool(z & below))
        assert node.usage.exclusive_bytes == in_rss(frames, lambda z, below=below: bool(z) and z <= below)
        assert node.usage.processes == len(below)
        assert node.usage.charged_bytes == len(node.usage.zone)
        own = {key for key, other in enumerate(PATHS) if other == node.usage.zone}
        assert node.own_rss_bytes == in_rss(frames, lambda z, own=own: bool(z & own))
        assert node.own_processes == len(own)
    rss = {node.usage.zone: node.usage.rss_bytes for node in nodes}
    for node in nodes:
        children = [other for other in nodes if other.parent == node.usage.zone]
        assert all(rss[child.usage.zone] <= rss[node.usage.zone] for child in children)
        assert rss[node.usage.zone] <= sum(rss[child.usage.zone] for child in children) + node.own_rss_bytes
        assert all(child.depth == node.depth + 1 for child in children)
    assert abs((nodes[0].usage.proportional_bytes or 0) - nodes[0].usage.rss_bytes) <= 1


# ---- files -----------------------------------------------------------------------------------------------


@given(frames)
def test_files_are_sums_over_their_frames(frames: Frames) -> None:
    by_zone, by_file = censuses(frames)
    parts, held = by_zone.parts(), holdings(by_zone, by_file)
    in_files = (Kind.FILE, Kind.SHMEM, Kind.HUGETLB)
    for zone in (None, *range(len(PATHS))):
        name = None if zone is None else PATHS[zone]
        for usage in files_usage(parts, NAMES, held, name):
            mine = [
                zones
                for kind, file, zones in frames
                if kind in in_files and (None if file is None else FILES[file]) == usage.file and zones
            ]
            ours = [zones for zones in mine if zone is None or zone in zones]
            assert usage.bytes == len(ours) * PAGE_BYTES
            assert usage.exclusive_bytes == sum(len(zones) == 1 for zones in ours) * PAGE_BYTES
            for other, size in usage.mapped_by:
                assert size == sum(PATHS.index(other) in zones for zones in mine) * PAGE_BYTES


# ---- what if ---------------------------------------------------------------------------------------------


@given(frames, st.frozensets(st.integers(0, len(PATHS) - 1), min_size=1))
def test_whatif_divides_what_the_zones_map(frames: Frames, ending: frozenset[int]) -> None:
    by_zone, by_file = censuses(frames)
    parts = by_zone.parts()
    within = set(sets_within(parts, ending))
    held = {number: rows for number, rows in holdings(by_zone, by_file).items() if number in within}
    answer = whatif(parts, NAMES, [PATHS[key] for key in sorted(ending)], held)
    ends = {fate: 0 for fate in Fate}
    for kind, file, zones in frames:
        if kind in RSS_KINDS and zones and zones <= ending:
            ends[fate(kind, None if file is None else FILES[file])] += PAGE_BYTES
    assert answer.freed_bytes == ends[Fate.FREED]
    assert answer.reclaimable_bytes == ends[Fate.RECLAIMABLE]
    assert answer.stays_bytes == ends[Fate.STAYS]
    assert answer.kept_bytes == in_rss(frames, lambda z: bool(z & ending) and not z <= ending)
    assert answer.rss_bytes == in_rss(frames, lambda z: bool(z & ending))
    for name, size in answer.kept_by:
        key = PATHS.index(name)
        assert key not in ending
        assert size == in_rss(frames, lambda z, key=key: key in z and bool(z & ending))
    alone = [kind for kind, _, zones in frames if zones and zones <= ending]
    assert answer.swap_bytes == alone.count(Kind.SWAP) * PAGE_BYTES
    assert answer.hugetlb_bytes == alone.count(Kind.HUGETLB) * PAGE_BYTES
    assert sum(row[3] for row in answer.left) == answer.rss_bytes - answer.kept_bytes


@given(frames)
def test_whatif_of_all_zones_is_the_total_and_keeps_nothing(frames: Frames) -> None:
    by_zone, by_file = censuses(frames)
    answer = whatif(by_zone.parts(), NAMES, PATHS, holdings(by_zone, by_file))
    assert answer.rss_bytes == in_rss(frames, bool)
    assert (answer.kept_bytes, answer.kept_by) == (0, ())


@pytest.mark.parametrize(
    ("kind", "file", "expected"),
    [
        (Kind.ANON, None, Fate.FREED),
        (Kind.FILE, None, Fate.RECLAIMABLE),
        (Kind.SHMEM, None, Fate.STAYS),
        (Kind.FILE, MappedFile("/f", FileKind.FILE, True), Fate.RECLAIMABLE),
        (Kind.FILE, MappedFile("/f", FileKind.DELETED, False), Fate.FREED),
        (Kind.SHMEM, MappedFile("/f", FileKind.DELETED, False), Fate.FREED),
        (Kind.SHMEM, MappedFile("/f", FileKind.TMPFS, True), Fate.STAYS),
        (Kind.FILE, MappedFile("/f", FileKind.TMPFS, True), Fate.STAYS),  # ramfs
        # On an overlay whose upper directory is on tmpfs.
        (Kind.SHMEM, MappedFile("/f", FileKind.FILE, True), Fate.STAYS),
        (Kind.SHMEM, MappedFile("/memfd:f", FileKind.MEMFD, False), Fate.FREED),
        (Kind.SHMEM, MappedFile("/dev/zero", FileKind.SHARED, False), Fate.FREED),
        (Kind.SHMEM, MappedFile("/SYSV00000000", FileKind.SYSV, True), Fate.STAYS),
        (Kind.SHMEM, MappedFile("/SYSV00000000", FileKind.SYSV, False), Fate.FREED),
        (Kind.SHMEM, MappedFile("/SYSV00000000", FileKind.SYSV, True, ipc_namespace=7), Fate.FREED),
        (Kind.FILE, MappedFile("[vdso]", FileKind.KERNEL, True), Fate.STAYS),
        (Kind.FILE, MappedFile("anon_inode:[perf_event]", FileKind.DEVICE, False), Fate.FREED),
    ],
)
def test_fates(kind: Kind, file: MappedFile | None, expected: Fate) -> None:
    assert fate(kind, file, ending_ipc={7}) is expected


# ---- whom to walk again ----------------------------------------------------------------------------------


def test_one_zone_names_all_parts_that_it_is_in() -> None:
    parts = [(11, (0, 1)), (12, (1, 2)), (13, (0, 2)), (14, (3, 4))]
    assert cover(parts, {0: 9, 1: 2, 2: 5, 3: 1, 4: 1}, surely=2, budget=7) == ({1, 2}, [11, 12, 13])
    assert cover(parts, {0: 9, 1: 2, 2: 5, 3: 1, 4: 1}, surely=2, budget=8) == ({1, 2, 3}, [11, 12, 13, 14])


def test_the_largest_are_named_at_any_cost() -> None:
    assert cover([(5, (0, 1))], {0: 1 << 40, 1: 1 << 41}, surely=1, budget=0) == ({0}, [5])
