"""zonerss.snapshot/1: what each zone uses."""

from __future__ import annotations

from zonerss.schemas.words import (
    GAPS,
    HEADER,
    MAY_BE_IN_HEADER,
    PROCESS,
    ZONE,
    ZONE_FIELDS,
    count,
    document,
    or_null,
    record,
    rows,
    size,
    text,
)

_NODE = record(
    "a cgroup that holds processes, or one above such a cgroup; all figures are of its whole branch",
    {
        **ZONE_FIELDS,
        "parent": or_null(text("path of the cgroup above it"), "the root"),
        "depth": count("how many cgroups are above it"),
        "own_rss_bytes": size("what its own processes map"),
        "own_processes": count("its own processes"),
    },
)
SCHEMA = document(
    "snapshot",
    "zonerss --json, zonerss show --json",
    "json.md",
    {
        **HEADER,
        "total": record("all zones shown, taken together, every frame once", ZONE_FIELDS),
        "zones": rows("each zone, in the order of --sort", ZONE),
        "gaps": GAPS,
    },
    {
        **MAY_BE_IN_HEADER,
        "groupings": rows(
            "one for each --by, where there are several",
            record("a grouping", {"by": text("the --by"), "zones": rows("its zones", ZONE)}),
        ),
        "processes": rows("largest first; with -a", PROCESS),
        "tree": rows("with --tree: parents before what is below them", _NODE),
    },
)
