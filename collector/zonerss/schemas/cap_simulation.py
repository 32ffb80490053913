"""zonerss.cap-simulation/1: what a cap would have done with what was recorded."""

from __future__ import annotations

from zonerss.schemas.words import count, document, number, one_of, record, rows, size, text, time

_PHASES = ("under", "over", "armed", "taking", "settling", "paused")
SCHEMA = document(
    "cap-simulation",
    "zonerss cap ZONE=SIZE --from FILE --json",
    "cap-policy.md",
    {
        "host_name": text("of the host that was recorded"),
        "began": time("the first snapshot"),
        "ended": time("the last snapshot"),
        "snapshots": count("that could be read"),
        "cold_share": number("what of a zone's own memory was taken to be cold; 0 to 1"),
        "cold_seconds": number("how long a page must not be touched to be cold; seconds"),
        "threshold": number("the share of the machine's memory in use below which nothing is done; 0 to 1"),
        "zones": rows(
            "those that have a cap",
            record(
                "a zone",
                {
                    "zone": text("its name"),
                    "cap_bytes": size("its cap"),
                    "floor_bytes": size("below which nothing is taken"),
                    "nover": count("how often it would have gone over"),
                    "pout_bytes": size("what would have been paged out"),
                    "refault_bytes": size("of it: would have come back within seconds"),
                    "over_seconds": number("how long its rss would have been above the cap; seconds"),
                    "over_seconds_without_cap": number("how long it was; seconds"),
                    "walks": count("exact walks that would have been needed"),
                    "points": rows(
                        "wherever something changes, in the order of time",
                        record(
                            "the zone from then on",
                            {
                                "time": time("since when"),
                                "rss_bytes": size("what it would have had"),
                                "rss_bytes_without_cap": size("what it had"),
                                "pout_bytes": size("paged out so far"),
                                "refault_bytes": size("of it: back within seconds"),
                                "phase": one_of("what the policy was at (docs/cap-policy.md)", *_PHASES),
                            },
                        ),
                    ),
                    "actions": rows(
                        "what would have been done and found, in the order of time",
                        record(
                            "an action", {"time": time("when"), "text": text("a sentence without its end")}
                        ),
                    ),
                },
            ),
        ),
    },
)
