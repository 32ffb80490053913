"""What the machine would get back if some zones ended: sums and two tables, or a document."""

from __future__ import annotations

from typing import Any

from zonerss.answers.whatif import WhatIf
from zonerss.records import Gap
from zonerss.snapshot import Snapshot
from zonerss.views.columns import sizes
from zonerss.views.document import gap_list, header
from zonerss.views.footer import footer
from zonerss.views.mappings import called
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable

_SHOWN = 10


def render(snapshot: Snapshot, answer: WhatIf, limit: int | None = None, in_bytes: bool = False) -> list[str]:
    """The answer, at most ten rows a table where no limit is given, and the last lines."""
    return [*render_answer(answer, limit or _SHOWN, in_bytes), "", *footer(snapshot, in_bytes)]


def render_answer(answer: WhatIf, limit: int, in_bytes: bool = False) -> list[str]:
    """The four sums, what would be left of which file, and who keeps the rest."""
    size = sizes(in_bytes)
    sums = [
        ["FREED", size(answer.freed_bytes), "free at once"],
        ["RECLAIMABLE", size(answer.reclaimable_bytes), "page cache that no process maps any more"],
        ["STAYS", size(answer.stays_bytes), "tmpfs files and System V segments"],
        ["KEPT", size(answer.kept_bytes), "mapped by other zones, too"],
    ]
    if answer.swap_bytes:
        sums.append(["SWAP", size(answer.swap_bytes), "in addition: swap slots"])
    if answer.hugetlb_bytes:
        sums.append(["HUGETLB", size(answer.hugetlb_bytes), "in addition: huge pages of a pool"])
    lines = render_rows(
        ["WITHOUT", "SIZE", " ".join(map(printable, answer.without))], sums, [True, False, True], prose=True
    )
    if answer.left:
        rows = [
            [size(count), fate, kind or "–", called(kind, name)]
            for fate, name, kind, count in answer.left[:limit]
        ]
        lines += ["", *render_rows(["SIZE", "FATE", "KIND", "OF"], rows, [False, True, True, True])]
    if answer.kept_by:
        rows = [[size(count), printable(name)] for name, count in answer.kept_by[:limit]]
        lines += ["", *render_rows(["SIZE", "KEPT BY"], rows, [False, True])]
    return lines


def document(
    snapshot: Snapshot, answer: WhatIf, limit: int | None = None, gaps: tuple[Gap, ...] = ()
) -> dict[str, Any]:
    """``zonerss.whatif/1`` (docs/whatif.md)."""
    return header("zonerss.whatif/1", snapshot) | {
        "without": [encodable(name) for name in answer.without],
        "rss_bytes": answer.rss_bytes,
        "freed_bytes": answer.freed_bytes,
        "reclaimable_bytes": answer.reclaimable_bytes,
        "stays_bytes": answer.stays_bytes,
        "kept_bytes": answer.kept_bytes,
        "kept_by": [{"zone": encodable(name), "bytes": size} for name, size in answer.kept_by[:limit]],
        "swap_bytes": answer.swap_bytes,
        "hugetlb_bytes": answer.hugetlb_bytes,
        "left": [
            {
                "fate": str(fate),
                "name": encodable(name) if kind else None,
                "kind": kind and str(kind),
                "bytes": size,
            }
            for fate, name, kind, size in answer.left[:limit]
        ],
        "gaps": gap_list((*snapshot.gaps, *gaps)),
    }
