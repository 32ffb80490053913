"""zonerss.difference/1: what changed in a zone between two looks."""

from __future__ import annotations

from zonerss.schemas.words import (
    CHAIN,
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    NO_CHARGE,
    count,
    difference,
    document,
    flag,
    number,
    or_null,
    record,
    rows,
    size,
    text,
    texts,
    time,
)

_LOOK = record(
    "figures of one look",
    {
        "began": time("when it began"),
        "processes": count("processes that were walked"),
        "process_rss_bytes": size("the sum of their RSS"),
        "rss_bytes": size("every frame that the zone maps, once"),
        "charged_bytes": or_null(size("what the kernel charges to it"), NO_CHARGE),
        "residual_bytes": or_null(difference("what is left over"), NO_CHARGE),
    },
)
_BEFORE = or_null(size("at the first look"), "it was not there, or not held open")
_AFTER = or_null(size("at the second look"), "it is not there any more, or not held open")
_PID = or_null(count("process id"), "no process is known")
_COMMAND = or_null(text("the kernel's comm"), "not known")
_ONE_HAS_NONE = "one of the looks has no charge, or not who pays"
SCHEMA = document(
    "difference",
    "zonerss explain ZONE --since TIME --json",
    "explain.md",
    {
        **HEADER,
        "zone": text("its name"),
        "cgroup": or_null(text("the cgroup that is charged"), "there is none"),
        "seconds": number("from the beginning of the first look to that of the second; seconds"),
        "before": _LOOK,
        "after": _LOOK,
        "process_rss_bytes": difference("change of the sum of process RSS"),
        "rss_bytes": difference("change of rss"),
        "charged_bytes": or_null(difference("change of the charge"), _ONE_HAS_NONE),
        "steps": CHAIN["steps"]
        | {
            "description": "changes of the steps of zonerss.explain/1; process_rss_bytes and all of them and "
            "residual_bytes add up to charged_bytes"
        },
        "residual_bytes": or_null(difference("change of what is left over"), _ONE_HAS_NONE),
        "residual_bound_bytes": or_null(size("how much the kernel's own rounding can be"), _ONE_HAS_NONE),
        "holds": or_null(flag("whether the residual is within its bound"), _ONE_HAS_NONE),
        "sentence": text("what changed, for people"),
        "reasons": rows(
            "the change by what it is of, largest first: parts of charged_bytes, or of rss_bytes where that is null",
            record(
                "a part of the change",
                {
                    "what": text(
                        "anon, file, shmem: mapped; cache, shmem_not_mapped: not mapped; else the name of a step"
                    ),
                    "bytes": difference("how much of the change"),
                    "pid": _PID,
                    "command": _COMMAND,
                    "file": or_null(text("the file that changed most this way"), "none is known"),
                    "mover_bytes": or_null(difference("change of this process or file"), "none is known"),
                },
            ),
        ),
        "processes": rows(
            "RSS of processes that came, left or changed, largest change first",
            record(
                "a process",
                {
                    "pid": count("process id"),
                    "command": text("the kernel's comm"),
                    "before_bytes": _BEFORE,
                    "after_bytes": _AFTER,
                },
            ),
        ),
        "open_files": or_null(
            rows(
                "page cache of files that the zone's processes hold open, whoever is charged; largest change first",
                record(
                    "a file",
                    {
                        "name": text("as its process sees it"),
                        "pid": _PID,
                        "command": _COMMAND,
                        "before_bytes": _BEFORE,
                        "after_bytes": _AFTER,
                    },
                ),
            ),
            "a recording keeps them at some of its looks only",
        ),
        "unseen": texts("open files that could not be looked at", "a sentence"),
        "gaps": GAPS,
    },
    MAY_BE_IN_HEADER,
)
