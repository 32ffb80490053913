"""All about one zone, from one snapshot: what its page shows. Pure.

Each figure is that of the verb it is taken from: show, ps, files, share, explain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zonerss.answers.explain.chain import Chain
from zonerss.answers.files import FileUsage
from zonerss.census.kinds import rss_of
from zonerss.census.parts import NO_GROUP
from zonerss.plain import dataclass, field
from zonerss.records import Gap, Mapcounts, ProcessUsage, Usage
from zonerss.snapshot import Snapshot
from zonerss.units import pages_to_bytes

if TYPE_CHECKING:
    from zonerss.answers.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Bill:
    """What the kernel charges a zone, in few lines that add up to it. In bytes."""

    charged: int
    mapped: int
    """Charged to it and mapped, by whichever zone."""
    cache: int
    """Page cache and tmpfs that nobody maps."""
    kernel: int
    other: int
    """Anonymous memory that no process walked maps, sockets, and what was not explained."""
    paid_by_others: int
    """Not on this bill: mapped by the zone and charged to others, or to nobody."""
    paid_for_others: int
    """Part of what is mapped: only other zones map it."""


@dataclass(frozen=True, slots=True)
class Page:
    """All about one zone."""

    snapshot: Snapshot
    usage: Usage
    processes: Sequence[ProcessUsage]
    """All of them, largest first."""
    arguments: Mapping[int, Sequence[str]]
    """Command lines that were asked for and could be read, by pid."""
    files: Sequence[FileUsage] | None
    """Largest first; exclusive_bytes is this zone's. None: a recording was made without them."""
    shared_with: Sequence[tuple[str, int]]
    """Each zone that maps some of the same frames, and how many bytes; most first."""
    chain: Chain | None
    """From the sum of its processes' RSS to its bill; None: the kernel does not tell who is charged for a frame."""
    growth: float | None
    """By how many bytes its rss grew a minute; None: there were too few looks to tell."""
    gaps: tuple[Gap, ...] = ()
    """Processes whose files could not be read."""
    mapcounts: Mapcounts | None = None
    """How often its pages are mapped on the whole machine; None: the kernel does not tell."""
    users: Mapping[int, str] = field(default_factory=dict)
    """Login names by user id."""
    details_age_seconds: float = 0.0
    """How much older bill, files and mapping counts are than the rest."""
    verdict: Verdict | None = None
    """Is it a leak? None: it was looked at once."""

    @property
    def bill(self) -> Bill | None:
        """None: it has none, or the kernel does not tell who is charged for what."""
        return None if self.chain is None else bill_of(self.chain)


_KERNEL = (
    "kernel",
    "page_tables",
    "second_level_page_tables",
    "kernel_stacks",
    "slab",
    "percpu",
    "vmalloc",
    "zswap",
    "other_kernel",
)


def bill_of(chain: Chain) -> Bill | None:
    """The steps of a chain, gathered; None: it ends before a bill."""
    if chain.charged_bytes is None or chain.residual_bytes is None:
        return None
    sums: dict[str, int] = {}
    for step in chain.steps:
        sums[step.name] = sums.get(step.name, 0) + step.bytes
    elsewhere = -sums.get("billed_to_others", 0) - sums.get("billed_to_nobody", 0)
    mapped = chain.rss_bytes - elsewhere + sums.get("mapped_by_others", 0)
    cache, kernel = sums.get("cache_not_mapped", 0), sum(sums.get(name, 0) for name in _KERNEL)
    return Bill(
        charged=chain.charged_bytes,
        mapped=mapped,
        cache=cache,
        kernel=kernel,
        other=chain.charged_bytes - mapped - cache - kernel,
        paid_by_others=elsewhere,
        paid_for_others=sums.get("mapped_by_others", 0),
    )


def shared_with(snapshot: Snapshot, zone: str) -> list[tuple[str, int]]:
    """The zones of the first grouping that map some of what a zone maps, and how many bytes of it; most first."""
    names = list(dict.fromkeys(member.zones[0].name for member in snapshot.members))
    if zone not in names:
        return []
    number = {name: index for index, name in enumerate(names)}
    group_of = [NO_GROUP] * snapshot.parts.owners
    for member in snapshot.members:
        group_of[member.owner] = number[member.zones[0].name]
    parts = snapshot.parts.project(group_of, len(names))
    filled, ours = parts.filled(), number[zone]
    pages = [0] * len(names)
    for held, groups in zip(filled.values(), parts.members(filled), strict=True):
        if ours in groups:
            for group in groups:
                pages[group] += rss_of(held)
    found = [(name, pages_to_bytes(pages[number[name]])) for name in names if name != zone]
    return sorted((one for one in found if one[1]), key=lambda one: (-one[1], one[0]))
