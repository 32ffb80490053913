"""The tree of cgroups, against sums over real sets of frames."""

from __future__ import annotations

from hypothesis import given
from tests.unit.frames_by_hand import MEMBERS, PATHS, Frames, censuses, frames, in_rss

from zonerss.census.tree import tree_usage


@given(frames)
def test_the_tree_counts_each_frame_once_in_each_subtree(frames: Frames) -> None:
    parts = censuses(frames)[0].parts()
    nodes = tree_usage(parts, MEMBERS, lambda path: len(path))
    assert [node.usage.zone for node in nodes] == ["/", "/a", "/a/b", "/a/b/c", "/a/d", "/e", "/e/f"]
    for node in nodes:
        path = node.usage.zone.rstrip("/")
        below = {
            key for key, other in enumerate(PATHS) if other == node.usage.zone or other.startswith(path + "/")
        }
        assert node.usage.rss_bytes == in_rss(frames, lambda z, below=below: bool(z & below))
        assert node.usage.exclusive_bytes == in_rss(frames, lambda z, below=below: bool(z) and z <= below)
        assert node.usage.processes == len(below)
        assert node.usage.charged_bytes == len(node.usage.zone)
        own = {key for key, other in enumerate(PATHS) if other == node.usage.zone}
        assert node.own_rss_bytes == in_rss(frames, lambda z, own=own: bool(z & own))
        assert node.own_processes == len(own)
    rss = {node.usage.zone: node.usage.rss_bytes for node in nodes}
    for node in nodes:
        children = [other for other in nodes if other.parent == node.usage.zone]
        assert all(rss[child.usage.zone] <= rss[node.usage.zone] for child in children)
        assert rss[node.usage.zone] <= sum(rss[child.usage.zone] for child in children) + node.own_rss_bytes
        assert all(child.depth == node.depth + 1 for child in children)
    assert abs((nodes[0].usage.proportional_bytes or 0) - nodes[0].usage.rss_bytes) <= 1
