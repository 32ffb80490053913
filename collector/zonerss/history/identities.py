"""What figures refer to by number: rows of a recording's tables, as the writer gives them and the reader finds them."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zonerss.history.content import OwnerKey
from zonerss.history.figures import Malformed, pack_numbers, unpack_numbers
from zonerss.history.schema import IDENTITIES, sql_text
from zonerss.plain import replace
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
_AT_ONCE = 500
"""Rows that are asked for by one statement: SQLite takes 999 values at the least."""
Row = tuple[Any, ...]


class _Entry:
    """A row that is there."""

    __slots__ = ("number", "segment")

    def __init__(self, number: int, segment: int) -> None:
        self.number, self.segment = number, segment
        """The last segment that refers to it."""


class Given:
    """
    The numbers of a writer: :class:`zonerss.history.content.Numbers`.

    It knows what the newest two segments refer to. What comes back later has another number then, which costs a row.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[str, dict[Hashable, _Entry]] = {}
        self._used: dict[str, dict[Hashable, _Entry]] = {}
        """Of those, what the next moment refers to."""
        self._new: dict[str, dict[Hashable, tuple[int, Row]]] = {}
        """What else it refers to."""
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
            self._known[table] = {
                key_of(tuple(row)): _Entry(number, segment) for number, segment, *row in found
            }
        self.begin()

    def begin(self) -> None:
        """Nothing is used so far by the next moment."""
        self._used = {table: {} for table in IDENTITIES}
        self._new = {table: {} for table in IDENTITIES}

    def written_bytes(self, segment: int) -> tuple[int, int]:
        """What write() will add, and how much of what is there it will change: about, and rather more than that."""
        new = sum(
            32 + sum(2 * len(f) if isinstance(f, (str, bytes)) else 9 for f in row)
            for rows in self._new.values()
            for _, row in rows.values()
        )
        return new, _ROW_BYTES * sum(len(self._others(table, segment)) for table in IDENTITIES)

    def touch(self, segment: int) -> None:
        """Write which rows of other segments this one uses, too."""
        for table in IDENTITIES:
            self._connection.executemany(
                f"UPDATE {table} SET segment = ? WHERE id = ?",
                [(segment, entry.number) for entry in self._others(table, segment)],
            )

    def _others(self, table: str, segment: int) -> list[_Entry]:
        return [entry for entry in self._used[table].values() if entry.segment != segment]

    def write(self, segment: int) -> None:
        """Write the rows that are new."""
        for table, rows in self._new.items():
            names = _COLUMNS[table]
            marks = ", ".join("?" * (2 + len(names)))
            self._connection.executemany(
                f"INSERT INTO {table} (id, segment, {', '.join(names)}) VALUES ({marks})",
                [(number, segment, *row) for number, row in rows.values()],
            )

    def written(self, segment: int) -> None:
        """What was written is there to stay."""
        for table, rows in self._new.items():
            for entry in self._others(table, segment):
                entry.segment = segment
            self._known[table].update((key, _Entry(number, segment)) for key, (number, _) in rows.items())

    def keep_from(self, segment: int) -> None:
        """Forget what earlier segments refer to."""
        for table, known in self._known.items():
            self._known[table] = {key: entry for key, entry in known.items() if entry.segment >= segment}

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
        if (known := self._known[table].get(key)) is not None:
            self._used[table][key] = known
            return known.number
        new = self._new[table]
        if (entry := new.get(key)) is None:
            entry = new[key] = self._next[table], row()
            self._next[table] += 1
        return entry[0]


class Found:
    """
    What numbers are of, from a recording: :class:`zonerss.history.content.Things`.

    A number is never given twice in a recording, so what was found once is remembered.
    """

    def __init__(self) -> None:
        self._connection: sqlite3.Connection | None = None
        self._cached: dict[str, dict[int, Any]] = {}
        self._cached_owners = 0
        self._forget()

    def _forget(self) -> None:
        self._cached = {table: {} for table in IDENTITIES}
        self._cached_owners = 0

    def begin(self, connection: sqlite3.Connection) -> Found:
        """The same, asking this connection."""
        self._connection = connection
        if sum(map(len, self._cached.values())) > _MOST_CACHED or self._cached_owners > _MOST_CACHED_OWNERS:
            self._forget()
        return self

    def fetch(self, table: str, numbers: Iterable[int]) -> None:
        """
        Find many at once, up to what is remembered at most.

        Others, and those that are not there, are looked for when they are asked for.
        """
        cached, wanted = self._cached[table], {*numbers}
        missing = list(wanted.difference(cached))
        for at in range(0, len(missing), _AT_ONCE):
            if self._cached_owners > _MOST_CACHED_OWNERS:
                break
            self._find(table, missing[at : at + _AT_ONCE])

    def zone(self, number: int) -> Zone:
        found: Zone = self._thing("zones", number)
        return found

    def owner(self, number: int) -> OwnerKey:
        found: OwnerKey = self._thing("owners", number)
        return found

    def process(self, number: int, cgroup: str, size_bytes: int) -> Task:
        task: Task = self._thing("processes", number)
        if task.cgroup != cgroup or task.size_bytes != size_bytes:
            task = self._cached["processes"][number] = replace(task, cgroup=cgroup, size_bytes=size_bytes)
        return task

    def process_key(self, number: int) -> tuple[int, int]:
        """Its pid, and when it was started."""
        task: Task = self._thing("processes", number)
        return task.pid, task.start_ticks

    def owner_set(self, number: int) -> tuple[int, ...]:
        found: tuple[int, ...] = self._thing("sets", number)
        return found

    def text(self, number: int) -> str:
        found: str = self._thing("texts", number)
        return found

    def file(self, number: int, size_bytes: int | None) -> MappedFile:
        file: MappedFile = self._thing("files", number)
        if file.size_bytes != size_bytes:
            file = self._cached["files"][number] = replace(file, size_bytes=size_bytes)
        return file

    def _thing(self, table: str, number: int) -> Any:
        cached = self._cached[table]
        if number not in cached:
            self._find(table, [number])
            if number not in cached:
                raise Malformed(f"there is no number {number} in {table}")
        return cached[number]

    def _find(self, table: str, numbers: Sequence[int]) -> None:
        assert self._connection is not None
        make, cached = self._makers[table], self._cached[table]
        for number, *row in self._connection.execute(
            f"SELECT id, {', '.join(_COLUMNS[table])} FROM {table} WHERE id IN ({', '.join('?' * len(numbers))})",
            numbers,
        ):
            cached[number] = make(row)
            if self._cached_owners > _MOST_CACHED_OWNERS:
                break

    @property
    def _makers(self) -> Mapping[str, Callable[[Sequence[Any]], Any]]:
        return {
            "zones": _zone,
            "owners": lambda row: (self.zone(row[0]), self.zone(row[1])),
            "processes": _task,
            "sets": self._owners,
            "texts": lambda row: _text(row[0]),
            "files": _file,
        }

    def _owners(self, row: Sequence[Any]) -> tuple[int, ...]:
        if len(row[0]) > _MOST_SET_BYTES:
            raise Malformed(f"a set of owners of more than {_MOST_SET_BYTES:,} bytes")
        found = unpack_numbers(row[0])
        self._cached_owners += len(found)
        return found


def _zone(row: Sequence[Any]) -> Zone:
    name, cgroup, container, kind = row
    return Zone(_text(name), text_or_none(cgroup), text_or_none(container), _text(kind))


def _task(row: Sequence[Any]) -> Task:
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


def _file(row: Sequence[Any]) -> MappedFile:
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
    if text == "[]":
        return
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


def text_or_none(value: Any) -> str | None:
    """
    Text of a column, whose bytes may be no UTF-8.

    :raises Malformed: it holds something else
    """
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
