"""zonerss.explain/1: from the sum of process RSS to what the kernel charges."""

from __future__ import annotations

from zonerss.schemas.words import (
    CHAIN,
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    NO_CHARGE,
    count,
    difference,
    document,
    flag,
    or_null,
    record,
    rows,
    size,
    text,
)

_DRIFT = record(
    "what changed during the measurement",
    {
        "came": rows("processes of the zone that came", count("process id")),
        "left": rows("processes of the zone that left", count("process id")),
        "charged_bytes": difference("change of the charge"),
    },
)
SCHEMA = document(
    "explain",
    "zonerss explain ZONE --json",
    "explain.md",
    {
        **HEADER,
        "zone": text("its name"),
        "cgroup": or_null(text("the cgroup that is charged"), "there is none"),
        "processes": count("processes that were walked"),
        "process_rss_bytes": size("the sum of their RSS"),
        "rss_bytes": size("every frame that the zone maps, once"),
        "charged_bytes": or_null(size("what the kernel charges to it"), NO_CHARGE),
        **CHAIN,
        "holds": or_null(flag("whether the residual is within its bound"), NO_CHARGE),
        "attempts": count("how often it was measured"),
        "drift": or_null(_DRIFT, "nothing was compared"),
        "gaps": GAPS,
    },
    {
        **MAY_BE_IN_HEADER,
        "numbers": rows(
            "with --numbers: what each tool prints",
            record(
                "a number",
                {
                    "name": text("who prints it"),
                    "bytes": or_null(size("the number")),
                    "formula": text("how it is made"),
                    "answers": text("the question that it answers"),
                    "whole_cgroup": flag("it is of the whole cgroup, zones below it included"),
                },
            ),
        ),
        "how_mapped": record(
            "with --private-shared: getvmusage's private and shared beside exclusive and shared",
            {
                "rss_private_bytes": size("getvmusage's: through private mappings"),
                "rss_shared_bytes": size("getvmusage's: through shared mappings"),
                "both_bytes": size("of rss_shared_bytes: mapped both ways"),
                "exclusive_bytes": size("mapped by no other zone"),
                "shared_with_others_bytes": size("mapped by other zones, too"),
                "swap_private_bytes": size("getvmusage's: reserved by private mappings"),
                "swap_shared_bytes": size("getvmusage's: reserved by shared memory"),
                "swap_used_bytes": size("swap slots that page tables point at"),
            },
        ),
    },
)
