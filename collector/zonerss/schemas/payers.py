"""zonerss.payers/1: which cgroup pays for what each zone maps."""

from __future__ import annotations

from zonerss.schemas.words import (
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    count,
    document,
    or_null,
    record,
    rows,
    size,
    text,
)

_NOBODY = "nobody is charged"
SCHEMA = document(
    "payers",
    "zonerss explain --payers --json",
    "explain.md",
    {
        **HEADER,
        "payments": rows(
            "what each zone maps, by who pays for it",
            record(
                "a payment",
                {
                    "zone": text("who maps it"),
                    "cgroup": or_null(text("who is charged"), _NOBODY),
                    "bytes": size("how much"),
                    "exclusive_bytes": size("of it: mapped by no other zone"),
                    "hint": text("why, for people"),
                },
            ),
        ),
        "payers": rows(
            "each cgroup that is charged for anything mapped",
            record(
                "a payer",
                {
                    "cgroup": or_null(text("its path"), _NOBODY),
                    "zone": or_null(text("the zone that its charge belongs to"), "none"),
                    "bytes": size("what it is charged for of all that is mapped"),
                    "removed_bytes": or_null(size("of it: charged by cgroups below it that were removed")),
                    "processes": count("its own processes"),
                },
            ),
        ),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
