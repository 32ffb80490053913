"""What lies above a cgroup and which zones lie below one."""

from __future__ import annotations

from zonerss.records import Zone
from zonerss.zones.paths import ancestors, nested


def test_ancestors() -> None:
    assert ancestors("/") == ("/",)
    assert ancestors("/a") == ("/", "/a")
    assert ancestors("/a/b") == ("/", "/a", "/a/b")
    assert ancestors("/../../a") == ("/", "/..", "/../..", "/../../a")


def test_nested_gives_only_the_nearest() -> None:
    paths = ["/", "/a", "/a/b", "/a/b/c/d", "/a2", "/e/f"]
    zones = [Zone(name=path, cgroup=path) for path in paths]
    below = {above.cgroup: inner for above, inner in nested([*zones, Zone(name="global")]).items()}
    assert below == {
        "/": ("/a", "/a2", "/e/f"),
        "/a": ("/a/b",),
        "/a/b": ("/a/b/c/d",),
        "/a/b/c/d": (),
        "/a2": (),
        "/e/f": (),
    }


def test_nested_with_two_zones_of_one_cgroup() -> None:
    one, two, inner = (
        Zone(name="one", cgroup="/a"),
        Zone(name="two", cgroup="/a"),
        Zone(name="i", cgroup="/a/b"),
    )
    assert nested([one, two, inner]) == {one: ("/a/b",), two: ("/a/b",), inner: ()}
