"""zonerss.processes/1: what each process maps."""

from __future__ import annotations

from zonerss.schemas.words import (
    GAPS,
    HEADER,
    MAPCOUNTS,
    MAY_BE_IN_HEADER,
    PROCESS,
    document,
    or_null,
    record,
    rows,
    texts,
)

_ARGS = or_null(
    texts("with --args: its command line", "an argument; the last may be cut off"), "it could not be read"
)
SCHEMA = document(
    "processes",
    "zonerss ps --json",
    "json.md",
    {
        **HEADER,
        "processes": rows(
            "in the order of --sort", record("a process", PROCESS["properties"], {"args": _ARGS, **MAPCOUNTS})
        ),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
