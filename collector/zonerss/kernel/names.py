"""Names of containers, pods, machines and users, from the state that engines keep on disk.

No daemon is asked, and nothing is read before the first name of its kind is needed. Where a file is absent, unreadable
or not of the form that we know, the name is missing, and the short id is used in its place. What lies in a user's home
is the user's word: it is read as :class:`_Home` says, and costs a snapshot no more than the limits below.

Sources, each read at the version named in docs/zones.md: moby daemon/container/container.go (config.v2.json),
containers-storage.conf(5) and containers/storage containers.go (containers.json), kubelet's log directories,
containerd docs/ops.md and internal/cri/annotations, systemd src/machine/machine.c, passwd(5).
"""

from __future__ import annotations

import errno
import json
import os
import pwd
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from zonerss.kernel.patience import Busy, patiently
from zonerss.kernel.roots import Roots
from zonerss.kernel.safely import TooLong, Unfit, beneath, reached, read_names, read_regular
from zonerss.records import Names

K = TypeVar("K")
V = TypeVar("V")

MOST_VALUES = 100_000
"""In one JSON file; 100,000 empty lists take 20 ms and 7 MB."""
HOST_FILE_BYTES = 64 << 20
"""Of a file of the host's own, which only root can write."""
HOME_FILE_BYTES = 1 << 20
"""Of a file in a user's home: containers.json of a thousand containers."""
HOME_FILES = 1000
"""As many files and directories of one user are looked at, and as many names in a directory."""
HOME_BYTES = 2 << 20
"""As many bytes of one user are read."""
HOMES_SECONDS = 2.0
"""As long may the homes of all users take together."""
_MOST_NAME = 1000
_ID = re.compile(r"[0-9a-f]{64}")
_SURROGATE = re.compile("[\ud800-\udfff]")
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
    unread: dict[str, str] = {}
    host = _Host(roots.host, unread)
    users = OnDemand(_Once(lambda: _read_users(host)).get)
    homes = _Once(lambda: _read_homes(host))
    purse = _Purse(HOMES_SECONDS)
    return Names(
        containers=OnDemand(_containers(host)),
        rootless=OnDemand(lambda uid: _rootless(host, uid, homes, purse)),
        pods=OnDemand(_Once(lambda: _read_pods(host)).get),
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


class _Files(Protocol):
    """Where state is read from. Nothing here raises: what cannot be had is empty."""

    def read(self, path: str) -> bytes | None:
        """The content of a file."""

    def list(self, path: str) -> list[str]:
        """The names in a directory."""

    def note(self, path: str, why: str) -> None:
        """Remember that a file is there and cannot be used."""


class _Host:
    """Files below a directory of the host that whoever owns the directory owns, too: root's, where it is "/".

    Links are followed only where nobody else can have made them.
    """

    def __init__(self, top: Path, unread: dict[str, str]) -> None:
        """:param unread: gets the paths of what is there and is not read, and why"""
        self.top, self.unread = top, unread
        try:
            self.owners: Collection[int] = {os.stat(top).st_uid}
        except OSError:
            self.owners = ()

    def open(self, path: str) -> AbstractContextManager[int]:
        return reached(self.top, path, self.owners)

    def read(self, path: str) -> bytes | None:
        with self.noting(path), self.open(path) as fd:
            return read_regular(fd, self.owners, HOST_FILE_BYTES)

    def list(self, path: str) -> list[str]:
        with self.noting(path), self.open(path) as fd:
            return read_names(fd, self.owners, None)
        return []

    def link(self, path: str) -> str | None:
        with self.noting(path):
            folder, _, name = path.rpartition("/")
            with self.open(folder) as fd:
                return os.readlink(name, dir_fd=fd) or None

    @contextmanager
    def noting(self, path: str) -> Iterator[None]:
        """Remember a path that is there and is not read; what is not there is no matter."""
        try:
            yield
        except (OSError, ValueError, Busy) as err:
            code = err.errno if isinstance(err, OSError) else None
            if isinstance(err, (Unfit, Busy)) or code in (errno.ELOOP, errno.EXDEV):
                self.note(path, _why(err))

    def note(self, path: str, why: str) -> None:
        self.unread.setdefault(f"/{path.lstrip('/')}", why)


class _Purse:
    """The seconds that the homes of all users may take."""

    def __init__(self, seconds: float) -> None:
        self.left = seconds

    @contextmanager
    def spend(self) -> Iterator[float]:
        if self.left <= 0:
            raise TooLong(f"users' files have taken {HOMES_SECONDS:g} s")
        began = time.monotonic()
        try:
            yield self.left
        finally:
            self.left -= time.monotonic() - began


class _Home:
    """Files below a user's own directory: with no link, on no other mount, the user's own, few and short.

    A thread reads them, which is left behind where the file system does not answer.
    """

    def __init__(self, host: _Host, uid: int, top: str, purse: _Purse) -> None:
        """:param top: where it is, below the host's root"""
        self._host, self._uid, self._top, self._purse = host, uid, top.strip("/"), purse
        self._files, self._bytes = HOME_FILES, HOME_BYTES
        # A recorded tree belongs to who recorded it.
        self._owners = {uid} if host.top == Path("/") else {uid, *host.owners}

    def read(self, path: str) -> bytes | None:
        with self._host.noting(f"{self._top}/{path}"):
            text = self._patiently(
                path, lambda fd: read_regular(fd, self._owners, min(HOME_FILE_BYTES, self._bytes))
            )
            self._bytes -= len(text)
            return text

    def list(self, path: str) -> list[str]:
        with self._host.noting(f"{self._top}/{path}"):
            return self._patiently(path, lambda fd: read_names(fd, self._owners, HOME_FILES))
        return []

    def note(self, path: str, why: str) -> None:
        self._host.note(f"{self._top}/{path}", why)

    def _patiently(self, path: str, read: Callable[[int], V]) -> V:
        def call() -> V:
            with self._host.open(self._top) as top, beneath(top, path) as fd:
                return read(fd)

        if self._files <= 0 or self._bytes <= 0:
            raise TooLong(
                f"of the user {self._uid} {HOME_FILES:,} files or {HOME_BYTES:,} bytes have been read"
            )
        self._files -= 1
        with self._purse.spend() as seconds:
            return patiently(call, ~self._uid, seconds)


def _why(error: Exception) -> str:
    if isinstance(error, Busy):
        return "its file system does not answer"
    if isinstance(error, OSError) and error.errno == errno.EXDEV:
        return "it is on another file system than the home"
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return "there is a symbolic link on the way that is not to be followed"
    return str(error)


class _Once(Generic[K, V]):
    """A table that is read as a whole when something in it is first asked for."""

    def __init__(self, read: Callable[[], Mapping[K, V]]) -> None:
        self._read = read
        self._table: Mapping[K, V] | None = None

    def get(self, key: K) -> V | None:
        if self._table is None:
            self._table = self._read()
        return self._table.get(key)


def _containers(host: _Host) -> Callable[[str], str | None]:
    docker = _Once(lambda: {"root": _docker_root(host)})
    storage = _Once(
        lambda: _read_storage(host, _graph_root(host)) | _read_storage(host, "run/containers/storage")
    )
    logs = _Once(lambda: _read_container_logs(host))

    def find(id: str) -> str | None:
        return (
            _read_docker(host, docker.get("root"), id)
            or storage.get(id)
            or logs.get(id)
            or _read_containerd(host, id)
        )

    return find


def _rootless(host: _Host, uid: int, homes: _Once[int, str], purse: _Purse) -> Mapping[str, str] | None:
    place = homes.get(uid)
    if place is None:
        return None
    home, running = _Home(host, uid, place, purse), _Home(host, uid, f"run/user/{uid}", purse)
    storage = _Once(
        lambda: _read_storage(home, ".local/share/containers/storage") | _read_storage(running, "containers")
    )
    return OnDemand(lambda id: storage.get(id) or _read_docker(home, ".local/share/docker", id))


def _docker_root(host: _Host) -> str:
    # dockerd(8): data-root of /etc/docker/daemon.json.
    config = _read_json(host, "etc/docker/daemon.json")
    root = config.get("data-root") if isinstance(config, dict) else None
    return root if isinstance(root, str) and root else "var/lib/docker"


def _read_docker(files: _Files, root: str | None, id: str) -> str | None:
    if root is None or not _ID.fullmatch(id):
        return None
    config = _read_json(files, f"{root}/containers/{id}/config.v2.json")
    name = config.get("Name") if isinstance(config, dict) else None
    return _plain_name(name.removeprefix("/")) if isinstance(name, str) else None


def _graph_root(host: _Host) -> str:
    import tomllib

    # containers-storage.conf(5): the administrator's file hides the distribution's.
    for place in ("etc/containers/storage.conf", "usr/share/containers/storage.conf"):
        try:
            storage = tomllib.loads((host.read(place) or b"").decode()).get("storage", {})
            root = storage.get("graphroot")
        except (ValueError, AttributeError, RecursionError):
            continue
        if isinstance(root, str) and root.startswith("/"):
            return root
    return "var/lib/containers/storage"


def _read_storage(files: _Files, root: str) -> dict[str, str]:
    # podman's and CRI-O's: DRIVER-containers/containers.json, and volatile-containers.json beside it for
    # containers that are not to outlive a reboot; under the run root where the whole store is transient.
    table: dict[str, str] = {}
    for driver in files.list(root):
        if driver.endswith("-containers"):
            for file in ("containers.json", "volatile-containers.json"):
                table |= _storage_names(_read_json(files, f"{root}/{driver}/{file}"))
    return table


def _storage_names(containers: Any) -> dict[str, str]:
    table = {}
    for container in containers if isinstance(containers, list) else []:
        match container:
            case {"id": str(id), "names": [str(name), *_]} if plain := _plain_name(name):
                table[id] = plain
    return table


def _read_container_logs(host: _Host) -> dict[str, str]:
    # kubelet: POD_NAMESPACE_CONTAINER-ID.log, cut at 255 bytes; what lost its id cannot be used.
    matches = map(_CONTAINER_LOG.fullmatch, host.list("var/log/containers"))
    return {m["id"]: f"{m['namespace']}/{m['pod']}/{m['container']}" for m in matches if m}


def _read_pods(host: _Host) -> dict[str, str]:
    # kubelet: NAMESPACE_POD_UID.
    matches = map(_POD_LOGS.fullmatch, host.list("var/log/pods"))
    return {m["uid"]: f"{m['namespace']}/{m['pod']}" for m in matches if m}


def _read_containerd(host: _Host, id: str) -> str | None:
    # The bundle of a running task: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json.
    if not _ID.fullmatch(id):
        return None
    for state in ("run/containerd", "run/k3s/containerd"):
        tasks = f"{state}/io.containerd.runtime.v2.task"
        for namespace in host.list(tasks):
            config = _read_json(host, f"{tasks}/{namespace}/{id}/config.json")
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
            return _fit(f"{namespace}/{pod}/{container}") if isinstance(container, str) else None
        case {"nerdctl/name": str(name)}:
            return _fit(name)
    return None


def _plain_name(name: str) -> str | None:
    # CRI-O and Kubernetes on docker: k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT, POD being the pod's sandbox.
    if match := _KUBERNETES.fullmatch(name):
        return f"{match['namespace']}/{match['pod']}/{match['container']}"
    return _fit(name)


def _fit(name: str) -> str | None:
    # JSON can hold names that are no text: halves of a surrogate pair.
    return name if 0 < len(name) <= _MOST_NAME and not _SURROGATE.search(name) else None


def _read_machine(host: _Host, unit: str) -> str | None:
    # A symbolic link unit:UNIT to the machine's name.
    return None if "/" in unit else host.link(f"run/systemd/machines/unit:{unit}")


def _passwd(host: _Host) -> Iterator[list[str]]:
    text = host.read("etc/passwd") or b""
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) == 7 and fields[2].isascii() and fields[2].isdigit():
            yield fields


def _read_users(host: _Host) -> dict[int, str]:
    # Of several names of one user the first counts, as in getpwuid(3).
    return {int(fields[2]): fields[0] for fields in reversed(list(_passwd(host))) if fields[0]}


def _read_homes(host: _Host) -> dict[int, str]:
    return {int(fields[2]): fields[5] for fields in reversed(list(_passwd(host))) if fields[5]}


def _ask_nss(host: _Host, uid: int) -> str | None:
    # users of a directory service; of a recorded tree only its own files count
    if host.top != Path("/"):
        return None
    try:
        return pwd.getpwuid(uid).pw_name or None
    except (KeyError, OverflowError):
        return None


def _read_json(files: _Files, path: str) -> Any:
    text = files.read(path)
    if text is None:
        return None
    # Each value but the first needs one of these.
    if len(text) > MOST_VALUES and sum(map(text.count, (b",", b"[", b"{"))) > MOST_VALUES:
        files.note(path, f"there are more than {MOST_VALUES:,} values in it")
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
