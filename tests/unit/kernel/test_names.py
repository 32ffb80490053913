"""Human names from engines' state on disk: what is asked, what is not read, and state that is broken or
hostile."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.threads import until

from zonerss.kernel import engines, patience
from zonerss.kernel.engines import (
    HOME_BYTES,
    HOME_FILE_BYTES,
    HOME_VALUES,
    MOST_DRIVERS,
    MOST_VALUES,
    OnDemand,
)
from zonerss.kernel.names import host_names, unread_sentence
from zonerss.kernel.roots import Roots
from zonerss.records import Names
from zonerss.views.text import encodable

ID = "0123456789abcdef" * 4
PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\ntoor:x:0:0::/t:/bin/sh\n"


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def names(host: Path) -> Names:
    return host_names(Roots(host=host))


def docker(host: Path, content: Any, root: str = "var/lib/docker") -> None:
    write(host / root / "containers" / ID / "config.v2.json", content)


def storage(host: Path, content: Any, file: str = "overlay-containers/containers.json") -> None:
    write(host / "var/lib/containers/storage" / file, content)


def test_nothing_there(tmp_path: Path) -> None:
    found = names(tmp_path)
    assert found.containers.get(ID) is None
    assert found.pods.get("x") is None
    assert found.machines.get("machine-x.scope") is None
    assert found.users.get(0) is None
    assert found.rootless.get(1000) is None


def test_docker(tmp_path: Path) -> None:
    docker(tmp_path, {"Name": "/web", "ID": ID})
    assert names(tmp_path).containers[ID] == "web"


def test_docker_with_another_data_root(tmp_path: Path) -> None:
    write(tmp_path / "etc/docker/daemon.json", {"data-root": "/srv/d"})
    docker(tmp_path, {"Name": "/web"}, "srv/d")
    assert names(tmp_path).containers[ID] == "web"


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        "{}",
        '{"Name": null}',
        '{"Name": 7}',
        '{"Name": ""}',
        '{"Name": "/"}',
        "[" * 100000,
        "\x00",
        '{"Name": "/web"',
        '{"Name": "/\\ud800"}',
        '{"Name": "/' + "x" * 1001 + '"}',
        '{"Name": ' + "1" * 5000 + "}",
    ],
)
def test_broken_docker_state_costs_the_name_only(tmp_path: Path, content: str) -> None:
    docker(tmp_path, content)
    write(tmp_path / "etc/docker/daemon.json", content)
    assert names(tmp_path).containers.get(ID) is None


def test_state_that_is_no_utf8(tmp_path: Path) -> None:
    docker(tmp_path, "")
    (tmp_path / "var/lib/docker/containers" / ID / "config.v2.json").write_bytes(b'{"Name": "/\xff"}')
    assert names(tmp_path).containers.get(ID) is None


def test_storage_of_any_driver_and_volatile_containers(tmp_path: Path) -> None:
    storage(tmp_path, [{"id": "a" * 64, "names": ["one", "alias"]}], "vfs-containers/containers.json")
    storage(tmp_path, [{"id": "b" * 64, "names": ["two"]}], "overlay-containers/volatile-containers.json")
    storage(tmp_path, [{"id": "c" * 64, "names": ["no"]}], "overlay-layers/containers.json")
    write(
        tmp_path / "run/containers/storage/overlay-containers/volatile-containers.json",
        [{"id": "d" * 64, "names": ["four"]}],
    )
    found = names(tmp_path).containers
    assert [found.get(digit * 64) for digit in "abcd"] == ["one", "two", None, "four"]


@pytest.mark.parametrize(
    "content",
    [
        "{}",
        "[null, 7, [], {}]",
        '[{"id": 7, "names": ["x"]}]',
        '[{"id": "i", "names": []}]',
        '[{"id": "i", "names": [7]}]',
        '[{"id": "i"}]',
        '[{"id": "i", "names": ""}]',
        '[{"id": "i", "names": [""]}]',
    ],
)
def test_broken_storage_costs_the_name_only(tmp_path: Path, content: str) -> None:
    storage(tmp_path, content)
    assert names(tmp_path).containers.get("i") is None


@pytest.mark.parametrize("conf", ["[storage", "storage = 3", "[storage]\ngraphroot = 3", "\0", "[storage]\n"])
def test_broken_storage_conf_means_the_default(tmp_path: Path, conf: str) -> None:
    write(tmp_path / "etc/containers/storage.conf", conf)
    storage(tmp_path, [{"id": ID, "names": ["web"]}])
    assert names(tmp_path).containers[ID] == "web"


def test_names_that_kubernetes_made_up(tmp_path: Path) -> None:
    docker(tmp_path, {"Name": "/k8s_nginx_web-0_shop_1111-22_3"})
    assert names(tmp_path).containers[ID] == "shop/web-0/nginx"


def test_container_logs(tmp_path: Path) -> None:
    logs = tmp_path / "var/log/containers"
    write(logs / f"web-0_shop_ngi-nx-{ID}.log", "")
    write(logs / "cut-at-255-bytes_shop_nginx-0123.log", "")
    write(logs / "README", "")
    assert names(tmp_path).containers[ID] == "shop/web-0/ngi-nx"
    assert names(tmp_path).containers.get("0123") is None


def test_pods(tmp_path: Path) -> None:
    for directory in ("shop_web-0_1111-22", "1111-33", "a_b_c_d"):
        (tmp_path / "var/log/pods" / directory).mkdir(parents=True)
    assert names(tmp_path).pods["1111-22"] == "shop/web-0"
    assert names(tmp_path).pods.get("1111-33") is None


@pytest.mark.parametrize(
    ("annotations", "name"),
    [
        (
            {
                "io.kubernetes.cri.container-type": "container",
                "io.kubernetes.cri.container-name": "nginx",
                "io.kubernetes.cri.sandbox-name": "web-0",
                "io.kubernetes.cri.sandbox-namespace": "shop",
            },
            "shop/web-0/nginx",
        ),
        (
            {
                "io.kubernetes.cri.container-type": "sandbox",
                "io.kubernetes.cri.sandbox-name": "web-0",
                "io.kubernetes.cri.sandbox-namespace": "shop",
            },
            "shop/web-0/POD",
        ),
        ({"nerdctl/name": "handmade"}, "handmade"),
        ({"io.kubernetes.cri.container-type": "container"}, None),
        ({"nerdctl/name": ""}, None),
        ({}, None),
        (None, None),
    ],
)
def test_containerd_bundles(tmp_path: Path, annotations: Any, name: str | None) -> None:
    tasks = tmp_path / "run/containerd/io.containerd.runtime.v2.task/k8s.io"
    write(tasks / ID / "config.json", {"annotations": annotations})
    assert names(tmp_path).containers.get(ID) == name


def test_an_id_is_never_a_path(tmp_path: Path) -> None:
    write(tmp_path / "var/lib/docker/containers/../../../../x/config.v2.json", {"Name": "/web"})
    assert names(tmp_path).containers.get("../../../../x") is None
    assert names(tmp_path).machines.get("../x\0") is None


def test_machines(tmp_path: Path) -> None:
    links = tmp_path / "run/systemd/machines"
    links.mkdir(parents=True)
    (links / r"unit:machine-web\x2d1.scope").symlink_to("web-1")
    (links / "unit:no-link.scope").write_text("web-2")
    assert names(tmp_path).machines[r"machine-web\x2d1.scope"] == "web-1"
    assert names(tmp_path).machines.get("no-link.scope") is None


def test_users(tmp_path: Path) -> None:
    noise = "\n:::\nx:x:1e3:1::/:/\nshort:x:5\n#c\nlong:x:6:6::/:/:/\n:x:9:9::/:/\n"
    write(tmp_path / "etc/passwd", PASSWD + noise)
    users = names(tmp_path).users
    assert [users.get(uid) for uid in (0, 1000, 5, 6, 9, 1)] == ["root", "alice", None, None, None, None]


def test_users_of_this_host_may_come_from_a_directory_service() -> None:
    assert host_names(Roots()).users[0] == "root"
    assert host_names(Roots()).users.get(4294967294) is None
    assert host_names(Roots()).users.get(1 << 70) is None


def test_rootless_state_is_the_users_own(tmp_path: Path) -> None:
    write(tmp_path / "etc/passwd", PASSWD)
    share = tmp_path / "home/alice/.local/share"
    write(share / "containers/storage/overlay-containers/containers.json", [{"id": ID, "names": ["web"]}])
    write(share / "docker/containers" / ("b" * 64) / "config.v2.json", {"Name": "/db"})
    found = names(tmp_path)
    assert found.rootless[1000].get(ID) == "web"
    assert found.rootless[1000].get("b" * 64) == "db"
    assert found.containers.get(ID) is None
    assert found.rootless.get(0, {}).get(ID) is None


def test_a_pipe_or_a_device_in_a_home_is_not_read(tmp_path: Path) -> None:
    write(tmp_path / "etc/passwd", PASSWD)
    place = tmp_path / "home/alice/.local/share/containers/storage"
    (place / "a-containers").mkdir(parents=True)
    (place / "b-containers").mkdir()
    os.mkfifo(place / "a-containers/containers.json")
    (place / "b-containers/containers.json").symlink_to("/dev/zero")
    assert names(tmp_path).rootless[1000].get(ID) is None


# ---- a home leads nowhere and costs little (tests/unit/kernel/test_safely.py) --------------------------------

HOME = "home/alice/.local/share/containers/storage"
CONTAINERS = f"{HOME}/overlay-containers/containers.json"
ONE = json.dumps([{"id": ID, "names": ["web"]}])


@pytest.fixture(autouse=True)
def enough_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a busy machine, too: only tests about time set a limit of their own."""
    monkeypatch.setattr(engines, "HOMES_SECONDS", 3600.0)


@pytest.fixture
def alice(tmp_path: Path) -> Path:
    """A host with a user who has a home."""
    write(tmp_path / "etc/passwd", PASSWD)
    (tmp_path / CONTAINERS).parent.mkdir(parents=True)
    return tmp_path


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> patience.Pauses:
    known = patience.Pauses()
    monkeypatch.setattr(patience, "PAUSES", known)
    return known


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of what was given to the JSON parser."""
    lengths: list[int] = []
    loads = json.loads

    def counting(text: bytes) -> Any:
        lengths.append(len(text))
        return loads(text)

    monkeypatch.setattr(engines.json, "loads", counting)
    return lengths


@pytest.mark.parametrize("link", [CONTAINERS, f"{HOME}/overlay-containers", HOME, "home/alice/.local"])
def test_no_link_in_a_home_is_followed(alice: Path, link: str) -> None:
    elsewhere = alice / "elsewhere"
    write(elsewhere / CONTAINERS, ONE)
    if (alice / link).exists():
        (alice / link).rename(alice / "kept")
    (alice / link).symlink_to(elsewhere / link)
    found = names(alice)
    assert found.rootless[1000].get(ID) is None
    assert found.unread
    assert all("symbolic link" in why for why in found.unread.values())


def test_what_was_not_read_is_said_once(alice: Path) -> None:
    write(alice / CONTAINERS, ONE)
    found = names(alice)
    assert found.rootless[1000].get(ID) == "web"
    assert unread_sentence(found) is None
    (alice / CONTAINERS).unlink()
    (alice / CONTAINERS).symlink_to("/dev/ptmx")
    (alice / f"{HOME}/vfs-containers").symlink_to("/")
    sentence = unread_sentence(names_after(alice)) or ""
    assert sentence.startswith("Ids stand for some names")
    assert f"/{CONTAINERS}, and 2 more could not be used: there is a symbolic link" in sentence


def test_links_of_the_host_itself_are_followed(alice: Path) -> None:
    write(alice / "data/home/alice/.local/share/containers/storage/overlay-containers/containers.json", ONE)
    docker(alice, {"Name": "/db"}, "data/docker")
    (alice / "home").rename(alice / "before")
    (alice / "home").symlink_to("data/home")
    (alice / "var/lib").mkdir(parents=True)
    (alice / "var/lib/docker").symlink_to("/data/docker")
    found = names(alice)
    assert found.rootless[1000].get(ID) == "web"
    assert found.containers.get(ID) == "db"
    assert found.unread == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root: gives a file away")
def test_a_file_of_another_user_is_not_read(alice: Path) -> None:
    write(alice / CONTAINERS, ONE)
    os.chown(alice / CONTAINERS, 1001, 1001)
    found = names(alice)
    assert found.rootless[1000].get(ID) is None
    assert found.unread == {f"/{CONTAINERS}": "it belongs to the user 1001"}
    os.chown(alice / CONTAINERS, 1000, 1000)
    assert names(alice).rootless[1000].get(ID) == "web"


def test_a_bomb_is_not_parsed(alice: Path, parsed: list[int]) -> None:
    write(alice / CONTAINERS, "[" + "[]," * (HOME_FILE_BYTES // 3) + ONE[1:])
    found = names(alice)
    assert found.rootless[1000].get(ID) is None
    assert "longer than" in found.unread[f"/{CONTAINERS}"]
    write(alice / CONTAINERS, "[" + "[]," * MOST_VALUES + ONE[1:])
    found = names(alice)
    assert found.rootless[1000].get(ID) is None
    assert "values" in found.unread[f"/{CONTAINERS}"]
    assert parsed == []
    write(alice / CONTAINERS, "[" + "[]," * (MOST_VALUES // 3) + ONE[1:])
    assert names(alice).rootless[1000].get(ID) == "web"


def test_many_links_to_one_bomb(alice: Path, parsed: list[int]) -> None:
    bomb = alice / CONTAINERS
    write(bomb, json.dumps(["x" * (HOME_FILE_BYTES // 2)]))
    for number in range(9):
        other = alice / HOME / f"{number}-containers/containers.json"
        other.parent.mkdir()
        os.link(bomb, other)
    found = names(alice)
    assert found.rootless[1000].get(ID) is None
    assert sum(parsed) <= HOME_BYTES
    assert found.unread


def test_many_small_bombs(alice: Path, parsed: list[int]) -> None:
    """Each is within what a file may have."""
    for number in range(9):
        write(
            alice / HOME / f"{number}-containers/containers.json", "[" + "[]," * (HOME_VALUES // 5) + ONE[1:]
        )
    found = names(alice)
    assert found.rootless[1000].get(ID) == "web"
    assert len(parsed) == 2  # two values for each list
    assert any("values in the user's files" in why for why in found.unread.values())


def test_many_storage_drivers(alice: Path, parsed: list[int]) -> None:
    for number in range(MOST_DRIVERS + 30):
        write(alice / HOME / f"{number}-containers/containers.json", ONE)
    found = names(alice)
    assert found.rootless[1000].get(ID) == "web"
    assert 0 < len(parsed) <= MOST_DRIVERS
    assert "storage drivers" in found.unread[f"/{HOME}"]


def test_many_files(alice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "HOME_FILES", 10)
    write(alice / CONTAINERS, ONE)
    for number in range(9):
        (alice / HOME / f"{number}-containers").mkdir()
    found = names(alice)
    assert found.rootless[1000].get(ID) is None
    assert "10 files" in found.unread[f"/{CONTAINERS}"]
    (alice / HOME / "10-containers").mkdir()
    assert "more than 10 files" in names_after(alice).unread[f"/{HOME}"]


def names_after(host: Path) -> Names:
    found = names(host)
    assert found.rootless[1000].get(ID) is None
    return found


def test_the_time_that_all_homes_take_is_bounded(alice: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(alice / CONTAINERS, ONE)
    monkeypatch.setattr(engines, "HOMES_SECONDS", 0)
    assert "have taken 0 s" in names_after(alice).unread[f"/{HOME}"]


def test_a_home_that_does_not_answer_is_left(
    alice: Path, pauses: patience.Pauses, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(alice / CONTAINERS, ONE)
    answered = threading.Event()
    read = engines.read_names

    def stuck(*given: Any) -> list[str]:
        answered.wait()
        return read(*given)

    monkeypatch.setattr(engines, "read_names", stuck)
    monkeypatch.setattr(engines, "HOMES_SECONDS", 0.01)
    try:
        assert names_after(alice).unread[f"/{HOME}"] == "its file system does not answer"
        assert pauses.threads == 1
        assert names_after(alice).unread[f"/{HOME}"] == "its file system does not answer"
        assert pauses.threads == 1
    finally:
        answered.set()
        until(lambda: pauses.threads == 0, "the thread that was left behind ends")


texts = st.text() | st.sampled_from([ID, "web", "/web", "", "/", "k8s_a_b_c_d_1", "\ud800", "x" * 1001])
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(texts | st.sampled_from(["id", "names", "Name", "annotations"]), inner, max_size=4)
        | st.fixed_dictionaries({"id": st.just(ID), "names": inner})
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(values.map(json.dumps).map(str.encode) | st.binary(), st.binary() | st.just(PASSWD.encode()))
def test_any_state_is_a_name_that_can_be_printed_or_none(
    tmp_path_factory: pytest.TempPathFactory, state: bytes, passwd: bytes
) -> None:
    host = tmp_path_factory.mktemp("host")
    storage, bundle = "storage/overlay-containers/containers.json", "k8s.io/" + ID + "/config.json"
    try:
        for path, content in {
            "etc/passwd": passwd,
            "etc/docker/daemon.json": state,
            "etc/containers/storage.conf": state,
            f"var/lib/docker/containers/{ID}/config.v2.json": state,
            f"var/lib/containers/{storage}": state,
            f"run/containerd/io.containerd.runtime.v2.task/{bundle}": state,
            CONTAINERS: state,
            f"home/alice/.local/share/docker/containers/{ID}/config.v2.json": state,
        }.items():
            (host / path).parent.mkdir(parents=True, exist_ok=True)
            (host / path).write_bytes(content)
        found = names(host)
        for name in (found.containers.get(ID), found.rootless.get(1000, {}).get(ID), found.users.get(1000)):
            assert name is None or encodable(name)
    finally:
        shutil.rmtree(host)


file_names = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40
) | st.lists(st.sampled_from(["a", "_", "-", ".", ID, ".log", "\n", "\x1b"]), min_size=1, max_size=8).map(
    "".join
)


@settings(deadline=None)
@given(
    st.lists(file_names.filter(lambda name: len(name.encode()) < 256 and name not in (".", "..")), max_size=4)
)
def test_any_names_of_files_are_names_that_can_be_printed_or_none(
    tmp_path_factory: pytest.TempPathFactory, found: list[str]
) -> None:
    """kubelet's log directories, and the links of machined."""
    host = tmp_path_factory.mktemp("host")
    try:
        for place in ("var/log/containers", "var/log/pods", "run/systemd/machines"):
            (host / place).mkdir(parents=True)
        for name in found:
            for place in ("var/log/containers", "var/log/pods"):
                (host / place / name).touch()
            if len(name.encode()) < 250:
                with contextlib.suppress(FileExistsError):
                    (host / "run/systemd/machines" / f"unit:{name}").symlink_to(name)
        told = names(host)
        asked = [told.containers.get(ID), *(told.pods.get(name.rpartition("_")[2]) for name in found)]
        for name in (*asked, *map(told.machines.get, found)):
            assert name is None or encodable(name)
    finally:
        shutil.rmtree(host)


notes = st.fixed_dictionaries(
    {},
    optional={
        "io.kubernetes.cri.container-type": texts | st.just("sandbox") | st.none(),
        "io.kubernetes.cri.sandbox-namespace": texts | st.integers(),
        "io.kubernetes.cri.sandbox-name": texts,
        "io.kubernetes.cri.container-name": texts | st.lists(texts, max_size=1),
        "nerdctl/name": texts | st.none(),
    },
)


@settings(deadline=None)
@given(notes, texts, st.lists(texts, max_size=2))
def test_any_names_in_state_of_the_right_form_can_be_printed_or_are_none(
    tmp_path_factory: pytest.TempPathFactory, annotations: object, name: str, stored: list[str]
) -> None:
    host = tmp_path_factory.mktemp("host")
    bundle = f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"
    try:
        for path, content in {
            bundle: {"annotations": annotations},
            f"var/lib/docker/containers/{ID}/config.v2.json": {"Name": name},
            "var/lib/containers/storage/overlay-containers/containers.json": [{"id": ID, "names": stored}],
        }.items():
            write(host / path, content)
            found = names(host).containers.get(ID)
            assert found is None or encodable(found)
            (host / path).unlink()
    finally:
        shutil.rmtree(host)


def test_a_user_id_of_thousands_of_digits_is_nobodys(tmp_path: Path) -> None:
    write(tmp_path / "etc/passwd", f"eve:x:{'9' * 5000}:0::/home/eve:/bin/sh\n{PASSWD}")
    assert names(tmp_path).users[1000] == "alice"


def test_nothing_is_read_before_it_is_asked_for_nor_twice(tmp_path: Path) -> None:
    found = names(tmp_path)
    docker(tmp_path, {"Name": "/web"})
    assert found.containers[ID] == "web"
    docker(tmp_path, {"Name": "/renamed"})
    assert found.containers[ID] == "web"
    assert names(tmp_path).containers[ID] == "renamed"


def test_on_demand_remembers_that_there_is_none() -> None:
    asked: list[int] = []

    def find(key: int) -> str | None:
        asked.append(key)
        return "found" if key == 1 else None

    mapping = OnDemand(find)
    assert [mapping.get(1), mapping.get(2), mapping.get(1), mapping.get(2)] == ["found", None, "found", None]
    assert asked == [1, 2]
    assert dict(mapping) == {1: "found"}
    assert len(mapping) == 1
