"""zonerss.report/1: what became of zones and processes over a time, and a verdict on each."""

from __future__ import annotations

from zonerss.answers.verdict import Word
from zonerss.schemas.words import (
    count,
    difference,
    document,
    number,
    one_of,
    or_null,
    record,
    rows,
    size,
    text,
    texts,
    time,
)

_TOO_FEW = "there are too few snapshots to tell"
_PACE = {"type": "number"}
MEETS = {
    "type": ["object", "null"],
    "description": "what it meets first if it goes on like this. null: nothing, or nothing that is known",
    "properties": {
        "what": one_of("its limit, or what the machine has", "limit", "machine"),
        "in_seconds": number("how long that takes from the last snapshot on; seconds"),
    },
    "required": ["what", "in_seconds"],
    "additionalProperties": False,
}
VERDICT = {
    "growth_bytes_per_second": or_null(
        {**_PACE, "description": "the robust slope of what the verdict is about; bytes a second"}, _TOO_FEW
    ),
    "growth_low": or_null({**_PACE, "description": "its lower bound, in 999 of 1,000 cases"}, _TOO_FEW),
    "growth_high": or_null({**_PACE, "description": "its upper bound likewise"}, _TOO_FEW),
    "verdict": or_null(one_of("is it a leak (docs/report.md)", *Word), _TOO_FEW),
    "because": text("what the verdict rests on, for people"),
    "would_change": text("what would change it, for people"),
    "kind": or_null(
        one_of(
            "what grows",
            *("anon", "file", "shmem", "hugetlb", "swap", "processes"),
            *("cache", "slab", "sockets", "kernel", "other"),
        ),
        "nothing surely does",
    ),
    "grown_bytes": or_null(size("by how much that grew"), "nothing surely does"),
    "file": or_null(
        text("of a zone: the file that grew most"), "none did, it was not recorded, or this is a process"
    ),
    "period_seconds": or_null(number("of a saw-tooth; seconds"), "it is none, or fell once only"),
}
CULPRIT = {
    "pid": or_null(count("the process that grew most, or that has the file open"), "none did"),
    "command": or_null(text("the kernel's comm of it"), "likewise"),
}
_COURSE = {
    "snapshots": count("that it is in, of those that were looked at"),
    "first_time": time("the first of them"),
    "last_time": time("the last of them"),
    "first_bytes": size("its rss then"),
    "last_bytes": size("its rss at the last one"),
    "peak_bytes": size("the most that its rss was"),
    "peak_time": time("when"),
    **VERDICT,
}
_ZONE = record(
    "a zone",
    {
        "zone": text("its name"),
        "cgroup": or_null(text("path of the cgroup that is the zone"), "the zone is no cgroup"),
        **_COURSE,
        **CULPRIT,
        "charged_bytes": or_null(size("what the kernel charged it at the last snapshot")),
        "limit_bytes": or_null(size("the smallest memory limit from its cgroup up"), "none, or unknown"),
        "meets": MEETS,
    },
)
_PROCESS = record(
    "a process",
    {
        "pid": count("process id"),
        "command": text("the kernel's comm"),
        "zone": text("its zone"),
        **_COURSE,
        "meets": MEETS,
    },
)
_SIDE = or_null(
    record(
        "a zone in one of the files",
        {
            "last_bytes": size("its rss at the last snapshot"),
            "peak_bytes": size("the most that its rss was"),
            "growth_bytes_per_second": or_null(
                {**_PACE, "description": "how fast it surely grows; bytes a second"}, _TOO_FEW
            ),
            "verdict": or_null(one_of("as above", *Word), _TOO_FEW),
        },
    ),
    "it is not in it",
)
SCHEMA = document(
    "report",
    "zonerss report --json",
    "report.md",
    {
        "file": text("path of the recording"),
        "host_name": text("as the kernel had it"),
        "by": text("how zones are grouped"),
        "began": time("the first snapshot of the range"),
        "ended": time("the last one"),
        "snapshots": count("in the range"),
        "snapshots_read": count("of them: looked at, at even distances"),
        "peak_snapshots": count("of them: those that peaks are the largest of"),
        "zones": rows("those that grow first, the fastest first; then the largest", _ZONE),
        "processes": rows("likewise, those of all zones", _PROCESS),
        "damaged": texts("snapshots that were left out", "a sentence about one"),
        "compared_with": or_null(text("path of the recording that it is compared with"), "none"),
        "compared": or_null(
            rows(
                "zones of both recordings, worst growth first",
                record(
                    "a zone",
                    {
                        "zone": text("its name"),
                        "before": _SIDE,
                        "after": _SIDE,
                        "growth_change_bytes_per_second": or_null(
                            {**_PACE, "description": "how much faster it grows; bytes a second"},
                            "it is in one of them only, or there are too few snapshots",
                        ),
                        "peak_change_bytes": or_null(
                            difference("how much higher its peak is"), "it is in one of them only"
                        ),
                    },
                ),
            ),
            "there is one recording only",
        ),
        "conditions": rows(
            "of --fail-on",
            record(
                "a condition",
                {
                    "condition": text("as it was written"),
                    "holds": texts("the zones of which it holds", "a name"),
                    "unknown": texts("the zones of which it is not known", "a name"),
                },
            ),
        ),
    },
)
