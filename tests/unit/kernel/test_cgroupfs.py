"""Which hierarchy carries the memory controller, where a process is in it, and what it charges."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import KernelFormatError
from zonerss.kernel.cgroupfs import (
    MemoryHierarchy,
    cgroup_caveats,
    cgroup_path,
    charged_bytes,
    children,
    directory,
    find_memory_hierarchy,
    memory_domain,
    parse_hierarchy_id,
    walk,
)
from zonerss.kernel.roots import Roots

V1 = MemoryHierarchy(version=1, mount_point=Path("/m"), mount_root="/")
V2 = MemoryHierarchy(version=2, mount_point=Path("/m"), mount_root="/")
MEMORY = "35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory"
SYSTEMD = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,xattr,name=systemd"
CPU = "41 31 0:38 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"
UNIFIED = "42 31 0:39 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw"
PURE = "42 31 0:39 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"


def host(tmp_path: Path, *mounts: str, controllers: str | None = None, at: str = "fs/cgroup") -> Roots:
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text("".join(f"{line}\n" for line in mounts))
    if controllers is not None:
        (tmp_path / "sys" / at).mkdir(parents=True)
        (tmp_path / "sys" / at / "cgroup.controllers").write_text(controllers)
    return Roots(proc=tmp_path / "proc", sys=tmp_path / "sys", host=tmp_path)


def test_version_2_that_carries_memory(tmp_path: Path) -> None:
    roots = host(tmp_path, PURE, controllers="cpu io memory pids\n")
    assert find_memory_hierarchy(roots) == MemoryHierarchy(
        version=2, mount_point=tmp_path / "sys/fs/cgroup", mount_root="/", charges=True
    )


def test_version_1_on_a_hybrid_host(tmp_path: Path) -> None:
    found = find_memory_hierarchy(
        host(tmp_path, CPU, MEMORY, SYSTEMD, UNIFIED, controllers="hugetlb\n", at="fs/cgroup/unified")
    )
    assert (found.version, found.mount_point, found.charges) == (1, tmp_path / "sys/fs/cgroup/memory", True)


def test_version_2_without_memory_still_groups(tmp_path: Path) -> None:
    found = find_memory_hierarchy(
        host(tmp_path, CPU, UNIFIED, controllers="memoryish\n", at="fs/cgroup/unified")
    )
    assert (found.version, found.charges) == (2, False)
    assert cgroup_path(b"1:cpu:/x\n0::/a\n", found) == "/a"
    assert charged_bytes(found, "/a") is None


def test_version_1_without_memory_groups_by_systemd_or_another_name(tmp_path: Path) -> None:
    named = "44 31 0:41 / /sys/fs/cgroup/x rw - cgroup cgroup rw,name=elogind"
    found = find_memory_hierarchy(host(tmp_path / "1", CPU, named, SYSTEMD))
    assert (found.version, found.controller, found.charges) == (1, "name=systemd", False)
    found = find_memory_hierarchy(host(tmp_path / "2", CPU, named))
    assert (found.version, found.controller, found.charges) == (1, "name=elogind", False)
    assert cgroup_path(b"3:cpu:/x\n2:name=elogind:/a\n", found) == "/a"


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    found = find_memory_hierarchy(host(tmp_path))
    assert (found.version, found.charges) == (0, False)
    assert cgroup_path(b"", found) == "/"
    assert charged_bytes(found, "/") is None
    assert list(walk(found)) == ["/"]


def test_memory_mounted_with_other_controllers(tmp_path: Path) -> None:
    found = find_memory_hierarchy(
        host(tmp_path, "35 31 0:32 / /dev/cgroup rw - cgroup none rw,cpu,memory,release_agent=/x")
    )
    assert found.mount_point == tmp_path / "dev/cgroup"
    assert cgroup_path(b"7:cpu,memory:/a\n", found) == "/a"


@pytest.mark.parametrize(
    ("mount_roots", "chosen"),
    [
        (["/docker/x", "/"], "/"),
        (["/", "/docker/x"], "/"),
        (["/..", "/"], "/.."),
        (["/", "/../..", "/.."], "/../.."),
        (["/../other", "/a/b/c"], "/../other"),
    ],
)
def test_of_several_mounts_the_one_that_shows_most(
    tmp_path: Path, mount_roots: list[str], chosen: str
) -> None:
    lines = [f"{n} 31 0:32 {root} /m{n} rw - cgroup cgroup rw,memory" for n, root in enumerate(mount_roots)]
    found = find_memory_hierarchy(host(tmp_path, *lines))
    assert found.mount_root == chosen
    assert found.mount_point == tmp_path / f"m{mount_roots.index(chosen)}"


def test_of_equal_mounts_the_later_one(tmp_path: Path) -> None:
    again = MEMORY.replace("/sys/fs/cgroup/memory", "/mnt")
    assert find_memory_hierarchy(host(tmp_path, MEMORY, again)).mount_point == tmp_path / "mnt"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b"0::/\n", "/"),
        (b"0::/a/b\n", "/a/b"),
        (b"5:memory:/no\n0::/yes", "/yes"),
        (b"0::/a (deleted)\n", "/a"),
        (b"0::/../../a:b c\n", "/../../a:b c"),
        (b"0::/\xff\x1b[31m\r\t\n", "/\udcff\x1b[31m\r\t"),
        (b"0::/" + b"d/" * 2000 + b"e\n", "/" + "d/" * 2000 + "e"),
    ],
)
def test_path_in_version_2(text: bytes, path: str) -> None:
    assert cgroup_path(text, V2) == path


def test_a_cgroup_that_is_called_like_a_removed_one_is_none(tmp_path: Path) -> None:
    """It would be taken for its neighbour."""
    there = MemoryHierarchy(2, tmp_path, "/")
    (tmp_path / "a (deleted)").mkdir()
    assert cgroup_path(b"0::/a (deleted)\n", there) == "/a (deleted)"
    assert cgroup_path(b"0::/b (deleted)\n", there) == "/b"


@pytest.mark.parametrize(
    ("text", "path"),
    [
        (b"4:memory:/a\n0::/b\n", "/a"),
        (b"4:cpu,memory:/a:b\n", "/a:b"),
        (b"4:memory:/a (deleted)\n", "/a (deleted)"),
        (b"9:name=memory:/no\n4:memory:/\n", "/"),
    ],
)
def test_path_in_version_1(text: bytes, path: str) -> None:
    assert cgroup_path(text, V1) == path


@pytest.mark.parametrize("hierarchy", [V1, V2])
@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n",
        b"3:cpu:/\n",
        b"memory",
        b"x:memory:/a\n",
        b":memory:/a\n",
        b"4:memory:a\n",
        b"4:memory\n",
        b"0:/\n",
        b"4:memory:\n",
        b"0::\n",
        b"-1::/\n",
        b"\xd9\xa3:memory:/a\n",
    ],
)
def test_what_is_not_understood_stops_with_the_raw_text(text: bytes, hierarchy: MemoryHierarchy) -> None:
    with pytest.raises(KernelFormatError) as caught:
        cgroup_path(text, hierarchy)
    assert repr(text) in str(caught.value)
    assert "\n" not in str(caught.value)


@settings(deadline=None)
@given(
    st.binary()
    | st.lists(
        st.sampled_from([b"0", b"4", b":", b"::", b"memory", b"/", b"\n", b"\xff", b" (deleted)"])
    ).map(b"".join),
    st.sampled_from([V1, V2]),
)
def test_arbitrary_bytes_raise_nothing_else(text: bytes, hierarchy: MemoryHierarchy) -> None:
    try:
        path = cgroup_path(text, hierarchy)
    except KernelFormatError:
        return
    assert path.startswith("/")
    assert path.encode("utf-8", "surrogateescape") in text


@pytest.mark.parametrize(
    ("root", "path", "where"),
    [
        ("/", "/", "/m"),
        ("/", "/a/b", "/m/a/b"),
        ("/", "/../a", None),
        ("/docker/x", "/docker/x", "/m"),
        ("/docker/x", "/docker/x/a", "/m/a"),
        ("/docker/x", "/docker/xy", None),
        ("/docker/x", "/docker", None),
        ("/..", "/../a/b", "/m/a/b"),
        ("/..", "/..", "/m"),
        ("/..", "/../../a", None),
        ("/..", "/a", None),
    ],
)
def test_directory(root: str, path: str, where: str | None) -> None:
    found = directory(MemoryHierarchy(version=2, mount_point=Path("/m"), mount_root=root), path)
    assert found == (None if where is None else Path(where))


def tree(tmp_path: Path, version: int, charges: dict[str, str]) -> MemoryHierarchy:
    for path, text in charges.items():
        where = tmp_path / path.lstrip("/")
        where.mkdir(parents=True, exist_ok=True)
        (where / ("memory.current" if version == 2 else "memory.usage_in_bytes")).write_text(text)
    return MemoryHierarchy(version=version, mount_point=tmp_path, mount_root="/")


@pytest.mark.parametrize("version", [1, 2])
def test_charge(tmp_path: Path, version: int) -> None:
    found = tree(tmp_path, version, {"/a": "8192\n", "/a/b": "4096\n", "/a/c": "8000000000000000000\n"})
    assert charged_bytes(found, "/a") == 8192
    assert charged_bytes(found, "/a", ["/a/b"]) == 4096
    assert charged_bytes(found, "/a", ["/a/gone"]) == 8192
    assert charged_bytes(found, "/a", ["/a/c"]) == 0
    assert charged_bytes(found, "/gone") is None
    assert charged_bytes(found, "/../a") is None


def test_no_charge_of_the_root_cgroup(tmp_path: Path) -> None:
    assert charged_bytes(tree(tmp_path / "1", 1, {"/": "4096\n"}), "/") is None
    assert charged_bytes(tree(tmp_path / "2", 2, {"/a": "4096\n"}), "/") is None
    # The root of a version 2 namespace is an ordinary cgroup, and has the file.
    assert charged_bytes(tree(tmp_path / "3", 2, {"/": "4096\n"}), "/") == 4096


def test_no_charge_where_memory_is_not_enabled(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert charged_bytes(MemoryHierarchy(version=2, mount_point=tmp_path, mount_root="/"), "/a") is None


def test_no_charge_where_it_cannot_be_read(tmp_path: Path) -> None:
    found = tree(tmp_path, 2, {})
    (tmp_path / "a/memory.current").mkdir(parents=True)
    assert charged_bytes(found, "/a") is None


@pytest.mark.parametrize("text", ["", "max\n", "-1\n", "12 34\n"])
def test_a_charge_that_is_no_number_stops(tmp_path: Path, text: str) -> None:
    found = tree(tmp_path, 2, {"/a": text})
    with pytest.raises(KernelFormatError, match=r"memory\.current: not a number"):
        charged_bytes(found, "/a")


def test_charge_of_a_cgroup_with_a_hostile_name(tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff\x1b]0;x\x07 \xe2\x80\xae")
    assert charged_bytes(tree(tmp_path, 2, {f"/{name}": "4096\n"}), f"/{name}") == 4096


def test_a_path_longer_than_the_kernel_takes_is_unknown(tmp_path: Path) -> None:
    found = tree(tmp_path, 2, {})
    assert charged_bytes(found, "/" + "/".join(["d" * 200] * 50)) is None
    assert charged_bytes(found, "/a\0b") is None


def test_children_and_walk(tmp_path: Path) -> None:
    found = tree(tmp_path, 2, {"/": "1\n", "/b/x": "1\n", "/a": "1\n", "/b/a/c": "1\n"})
    (tmp_path / "link").symlink_to(tmp_path)
    assert children(found, "/") == ("/a", "/b")
    assert children(found, "/gone") == ()
    assert list(walk(found)) == ["/", "/a", "/b", "/b/a", "/b/a/c", "/b/x"]
    assert list(walk(found, "/b")) == ["/b", "/b/a", "/b/a/c", "/b/x"]


def test_the_number_of_a_hierarchy():
    text = b"12:pids:/a\n4:memory,hugetlb:/b:memory:c\n1:name=systemd:/\n0::/a\n"
    assert parse_hierarchy_id(text, "memory") == 4
    assert parse_hierarchy_id(text, "name=systemd") == 1
    assert parse_hierarchy_id(text, "cpu") is None
    assert parse_hierarchy_id(b"7:cpu:/a\rb:c\nnonsense\n4:memory:/a\rb\n", "memory") == 4


@settings(deadline=None)
@given(
    st.binary()
    | st.lists(st.sampled_from([b"0", b"4", b":", b"memory", b"/", b"\n", b"\r", b"\xff", b"9" * 5000])).map(
        b"".join
    )
)
def test_any_bytes_are_a_number_or_none(text: bytes) -> None:
    number = parse_hierarchy_id(text, "memory")
    assert number is None or number >= 0


def test_the_number_of_a_hierarchy_whatever_the_names_are():
    assert parse_hierarchy_id(b"4:cpu:/a\rb\n3:memory:/x\r9:memory:/y\n", "memory") == 3


def test_memory_of_a_threaded_cgroup_belongs_to_the_domain_above(tmp_path: Path) -> None:
    hierarchy = MemoryHierarchy(version=2, mount_point=tmp_path, mount_root="/")
    for path, kind in (("a", "domain threaded"), ("a/b", "threaded"), ("a/b/c", "threaded"), ("d", "domain")):
        (tmp_path / path).mkdir()
        (tmp_path / path / "cgroup.type").write_text(f"{kind}\n")
    (tmp_path / "d/memory.current").write_text("4096\n")
    asked = ("/", "/a", "/a/b", "/a/b/c", "/d", "/gone", "/../e", "/a\0")
    assert [memory_domain(hierarchy, path) for path in asked] == [
        "/",
        "/a",
        "/a",
        "/a",
        "/d",
        "/gone",
        "/../e",
        "/a\0",
    ]
    assert memory_domain(MemoryHierarchy(1, tmp_path, "/"), "/a/b") == "/a/b"


@pytest.mark.parametrize(
    ("version", "root", "charges", "says"),
    [
        (2, "/", True, None),
        (1, "/../..", True, None),
        (0, "/", False, "No cgroups"),
        (2, "/", False, "No memory controller"),
        (2, "/docker/ID", True, "Only cgroups below /docker/ID"),
    ],
)
def test_what_a_snapshot_must_say_of_its_cgroups(
    version: int, root: str, charges: bool, says: str | None
) -> None:
    caveats = cgroup_caveats(MemoryHierarchy(version, Path("/m"), root, charges=charges))
    assert [caveat.text[: len(says or "")] for caveat in caveats] == ([says] if says else [])
    assert all(caveat.name == "cgroups" for caveat in caveats)
