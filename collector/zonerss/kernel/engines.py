"""The state that container engines keep on disk: of docker, podman, CRI-O and containerd, the system's and each user's.

No daemon is asked. Where a file is absent, unreadable or not of the form that we know, there is nothing in it. What
lies in a user's home is the user's word: it is read as :class:`Home` says, and costs a snapshot no more than the limits
below.

Sources, each read at the version named in docs/zones.md: moby daemon/container/container.go (config.v2.json),
containers-storage.conf(5) and containers/storage containers.go and images.go (containers.json, images.json), containerd
docs/ops.md, passwd(5).
"""

from __future__ import annotations

import errno
import json
import os
import re
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from zonerss.kernel.patience import Busy, patiently
from zonerss.kernel.roots import Roots
from zonerss.kernel.safely import TooLong, Unfit, beneath, reached, read_names, read_regular

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
HOME_VALUES = 100_000
"""As many JSON values of one user are parsed."""
MOST_DRIVERS = 20
"""Storage drivers of one user or of the host that are looked at; containers/storage has about ten."""
HOMES_SECONDS = 2.0
"""As long may the homes of all users take together."""
_MOST_NAME = 1000
_ID = re.compile(r"[0-9a-f]{64}")
_USER_ID = re.compile(r"[0-9]{1,10}")
_SURROGATE = re.compile("[\ud800-\udfff]")


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


class Files(Protocol):
    """Where state is read from. Nothing here raises: what cannot be had is empty."""

    def read(self, path: str) -> bytes | None:
        """The content of a file."""

    def list(self, path: str) -> list[str]:
        """The names in a directory."""

    def note(self, path: str, why: str) -> None:
        """Remember that a file is there and cannot be used."""

    def afford(self, path: str, values: int) -> bool:
        """Whether so many JSON values of a file may be parsed; else that is noted."""


class Host:
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

    def afford(self, path: str, values: int) -> bool:
        if values > MOST_VALUES:
            self.note(path, f"there are more than {MOST_VALUES:,} values in it")
        return values <= MOST_VALUES


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


class Home:
    """Files below a user's own directory: with no link, on no other mount, the user's own, few and short.

    A thread reads them, which is left behind where the file system does not answer.
    """

    def __init__(self, host: Host, uid: int, top: str, purse: _Purse) -> None:
        """:param top: where it is, below the host's root"""
        self._host, self._uid, self._top, self._purse = host, uid, top.strip("/"), purse
        self._files, self._bytes, self._values = HOME_FILES, HOME_BYTES, HOME_VALUES
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

    def afford(self, path: str, values: int) -> bool:
        if values > self._values:
            self.note(path, f"there are more than {HOME_VALUES:,} values in the user's files")
            return False
        self._values -= values
        return True

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


class Once(Generic[K, V]):
    """A table that is read as a whole when something in it is first asked for."""

    def __init__(self, read: Callable[[], Mapping[K, V]]) -> None:
        self._read = read
        self._table: Mapping[K, V] | None = None

    def get(self, key: K) -> V | None:
        if self._table is None:
            self._table = self._read()
        return self._table.get(key)


class Place:
    """Where the engines of the system, or those of one user, keep their state."""

    def __init__(
        self,
        docker: tuple[Files, Callable[[], str]],
        storages: Callable[[], Sequence[tuple[Files, str]]],
    ) -> None:
        """
        :param docker: where docker's root is, found when it is first needed
        :param storages: the roots of podman and CRI-O likewise
        """
        self._docker, self._find_docker = docker
        self._find_storages = storages
        self._docker_root: str | None = None

    def docker_container(self, id: str) -> Mapping[str, Any]:
        """What docker has written down of a container; empty: it knows none of that id."""
        if not _ID.fullmatch(id):
            return {}
        if self._docker_root is None:
            self._docker_root = self._find_docker()
        found = read_json(self._docker, f"{self._docker_root}/containers/{id}/config.v2.json")
        return found if isinstance(found, dict) else {}

    def storage_containers(self) -> Iterator[Any]:
        """What podman and CRI-O have written down of each container; read anew each time."""
        # volatile-containers.json is of containers that are not to outlive a reboot; the run root has both where the
        # whole store is transient.
        return self._stored("containers", ("containers.json", "volatile-containers.json"))

    def storage_images(self) -> Iterator[Any]:
        """And of each image."""
        return self._stored("images", ("images.json",))

    def _stored(self, kind: str, names: Sequence[str]) -> Iterator[Any]:
        for files, root in self._find_storages():
            drivers = [name for name in files.list(root) if name.endswith(f"-{kind}")]
            if len(drivers) > MOST_DRIVERS:
                files.note(root, f"there are more than {MOST_DRIVERS} storage drivers in it")
            for driver in drivers[:MOST_DRIVERS]:
                for name in names:
                    found = read_json(files, f"{root}/{driver}/{name}")
                    yield from found if isinstance(found, list) else ()


class Engines:
    """The state of this host's engines. Nothing is read before it is needed."""

    def __init__(self, roots: Roots, unread: dict[str, str]) -> None:
        """:param unread: gets the paths of what is there and is not read, and why"""
        host = self.host = Host(roots.host, unread)
        self.system = Place(
            (host, lambda: _docker_root(host)),
            lambda: [(host, _graph_root(host)), (host, "run/containers/storage")],
        )
        self._homes: Mapping[int, str] | None = None
        self._purse = _Purse(HOMES_SECONDS)
        self._users: dict[int, Place | None] = {}

    def of_user(self, uid: int) -> Place | None:
        """The place of a user's own engines; None: the user has no home."""
        if uid not in self._users:
            self._users[uid] = self._find_user(uid)
        return self._users[uid]

    def _find_user(self, uid: int) -> Place | None:
        if self._homes is None:
            self._homes = _read_homes(self.host)
        top = self._homes.get(uid)
        if top is None:
            return None
        home = Home(self.host, uid, top, self._purse)
        running = Home(self.host, uid, f"run/user/{uid}", self._purse)
        return Place(
            (home, lambda: ".local/share/docker"),
            lambda: [(home, ".local/share/containers/storage"), (running, "containers")],
        )

    def containerd_annotations(self, id: str) -> Mapping[str, Any]:
        """The annotations of a running task of containerd's; empty: it runs none of that id."""
        # Its bundle: STATE/io.containerd.runtime.v2.task/NAMESPACE/ID/config.json.
        if not _ID.fullmatch(id):
            return {}
        for state in ("run/containerd", "run/k3s/containerd"):
            tasks = f"{state}/io.containerd.runtime.v2.task"
            for namespace in self.host.list(tasks):
                match read_json(self.host, f"{tasks}/{namespace}/{id}/config.json"):
                    case {"annotations": dict(notes)}:
                        return notes
        return {}


def _docker_root(host: Host) -> str:
    # dockerd(8): data-root of /etc/docker/daemon.json.
    config = read_json(host, "etc/docker/daemon.json")
    root = config.get("data-root") if isinstance(config, dict) else None
    return root if isinstance(root, str) and root else "var/lib/docker"


def _graph_root(host: Host) -> str:
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


def passwd(host: Host) -> Iterator[list[str]]:
    """The lines of /etc/passwd that are whole, by their fields."""
    text = host.read("etc/passwd") or b""
    for line in text.decode("utf-8", "surrogateescape").split("\n"):
        fields = line.split(":")
        if len(fields) == 7 and _USER_ID.fullmatch(fields[2]):
            yield fields


def _read_homes(host: Host) -> dict[int, str]:
    return {int(fields[2]): fields[5] for fields in reversed(list(passwd(host))) if fields[5]}


def read_json(files: Files, path: str) -> Any:
    """What a JSON file holds; None: nothing that can be used."""
    text = files.read(path)
    if text is None:
        return None
    # Each value but the first needs one of these.
    if not files.afford(path, 1 + sum(map(text.count, (b",", b"[", b"{")))):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def fit(name: str) -> str | None:
    """A name that is one: not empty, not endless, and text, for JSON can hold halves of a surrogate pair."""
    return name if 0 < len(name) <= _MOST_NAME and not _SURROGATE.search(name) else None
