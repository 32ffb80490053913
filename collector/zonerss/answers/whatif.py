"""What the machine would get back if some zones ended. Pure.

For a part P with the set of zones S, and K the zones that end:

    unmapped when they end      pages(P) where S is a subset of K; what becomes of them depends on the file
    kept by others              pages(P) where S meets K and goes beyond it

Tested: freed + reclaimable + stays + kept is the rss of K taken as one zone; where K is all zones nothing is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum

from zonerss.census.kinds import Kind, rss_of
from zonerss.census.parts import Parts
from zonerss.plain import dataclass
from zonerss.records.files import FileKind, Holdings, MappedFile
from zonerss.units import pages_to_bytes


class Fate(StrEnum):
    """What becomes of pages that no process maps any more."""

    FREED = "freed"
    """Free at once."""
    RECLAIMABLE = "reclaimable"
    """Page cache: the kernel takes it when it needs memory."""
    STAYS = "stays"
    """The only copy of something that can still be opened."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What the machine would get back if some zones ended. In bytes."""

    without: tuple[str, ...]
    freed_bytes: int
    reclaimable_bytes: int
    stays_bytes: int
    kept_bytes: int
    kept_by: tuple[tuple[str, int], ...]
    """Who maps what is kept, and how much of it; most first. The sum may be more than what is kept."""
    swap_bytes: int
    """Swap slots that would be free, beside the memory."""
    hugetlb_bytes: int
    """Huge pages that would go back to their pool or stay in a hugetlbfs file, beside the memory."""
    left: tuple[tuple[Fate, str, FileKind | None, int], ...]
    """What would become of which file: fate, name, kind and bytes; most first."""

    @property
    def rss_bytes(self) -> int:
        """The rss of the zones taken as one."""
        return self.freed_bytes + self.reclaimable_bytes + self.stays_bytes + self.kept_bytes


def fate(kind: Kind, file: MappedFile | None, ending_ipc: Collection[int] = ()) -> Fate:
    """
    What becomes of a page when its last mapping goes.

    :param file: None: private memory; or a file that was not found, which is then taken to last
    :param ending_ipc: IPC namespaces that go at the same time, and their System V segments with them
    """
    if kind is Kind.ANON:
        return Fate.FREED
    if file is None:
        return Fate.RECLAIMABLE if kind is Kind.FILE else Fate.STAYS
    if not file.lasts or (file.kind is FileKind.SYSV and file.ipc_namespace in ending_ipc):
        return Fate.FREED
    if kind is Kind.SHMEM or file.kind in (FileKind.TMPFS, FileKind.KERNEL):
        return Fate.STAYS
    return Fate.RECLAIMABLE


def sets_within(parts: Parts, zones: Collection[int]) -> list[int]:
    """The numbers of the parts that only these zones map."""
    inside, filled = frozenset(zones), list(parts.filled())
    return [
        number
        for number, owners in zip(filled, parts.members(filled), strict=True)
        if inside.issuperset(owners)
    ]


def whatif(
    parts: Parts,
    names: Mapping[int, str],
    without: Sequence[str],
    holdings: Holdings,
    ending_ipc: Collection[int] = (),
) -> WhatIf:
    """
    What would come back if some zones ended.

    :param without: the zones
    :param holdings: of the parts that only these zones map; a part that is missing has no files
    :param ending_ipc: see :func:`fate`
    """
    ending = frozenset(without)
    pages_of = dict.fromkeys(Fate, 0)
    files: dict[tuple[Fate, str, FileKind | None], int] = {}
    kept = swap = hugetlb = 0
    kept_by: dict[str, int] = {}
    filled = parts.filled()
    for (number, pages), owners in zip(filled.items(), parts.members(filled), strict=True):
        zones = frozenset(names[owner] for owner in owners)
        if zones.isdisjoint(ending):
            continue
        if others := zones - ending:
            kept += rss_of(pages)
            for name in others:
                kept_by[name] = kept_by.get(name, 0) + rss_of(pages)
            continue
        swap += pages[Kind.SWAP]
        hugetlb += pages[Kind.HUGETLB]
        for file, held in holdings.get(number, [(None, pages)]):
            for kind in (Kind.ANON, Kind.FILE, Kind.SHMEM):
                if held[kind]:
                    end = fate(kind, file, ending_ipc)
                    pages_of[end] += held[kind]
                    named = (end, file.name, file.kind) if file else (end, kind.name.lower(), None)
                    files[named] = files.get(named, 0) + held[kind]
    left = sorted(files.items(), key=lambda one: (-one[1], one[0][:2]))
    return WhatIf(
        without=tuple(without),
        freed_bytes=pages_to_bytes(pages_of[Fate.FREED]),
        reclaimable_bytes=pages_to_bytes(pages_of[Fate.RECLAIMABLE]),
        stays_bytes=pages_to_bytes(pages_of[Fate.STAYS]),
        kept_bytes=pages_to_bytes(kept),
        kept_by=tuple(
            (name, pages_to_bytes(count))
            for name, count in sorted(kept_by.items(), key=lambda one: (-one[1], one[0]))
            if count
        ),
        swap_bytes=pages_to_bytes(swap),
        hugetlb_bytes=pages_to_bytes(hugetlb),
        left=tuple((*named, pages_to_bytes(count)) for named, count in left),
    )
