"""Files, against sums over real sets of frames."""

from __future__ import annotations

from hypothesis import given
from tests.unit.frames_by_hand import FILES, NAMES, PATHS, Frames, censuses, frames, holdings

from zonerss.answers.files import files_usage
from zonerss.census.kinds import Kind
from zonerss.units import PAGE_BYTES


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
