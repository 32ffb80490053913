"""What `explain --private-shared` shows: getvmusage's private and shared beside exclusive and shared."""

from __future__ import annotations

from typing import Any

from zonerss.answers.explain.getvmusage import HowMapped
from zonerss.plain import asdict
from zonerss.views.columns import sizes
from zonerss.views.table import render_rows
from zonerss.views.text import printable


def render(zone: str, mapped: HowMapped, in_bytes: bool = False) -> list[str]:
    """One table; both pairs add up to the same."""
    size = sizes(in_bytes)
    rows = [
        [
            "getvmusage",
            "rss_private",
            size(mapped.rss_private_bytes),
            "through MAP_PRIVATE (libc is private)",
        ],
        ["", "rss_shared", size(mapped.rss_shared_bytes), "through MAP_SHARED: files, tmpfs, shared memory"],
        ["zonerss", "exclusive", size(mapped.exclusive_bytes), "no other zone has it, however it is mapped"],
        ["", "shared", size(mapped.shared_with_others_bytes), "another zone has it, too"],
        ["getvmusage", "swap_private", size(mapped.swap_private_bytes), "reserved (fork doubles it)"],
        ["", "swap_shared", size(mapped.swap_shared_bytes), "reserved by shared memory, each once"],
        ["zonerss", "swap", size(mapped.swap_used_bytes), "used: slots that page tables refer to"],
    ]
    table = render_rows(
        ["WHO", "WHAT", "BYTES" if in_bytes else "SIZE", "MEANS"], rows, [True, True, False, True], prose=True
    )
    note = f"{size(mapped.both_bytes)} is mapped both ways and counted in rss_shared."
    return [f"zone {printable(zone)}, basis incore", "", *table, *(["", note] if mapped.both_bytes else [])]


def fields(mapped: HowMapped) -> dict[str, Any]:
    """The same for JSON."""
    return asdict(mapped)
