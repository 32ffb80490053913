"""Names of containers, pods, machines and users, from the state that engines keep on disk.

No daemon is asked, and nothing is read before the first name of its kind is needed. Where a file is absent, unreadable
or not of the form that we know, the name is missing, and the short id is used in its place.

Sources, each read at the version named in docs/zones.md: those of :mod:`zonerss.kernel.engines`, kubelet's log
directories, containerd internal/cri/annotations, systemd src/machine/machine.c, passwd(5).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zonerss.kernel.engines import Engines, Host, Once, OnDemand, Place, fit, passwd
from zonerss.kernel.roots import Roots
from zonerss.kernel.users import NAME_SERVICE
from zonerss.records import Names

_CONTAINER_LOG = re.compile(
    r"(?P<pod>[^_]+)_(?P<namespace>[^_]+)_(?P<container>.+)-(?P<id>[0-9a-f]{64})\.log"
)
_POD_LOGS = re.compile(r"(?P<namespace>[^_]+)_(?P<pod>[^_]+)_(?P<uid>[^_]+)")
_KUBERNETES = re.compile(r"k8s_(?P<container>[^_]+)_(?P<pod>[^_]+)_(?P<namespace>[^_]+)_[^_]+_[0-9]+")


def host_names(roots: Roots) -> Names:
    """Names of this host. Returns at once; each file is read once, when a name of it is first needed."""
    unread: dict[str, str] = {}
    engines = Engines(roots, unread)
    host = engines.host
    users = OnDemand(Once(lambda: _read_users(host)).get)
    return Names(
        containers=OnDemand(_containers(engines)),
        rootless=OnDemand(lambda uid: _rootless(engines, uid)),
        pods=OnDemand(Once(lambda: _read_pods(host)).get),
        machines=OnDemand(lambda unit: _read_machine(host, unit)),
        users=OnDemand(lambda uid: users.get(uid) or _ask_nss(host, uid)),
        unread=unread,
    )


def unread_sentence(names: Names) -> str | None:
    """What keeps names from us so far; None: nothing. To be made safe to print: it holds a path that a user chose."""
    for path, why in names.unread.items():
        others = len(names.unread) - 1
        more = f", and {others} more" if others else ""
        return f"Ids stand for some names of containers: {path}{more} could not be used: {why}."
    return None


def _containers(engines: Engines) -> Callable[[str], str | None]:
    place = engines.system
    storage = Once(lambda: _storage_names(place))
    logs = Once(lambda: _read_container_logs(engines.host))

    def find(id: str) -> str | None:
        return (
            _docker_name(place, id)
            or storage.get(id)
            or logs.get(id)
            or _annotated_name(engines.containerd_annotations(id))
        )

    return find


def _rootless(engines: Engines, uid: int) -> Mapping[str, str] | None:
    place = engines.of_user(uid)
    if place is None:
        return None
    storage = Once(lambda: _storage_names(place))
    return OnDemand(lambda id: storage.get(id) or _docker_name(place, id))


def _docker_name(place: Place, id: str) -> str | None:
    name = place.docker_container(id).get("Name")
    return _plain_name(name.removeprefix("/")) if isinstance(name, str) else None


def _storage_names(place: Place) -> dict[str, str]:
    table = {}
    for container in place.storage_containers():
        match container:
            case {"id": str(id), "names": [str(name), *_]} if plain := _plain_name(name):
                table[id] = plain
    return table


def _read_container_logs(host: Host) -> dict[str, str]:
    # kubelet: POD_NAMESPACE_CONTAINER-ID.log, cut at 255 bytes; what lost its id cannot be used.
    matches = map(_CONTAINER_LOG.fullmatch, host.list("var/log/containers"))
    return {m["id"]: f"{m['namespace']}/{m['pod']}/{m['container']}" for m in matches if m}


def _read_pods(host: Host) -> dict[str, str]:
    # kubelet: NAMESPACE_POD_UID.
    matches = map(_POD_LOGS.fullmatch, host.list("var/log/pods"))
    return {m["uid"]: f"{m['namespace']}/{m['pod']}" for m in matches if m}


def _annotated_name(notes: Mapping[str, Any]) -> str | None:
    match notes:
        case {
            "io.kubernetes.cri.container-type": str(kind),
            "io.kubernetes.cri.sandbox-namespace": str(namespace),
            "io.kubernetes.cri.sandbox-name": str(pod),
        }:
            container = "POD" if kind == "sandbox" else notes.get("io.kubernetes.cri.container-name")
            return fit(f"{namespace}/{pod}/{container}") if isinstance(container, str) else None
        case {"nerdctl/name": str(name)}:
            return fit(name)
    return None


def _plain_name(name: str) -> str | None:
    # CRI-O and Kubernetes on docker: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, POD being the pod's sandbox.
    if match := _KUBERNETES.fullmatch(name):
        return f"{match['namespace']}/{match['pod']}/{match['container']}"
    return fit(name)


def _read_machine(host: Host, unit: str) -> str | None:
    # A symbolic link unit:UNIT to the machine's name.
    return None if "/" in unit else host.link(f"run/systemd/machines/unit:{unit}")


def _read_users(host: Host) -> dict[int, str]:
    # Of several names of one user the first counts, as in getpwuid(3).
    return {int(fields[2]): fields[0] for fields in reversed(list(passwd(host))) if fields[0]}


def _ask_nss(host: Host, uid: int) -> str | None:
    # users of a directory service; of a recorded tree only its own files count
    return NAME_SERVICE.name(uid) if host.top == Path("/") else None
