"""The tables of a recording: what docs/history.md describes.

The file's application id says that it is one, its user version which of these schemas it has. What a reader finds in
it must be exactly these tables: a view or a trigger in their place would run when it is read.
"""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote

from zonerss.errors import CannotServe

SUFFIX = ".zrec"
APPLICATION_ID = 0x7A726563
"""zrec."""
SCHEMA_VERSION = 3
BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite may keep beside the file."""
PAGE_SIZE = 4096
SECTIONS = ("zones", "parts", "processes", "bills", "holdings", "payers")
"""Columns of snapshots that hold figures."""

_ID = "id INTEGER PRIMARY KEY AUTOINCREMENT, segment INTEGER NOT NULL"
SCHEMA = {
    "properties": "CREATE TABLE properties (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "zones": f"CREATE TABLE zones ({_ID}, name NOT NULL, cgroup, container, kind NOT NULL)",
    "owners": f"CREATE TABLE owners ({_ID}, zone INTEGER NOT NULL, cgroup_zone INTEGER NOT NULL)",
    "processes": f"CREATE TABLE processes ({_ID}, pid INTEGER NOT NULL, start_ticks INTEGER NOT NULL, "
    "uid INTEGER, euid INTEGER, command NOT NULL)",
    "sets": f"CREATE TABLE sets ({_ID}, owners BLOB NOT NULL)",
    "texts": f"CREATE TABLE texts ({_ID}, text NOT NULL)",
    "files": f"CREATE TABLE files ({_ID}, name NOT NULL, kind TEXT NOT NULL, lasts INTEGER NOT NULL, "
    "major INTEGER NOT NULL, minor INTEGER NOT NULL, inode NOT NULL, ipc_namespace INTEGER, aliases NOT NULL)",
    "snapshots": f"CREATE TABLE snapshots ({_ID}, began_ns INTEGER NOT NULL, ended_ns INTEGER NOT NULL, "
    "monotonic_ns INTEGER NOT NULL, boottime_ns INTEGER NOT NULL, age_ns INTEGER NOT NULL, "
    "clock_step_ns INTEGER NOT NULL, other BLOB NOT NULL, zones BLOB NOT NULL, parts BLOB NOT NULL, "
    "processes BLOB NOT NULL, bills BLOB NOT NULL, holdings BLOB, payers BLOB)",
    "snapshots_by_time": "CREATE INDEX snapshots_by_time ON snapshots (began_ns)",
    "kills": f"CREATE TABLE kills ({_ID}, time_ns INTEGER NOT NULL, pid INTEGER, command, zone, cgroup, limit_cgroup, "
    "limit_bytes INTEGER, reason TEXT, told_by TEXT NOT NULL, words NOT NULL)",
}
"""Name and statement of each."""
SINCE_2 = ("kills",)
"""Tables that schema version 1 did not have. Version 3 has those of 2; what is new is in a section."""
IDENTITIES = ("zones", "owners", "processes", "sets", "texts", "files")
"""Tables of what figures refer to; segment: the last one that refers to it."""

_IN_THE_FILE = {
    *(("table", name, name, sql) for name, sql in SCHEMA.items() if sql.startswith("CREATE TABLE")),
    *(("index", name, "snapshots", sql) for name, sql in SCHEMA.items() if sql.startswith("CREATE INDEX")),
    ("table", "sqlite_sequence", "sqlite_sequence", "CREATE TABLE sqlite_sequence(name,seq)"),
}
"""Rows of sqlite_master: SQLite itself makes the last one, for AUTOINCREMENT."""
_OF_VERSION = {1: {row for row in _IN_THE_FILE if row[1] not in SINCE_2}, 2: _IN_THE_FILE, 3: _IN_THE_FILE}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def connect(path: str, how: str) -> sqlite3.Connection:
    """
    A connection that makes no file, and that any thread may use.

    :param path: absolute; of any bytes
    :param how: parameters of SQLite's URI, as in mode=ro
    :raises sqlite3.Error: there is no such file, or it cannot be opened
    """
    return sqlite3.connect(
        f"file://{quote(os.fsencode(path))}?{how}",
        uri=True,
        timeout=5,
        isolation_level=None,
        check_same_thread=False,
    )


def check_schema(connection: sqlite3.Connection, path: str) -> int:
    """
    The schema version of a recording; 0: the file is empty.

    :raises CannotServe: it is none, or one that we cannot read
    """
    connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")  # damaged text is text
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    found = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_master LIMIT 100").fetchall()
    if not found and not version:
        return 0
    if application != APPLICATION_ID:
        raise CannotServe(f"{path} is no recording of zonerss, but another database")
    if version > SCHEMA_VERSION:
        raise CannotServe(
            f"{path} was recorded by a newer zonerss: its schema version is {version}, and this one reads up to "
            f"{SCHEMA_VERSION}; upgrade zonerss"
        )
    expected = _OF_VERSION.get(version, set())
    if set(found) != expected or len(found) != len(expected):
        raise CannotServe(
            f"{path} is no recording of zonerss: its tables are not those of schema version {version}"
        )
    return int(version)


def sql_text(text: str | None) -> str | bytes | None:
    """Text for a column: TEXT where it is UTF-8 without NUL, otherwise its bytes."""
    if text is None:
        return None
    if "\0" not in text:
        try:
            text.encode()
            return text
        except UnicodeEncodeError:
            pass
    return text.encode("utf-8", "surrogateescape")


def time_of(nanoseconds: int) -> datetime:
    """The inverse of :func:`zonerss.units.nanoseconds_of`."""
    return _EPOCH + timedelta(microseconds=nanoseconds // 1000)
