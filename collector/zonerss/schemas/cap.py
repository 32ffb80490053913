"""zonerss.cap/1: zones under a cap."""

from __future__ import annotations

from zonerss.schemas.words import (
    HEADER,
    Fields,
    Schema,
    count,
    document,
    flag,
    number,
    or_null,
    record,
    rows,
    size,
    text,
    time,
)

_NO_WALK = "no walk was needed yet: bound_bytes is not above the cap; or not all of it could be read"
_NOT_COLD = "it was not measured which pages are cold"


def _kinds(prefix: str, help: str, null: str | None = None) -> dict[str, Schema]:
    found = {f"{prefix}_{kind}_bytes": size(f"{help}: {kind}") for kind in ("anon", "file", "shmem")}
    return {name: or_null(schema, null) for name, schema in found.items()} if null else found


FORECAST = record(
    "what can be had of a zone, by its latest walk, less what was paged out since; shared, locked, several and own "
    "add up to rss_bytes",
    {
        "text": text("all of it as a sentence"),
        "rss_bytes": size("every frame that it maps, once"),
        "cap_bytes": size("the cap that it was told for"),
        "excess_bytes": size("rss above the cap"),
        "goal_bytes": size(
            "what would be asked for at most: the excess and 5 % of the cap, not below the floor"
        ),
        **_kinds("at_most", "what page-out could take if all of it were cold"),
        "painless_bytes": or_null(
            size("what can be had without pain: cold, allowed, with room in swap"), _NOT_COLD
        ),
        **_kinds("painless", "of it, by page-out", _NOT_COLD),
        "reclaimable_bytes": size("of it, by memory.reclaim"),
        "short_bytes": or_null(size("what of the excess cannot be had without pain"), _NOT_COLD),
        "working_set_bytes": or_null(size("what is not known to be cold"), _NOT_COLD),
        "swap_room_bytes": size("free swap that may be filled"),
        "shared_bytes": size("other zones map it, too: cannot be had here"),
        "shared_with": rows(
            "zones that map some of it, most first",
            record("a zone", {"zone": text("its name"), "bytes": size("what it maps of shared_bytes")}),
        ),
        "locked_bytes": size("locked, or a driver's: page-out may not touch it"),
        **_kinds("several", "several processes of this zone alone map it"),
        **_kinds("own", "mapped once on the whole machine"),
        **_kinds("cold", "of own: not touched for cold_seconds", _NOT_COLD),
        **_kinds("cold_several", "of several: not touched for cold_seconds", "it is not known"),
        "unknown_bytes": or_null(
            size("of own: accessed bits that could not be cleared; counts as used"), _NOT_COLD
        ),
        "cold_seconds": or_null(
            number("how long before the walk all bits had been cleared; seconds"), _NOT_COLD
        ),
        "not_reclaimed": or_null(text("why memory.reclaim is not used"), "it may be"),
    },
)
ZONE: Fields = {
    "zone": text("its name"),
    "cgroup": or_null(
        text("path of the cgroup that is the zone"), "the zone is no cgroup, or no walk was needed"
    ),
    "rss_bytes": or_null(size("every frame that it maps, once, by the latest walk"), _NO_WALK),
    "bound_bytes": or_null(size("the sum of its processes' RSS, which rss_bytes is never above")),
    "cap_bytes": size("what its rss is held under"),
    "floor_bytes": size("below which nothing is paged out"),
    "excess_bytes": or_null(
        size("rss above the cap"), "it was not walked yet, or not all of it could be read"
    ),
    "nover": count("how often it went over its cap"),
    "asked_bytes": size("what was tried to be taken, in all"),
    "pout_bytes": size("what left its memory because of its cap, in all"),
    "refault_bytes": size("of pout_bytes: what came back within 5 s, in all"),
    "swap_bytes": or_null(size("what its cgroup has in swap")),
    "swap_percent": or_null(
        number("of all swap: what its cgroup has; percent"), "there is no swap, or unknown"
    ),
    "cold_bytes": or_null(size("it alone maps it, once, and has not touched it for cold_seconds"), _NOT_COLD),
    "working_set_bytes": or_null(size("what is not known to be cold"), _NOT_COLD),
    "last_action": text("what was done or found last, and why; may be empty"),
    "origin": text("where its cap is from: argument, or file, line and column"),
    "forecast": or_null(FORECAST, _NO_WALK),
}
SCHEMA = document(
    "cap",
    "zonerss cap --json",
    "cap.md",
    {
        "began": time("when the capper was started"),
        "ended": time("of when the figures are"),
        "pid": count("process id of the capper"),
        "enforce": flag("it acts; else it only says what it would do"),
        "by": text("how zones are grouped"),
        "page_size": size("a base page"),
        "cold_seconds": number("how long a page must not have been touched to be cold; seconds"),
        "threshold": number("the share of the machine's memory in use below which nothing is done; 0 to 1"),
        "machine": record(
            "the whole machine",
            {
                "memory_bytes": size("all memory that the kernel manages"),
                "used_bytes": size(
                    "of it: what programs could not get without swapping, as the kernel estimates"
                ),
                "swap_bytes": size("all swap"),
                "swap_free_bytes": size("of it: free"),
            },
        ),
        "warnings": HEADER["warnings"],
        "zones": rows("in order of name", record("a zone under a cap", ZONE)),
    },
)
