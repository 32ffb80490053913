"""What zones share, the tree above them, several groupings at once: zones of known memory, and the identities."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import zonerss
from tests.identities import assert_identities
from tests.live.cgroups import TestCgroups, stopped
from tests.live.measure import Zone
from tests.oracle import PAGE
from zonerss.answers.share import SharedPart
from zonerss.census.tree import tree_usage
from zonerss.commands.share import Sharing, measure
from zonerss.kernel.cgroupfs import charged_bytes, find_memory_hierarchy
from zonerss.kernel.roots import HOST
from zonerss.records.files import FileKind

pytestmark = pytest.mark.same_in_container


def shares(zones: list[Zone], source: str) -> Sharing:
    with stopped([zone.path for zone in zones]), zonerss.Session(source) as session:
        return measure(session, "cgroup", surely=1 << 20)


def part_of(sharing: Sharing, *zones: Zone) -> SharedPart:
    names = {zone.name for zone in zones}
    (part,) = (part for part in sharing.parts if set(part.zones) == names)
    return part


def held(sharing: Sharing, part: SharedPart) -> dict[tuple[FileKind | None, str | None], int]:
    """Pages of a part by what they are."""
    return {
        (file and file.kind, file and file.name): sum(pages[:3])
        for file, pages in sharing.holdings.get(part.number, ())
    }


def make_file(path: Path, pages: int) -> Path:
    path.write_bytes(b"".join(page.to_bytes(8, "big") * (PAGE // 8) for page in range(pages)))
    return path


# ---- what is shared, and what it is -----------------------------------------------------------------------


def test_a_file_of_three_zones_is_one_part_and_named(make_zone, source, disk_directory):
    file = make_file(disk_directory / "data file\nof three", 71)
    link = disk_directory / "link"
    link.symlink_to(file)  # mem takes no newline in a path
    zones = [make_zone(name) for name in "abc"]
    for zone in zones:
        zone.spawn().map(f"file {link} 71 shared read")
    # Others of this host map mem's own text, so the part of exactly these three is the file alone.
    sharing = shares(zones, source)
    parts = [part for part in sharing.parts if {zone.name for zone in zones} <= set(part.zones)]
    files = {name: pages for part in parts for name, pages in held(sharing, part).items()}
    assert files[FileKind.FILE, str(file)] == 71


@pytest.mark.parametrize(
    ("command", "kind", "name"),
    [("memfd 41", FileKind.MEMFD, "/memfd:"), ("shm 41", FileKind.SYSV, "/SYSV")],
)
def test_shared_memory_of_two_zones_is_named(make_zone, source, command, kind, name):
    a, b = make_zone("a"), make_zone("b")
    first, second = a.spawn(), b.spawn()
    memory = first.map(command)
    second.map(f"shmat {memory.id} 41" if kind is FileKind.SYSV else f"file {memory.path} 41 shared read")
    sharing = shares([a, b], source)
    part = part_of(sharing, a, b)
    found = {key: pages for key, pages in held(sharing, part).items() if key[0] is kind}
    assert [(key[1].startswith(name), pages) for key, pages in found.items()] == [(True, 41)]


def test_a_fork_into_another_zone_shares_private_and_shared_anonymous_memory(make_zone, source):
    a, b = make_zone("a"), make_zone("b")
    mem = a.spawn()
    mem.map("anon 43")
    common = mem.map("sharedanon 47")
    child = mem.fork()
    mem.read(common, 0, 47, pid=child)  # fork leaves out the page tables of shared mappings
    b.add(child)
    sharing = shares([a, b], source)
    part = part_of(sharing, a, b)
    assert part.anon_bytes >= 43 * PAGE
    assert part.shmem_bytes == 47 * PAGE
    assert held(sharing, part)[FileKind.SHARED, "/dev/zero"] == 47


def test_a_tmpfs_file(make_zone, source, tmpfs_directory):
    file = make_file(tmpfs_directory / "file", 53)
    a, b = make_zone("a"), make_zone("b")
    for zone in (a, b):
        zone.spawn().map(f"file {file} 53 shared read")
    sharing = shares([a, b], source)
    assert held(sharing, part_of(sharing, a, b))[FileKind.TMPFS, str(file)] == 53


def test_the_end_of_one_changes_nothing_of_the_other(make_zone, source, disk_directory):
    """Two of one image: stopping one changes the other's rss_bytes by nothing."""
    file = make_file(disk_directory / "libc.so", 59)
    a, b = make_zone("a"), make_zone("b")
    for zone in (a, b):
        zone.spawn().map(f"file {file} 59 shared read")
    before = shares([a, b], source)
    a.end()
    after = shares([b], source)
    (one,) = (usage for usage in before.snapshot.zones if usage.zone == b.name)
    (other,) = (usage for usage in after.snapshot.zones if usage.zone == b.name)
    assert one.rss_bytes == other.rss_bytes
    assert other.exclusive_bytes - one.exclusive_bytes >= 59 * PAGE


# ---- identities, on whatever runs here ---------------------------------------------------------------------


def test_identities_of_sharing(make_zone, source):
    a, b = make_zone("a"), make_zone("b")
    memory = a.spawn().map("memfd 61")
    b.spawn().map(f"file {memory.path} 61 shared read")
    with zonerss.Session(source) as session:
        sharing = measure(session, "cgroup")
    snapshot = sharing.snapshot
    rss = {usage.zone: usage.rss_bytes for usage in snapshot.zones}
    assert sum(part.bytes for part in sharing.parts) == snapshot.total.rss_bytes
    for usage in snapshot.zones:
        assert usage.rss_bytes == sum(p.bytes for p in sharing.parts if usage.zone in p.zones)
        assert usage.exclusive_bytes == sum(p.bytes for p in sharing.parts if p.zones == (usage.zone,))
        assert usage.exclusive_bytes <= usage.rss_bytes
    assert abs(sum(usage.proportional_bytes for usage in snapshot.zones) - snapshot.total.rss_bytes) <= len(
        rss
    )
    seen = set()
    for pair in sharing.pairs:
        one, other = pair.zones
        assert one < other
        assert pair.bytes <= min(rss[one], rss[other])
        assert pair.bytes == sum(p.bytes for p in sharing.parts if one in p.zones and other in p.zones)
        seen.add(pair.zones)
    assert len(seen) == len(sharing.pairs)
    assert sharing.pair_count == len(seen)
    for number, rows in sharing.holdings.items():
        total = [sum(kinds) for kinds in zip(*(pages for _, pages in rows), strict=True)]
        assert tuple(total) == snapshot.parts.filled()[number]


def test_identities_of_every_grouping(make_zone, source):
    make_zone("a").spawn()
    assert_identities(zonerss.take_snapshot(by="cgroup", source=source))
    assert_identities(zonerss.take_snapshot(by=("zone", "command", "zone/user"), source=source))


# ---- the tree -----------------------------------------------------------------------------------------------


@pytest.fixture
def family(cgroups: TestCgroups, make_zone: Callable) -> Iterator[tuple[str, Zone, Zone]]:
    """A cgroup with a process of its own, and two below it with one each; they share a memfd of 67 pages."""
    parent = cgroups.make("family")
    outer = Zone(cgroups, parent)
    try:
        a, b = make_zone("family/a"), make_zone("family/b")
        mem = outer.spawn()
        memory = mem.map("memfd 67")
        mem.map("anon 71")
        for zone, pages in ((a, 73), (b, 79)):
            other = zone.spawn()
            other.map(f"file {memory.path} 67 shared read")
            other.map(f"anon {pages}")
        yield outer.name, a, b
    finally:
        outer.end()
        for zone in make_zone.zones:
            zone.end()
            cgroups.remove(zone.path)
        make_zone.zones.clear()
        cgroups.remove(parent)


def test_an_inner_cgroup_counts_each_frame_once(family, source):
    name, a, b = family
    with stopped([a.path.parent, a.path, b.path]):
        snapshot = zonerss.take_snapshot(by="cgroup", source=source)
    nodes = {
        node.usage.zone: node for node in tree_usage(snapshot.parts, snapshot.members, lambda path: None)
    }
    parent, one, other = nodes[name], nodes[a.name], nodes[b.name]
    zones = {usage.zone: usage for usage in snapshot.zones}
    assert parent.own_rss_bytes == zones[name].rss_bytes
    assert one.usage.rss_bytes == zones[a.name].rss_bytes
    # The three have the memfd and mem's own text in common, and nothing else that all three map.
    assert parent.usage.rss_bytes < parent.own_rss_bytes + one.usage.rss_bytes + other.usage.rss_bytes
    assert parent.usage.exclusive_bytes >= (67 + 71 + 73 + 79) * PAGE
    assert parent.usage.exclusive_bytes >= one.usage.exclusive_bytes + other.usage.exclusive_bytes
    with stopped([a.path.parent, a.path, b.path]):
        by_depth = zonerss.take_snapshot(by=f"depth={name.count('/')}", source=source)
    (same,) = (usage for usage in by_depth.zones if usage.zone == name)
    assert same.rss_bytes == parent.usage.rss_bytes


def test_identities_of_the_tree(source):
    snapshot = zonerss.take_snapshot(by="cgroup", source=source)
    hierarchy = find_memory_hierarchy(HOST)
    nodes = tree_usage(snapshot.parts, snapshot.members, lambda path: charged_bytes(hierarchy, path))
    rss = {node.usage.zone: node.usage.rss_bytes for node in nodes}
    assert nodes[0].usage.zone == "/"
    assert nodes[0].usage.rss_bytes == nodes[0].usage.exclusive_bytes == snapshot.total.rss_bytes
    assert nodes[0].usage.processes == snapshot.total.processes
    for node in nodes:
        children = [rss[other.usage.zone] for other in nodes if other.parent == node.usage.zone]
        assert max(children, default=0) <= rss[node.usage.zone] <= sum(children) + node.own_rss_bytes
        assert node.usage.exclusive_bytes <= node.usage.rss_bytes


def test_the_tree_as_json(make_zone):
    zone = make_zone("leaf")
    zone.spawn()
    document = json.loads(run_zonerss("show", "--tree", "--json"))
    nodes = {node["zone"]: node for node in document["tree"]}
    assert document["schema"] == "zonerss.snapshot/1"
    assert nodes["/"]["parent"] is None
    assert nodes[zone.name]["parent"] == os.path.dirname(zone.name)
    assert nodes[os.path.dirname(zone.name)]["rss_bytes"] >= nodes[zone.name]["rss_bytes"]
    assert document["tree"][0]["zone"] == "/"


def run_zonerss(*words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "zonerss", *words], check=True, capture_output=True, text=True
    ).stdout


# ---- the collectives of getvmusage -------------------------------------------------------------------------


def test_all_collectives_in_one_pass(make_zone):
    zone = make_zone("z")
    zone.spawn()
    document = json.loads(run_zonerss("show", "--collectives", "--json"))
    ways = [grouping["by"] for grouping in document["groupings"]]
    assert ways == ["zone", "zone/slice", "zone/session", "zone/user", "zone/euser", "slice", "user", "euser"]
    total = document["total"]
    for grouping in document["groupings"]:
        rows = grouping["zones"]
        assert sum(row["processes"] for row in rows) == total["processes"]
        assert (
            max(row["rss_bytes"] for row in rows) <= total["rss_bytes"] <= sum(r["rss_bytes"] for r in rows)
        )
        assert abs(sum(row["proportional_bytes"] for row in rows) - total["rss_bytes"]) <= len(rows)


def test_users_in_each_zone_and_in_all(make_zone, source):
    """A memfd that two users of two zones map: once in each zone's user, and once in the user of both."""
    a, b = make_zone("a"), make_zone("b")
    memory = a.spawn().map("memfd 83")
    b.spawn().map(f"file {memory.path} 83 shared read")
    with stopped([a.path, b.path]):
        snapshot = zonerss.take_snapshot(by=("cgroup", "cgroup/user", "user"), source=source)
    zones, users_of_zones, users = snapshot.groupings
    of_zone = {usage.zone: usage for usage in zones.zones}
    of_both = {usage.zone: usage for usage in users_of_zones.zones}
    for zone in (a, b):
        (user,) = (name for name in of_both if name.startswith(f"{zone.name}/"))
        assert of_both[user].rss_bytes == of_zone[zone.name].rss_bytes
        assert of_both[user].shared_bytes >= 83 * PAGE
    assert sum(usage.processes for usage in users.zones) == snapshot.total.processes


def test_a_process_table_above_the_users(make_zone):
    zone = make_zone("z")
    mem = zone.spawn()
    text = run_zonerss("show", "-a", "--limit", "1000")
    assert any(line.split()[:1] == [str(mem.pid)] for line in text.splitlines())
    assert "PROCS" in text
    assert "USERNAME" in text


# ---- one walk for many threads -------------------------------------------------------------------------------


def test_threads_share_a_walk_and_a_fresh_snapshot_is_used_again(source):
    found: list[zonerss.Snapshot] = []

    def ask() -> None:
        found.append(zonerss.take_snapshot(by="cgroup", source=source, max_age=60))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(snapshot) for snapshot in found}) == 1
    assert zonerss.take_snapshot(by=("cgroup",), source=source, max_age=60) is found[0]
    assert zonerss.take_snapshot(by="user", source=source, max_age=60) is not found[0]
    assert zonerss.take_snapshot(by="cgroup", source=source) is not found[0]
    anew = zonerss.take_snapshot(by="cgroup", source=source, max_age=0)
    assert anew is not found[0]
    assert anew.began > found[0].ended


@pytest.mark.parametrize("age", [-1, float("nan")])
def test_an_age_that_is_none(age):
    with pytest.raises(zonerss.ZonerssError, match="seconds"):
        zonerss.take_snapshot(max_age=age)
