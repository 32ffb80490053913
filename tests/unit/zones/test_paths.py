"""What lies above a cgroup and which zones lie below one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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


parts = st.text(st.characters(exclude_characters="/\0"), min_size=1, max_size=3) | st.sampled_from("ab")
paths = st.lists(parts, max_size=4).map(lambda found: "/" + "/".join(found))


def is_above(above: str, path: str) -> bool:
    return above != path and f"{path}/".startswith(f"{above.rstrip('/')}/")


@given(paths)
def test_ancestors_of_any_path(path: str) -> None:
    line = ancestors(path)
    assert line[0] == "/"
    assert line[-1] == path
    assert all(map(is_above, line, line[1:]))


@given(st.lists(paths | st.none(), max_size=8))
def test_each_cgroup_is_nested_in_the_nearest_above_it(cgroups: list[str | None]) -> None:
    zones = {Zone(name=str(cgroup), cgroup=cgroup) for cgroup in cgroups}
    there = {zone.cgroup for zone in zones if zone.cgroup is not None}
    below = {zone.cgroup: inner for zone, inner in nested(zones).items()}
    assert below.keys() == there
    for above, inner in below.items():
        nearest = [
            path
            for path in sorted(there)
            if is_above(str(above), path)
            and not any(is_above(str(above), other) and is_above(other, path) for other in there)
        ]
        assert list(inner) == nearest
