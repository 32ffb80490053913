"""Spellings of cgroups; whole recorded trees are in test_ways.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.records import Names, Zone
from zonerss.zones.schemes import find_container, find_unit, systemd_unescape

ID = "0123456789abcdef" * 4


def test_a_path_stands_for_a_zone() -> None:
    found = find_container(f"/system.slice/docker-{ID}.scope/x", Names(containers={ID: "web"}))
    assert found == Zone("web", f"/system.slice/docker-{ID}.scope", ID, "docker")
    assert find_unit("/system.slice/a.service/b", Names()) == Zone(
        "a.service", "/system.slice/a.service", None, "service"
    )


def test_a_path_that_stands_for_nothing() -> None:
    assert find_container("/batch/1", Names()) is None
    assert find_unit("/batch/1", Names()) is None


def test_systemd_unescape() -> None:
    assert systemd_unescape(r"web\x2d1") == "web-1"
    assert systemd_unescape(r"caf\xc3\xa9") == "café"
    assert systemd_unescape(r"\xff") == "\udcff"
    assert systemd_unescape(r"a\x2g\x") == r"a\x2g\x"


names = st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))
escapes = st.lists(st.sampled_from([r"\x2d", r"\xff", r"\xc3", r"\x00", "\\", "x", "\udcff", "\n"])).map(
    "".join
)


@given(names | escapes)
def test_any_unit_name_can_be_unescaped(name: str) -> None:
    """And what comes of it is a name again, which bytes stand for."""
    systemd_unescape(name).encode("utf-8", "surrogateescape")


MANAGER = "/user.slice/user-1000.slice/user@1000.service"


def test_below_a_users_slice_no_other_user_is_named() -> None:
    names = Names(users={0: "root", 1000: "alice"})
    found = find_unit(f"{MANAGER}/user-0.slice/session-3.scope", names)
    assert found is not None
    assert found.name == "alice/session-3"


def test_below_a_users_slice_nothing_has_a_name_of_the_systems() -> None:
    uid = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
    names = Names(pods={uid: "kube-system/etcd-0"}, machines={"machine-x.scope": "vault"})
    for below in ("", MANAGER):
        pod = find_container(f"{below}/kubepods.slice/kubepods-pod{uid.replace('-', '_')}.slice/x", names)
        machine = find_container(f"{below}/machine-x.scope/x", names)
        assert pod is not None
        assert machine is not None
        told = ("pod-aaaaaaaa-bbb", "x") if below else ("kube-system/etcd-0", "vault")
        assert (pod.name, machine.name) == told


def test_containers_below_roots_slice_are_the_systems() -> None:
    path = f"/user.slice/user-0.slice/session-1.scope/libpod-payload-{ID}"
    for names in (Names(containers={ID: "db"}), Names(rootless={0: {ID: "db"}})):
        found = find_container(path, names)
        assert found is not None
        assert found.name == "db"
