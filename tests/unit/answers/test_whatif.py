"""What would come back, against sums over real sets of frames."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.frames_by_hand import FILES, NAMES, PATHS, Frames, censuses, frames, holdings, in_rss

from zonerss.answers.whatif import Fate, fate, sets_within, whatif
from zonerss.census.kinds import RSS_KINDS, Kind
from zonerss.records.files import FileKind, MappedFile
from zonerss.units import PAGE_BYTES


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
