"""zonerss.recording/1: what a recording kept, and what it cost."""

from __future__ import annotations

from zonerss.schemas.words import count, document, number, one_of, or_null, record, size, text, time

_NONE = "no snapshot was taken"
SCHEMA = document(
    "recording",
    "zonerss record --json",
    "record.md",
    {
        "file": text("path of the recording"),
        "host_name": text("as the kernel has it"),
        "began": time("when the first round began"),
        "ended": time("when it ended"),
        "ended_by": one_of("why it ended", "for", "until", "SIGINT", "SIGTERM", "SIGHUP"),
        "interval_seconds": number("from one round to the next; seconds"),
        "snapshots": count("that were kept"),
        "snapshots_not_kept": count("that were not kept, because there was no room"),
        "snapshots_with_gaps": count("of those kept: some process could not be read"),
        "rounds_skipped": count("because the one before was not done in time"),
        "rounds_failed": count("in which nothing could be looked at, for want of memory or files"),
        "rounds_without_zones": count("in which none of the zones of --zone was there"),
        "clock_jumps": count("how often the time of day was set"),
        "snapshot_bytes": or_null(size("what a snapshot took in the file, the mean"), "none was kept"),
        "file_bytes": size("how large the file is"),
        "processor_seconds": number("of all of it; seconds"),
        "processor_seconds_a_snapshot": or_null(number("the mean of those that were taken; seconds"), _NONE),
        "wall_seconds": number("how long it took; seconds"),
    },
    {
        "black_box": record(
            "with --black-box: what it has done",
            {
                "span_seconds": number("how old a look in it may be; seconds"),
                "interval_seconds": number("from one look to the next; seconds"),
                "looks": count("that were taken"),
                "looks_kept": count("in the recording because of kills"),
                "kills": count("that were kept"),
                "kills_lost": count("that were too many, or for which there was no room"),
                "ring_bytes": size("memory that it holds, full or not"),
                "used_bytes": size("of it: what the looks take that are in it"),
                "processor_seconds": number("that its looks took; seconds"),
                "keeping_seconds": number(
                    "processor time that keeping kills, and looks before them, took; seconds"
                ),
            },
        ),
    },
)
