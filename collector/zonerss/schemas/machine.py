"""zonerss.machine/1: where the machine's memory is."""

from __future__ import annotations

from zonerss.schemas.words import (
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    count,
    difference,
    document,
    flag,
    record,
    rows,
    size,
    text,
)

_PART = record(
    "a part of the machine's memory",
    {
        "step": text("its name, for programs"),
        "bytes": difference("how much it is"),
        "source": text("where the figure is from: census, kpageflags, meminfo, ..."),
    },
)
SCHEMA = document(
    "machine",
    "zonerss explain --json",
    "explain.md",
    {
        **HEADER,
        "ram_bytes": size("frames of memory"),
        "reserved_bytes": size("of them: never the allocator's"),
        "memory_bytes": size("ram_bytes less reserved_bytes: what the kernel manages"),
        "steps": rows("all steps and unaccounted_bytes add up to memory_bytes", _PART),
        "unaccounted_bytes": difference("what is left over"),
        "unaccounted_bound_bytes": size("how much the kernel's counters can be behind"),
        "holds": flag("whether unaccounted_bytes is within its bound"),
        "checks": rows(
            "the kernel's counters, beside the frames that they count",
            record(
                "a counter",
                {
                    "counter": text("as /proc/meminfo calls it"),
                    "counter_bytes": size("what it says"),
                    "frames_bytes": size("what the frames say"),
                    "bound_bytes": size("by how much they may differ"),
                    "agrees": flag("whether they differ by no more"),
                },
            ),
        ),
        "within": rows("parts that lie in some of the steps, and add nothing", _PART),
        "attempts": count("how often it was measured"),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
