"""Which zone a process belongs to: rules on paths, and whole recorded trees (tests/fixtures/zones)."""

from __future__ import annotations

import contextlib
import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import UsageError
from zonerss.kernel.cgroupfs import cgroup_path, charged_bytes, find_memory_hierarchy
from zonerss.kernel.names import host_names
from zonerss.kernel.roots import Roots
from zonerss.records import Names, Task, Zone
from zonerss.zones.paths import ancestors
from zonerss.zones.rules import parse_rules
from zonerss.zones.ways import By, parse_by, zoner

TREES = Path(__file__).parents[2] / "fixtures" / "zones"
ID = "0123456789abcdef" * 4
OTHER = "0123456789ab" + "f" * 52


def task(cgroup: str = "/", *, uid: int | None = 0, euid: int | None = 0, command: str = "sh") -> Task:
    return Task(
        pid=7, start_ticks=1, uid=uid, euid=euid, command=command, cgroup=cgroup, rss_pages=0, walk_tid=7
    )


def zone(cgroup: str, by: str = "zone", names: Names | None = None) -> Zone:
    return zoner(parse_by(by), names or Names())(task(cgroup))


@pytest.mark.parametrize("tree", sorted(path.name for path in TREES.iterdir() if path.is_dir()))
def test_recorded_tree(tree: str) -> None:
    root = TREES / tree
    roots = Roots(proc=root / "proc", sys=root / "sys", host=root)
    hierarchy = find_memory_hierarchy(roots)
    zone_of = zoner(parse_by("zone"), host_names(roots))
    rows = []
    for pid in sorted(int(entry.name) for entry in (root / "proc").iterdir() if entry.name.isdigit()):
        path = cgroup_path((root / "proc" / str(pid) / "cgroup").read_bytes(), hierarchy)
        found = zone_of(task(path))
        charge = charged_bytes(hierarchy, found.cgroup) if found.cgroup else None
        row = (pid, found.name, found.kind, found.id, found.cgroup, charge)
        rows.append(["-" if cell is None else str(cell) for cell in row])
    with (root / "expected.tsv").open(encoding="utf-8") as file:
        expected = list(csv.reader((line for line in file if not line.startswith("#")), delimiter="\t"))
    assert rows == expected
    assert rows


def test_one_zone_however_many_cgroups_below_it() -> None:
    zones = {zone(f"/docker/{ID}{below}") for below in ("", "/a", "/a/b", "/system.slice/x.service")}
    assert {found.cgroup for found in zones} == {f"/docker/{ID}"}
    assert len(zones) == 1


def test_root_processes_are_global() -> None:
    assert zone("/") == Zone(name="global", cgroup=None, kind="global")


@pytest.mark.parametrize(
    ("by", "way", "depth"),
    [
        ("zone", "zone", None),
        ("cgroup", "cgroup", None),
        ("depth=0", "depth", 0),
        ("depth=12", "depth", 12),
        ("slice", "slice", None),
        ("session", "session", None),
        ("user", "user", None),
        ("euser", "euser", None),
        ("command", "command", None),
    ],
)
def test_parse_by(by: str, way: str, depth: int | None) -> None:
    parsed = parse_by(by)
    assert parsed == By(way, depth)
    assert str(parsed) == by


@pytest.mark.parametrize(
    "text",
    [
        "",
        "zones",
        "depth",
        "depth=",
        "depth=-1",
        "depth=1.5",
        "depth=x",
        "depth=99999",
        "zone=1",
        "depth=N",
        "ZONE",
        "depth=²",
        "depth= 1",
        "user\n",
        "\x1b[31m",
    ],
)
def test_unknown_by_says_what_is_allowed(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_by(text)
    sentence = str(caught.value)
    assert "depth=N" in sentence
    assert repr(text.partition("=")[2]) in sentence or repr(text) in sentence
    assert "\n" not in sentence
    assert "\x1b" not in sentence


@settings(deadline=None)
@given(st.text())
def test_parse_by_raises_nothing_else(text: str) -> None:
    with contextlib.suppress(UsageError):
        parse_by(text)


def test_by_cgroup_and_depth() -> None:
    assert zone("/a/b/c", "cgroup").cgroup == "/a/b/c"
    assert zone("/", "cgroup").cgroup == "/"
    assert [zone("/a/b/c", f"depth={n}").name for n in range(5)] == ["/", "/a", "/a/b", "/a/b/c", "/a/b/c"]
    assert zone("/", "depth=3").name == "/"


def test_by_user_takes_names_and_keeps_the_number() -> None:
    names = Names(users={1000: "alice"})
    alice = task(uid=1000, euid=0)
    assert zoner(By("user"), names)(alice) == Zone(name="alice", cgroup=None, id="1000", kind="user")
    assert zoner(By("euser"), names)(alice) == Zone(name="0", cgroup=None, id="0", kind="user")
    assert parse_by("user").needs_uids
    assert not parse_by("zone").needs_uids
    with pytest.raises(ValueError, match="user was not read"):
        zoner(By("user"), names)(task(uid=None))


def test_by_command() -> None:
    assert zoner(parse_by("command"), Names())(task(command="a b\n")).name == "a b\n"


@pytest.mark.parametrize(
    ("path", "slice_", "cgroup"),
    [
        ("/", "-.slice", None),
        ("/init.scope", "-.slice", None),
        (f"/docker/{ID}", "-.slice", None),
        ("/system.slice/nginx.service", "system.slice", "/system.slice"),
        ("/a.slice/a-b.slice/x.scope", "a-b.slice", "/a.slice/a-b.slice"),
        (
            "/user.slice/user-7.slice/user@7.service/app.slice/x.scope",
            "user-7.slice",
            "/user.slice/user-7.slice",
        ),
    ],
)
def test_by_slice(path: str, slice_: str, cgroup: str | None) -> None:
    found = zone(path, "slice")
    assert (found.name, found.cgroup, found.kind) == (slice_, cgroup, "slice")


def test_by_session_divides_a_container_into_its_units() -> None:
    names = Names(containers={ID: "web"})
    scope = f"/system.slice/docker-{ID}.scope"
    inner = zone(f"{scope}/system.slice/nginx.service/worker", "session", names)
    assert (inner.name, inner.cgroup, inner.kind) == (
        "web/nginx.service",
        f"{scope}/system.slice/nginx.service",
        "service",
    )
    assert zone(scope, "session", names).name == "web"
    assert zone(f"{scope}/workers", "session", names).name == "web"
    assert zone("/user.slice/user-7.slice/session-3.scope", "session").name == "7/session-3"
    assert zone("/", "session").name == "global"
    assert zone("/batch/1", "session").name == "/batch"


def test_by_session_does_not_give_this_hosts_user_names_to_a_containers_users() -> None:
    names = Names(users={1000: "alice"})
    session = "/user.slice/user-1000.slice/session-1.scope"
    assert zone(session, "session", names).name == "alice/session-1"
    assert zone(f"/lxc.payload.c1{session}", "session", names).name == "c1/1000/session-1"


components = st.one_of(
    st.text(st.characters(exclude_characters="/\n\0", exclude_categories=()), min_size=1, max_size=20),
    st.sampled_from(
        [
            "..",
            ID,
            f"docker-{ID}.scope",
            f"libpod-conmon-{ID}.scope",
            "kubepods",
            "kubepods.slice",
            "podx",
            "lxc",
            "lxc.payload.",
            "lxc.monitor.a",
            "machine-.scope",
            "user.slice",
            "user-1000.slice",
            "user@1000.service",
            r"machine-\xff\x1b.scope",
            "session-2.scope",
            "app-a-b-c.scope",
            "conmon",
            "libpod_parent",
            "x.service",
            f"kubepods-pod{'1_' * 3}.slice",
            f"a.slice:cri-containerd:{ID}",
            "user-99999999999999999999.slice",
        ]
    ),
)
paths = st.lists(components, max_size=12).map(lambda parts: "/" + "/".join(parts))


@settings(deadline=None)
@given(paths, st.sampled_from(["zone", "cgroup", "depth=2", "slice", "session"]))
def test_any_path_has_a_zone_that_holds_it(path: str, by: str) -> None:
    found = zone(path, by)
    assert found.cgroup is None or found.cgroup in ancestors(path)
    if found.cgroup is None:
        assert by == "slice" or path == "/"


@settings(deadline=None)
@given(paths)
def test_what_is_below_a_zone_is_in_the_zone_or_in_a_more_telling_one(path: str) -> None:
    above = zone(path)
    below = zone(f"{path.rstrip('/')}/worker")
    if above.kind in ("docker", "podman", "lxc", "machine", "service", "scope", "session"):
        # A container below a service, a container below a pod and a user's own units are told apart further
        # down.
        assert below == above or above.name.endswith("@1000.service") or path.endswith(("lxc", "conmon"))


def test_hostile_names_survive() -> None:
    hostile = "/\x1b[31m\udcff\udc80:\r\t" + "x" * 200
    assert zone(hostile).cgroup == hostile
    assert zone(f"{hostile}/docker-{ID}.scope").cgroup == f"{hostile}/docker-{ID}.scope"
    deep = "/d" * 2000
    assert zone(deep).cgroup == "/d"
    assert zone(f"{deep}/x.service/y").cgroup == f"{deep}/x.service"


def test_rules_come_first_and_own_what_is_below() -> None:
    rules = parse_rules(
        "[[rule]]\nmatch = '^/batch/(?P<team>[^/]+)/job-([0-9]+)'\nname = '{team}:{2}'\n", "rules.toml"
    )
    zone_of = zoner(parse_by("zone"), Names(), rules)
    assert zone_of(task("/batch/ads/job-17/step/1")) == Zone(
        name="ads:17", cgroup="/batch/ads/job-17", kind="rule"
    )
    assert zone_of(task("/batch/ads/other")).cgroup == "/batch"
    assert zoner(parse_by("cgroup"), Names(), rules)(task("/batch/ads/job-17")).kind == "cgroup"


def test_two_zones_of_two_ways_are_two_whatever_a_process_calls_itself() -> None:
    zone_of = zoner(parse_by("cgroup/command"), Names())
    pairs = [("/a", "b/c"), ("/a/b", "c"), ("/a", r"b\x2fc"), ("/a\\", "b"), ("/a", r"\b")]
    found = {zone_of(task(cgroup, command=command)) for cgroup, command in pairs}
    assert len(found) == len(pairs)
    assert len({one.id for one in found}) == len(pairs)
