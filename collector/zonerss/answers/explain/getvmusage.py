"""How a zone maps its memory, as getvmusage tells it, beside who maps it, as we tell it: pure.

getvmusage calls a page private where it was reached through a MAP_PRIVATE mapping, so that every program's libc is
private; we call a page exclusive where no other zone maps it. Neither follows from the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from zonerss.census.census import NO_GROUP, Parts
from zonerss.census.usage import rss_of
from zonerss.units import pages_to_bytes


@dataclass(frozen=True, slots=True)
class HowMapped:
    """A zone's memory by the basis incore, two ways. rss_private + rss_shared = exclusive + shared_with_others."""

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
    keys: Sequence[int],
    exclusive_bytes: int,
    reserved: tuple[int, int],
    swap_used_bytes: int,
) -> HowMapped:
    """
    Sort a zone's pages by the mappings that reach them.

    :param by_mapping: :attr:`zonerss.snapshot.Snapshot.by_mapping`
    :param keys: the zone's numbers in the snapshot's parts
    :param exclusive_bytes: by the same basis
    :param reserved: from :func:`zonerss.answers.explain.reserved.reserved_bytes`
    """
    own, count = set(keys), by_mapping.zones // 2
    group_of = [(z >= count) if z % count in own else NO_GROUP for z in range(by_mapping.zones)]
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
