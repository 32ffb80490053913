"""Which files are mapped: how much of each file zones map, and how much of it only one of them. Pure.

What zone z maps of a file is the sum of the file's pages over the parts whose set has z.
"""

from __future__ import annotations

from collections.abc import Mapping

from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts
from zonerss.plain import dataclass, field
from zonerss.records.files import Holdings, MappedFile, file_order
from zonerss.units import pages_to_bytes


@dataclass(frozen=True, slots=True)
class FileUsage:
    """What is mapped of one file, by one zone or by all."""

    file: MappedFile | None
    """None: files that could not be found again."""
    bytes: int
    exclusive_bytes: int
    """Of it what only one zone maps."""
    mapped_by: tuple[tuple[str, int], ...]
    """Each zone that maps the file, and how much of it; most first."""


@dataclass(slots=True)
class _Tally:
    pages: int = 0
    exclusive: int = 0
    by_zone: dict[str, int] = field(default_factory=dict)


def files_usage(
    parts: Parts, names: Mapping[int, str], holdings: Holdings, zone: str | None = None
) -> list[FileUsage]:
    """
    The mapped files, most bytes first.

    :param zone: bytes and exclusive_bytes are this zone's, and only files that it maps are listed; None: of all zones
    """
    tallies: dict[MappedFile | None, _Tally] = {}
    for number, held in holdings.items():
        # several owners may be of one zone, where each address space is one
        zones = list(dict.fromkeys(names[owner] for owner in parts.owners_of(number) if owner in names))
        ours = zone is None or zone in zones
        for file, pages in held:
            count = pages[Kind.FILE] + pages[Kind.SHMEM] + pages[Kind.HUGETLB]
            if not count:
                continue
            tally = tallies.setdefault(file, _Tally())
            for name in zones:
                tally.by_zone[name] = tally.by_zone.get(name, 0) + count
            tally.pages += count if ours else 0
            tally.exclusive += count if ours and len(zones) == 1 else 0
    found = [
        FileUsage(
            file,
            pages_to_bytes(tally.pages),
            pages_to_bytes(tally.exclusive),
            tuple(
                (name, pages_to_bytes(count))
                for name, count in sorted(tally.by_zone.items(), key=lambda one: (-one[1], one[0]))
            ),
        )
        for file, tally in tallies.items()
        if tally.pages
    ]
    return sorted(found, key=lambda usage: (-usage.bytes, file_order(usage.file)))
