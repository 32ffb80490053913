"""Which image a container was made of, from the state that engines keep on disk.

Sources, each read at the version named in docs/zones.md: moby daemon/container/container.go (``Image`` and
``Config.Image``), containers/storage containers.go (``image``) and images.go (``names``), containerd
internal/cri/annotations (image-name; of a pod's sandbox podsandbox.image-name, which containerd 1.7 does not write).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from zonerss.kernel.engines import Engines, Once, Place, fit
from zonerss.kernel.roots import Roots
from zonerss.records.images import Image

_ID = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
_ANNOTATIONS = ("io.kubernetes.cri.image-name", "io.kubernetes.cri.podsandbox.image-name")


class Images:
    """The images of this host's containers. Each file is read once, when a container's image is first asked for."""

    def __init__(self, roots: Roots) -> None:
        self.unread: dict[str, str] = {}
        """Files that are there and could not be used, and why."""
        self._engines = Engines(roots, self.unread)
        self._stores: dict[int | None, _Store | None] = {}

    def of(self, id: str, uid: int | None = None) -> Image | None:
        """
        The image of a container; None: no state that can be read has it.

        :param id: the container's full id
        :param uid: the user whose own engines run it; None: it is the system's
        """
        if uid not in self._stores:
            place = self._engines.system if uid is None else self._engines.of_user(uid)
            self._stores[uid] = _Store(place) if place else None
        store = self._stores[uid]
        found = store.image(id) if store else None
        return found or (_annotated(self._engines.containerd_annotations(id)) if uid is None else None)


class _Store:
    """The images in one place."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._containers = Once(lambda: _containers(place))
        self._names = Once(lambda: _names(place))

    def image(self, id: str) -> Image | None:
        if made_of := self._containers.get(id):
            return Image(made_of, self._names.get(made_of))
        return _docker_image(self._place.docker_container(id))


def _containers(place: Place) -> dict[str, str]:
    """The id of the image of each container of podman's and CRI-O's."""
    table = {}
    for container in place.storage_containers():
        match container:
            case {"id": str(id), "image": str(image)} if known := _image_id(image):
                table[id] = known
    return table


def _names(place: Place) -> dict[str, str]:
    table = {}
    for image in place.storage_images():
        match image:
            case {"id": str(id), "names": [str(name), *_]} if plain := fit(name):
                table[id] = plain
    return table


def _docker_image(container: Mapping[str, Any]) -> Image | None:
    match container:
        case {"Image": str(image), "Config": {"Image": str(name)}} if known := _image_id(image):
            return Image(known, None if _image_id(name) else fit(name))  # docker run ID: it has no name
        case {"Image": str(image)} if known := _image_id(image):
            return Image(known, None)
    return None


def _annotated(notes: Mapping[str, Any]) -> Image | None:
    for key in _ANNOTATIONS:
        name = notes.get(key)
        if isinstance(name, str) and (plain := fit(name)):
            return Image(None, plain)
    return None


def _image_id(text: str) -> str | None:
    match = _ID.fullmatch(text)
    return match[1] if match else None
