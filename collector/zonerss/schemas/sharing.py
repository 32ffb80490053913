"""zonerss.sharing/1: who shares what with whom."""

from __future__ import annotations

from zonerss.schemas.words import (
    GAPS,
    HEADER,
    HOLDS,
    MAY_BE_IN_HEADER,
    ZONE,
    ZONE_FIELDS,
    count,
    document,
    record,
    rows,
    size,
    text,
    texts,
)

_OWN = record(
    "a zone that was asked for",
    {
        "zone": text("its name"),
        "rss_bytes": size("every frame that it maps, once"),
        "exclusive_bytes": size("of it: mapped by no other zone"),
        "shared_bytes": size("of it: mapped by other zones, too"),
        "neighbours": rows(
            "the zones that it shares with, most first",
            record(
                "a zone",
                {"zone": text("its name"), "bytes": size("what both map"), "holds": HOLDS},
            ),
        ),
    },
)
SCHEMA = document(
    "sharing",
    "zonerss share [ZONE...] --json",
    "share.md",
    {
        **HEADER,
        "total": record("all zones, taken together, every frame once", ZONE_FIELDS),
        "zones": rows("each zone, largest first", ZONE),
        "parts": rows(
            "sets of zones, and what exactly these zones map; largest first",
            record(
                "a part",
                {
                    "zones": texts("the set", "a zone"),
                    "bytes": size("all of it: anon, file and shmem"),
                    "anon_bytes": size("private memory that no file backs"),
                    "file_bytes": size("page cache of files"),
                    "shmem_bytes": size("tmpfs, memfd, System V and anonymous shared memory"),
                    "holds": HOLDS,
                },
            ),
        ),
        "pair_count": count("how many pairs share anything"),
        "pairs": rows(
            "the largest first; each pair once",
            record(
                "a pair",
                {
                    "zones": texts("the two, in the order of their names", "a zone")
                    | {"minItems": 2, "maxItems": 2},
                    "bytes": size("what both map"),
                },
            ),
        ),
        "gaps": GAPS,
    },
    {**MAY_BE_IN_HEADER, "own": rows("with ZONE: parts and pairs are then those with one of them", _OWN)},
)
