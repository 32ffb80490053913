"""Shared memory, thing by thing: tables, or a document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zonerss.answers.explain.records import ShmemAccount
from zonerss.answers.explain.tmpfs import Held, ShmemAnswer
from zonerss.records.shmem import ShmemKind
from zonerss.views.columns import sizes
from zonerss.views.document import gap_list, header
from zonerss.views.footer import remarks
from zonerss.views.mappings import SHARED
from zonerss.views.table import render_rows
from zonerss.views.text import encodable, printable, some_names

_CALLED = {
    ShmemKind.MOUNT: "tmpfs",
    ShmemKind.DELETED: "deleted",
    ShmemKind.MEMFD: "memfd",
    ShmemKind.SYSV: "sysv",
    ShmemKind.SHARED: "shared",
}


def render(account: ShmemAccount, in_bytes: bool = False) -> list[str]:
    """A line for each thing, one for each cgroup that is charged, and what was not seen."""
    answer, size = account.answer, sizes(in_bytes)
    rows = [_row(held, in_bytes) for held in answer.held]
    headers = ["SIZE", "MAPPED", "NOT MAPPED", "KIND", "NAME", "MAPPED BY", "OPEN IN"]
    lines = render_rows(headers, rows, [False, False, False, True, True, True, True])
    if answer.charged is not None:
        charged = [
            [
                size(row.mapped_bytes),
                size(row.not_mapped_bytes),
                "–" if row.cgroup is None else printable(row.cgroup),
            ]
            for row in answer.charged
        ]
        lines += ["", *render_rows(["MAPPED", "NOT MAPPED", "CHARGED TO"], charged, [False, False, True])]
    return [*lines, "", *_remarks(account, size)]


def _row(held: Held, in_bytes: bool) -> list[str]:
    thing, size = held.thing, sizes(in_bytes)
    return [
        size(thing.bytes),
        size(held.mapped_bytes),
        size(held.not_mapped_bytes),
        _CALLED[thing.kind],
        SHARED if thing.kind is ShmemKind.SHARED else printable(thing.name),
        some_names([zone for zone, _ in held.mapped_by]) or "nobody",
        some_names(held.opened_by) if thing.kind is not ShmemKind.MOUNT else "",
    ]


def _remarks(account: ShmemAccount, size: Callable[[int | None], str]) -> list[str]:
    answer = account.answer
    lines = [
        f"Shared memory in RAM: {size(answer.mapped_bytes + answer.not_mapped_bytes)}, "
        f"{size(answer.not_mapped_bytes)} of it mapped by nobody.",
        "SIZE counts what is swapped out, too. Deleted files are part of the tmpfs that they are on.",
    ]
    if answer.charged is None:
        lines.append("The kernel does not tell which cgroup a frame is charged to (no /proc/kpagecgroup).")
    lines += [f"Not seen: {printable(sentence)}." for sentence in account.unseen]
    return [*lines, *remarks(account.snapshot)]


def document(account: ShmemAccount) -> dict[str, Any]:
    """``zonerss.shmem/1``."""
    answer: ShmemAnswer = account.answer
    return header("zonerss.shmem/1", account.snapshot) | {
        "mapped_bytes": answer.mapped_bytes,
        "not_mapped_bytes": answer.not_mapped_bytes,
        "things": [_fields(held) for held in answer.held],
        "charged": None
        if answer.charged is None
        else [
            {
                "cgroup": None if row.cgroup is None else encodable(row.cgroup),
                "mapped_bytes": row.mapped_bytes,
                "not_mapped_bytes": row.not_mapped_bytes,
            }
            for row in answer.charged
        ],
        "unseen": [encodable(sentence) for sentence in account.unseen],
        "gaps": gap_list((*account.snapshot.gaps, *account.gaps)),
    }


def _fields(held: Held) -> dict[str, Any]:
    thing = held.thing
    return {
        "kind": str(thing.kind),
        "name": encodable(thing.name),
        "device": None if thing.kind is ShmemKind.SYSV else f"{thing.device[0]}:{thing.device[1]}",
        "inode": thing.inode or None if thing.kind is not ShmemKind.SYSV else thing.inode,
        "ipc_namespace": thing.ipc_namespace if thing.kind is ShmemKind.SYSV else None,
        "bytes": thing.bytes,
        "swap_bytes": thing.swap_bytes,
        "mapped_bytes": held.mapped_bytes,
        "not_mapped_bytes": held.not_mapped_bytes,
        "mapped_by": [{"zone": encodable(zone), "bytes": size} for zone, size in held.mapped_by],
        "opened_by": [encodable(zone) for zone in held.opened_by],
    }
