"""zonerss.whatif/1: what the machine would get back if zones ended."""

from __future__ import annotations

from zonerss.schemas.words import (
    FILE_KIND,
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    document,
    one_of,
    or_null,
    record,
    rows,
    size,
    text,
    texts,
)

SCHEMA = document(
    "whatif",
    "zonerss whatif ZONE... --json",
    "whatif.md",
    {
        **HEADER,
        "without": texts("the zones that end", "a zone"),
        "rss_bytes": size("what they map, taken as one"),
        "freed_bytes": size("of it: free at once"),
        "reclaimable_bytes": size("of it: page cache that no process maps any more"),
        "stays_bytes": size("of it: tmpfs files and System V segments, which outlive their processes"),
        "kept_bytes": size("of it: mapped by other zones, too"),
        "kept_by": rows(
            "who maps it, most first; several may keep one page",
            record("a zone", {"zone": text("its name"), "bytes": size("what it keeps")}),
        ),
        "swap_bytes": size("besides: swap slots that only they point at"),
        "hugetlb_bytes": size("besides: huge pages that return to their pool"),
        "left": rows(
            "what would become of which file, most first",
            record(
                "a file, or private memory",
                {
                    "fate": one_of("what becomes of it", "freed", "reclaimable", "stays"),
                    "name": or_null(text("of the file"), "private memory"),
                    "kind": or_null(FILE_KIND, "private memory"),
                    "bytes": size("how much"),
                },
            ),
        ),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
