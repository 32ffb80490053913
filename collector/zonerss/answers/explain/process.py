"""The RSS of one process, counted three ways, and what makes them differ. Pure.

    by the kernel's counters (statm, what ps prints)
      + not yet added up by each processor                  = by smaps (Rss)
      + entries that map the zero page
      + entries that map device memory
      + hugetlb pages                                       = by page table entries

The last is what SmartOS calls RSS: every page table entry that maps anything (rm_asrss). Linux does not count in Rss
the zero page, device memory, and hugetlb pages, for which smaps has fields of their own. Of device memory only what
pagemap shows is in it: entries of frames that are no pages of memory, but none of a mapping by frame number.
"""

from __future__ import annotations

from collections import Counter

from zonerss.answers.explain.chain import Step
from zonerss.census.kinds import RSS_KINDS, Kind
from zonerss.plain import dataclass
from zonerss.records.mappings import PAGE_DEVICE, PAGE_ZERO
from zonerss.units import pages_to_bytes


@dataclass(frozen=True, slots=True)
class ThreeWays:
    """statm_bytes + all steps = translations_bytes."""

    pid: int
    statm_bytes: int
    smaps_bytes: int
    """The sum of Rss."""
    translations_bytes: int
    steps: tuple[Step, ...]
    pfnmap_bytes: int
    """Size of the mappings by frame number (VM_PFNMAP): what device or kernel memory is there, is not in it."""


def three_ways(
    pid: int, statm_bytes: int, smaps_bytes: int, entries: Counter[int], pfnmap_bytes: int
) -> ThreeWays:
    """
    Join the three.

    :param entries: from :func:`zonerss.answers.frames.count_kinds`
    :param pfnmap_bytes: size of the mappings of which pagemap shows nothing
    """
    rss = pages_to_bytes(sum(entries[kind] for kind in RSS_KINDS))
    steps = (
        Step("counter_lag", smaps_bytes - statm_bytes),
        Step("changed_meanwhile", rss - smaps_bytes),
        Step("zero_page", pages_to_bytes(entries[PAGE_ZERO])),
        Step("device", pages_to_bytes(entries[PAGE_DEVICE])),
        Step("hugetlb", pages_to_bytes(entries[Kind.HUGETLB])),
    )
    total = statm_bytes + sum(step.bytes for step in steps)
    return ThreeWays(pid, statm_bytes, smaps_bytes, total, steps, pfnmap_bytes)
