"""A few frames with their kind, their file and the zones that map them; and sums over real sets of them."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import strategies as st

from zonerss.census.census import Census
from zonerss.census.kinds import RSS_KINDS, Kind
from zonerss.census.usage import Member, zone_names
from zonerss.records import Task, Zone
from zonerss.records.files import FileKind, Holdings, MappedFile
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
    return Member(Task(key + 1, 0, 0, 0, "x", path, 0, key + 1), key + 1, (Zone(path, path),), key, rss_pages)


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
    for overlap in by_zone.overlaps(by_file):
        file = FILES[files.owners_of(overlap.other)[0]] if overlap.other else None
        held[overlap.number].append((file, overlap.pages))
    return held


def in_rss(frames: Frames, condition) -> int:  # type: ignore[no-untyped-def]
    return PAGE_BYTES * sum(kind in RSS_KINDS and condition(zones) for kind, _, zones in frames)
