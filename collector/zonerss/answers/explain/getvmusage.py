"""A zone's private, shared and swap by getvmusage's definitions, beside ours. Pure.

getvmusage calls a page private where it was reached through a MAP_PRIVATE mapping, so every program's libc is private.
zonerss calls a page exclusive where no other zone maps it. Neither follows from the other.

getvmusage's swap is what is reserved, not what is used. Private mappings reserve what their processes could write, so
fork doubles it. Shared anonymous memory counts once per zone. Linux marks mappings that reserve with VM_ACCOUNT
(VmFlags "ac").
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from zonerss.census.kinds import rss_of
from zonerss.census.parts import NO_GROUP, Parts
from zonerss.census.ranges import Range, stretches
from zonerss.plain import dataclass
from zonerss.records.mappings import SmapsRow
from zonerss.units import pages_to_bytes


@dataclass(frozen=True, slots=True)
class HowMapped:
    """A zone's memory on basis incore, divided two ways. rss_private + rss_shared = exclusive + shared_with_others."""

    rss_private_bytes: int
    """getvmusage: reached through private mappings."""
    rss_shared_bytes: int
    """getvmusage: reached through shared mappings."""
    both_bytes: int
    """Of rss_shared: reached both ways; getvmusage gives it to whichever mapping it meets first."""
    exclusive_bytes: int
    """Ours: no other zone has it."""
    shared_with_others_bytes: int
    """Ours: another zone has it, too."""
    swap_private_bytes: int
    """getvmusage: reserved by private mappings; fork doubles it."""
    swap_shared_bytes: int
    """getvmusage: reserved by shared anonymous memory, each once."""
    swap_used_bytes: int
    """Ours: swap slots that page tables point at, each once."""


def how_mapped(
    by_mapping: Parts,
    owners: Sequence[int],
    exclusive_bytes: int,
    reserved: tuple[int, int],
    swap_used_bytes: int,
) -> HowMapped:
    """
    Sort a zone's pages by the mappings that reach them.

    :param by_mapping: :attr:`zonerss.snapshot.Snapshot.by_mapping`
    :param owners: the zone's in the snapshot's parts
    :param exclusive_bytes: by the same basis
    :param reserved: from :func:`reserved_bytes`
    """
    own, count = set(owners), by_mapping.owners // 2
    group_of = [(z >= count) if z % count in own else NO_GROUP for z in range(by_mapping.owners)]
    sums = by_mapping.project(group_of, 2).sums()
    private, shared = (pages_to_bytes(rss_of(zone.exclusive)) for zone in sums)
    both = pages_to_bytes(rss_of(sums[1].mapped)) - shared
    everything = private + shared + both
    return HowMapped(
        rss_private_bytes=private,
        rss_shared_bytes=shared + both,
        both_bytes=both,
        exclusive_bytes=exclusive_bytes,
        shared_with_others_bytes=everything - exclusive_bytes,
        swap_private_bytes=reserved[0],
        swap_shared_bytes=reserved[1],
        swap_used_bytes=swap_used_bytes,
    )


def reserved_bytes(processes: Iterable[Iterable[SmapsRow]]) -> tuple[int, int]:
    """
    What the processes of one zone reserve.

    :param processes: the mappings of each address space
    :return: getvmusage's swap_private and swap_shared, in bytes
    """
    private = 0
    numbers: dict[tuple[bytes, int], int] = defaultdict(lambda: len(numbers))
    shared: list[Range] = []
    for rows in processes:
        for row in rows:
            size = row.end - row.start
            if row.is_shared_anon:
                shared.append(Range(numbers[row.file], 0, row.offset, size))
            elif not row.shared and "ac" in row.flags:
                private += size
    return private, sum(stretch.pages for _, cut in stretches(shared) for stretch in cut)
