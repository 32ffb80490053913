"""Names of containers, pods, machines and users, from the state that engines keep on disk.

No daemon is asked, and nothing is read before the first name of its kind is needed. Where a file is absent, unreadable
or not of the form that we know, the name is missing, and the short id is used in its place.

Sources, each read at the version named in docs/zones.md: moby daemon/container/container.go (config.v2.json),
containers-storage.conf(5) and containers/storage containers.go (containers.json), kubelet's log directories,
containerd docs/ops.md and internal/cri/annotations, systemd src/machine/machine.c, passwd(5).
"""

from __future__ import annotations

import json
import os
import pwd
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from zonerss.kernel.roots import Roots
from zonerss.records import Names

K = TypeVar("K")
V = TypeVar("V")

_MOST_BYTES = 64 << 20
_ID = re.compile(r"[0-9a-f]{64}")
_CONTAINER_LOG = re.compile(
    r"(?P<pod>[^_]+)_(?P<namespace>[^_]+)_(?P<container>.+)-(?P<id>[0-9a-f]{64})\.log"
)
_POD_LOGS = re.compile(r"(?P<namespace>[^_]+)_(?P<pod>[^_]+)_(?P<uid>[^_]+)")
_KUBERNETES = re.compile(r"k8s_(?P<container>[^_]+)_(?P<pod>[^_]+)_(?P<namespace>[^_]+)_[^_]+_[0-9]+")


class OnDemand(Mapping[K, V], Generic[K, V]):
    """A mapping that finds a value when it is first asked for and remembers it, or that there is none."""

    def __init__(self, find: Callable[[K], V | None]) -> None:
        self._find = find
        self._known: dict[K, V | None] = {}

    def __getitem__(self, key: K) -> V:
        if key not in self._known:
            self._known[key] = self._find(key)
        value = self._known[key]
        if value is None:
            raise KeyError(key)
        return value

    def __iter__(self) -> Iterator[K]:
        """Only what was found so far."""
        return iter([key for key, value in self._known.items() if value is not None])

    def __len__(self) -> int:
        return sum(1 for _ in self)


def host_names(roots: Roots) -> Names:
    """Names of this host. Returns at once; each file is read once, when a name of it is first needed."""
    host = roots.host
    users = OnDemand(_Once(lambda: _read_users(host)).get)
    homes = _Once(lambda: _read_homes(host))
    return Names(
        containers=OnDemand(_containers(host)),
        rootless=OnDemand(lambda uid: _rootless(host, uid, homes)),
        pods=OnDemand(_Once(lambda: _read_pods(host)).get),
        machines=OnDemand(lambda unit: _read_machine(host, unit)),
        users=OnDemand(lambda uid: users.get(uid) or _ask_nss(host, uid)),
    )


class _Once(Generic[K, V]):
    """A table that is read as a whole when something in it is first asked for."""

    def __init__(self, read: Callable[[], Mapping[K, V]]) -> None:
        self._read = read
        self._table: Mapping[K, V] | None = None

    def get(self, key: K) -> V | None:
        if self._table is None:
            self._table = self._read()
        return self._table.get(key)


def _containers(host: Path) -> Callable[[str], str | None]:
    docker = _Once(lambda: {"root": _docker_root(host)})
    storage = _Once(lambda: _read_storage(host, _graph_root(host), host / "run/containers/storage"))
    logs = _Once(lambda: _read_container_logs(host))

    def find(id: str) -> str | None:
        return (
            _read_docker(docker.get("root"), id)
            or storage.get(id)
            or logs.get(id)
            or _read_containerd(host, id)
        )

    return find


def _rootless(host: Path, uid: int, homes: _Once[int, str]) -> Mapping[str, str] | None:
    home = homes.get(uid)
    if home is None:
        return None
    share = host / home.lstrip("/") / ".local/share"
    storage = _Once(
        lambda: _read_storage(host, share / "containers/storage", host / f"run/user/{uid}/containers")
    )
    return OnDemand(lambda id: storage.get(id) or _read_docker(share / "docker", id))


def _docker_root(host: Path) -> Path:
    # dockerd(8): data-root of /etc/docker/daemon.json.
    config = _read_json(host / "etc/docker/daemon.json")
    root = config.get("data-root") if isinstance(config, dict) else None
    return host / (root.lstrip("/") if isinstance(root, str) and root else "var/lib/docker")


def _read_docker(root: Path | None, id: str) -> str | None:
    if root is None or not _ID.fullmatch(id):
        return None
    config = _read_json(root / "containers" / id / "config.v2.json")
    name = config.get("Name") if isinstance(config, dict) else None
    return _plain_name(name.removeprefix("/")) if isinstance(name, str) else None


def _graph_root(host: Path) -> Path:
    import tomllib

    # containers-storage.conf(5): the administrator's file hides the distribution's.
    for place in ("etc/containers/storage.conf", "usr/share/containers/storage.conf"):
        try:
            storage = tomllib.loads(_read(host / place).decode()).get("storage", {})
            root = storage.get("graphroot")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(root, str) and root.startswith("/"):
            return host / root.lstrip("/")
    return host / "var/lib/containers/storage"


def _read_storage(host: Path, graph_root: Path, run_root: Path) -> dict[str, str]:
    # podman's and CRI-O's: DRIVER-containers/containers.json, and volatile-containers.json beside it for
    # containers that are not to outlive a reboot; under the run root where the whole store is transient.
    table: dict[str, str] = {}
    for root in (graph_root, run_root):
        for driver in _list(root):
            if not driver.endswith("-containers"):
                continue
            for file in ("containers.json", "volatile-containers.json"):
                table |= _storage_names(_read_json(root / driver / file))
    return table


def _storage_names(containers: Any) -> dict[str, str]:
    table = {}
    for container in containers if isinstance(containers, list) else []:
        match container:
            case {"id": str(id), "names": [str(name), *_]} if plain := _plain_name(name):
                table[id] = plain
    return table


def _read_container_logs(host: Path) -> dict[str, str]:
    # kubelet: POD_NAMESPACE_CONTAINER-ID.log, cut at 255 bytes; what lost its id cannot be used.
    matches = map(_CONTAINER_LOG.fullmatch, _list(host / "var/log/containers"))
    return {m["id"]: f"{m['namespace']}/{m['pod']}/{m['container']}" for m in matches if m}


def _read_pods(host: Path) -> dict[str, str]:
    # kubelet: NAMESPACE_POD_UID.
    matches = map(_POD_LOGS.fullmatch, _list(host / "var/log/pods"))
    return {m["uid"]: f"{m['namespace']}/{m['pod']}" for m in matches if m}


def _read_containerd(host: Path, id: str) -> str | None:
    # The bundle of a running task: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json.
    if not _ID.fullmatch(id):
        return None
    for state in ("run/containerd", "run/k3s/containerd"):
        tasks = host / state / "io.containerd.runtime.v2.task"
        for namespace in _list(tasks):
            config = _read_json(tasks / namespace / id / "config.json")
            match config:
                case {"annotations": {**notes}}:
                    return _annotated_name(notes)
    return None


def _annotated_name(notes: Mapping[Any, Any]) -> str | None:
    match notes:
        case {
            "io.kubernetes.cri.container-type": str(kind),
            "io.kubernetes.cri.sandbox-namespace": str(namespace),
            "io.kubernetes.cri.sandbox-name": str(pod),
        }:
            container = "POD" if kind == "sandbox" else notes.get("io.kubernetes.cri.container-name")
            return f"{namespace}/{pod}/{container}" if isinstance(container, str) else None
        case {"nerdctl/name": str(name)} if name:
            return name
    return None


def _plain_name(name: str) -> str | None:
    # CRI-O and Kubernetes on docker: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, POD being the pod's sandbox.
    if match := _KUBERNETES.fullmatch(name):
        return f"{match['namespace']}/{match['pod']}/{match['container']}"
    return name or None


def _read_machine(host: Path, unit: str) -> str | None:
    # A symbolic link unit:UNIT to the machine's name.
    try:
        return os.readlink(host / "run/systemd/machines" / f"unit:{unit}") or None
    except (OSError, ValueError):
        return None


def _passwd(host: Path) -> Iterator[list[str]]:
    try:
        text = _read(host / "etc/passwd").decode("utf-8", "surrogateescape")
    except OSError:
        return
    for line in text.split("\n"):
        fields = line.split(":")
        if len(fields) == 7 and fields[2].isascii() and fields[2].isdigit():
            yield fields


def _read_users(host: Path) -> dict[int, str]:
    # Of several names of one user the first counts, as in getpwuid(3).
    return {int(fields[2]): fields[0] for fields in reversed(list(_passwd(host))) if fields[0]}


def _read_homes(host: Path) -> dict[int, str]:
    return {int(fields[2]): fields[5] for fields in reversed(list(_passwd(host))) if fields[5]}


def _ask_nss(host: Path, uid: int) -> str | None:
    # users of a directory service; of a recorded tree only its own files count
    if host != Path("/"):
        return None
    try:
        return pwd.getpwuid(uid).pw_name or None
    except (KeyError, OverflowError):
        return None


def _list(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))
    except OSError:
        return []


def _read_json(path: Path) -> Any:
    try:
        return json.loads(_read(path))
    except (OSError, ValueError, RecursionError):
        return None


def _read(path: Path) -> bytes:
    # Some of these lie in users' homes: never wait on a pipe, never read without end.
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{path}: no regular file")
        return file.read(_MOST_BYTES)
