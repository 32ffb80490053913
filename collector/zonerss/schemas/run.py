"""zonerss.run/1: what a command used while it ran."""

from __future__ import annotations

from zonerss.schemas.words import (
    FILE,
    GAPS,
    ZONE_FIELDS,
    count,
    document,
    integer,
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

_UNSEEN = "no look saw it"
_NOT_ASKED = "none were to be kept: there was no -o"
_LOOK = record(
    "what one look saw",
    {
        "seconds": number("after the command began; seconds"),
        "began": time("when the look began"),
        **ZONE_FIELDS,
    },
)
SCHEMA = document(
    "run",
    "zonerss record --json -- COMMAND",
    "record.md",
    {
        "command": texts("what was run", "a word"),
        "began": time("when it was executed"),
        "ended": time("when it had ended"),
        "wall_seconds": number("how long it ran; seconds"),
        "user_seconds": number("processor time of it and of its children that were waited for; seconds"),
        "system_seconds": number("the same in the kernel; seconds"),
        "exit_status": count("as a shell has it: 128 and the number of a signal that ended it"),
        "signal": or_null(count("what ended it"), "it ended by itself"),
        "zone": text("the name of its zone"),
        "cgroup": text("path of the cgroup that was made for it"),
        "source": or_null(one_of("where frames came from", "pagetable", "pagemap"), _UNSEEN),
        "page_size": size("a base page"),
        "looks": count("looks that saw it"),
        "looks_missed": count("looks that did not, because it had not begun, or had ended"),
        "snapshots": or_null(count("snapshots that were kept"), _NOT_ASKED),
        "snapshots_not_kept": or_null(count("snapshots that could not be kept"), _NOT_ASKED),
        "first": or_null(_LOOK, _UNSEEN),
        "peak": or_null(_LOOK, _UNSEEN),
        "last": or_null(_LOOK, _UNSEEN),
        "growth_bytes_per_minute": or_null(
            integer("by how much its rss grew over the whole run, 0 where that is not sure; bytes a minute"),
            "too few looks saw it",
        ),
        "peak_charged_bytes": or_null(
            size("the most that the kernel ever charged its cgroup"), "it has no bill of its own, or unknown"
        ),
        "largest_process_bytes": or_null(size("the greatest RSS of one of its processes (ru_maxrss)")),
        "oom_kills": or_null(count("processes of it that were killed for want of memory")),
        "files_seconds": or_null(
            number("when its files were looked up; seconds after it began"), "they were not"
        ),
        "files": rows("the files that it maps, largest first; exclusive_bytes is its own", FILE),
        "shared_with": rows(
            "at the peak: zones that map some of the same frames, most first",
            record("a zone", {"zone": text("its name"), "bytes": size("what both map")}),
        ),
        "left_processes": rows("processes that it left behind", count("process id")),
        "gaps": GAPS,
    },
)
