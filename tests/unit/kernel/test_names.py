"""Human names from engines' state on disk: what is asked, what is not read, and state that is broken or
hostile."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from zonerss.kernel.names import OnDemand, host_names
from zonerss.kernel.roots import Roots
from zonerss.records import Names

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
