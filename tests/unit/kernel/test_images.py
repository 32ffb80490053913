"""Images of containers from engines' state on disk: what is found, what is not, and state that is broken or hostile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.kernel.images import Images
from zonerss.kernel.roots import Roots
from zonerss.records.images import Image
from zonerss.views.text import encodable

ID = "0123456789abcdef" * 4
IMAGE = "fe" * 32
PASSWD = "root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n"
STORAGE = "var/lib/containers/storage"
HOME = "home/alice/.local/share"
DOCKER = f"var/lib/docker/containers/{ID}/config.v2.json"
BUNDLE = f"run/containerd/io.containerd.runtime.v2.task/k8s.io/{ID}/config.json"


def write(path: Path, content: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def image(host: Path, uid: int | None = None) -> Image | None:
    return Images(Roots(host=host)).of(ID, uid)


def test_nothing_there(tmp_path: Path) -> None:
    assert image(tmp_path) is None
    assert image(tmp_path, 1000) is None


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"Image": f"sha256:{IMAGE}", "Config": {"Image": "web:1"}}, Image(IMAGE, "web:1")),
        ({"Image": f"sha256:{IMAGE}", "Config": {"Image": f"sha256:{IMAGE}"}}, Image(IMAGE, None)),
        ({"Image": f"sha256:{IMAGE}", "Config": {"Image": ""}}, Image(IMAGE, None)),
        ({"Image": IMAGE}, Image(IMAGE, None)),
        ({"Image": "web", "Config": {"Image": "web"}}, None),
        ({"Image": None, "Config": {"Image": "web"}}, None),
        ([{"Image": IMAGE}], None),
        ("{", None),
    ],
)
def test_docker(tmp_path: Path, content: Any, found: Image | None) -> None:
    write(tmp_path / DOCKER, content)
    assert image(tmp_path) == found


@pytest.mark.parametrize("file", ["containers.json", "volatile-containers.json"])
def test_podman_and_cri_o(tmp_path: Path, file: str) -> None:
    write(
        tmp_path / f"{STORAGE}/overlay-containers/{file}",
        [None, {"id": ID, "image": IMAGE, "names": ["web"]}],
    )
    assert image(tmp_path) == Image(IMAGE, None)
    images = tmp_path / f"{STORAGE}/overlay-images/images.json"
    write(images, [{"id": "aa" * 32, "names": ["other"]}, {"id": IMAGE}])
    assert image(tmp_path) == Image(IMAGE, None)
    write(images, [7, {"id": IMAGE, "names": ["localhost/web:1", "alias"]}])
    assert image(tmp_path) == Image(IMAGE, "localhost/web:1")


@pytest.mark.parametrize(
    "record", [{"id": ID}, {"id": ID, "image": ""}, {"id": ID, "image": 7}, {"image": IMAGE}]
)
def test_a_container_without_image(tmp_path: Path, record: Any) -> None:
    write(tmp_path / f"{STORAGE}/overlay-containers/containers.json", [record])
    assert image(tmp_path) is None


@pytest.mark.parametrize(
    ("annotations", "found"),
    [
        ({"io.kubernetes.cri.image-name": "nginx:1"}, Image(None, "nginx:1")),
        ({"io.kubernetes.cri.podsandbox.image-name": "pause:3"}, Image(None, "pause:3")),
        ({"io.kubernetes.cri.image-name": ""}, None),
        ({"io.kubernetes.cri.image-name": ["nginx"]}, None),
        ({"nerdctl/name": "handmade"}, None),
        ([], None),
    ],
)
def test_containerd(tmp_path: Path, annotations: Any, found: Image | None) -> None:
    write(tmp_path / BUNDLE, {"annotations": annotations})
    assert image(tmp_path) == found


def test_a_user_cannot_tell_of_the_systems_containers_nor_of_another_users(tmp_path: Path) -> None:
    write(tmp_path / "etc/passwd", PASSWD)
    write(
        tmp_path / f"{HOME}/containers/storage/overlay-containers/containers.json",
        [{"id": ID, "image": IMAGE}],
    )
    write(tmp_path / BUNDLE, {"annotations": {"io.kubernetes.cri.image-name": "nginx:1"}})
    assert image(tmp_path, 1000) == Image(IMAGE, None)
    assert image(tmp_path, 0) is None
    assert image(tmp_path) == Image(None, "nginx:1")


def test_no_link_in_a_home_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "etc/passwd", PASSWD)
    elsewhere = tmp_path / "elsewhere.json"
    write(elsewhere, {"Image": IMAGE})
    link = tmp_path / f"{HOME}/docker/containers/{ID}/config.v2.json"
    link.parent.mkdir(parents=True)
    link.symlink_to(elsewhere)
    images = Images(Roots(host=tmp_path))
    assert images.of(ID, 1000) is None
    assert "symbolic link" in images.unread[f"/{HOME}/docker/containers/{ID}/config.v2.json"]


def test_an_id_is_never_a_path(tmp_path: Path) -> None:
    write(tmp_path / "x/config.v2.json", {"Image": IMAGE})
    (tmp_path / "var/lib/docker/containers").mkdir(parents=True)
    assert Images(Roots(host=tmp_path)).of("../../../../x") is None


texts = st.text() | st.sampled_from([ID, IMAGE, f"sha256:{IMAGE}", "\ud800", "x" * 1001])
names = st.sampled_from(
    ["id", "image", "names", "Image", "Config", "annotations", "io.kubernetes.cri.image-name"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=10,
)


@settings(deadline=None)
@given(values.map(json.dumps).map(str.encode) | st.binary())
def test_any_state_is_an_image_that_can_be_printed_or_none(
    tmp_path_factory: pytest.TempPathFactory, state: bytes
) -> None:
    host = tmp_path_factory.mktemp("host")
    for path in (DOCKER, BUNDLE, f"{STORAGE}/overlay-containers/containers.json"):
        (host / path).parent.mkdir(parents=True, exist_ok=True)
        (host / path).write_bytes(state)
    found = image(host)
    assert found is None or (found.key and encodable(found.name or found.key))
