"""zonerss.check/1: what this kernel and our privileges allow."""

from __future__ import annotations

from zonerss.schemas.words import document, flag, or_null, record, rows, text

SCHEMA = document(
    "check",
    "zonerss check --json",
    "check.md",
    {
        "kernel": text("its release and its architecture"),
        "parts": rows(
            "parts of zonerss",
            record(
                "a part",
                {
                    "part": text("its name, for programs: pagemap, pagetable, tracing, cgroups, ..."),
                    "serves": flag("whether it can be used here"),
                    "why_not": or_null(text("the first fact that keeps it from serving"), "it serves"),
                    "facts": rows(
                        "what was tried",
                        record(
                            "a fact",
                            {
                                "name": text("for programs: stays the same"),
                                "holds": or_null(flag("whether it is so"), "not tried"),
                                "text": text("what was found"),
                                "fix": or_null(text("what to do about it"), "nothing"),
                            },
                        ),
                    ),
                },
            ),
        ),
    },
)
