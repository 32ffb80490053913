"""zonerss.images/1: what containers of one image share."""

from __future__ import annotations

from zonerss.schemas.words import (
    GAPS,
    HEADER,
    HOLDS,
    MAY_BE_IN_HEADER,
    document,
    or_null,
    record,
    rows,
    size,
    text,
    texts,
)

_SUMS = {
    "containers": texts("the zones of its containers", "a zone"),
    "apart_bytes": size("what they would take without sharing: the sum of their rss_bytes"),
    "rss_bytes": size("what they map, taken as one: every frame once"),
    "saved_bytes": size("apart_bytes less rss_bytes"),
    "shared_bytes": size("what two or more of them map, every frame once"),
}
SCHEMA = document(
    "images",
    "zonerss share --by-image --json",
    "share.md",
    {
        **HEADER,
        "total": record("all containers, of whichever image, known or not", _SUMS),
        "images": rows(
            "what saves most first",
            record(
                "an image",
                {
                    "name": or_null(text("what people call it"), "it has no name, or none that is known"),
                    "id": or_null(text("64 hexadecimal digits"), "the engine's state has only the name"),
                    **_SUMS,
                    "holds": HOLDS,
                },
            ),
        ),
        "unknown": texts("containers whose image is unknown", "a zone"),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
