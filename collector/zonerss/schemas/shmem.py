"""zonerss.shmem/1: tmpfs mounts, memfds, System V segments and deleted files."""

from __future__ import annotations

from zonerss.records.shmem import ShmemKind
from zonerss.schemas.words import (
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    count,
    document,
    one_of,
    or_null,
    record,
    rows,
    size,
    text,
    texts,
)

_SUMS = {
    "mapped_bytes": size("frames that some process maps"),
    "not_mapped_bytes": size("frames that none maps"),
}
SCHEMA = document(
    "shmem",
    "zonerss explain --tmpfs --json",
    "explain.md",
    {
        **HEADER,
        **_SUMS,
        "things": rows(
            "what holds it",
            record(
                "a mount, a file or a segment",
                {
                    "kind": one_of("what it is", *map(str, ShmemKind)),
                    "name": text("where it is mounted; the last name of a file; the key of a segment"),
                    "device": or_null(text("major and minor number"), "a segment"),
                    "inode": or_null(count("of a file; of a segment its id"), "a mount"),
                    "ipc_namespace": or_null(
                        count("of a segment: the inode of its IPC namespace"), "no segment"
                    ),
                    "bytes": or_null(size("what it has allocated, swapped out or not")),
                    "swap_bytes": or_null(size("of it: swapped out")),
                    "mapped_bytes": size("frames of it that some process maps"),
                    "not_mapped_bytes": or_null(size("frames of it that none maps")),
                    "mapped_by": rows(
                        "zones that map some of it, most first",
                        record("a zone", {"zone": text("its name"), "bytes": size("what it maps")}),
                    ),
                    "opened_by": texts("zones with a process that holds it open", "a zone"),
                },
            ),
        ),
        "charged": or_null(
            rows(
                "who is charged for it",
                record("a cgroup", {"cgroup": or_null(text("its path"), "nobody is charged"), **_SUMS}),
            ),
            "the kernel does not tell",
        ),
        "unseen": texts("what could not be looked at", "a sentence"),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
