"""zonerss.zone/1: all about one zone on one page."""

from __future__ import annotations

from zonerss.schemas.cap import FORECAST
from zonerss.schemas.report import CULPRIT, MEETS, VERDICT
from zonerss.schemas.words import (
    CHAIN,
    FILE,
    GAPS,
    HEADER,
    MAPCOUNTS,
    MAY_BE_IN_HEADER,
    PROCESS,
    ZONE_FIELDS,
    difference,
    document,
    integer,
    or_null,
    record,
    rows,
    size,
    text,
    texts,
)

_BILL = record(
    "what the kernel charges, gathered: charged_bytes is the sum of the four that follow",
    {
        "charged_bytes": size("the whole bill"),
        "mapped_bytes": difference("charged to it and mapped, by whichever zone"),
        "cache_bytes": difference("page cache and tmpfs that nobody maps"),
        "kernel_bytes": size("kernel memory"),
        "other_bytes": difference("sockets, the kernel's stock, and what was not explained"),
        "paid_by_others_bytes": size("besides: mapped by the zone and charged to others, or to nobody"),
        "paid_for_others_bytes": size("of mapped_bytes: only other zones map it"),
    },
)
_PROCESS = record(
    "a process",
    {**PROCESS["properties"], "args": or_null(texts("its command line", "a word"), "it could not be read")},
)
SCHEMA = document(
    "zone",
    "zonerss ZONE --json",
    "zone.md",
    {
        **HEADER,
        "zones": rows(
            "those that were named",
            record(
                "a zone",
                {
                    **ZONE_FIELDS,
                    "bill": or_null(
                        _BILL, "it has none, or the kernel does not tell who is charged for a frame"
                    ),
                    **CHAIN,
                    "growth_bytes_per_minute": or_null(
                        integer("by how much its rss grew; bytes a minute"),
                        "there were too few looks to tell",
                    ),
                    "verdict": or_null(
                        record("is it a leak (docs/report.md)", {**VERDICT, **CULPRIT, "meets": MEETS}),
                        "it was looked at once",
                    ),
                    "largest_processes": rows("largest first", _PROCESS),
                    "largest_files": or_null(
                        rows("largest first; exclusive_bytes is the zone's", FILE),
                        "a recording was made without the files that zones map",
                    ),
                    "shared_with": rows(
                        "zones that map some of the same frames, most first",
                        record("a zone", {"zone": text("its name"), "bytes": size("what both map")}),
                    ),
                    **MAPCOUNTS,
                    "forecast": or_null(FORECAST, "it has no cap"),
                },
            ),
        ),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
