"""zonerss.wss/1: what was touched in a time."""

from __future__ import annotations

from zonerss.schemas.words import (
    FILE_KIND,
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    Fields,
    count,
    document,
    number,
    one_of,
    or_null,
    record,
    rows,
    size,
    text,
)

_TOUCHED: Fields = {
    "rss_bytes": size("every frame that it maps, once"),
    "touched_bytes": size("of it: touched in the time; the sum of the three kinds"),
    "touched_anon_bytes": size("private memory that no file backs"),
    "touched_file_bytes": size("page cache of files"),
    "touched_shmem_bytes": size("tmpfs, memfd, System V and anonymous shared memory"),
    "unknown_bytes": size("of rss_bytes and not in touched_bytes: accessed bits that could not be cleared"),
    "longest_stall_ns": or_null(
        count("the longest that clearing its bits may have held up a process at once; nanoseconds"),
        "no bits were cleared",
    ),
}
_ZONE = record(
    "what a zone touched",
    {
        "zone": text("its name, unique within a grouping"),
        "cgroup": or_null(text("path of the cgroup that is the zone"), "the zone is no cgroup"),
        "id": or_null(text("a container's full id"), "it has none"),
        "kind": text("what it is: docker, podman, service, cgroup, user, total, ..."),
        "processes": count("processes that were walked"),
        **_TOUCHED,
    },
)
_NOT_FOUND = "the file was not found again"
SCHEMA = document(
    "wss",
    "zonerss wss --json",
    "wss.md",
    {
        **HEADER,
        "seconds": number("how long before the walk all bits had been cleared; seconds"),
        "method": one_of("how they were cleared", "cold", "clear_refs"),
        "total": _ZONE | {"description": "all zones together, every frame once"},
        "zones": rows("most touched first", _ZONE),
        "gaps": GAPS,
    },
    {
        **MAY_BE_IN_HEADER,
        "processes": rows(
            "with --processes; most touched first",
            record(
                "what a process touched",
                {
                    "pid": count("process id"),
                    "zone": text("its zone"),
                    "uid": or_null(count("real user id")),
                    "command": text("the kernel's comm"),
                    **_TOUCHED,
                },
            ),
        ),
        "files": rows(
            "with --files; most touched first",
            record(
                "what was touched of a file through mappings of it",
                {
                    "name": or_null(text("the shortest of its names"), _NOT_FOUND),
                    "kind": or_null(FILE_KIND, _NOT_FOUND),
                    "bytes": size("what is mapped of it, each frame once"),
                    "touched_bytes": size("of it: touched in the time"),
                    "unknown_bytes": size("of it: accessed bits that could not be cleared"),
                },
            ),
        ),
    },
)
