"""zonerss.processes/1: what each process maps."""

from __future__ import annotations

from zonerss.schemas.words import GAPS, HEADER, MAY_BE_IN_HEADER, PROCESS, document, rows

SCHEMA = document(
    "processes",
    "zonerss ps --json",
    "json.md",
    {**HEADER, "processes": rows("in the order of --sort", PROCESS), "gaps": GAPS},
    MAY_BE_IN_HEADER,
)
