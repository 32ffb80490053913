"""zonerss.files/1: which files are mapped."""

from __future__ import annotations

from zonerss.schemas.words import FILE, GAPS, HEADER, MAY_BE_IN_HEADER, document, or_null, rows, text

SCHEMA = document(
    "files",
    "zonerss files --json",
    "files.md",
    {
        **HEADER,
        "zone": or_null(text("whose files"), "those of all zones"),
        "files": rows("most bytes first", FILE),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
