"""What figures refer to by number: rows of a recording's tables, as the writer gives them and the reader finds them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping
from typing import Any, TypeVar

from zonerss.history.content import OwnerKey
from zonerss.history.figures import Malformed, pack_numbers, unpack_numbers
from zonerss.history.schema import IDENTITIES, sql_text
from zonerss.records import Task, Zone
from zonerss.records.files import FileKind, MappedFile

_COLUMNS = {
    "zones": ("name", "cgroup", "container", "kind"),
    "owners": ("zone", "cgroup_zone"),
    "processes": ("pid", "start_ticks", "uid", "euid", "command"),
    "sets": ("owners",),
    "texts": ("text",),
    "files": ("name", "kind", "lasts", "major", "minor", "inode", "ipc_namespace", "aliases"),
}
_INODES = 1 << 64
_MOST_CACHED = 200_000
_MOST_CACHED_OWNERS = 1 << 21
"""Of all sets that are remembered."""
_MOST_SET_BYTES = 1 << 20
"""An owner takes one at least."""
_ROW_BYTES = 128
Row = tuple[Any, ...]
_T = TypeVar("_T")


class Given:
    """
    The numbers of a writer: :class:`zonerss.history.content.Numbers`.

    It knows what the newest two segments refer to. What comes back later has another number then, which costs a row.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, dict[Hashable, tuple[int, int]]] = {}
        self._used: dict[str, dict[Hashable, tuple[int, Row | None]]] = {}
        self._next: dict[str, int] = {}

    def load(self) -> None:
        """
        Forget everything, and read what is there.

        :raises Malformed: it is damaged
        """
        execute = self._connection.execute
        self._next = dict.fromkeys(IDENTITIES, 1)
        rows = execute("SELECT name, seq FROM sqlite_sequence").fetchall()
        self._next.update({name: last + 1 for name, last in rows if name in self._next})
        (newest,) = execute("SELECT max(segment) FROM snapshots").fetchone()
        for table in IDENTITIES:
            found = execute(
                f"SELECT id, segment, {', '.join(_COLUMNS[table])} FROM {table} WHERE segment >= ?", (newest,)
            )
            key_of = _KEYS[table]
            self._known[table] = {key_of(tuple(row)): (number, segment) for number, segment, *row in found}
        self.begin()

    def begin(self) -> None:
        """Nothing is used so far by the next moment."""
        self._used = {table: {} for table in IDENTITIES}

    def written_bytes(self, segment: int) -> tuple[int, int]:
        """What write() will add, and how much of what is there it will change: about, and rather more than that."""
        new = changed = 0
        for table, used in self._used.items():
            known = self._known[table]
            for key, (_, row) in used.items():
                if row is not None:
                    new += 32 + sum(2 * len(f) if isinstance(f, (str, bytes)) else 9 for f in row)
                elif known[key][1] != segment:
                    changed += _ROW_BYTES
        return new, changed

    def touch(self, segment: int) -> None:
        """Write which rows of other segments this one uses, too."""
        for table, used in self._used.items():
            known = self._known[table]
            self._connection.executemany(
                f"UPDATE {table} SET segment = ? WHERE id = ?",
                [
                    (segment, number)
                    for key, (number, row) in used.items()
                    if row is None and known[key][1] != segment
                ],
            )

    def write(self, segment: int) -> None:
        """Write the rows that are new."""
        for table, used in self._used.items():
            names = _COLUMNS[table]
            marks = ", ".join("?" * (2 + len(names)))
            self._connection.executemany(
                f"INSERT INTO {table} (id, segment, {', '.join(names)}) VALUES ({marks})",
                [(number, segment, *row) for number, row in used.values() if row is not None],
            )

    def written(self, segment: int) -> None:
        """What was written is there to stay."""
        for table, used in self._used.items():
            self._known[table].update((key, (number, segment)) for key, (number, _) in used.items())

    def keep_from(self, segment: int) -> None:
        """Forget what earlier segments refer to."""
        for table, known in self._known.items():
            self._known[table] = {key: entry for key, entry in known.items() if entry[1] >= segment}

    def zone(self, zone: Zone) -> int:
        return self._number(
            "zones", zone, lambda: (*map(sql_text, (zone.name, zone.cgroup, zone.id, zone.kind)),)
        )

    def owner(self, owner: OwnerKey) -> int:
        numbers = (self.zone(owner[0]), self.zone(owner[1]))
        return self._number("owners", numbers, lambda: numbers)

    def process(self, task: Task) -> int:
        return self._number(
            "processes", _task_key(task), lambda: (*_task_key(task)[:4], sql_text(task.command))
        )

    def owner_set(self, owners: tuple[int, ...]) -> int:
        return self._number("sets", owners, lambda: (pack_numbers(owners),))

    def text(self, text: str) -> int:
        return self._number("texts", text, lambda: (sql_text(text),))

    def file(self, file: MappedFile) -> int:
        def row() -> Row:
            inode = file.inode if file.inode < _INODES // 2 else file.inode - _INODES
            aliases = json.dumps(file.aliases)
            device = (*file.device, inode, file.ipc_namespace, aliases)
            return (sql_text(file.name), str(file.kind), int(file.lasts), *device)

        return self._number("files", _file_key(file), row)

    def _number(self, table: str, key: Hashable, row: Callable[[], Row]) -> int:
        used = self._used[table]
        if (entry := used.get(key)) is not None:
            return entry[0]
        if (known := self._known[table].get(key)) is not None:
            used[key] = known[0], None
            return known[0]
        number = self._next[table]
        self._next[table] += 1
        used[key] = number, row()
        return number


class Found:
    """
    What numbers are of, from a recording: :class:`zonerss.history.content.Things`.

    A number is never given twice in a recording, so what was found once is remembered.
    """

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._cache: dict[tuple[str, int], Any] = {}
        self._cached_owners = 0

    def begin(self, connection: sqlite3.Connection) -> Found:
        """The same, asking this connection."""
        self._connection = connection
        if len(self._cache) > _MOST_CACHED or self._cached_owners > _MOST_CACHED_OWNERS:
            self._cache.clear()
            self._cached_owners = 0
        return self

    def zone(self, number: int) -> Zone:
        return self._thing("zones", number, _zone)

    def owner(self, number: int) -> OwnerKey:
        return self._thing("owners", number, lambda row: (self.zone(row[0]), self.zone(row[1])))

    def process(self, number: int) -> Task:
        return self._thing("processes", number, _task)

    def owner_set(self, number: int) -> tuple[int, ...]:
        return self._thing("sets", number, self._owners)

    def _owners(self, row: Row) -> tuple[int, ...]:
        if len(row[0]) > _MOST_SET_BYTES:
            raise Malformed(f"a set of owners of more than {_MOST_SET_BYTES:,} bytes")
        found = unpack_numbers(row[0])
        self._cached_owners += len(found)
        return found

    def text(self, number: int) -> str:
        return self._thing("texts", number, lambda row: _text(row[0]))

    def file(self, number: int) -> MappedFile:
        return self._thing("files", number, _file)

    def _thing(self, table: str, number: int, make: Callable[[Row], _T]) -> _T:
        key = (table, number)
        if key not in self._cache:
            assert self._connection is not None
            row = self._connection.execute(
                f"SELECT {', '.join(_COLUMNS[table])} FROM {table} WHERE id = ?", (number,)
            ).fetchone()
            if row is None:
                raise Malformed(f"there is no number {number} in {table}")
            self._cache[key] = make(row)
        found: _T = self._cache[key]
        return found


def _zone(row: Row) -> Zone:
    name, cgroup, container, kind = row
    return Zone(_text(name), _text_or_none(cgroup), _text_or_none(container), _text(kind))


def _task(row: Row) -> Task:
    pid, start_ticks, uid, euid, command = row
    return Task(
        pid=_number(pid),
        start_ticks=_number(start_ticks),
        uid=None if uid is None else _number(uid),
        euid=None if euid is None else _number(euid),
        command=_text(command),
        cgroup="/",
        rss_pages=0,
        walk_tid=_number(pid),
    )


def _file(row: Row) -> MappedFile:
    name, kind, lasts, major, minor, inode, ipc_namespace, aliases = row
    return MappedFile(
        name=_text(name),
        kind=FileKind(_text(kind)),
        lasts=bool(_number(lasts)),
        device=(_number(major), _number(minor)),
        inode=_number(inode) % _INODES,
        ipc_namespace=None if ipc_namespace is None else _number(ipc_namespace),
        aliases=tuple(_aliases(aliases)),
    )


def _aliases(text: Any) -> Iterator[str]:
    found = json.loads(_text(text))
    if not isinstance(found, list):
        raise Malformed("aliases that are no list")
    yield from map(_text, found)


def _number(value: Any) -> int:
    if not isinstance(value, int):
        raise Malformed(f"{type(value).__name__} in place of a number")
    return value


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    if not isinstance(value, str):
        raise Malformed(f"{type(value).__name__} in place of text")
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _task_key(task: Task) -> Row:
    return (task.pid, task.start_ticks, task.uid, task.euid, task.command)


def _file_key(file: MappedFile) -> Row:
    return (file.name, file.kind, file.lasts, *file.device, file.inode, file.ipc_namespace, file.aliases)


_KEYS: Mapping[str, Callable[[Row], Hashable]] = {
    "zones": _zone,
    "owners": lambda row: (_number(row[0]), _number(row[1])),
    "processes": lambda row: _task_key(_task(row)),
    "sets": lambda row: unpack_numbers(row[0]),
    "texts": lambda row: _text(row[0]),
    "files": lambda row: _file_key(_file(row)),
}
"""By what a writer knows a row of each table."""
