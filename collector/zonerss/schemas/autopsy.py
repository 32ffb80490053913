"""zonerss.autopsy/1: the minutes before the kernel killed a process for want of memory."""

from __future__ import annotations

from zonerss.records.kills import ToldBy
from zonerss.schemas.words import (
    MACHINE,
    ZONE,
    count,
    document,
    flag,
    one_of,
    or_null,
    record,
    rows,
    size,
    text,
    texts,
    time,
)

_NOT_TOLD = "not told"
_NO_LIMIT = "no cgroup's limit, or not told whose"
_BILL = record(
    "what was on the bill whose limit was hit, at the last look",
    {
        "cgroup": text("whose limit was hit"),
        "charged_bytes": or_null(size("what it was charged with all below it")),
        "victim_bytes": or_null(size("private memory of the victim that nobody else maps")),
        "others_bytes": size("what processes below the limit map else, each frame once, whoever pays for it"),
        "cache_unmapped_bytes": or_null(
            size("page cache and shared memory on the bill that no process maps")
        ),
        "kernel_bytes": or_null(size("kernel memory on the bill")),
    },
)
_KILL = record(
    "a kill, and what was before it",
    {
        "time": time("when it was killed"),
        "pid": or_null(count("process id of the victim"), _NOT_TOLD),
        "command": or_null(text("its comm"), _NOT_TOLD),
        "zone": or_null(text("its zone, by the last look"), _NOT_TOLD),
        "cgroup": or_null(text("its cgroup"), _NOT_TOLD),
        "limit_cgroup": or_null(text("the cgroup whose limit was hit"), _NO_LIMIT),
        "limit_bytes": or_null(size("that limit"), _NO_LIMIT),
        "constraint": or_null(
            text("in the kernel's words: CONSTRAINT_MEMCG, CONSTRAINT_NONE, ..."), _NOT_TOLD
        ),
        "told_by": one_of("who told of it", *map(str, ToldBy)),
        "words": texts("what the kernel's log said", "a line"),
        "victim_rss_bytes": or_null(size("rss of the victim at the last look"), "it was not there"),
        "victim_exclusive_bytes": or_null(size("of it: mapped by nobody else"), "it was not there"),
        "growth": rows(
            "rss of each zone at the first and at the last look, largest growth first",
            record(
                "a zone",
                {
                    "zone": text("its name"),
                    "first_bytes": or_null(size("at the first look"), "it was not there"),
                    "last_bytes": or_null(size("at the last look"), "it was not there"),
                },
            ),
        ),
        "processes": rows(
            "rss of each process that changed, at the first and at the last look, largest growth first",
            record(
                "a process",
                {
                    "pid": count("process id"),
                    "command": text("the kernel's comm"),
                    "zone": text("its zone"),
                    "first_bytes": or_null(size("at the first look"), "it was not there"),
                    "last_bytes": or_null(size("at the last look"), "it was not there"),
                },
            ),
        ),
        "bill": or_null(_BILL, _NO_LIMIT),
        "before": rows(
            "the looks before it, in the order of time: all with the last five kills, the last one with the others",
            record(
                "a look",
                {
                    "began": time("when it began"),
                    "machine": MACHINE,
                    "zones": rows("zones, largest rss first", ZONE),
                },
            ),
        ),
        "before_left_out": count("how many more looks there are before it: name it by --at to have them"),
        "whatif": rows(
            "what ending each zone would have given at the last look, most first; the 100 largest zones",
            record(
                "a zone",
                {
                    "zone": text("its name"),
                    "freed_bytes": size("free at once"),
                    "reclaimable_bytes": size("page cache that no process would map any more"),
                    "stays_bytes": size("tmpfs files and System V segments"),
                    "kept_bytes": size("mapped by other zones, too"),
                },
            ),
        ),
        "knows_files": flag(
            "whether the last look kept files; if not, all shared memory is taken to have a name"
        ),
    },
)
SCHEMA = document(
    "autopsy",
    "zonerss autopsy --json",
    "autopsy.md",
    {
        "file": text("path of the recording"),
        "host_name": text("of the host that was recorded"),
        "kills": rows("the last kill, and those in the time before it, in the order of time", _KILL),
        "damaged": texts("looks and kills that were left out", "a sentence about one"),
    },
)
