"""What holds of every snapshot of all processes, whatever was running: checked wherever a test takes one."""

from __future__ import annotations

from collections import Counter
from itertools import combinations

from zonerss.answers.share import pairs, shared_parts
from zonerss.answers.whatif import whatif
from zonerss.census.parts import NO_GROUP
from zonerss.census.tree import tree_usage
from zonerss.snapshot import Snapshot


def assert_identities(snapshot: Snapshot) -> None:
    """Of each grouping. Exact, but for the proportional figures, which are rounded to a byte each."""
    for position, grouping in enumerate(snapshot.groupings):
        total = snapshot.total.rss_bytes
        usages = {usage.zone: usage for usage in grouping.zones}
        names = dict(enumerate(usages))
        number = {name: index for index, name in names.items()}
        group_of = [NO_GROUP] * snapshot.parts.owners
        for member in snapshot.members:
            group_of[member.owner] = number[member.zones[position].name]
        parts = snapshot.parts.project(group_of, len(names))

        found = shared_parts(parts, names)
        assert sum(part.bytes for part in found) == total
        for name, usage in usages.items():
            assert usage.rss_bytes == sum(part.bytes for part in found if name in part.zones)
            assert usage.exclusive_bytes == sum(part.bytes for part in found if part.zones == (name,))
            assert 0 <= usage.exclusive_bytes <= usage.rss_bytes <= min(total, usage.process_rss_bytes)
            assert usage.rss_bytes == usage.anon_bytes + usage.file_bytes + usage.shmem_bytes
        proportional = sum(usage.proportional_bytes for usage in usages.values())
        assert abs(proportional - total) <= len(usages)

        together: Counter[tuple[str, ...]] = Counter()
        for part in found:
            for pair in combinations(sorted(part.zones), 2):
                together[pair] += part.bytes
        in_pairs, count = pairs(parts, names)
        assert count == len(in_pairs) == len(together)
        for pair in in_pairs:
            assert pair.bytes == together[pair.zones]
            assert pair.bytes <= min(usages[zone].rss_bytes for zone in pair.zones)

        everyone = whatif(parts, names, list(usages), {})
        assert (everyone.rss_bytes, everyone.kept_bytes, everyone.kept_by) == (total, 0, ())

    if snapshot.by == "cgroup" and len(snapshot.groupings) == 1:
        _assert_tree(snapshot)


def _assert_tree(snapshot: Snapshot) -> None:
    nodes = tree_usage(snapshot.parts, snapshot.members, lambda path: None)
    children: dict[str | None, list[int]] = {}
    for node in nodes:
        children.setdefault(node.parent, []).append(node.usage.rss_bytes)
        assert node.usage.exclusive_bytes <= node.usage.rss_bytes
    assert children[None] == [snapshot.total.rss_bytes]
    for node in nodes:
        below = children.get(node.usage.zone, [])
        assert max(below, default=0) <= node.usage.rss_bytes <= sum(below) + node.own_rss_bytes
