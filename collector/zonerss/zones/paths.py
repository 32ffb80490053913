"""The cgroup tree by paths: the ancestors of a cgroup, and the zones nested in a zone. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from zonerss.records import Zone


def ancestors(path: str) -> tuple[str, ...]:
    """
    The cgroups from the root down to a path, itself included: "/a/b" gives "/", "/a", "/a/b".

    Leading ".." (a cgroup outside of the reader's namespace) count as components.
    """
    if path == "/":
        return ("/",)
    parts = path.split("/")
    return ("/", *("/".join(parts[:end]) for end in range(2, len(parts) + 1)))


def nested(zones: Iterable[Zone]) -> dict[Zone, tuple[str, ...]]:
    """
    For each zone that is a cgroup, the cgroups of the zones nearest below it, sorted.

    A zone's processes are those of its cgroup less these, and its charge likewise: the kernel charges a cgroup for all
    below it.
    """
    zones = tuple(zones)
    paths = {zone.cgroup for zone in zones if zone.cgroup is not None}
    below: dict[str, list[str]] = {path: [] for path in paths}
    for path in sorted(paths):
        nearest = next((above for above in reversed(ancestors(path)[:-1]) if above in paths), None)
        if nearest is not None:
            below[nearest].append(path)
    return {zone: tuple(below[zone.cgroup]) for zone in zones if zone.cgroup is not None}
