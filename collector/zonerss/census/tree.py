"""The cgroup tree: what each inner cgroup uses, every frame once in its subtree. Pure.

A projection of the parts for every inner node, all in one pass (parts_tree() in C): a part adds its pages once to
each cgroup above any of its zones. So a parent's rss is at least each child's and at most their sum and its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from zonerss.census.kinds import rss_of
from zonerss.census.parts import Parts
from zonerss.census.usage import Member, usage_of
from zonerss.plain import dataclass
from zonerss.records import Usage, Zone
from zonerss.units import PAGE_BYTES
from zonerss.zones.paths import ancestors


@dataclass(frozen=True, slots=True)
class TreeNode:
    """One cgroup and all below it."""

    usage: Usage
    """Of the whole subtree; exclusive: mapped by no cgroup outside of it."""
    parent: str | None
    """The cgroup that it is directly below; None of the root."""
    depth: int
    """0 of the root."""
    own_rss_bytes: int
    """Mapped by processes of the cgroup itself; 0 where it has none."""
    own_processes: int


def tree_usage(
    parts: Parts, members: Sequence[Member], charge: Callable[[str], int | None]
) -> tuple[TreeNode, ...]:
    """
    The cgroups that hold processes, and all above them, parents first.

    :param members: whose zones, in the first grouping, are cgroups (--by cgroup)
    :param charge: what the kernel charges a cgroup with all that is below it
    """
    zone_of = {member.owner: member.zones[0] for member in members}
    paths = _paths(zone.cgroup or "/" for zone in zone_of.values())
    number = {path: index for index, path in enumerate(paths)}
    above = [number[_parent(path) or "/"] for path in paths]
    node_of = [
        number[zone_of[owner].cgroup or "/"] if owner in zone_of else 0 for owner in range(parts.owners)
    ]
    sums = parts.tree(node_of, above)
    own_rss = [0] * len(paths)
    for owner, own in enumerate(parts.sums()):  # each zone is a cgroup, and each cgroup one zone
        own_rss[node_of[owner]] += rss_of(own.mapped) * PAGE_BYTES
    processes, process_rss = [0] * len(paths), [0] * len(paths)
    for member in members:
        processes[node_of[member.owner]] += 1
        process_rss[node_of[member.owner]] += member.rss_pages
    own_processes = tuple(processes)
    for index in range(len(paths) - 1, 0, -1):
        processes[above[index]] += processes[index]
        process_rss[above[index]] += process_rss[index]
    return tuple(
        TreeNode(
            usage_of(Zone(path, path), processes[index], process_rss[index], sums[index], charge(path)),
            _parent(path),
            len(ancestors(path)) - 1,
            own_rss[index],
            own_processes[index],
        )
        for index, path in enumerate(paths)
    )


def _paths(cgroups: Iterable[str]) -> list[str]:
    """The cgroups and all above them, each after its parent and before whatever is not below it."""
    paths = {path for cgroup in cgroups for path in ancestors(cgroup)} | {"/"}
    return sorted(paths, key=lambda path: path.split("/") if path != "/" else [])


def _parent(path: str) -> str | None:
    return None if path == "/" else path.rpartition("/")[0] or "/"
