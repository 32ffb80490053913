"""The reader of a recording (docs/history.md), which may be a stranger's, and may be written to meanwhile."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from zonerss.closing import Closing
from zonerss.errors import CannotServe, Damaged, UsageError
from zonerss.history import sizes
from zonerss.history.content import LEAST_TABLES, SHAPES, Frame, moment_of
from zonerss.history.figures import Budget, Malformed, Table, uncollected, unpack
from zonerss.history.identities import Found, text_or_none
from zonerss.history.moment import GROUPINGS, REPORTED_STATS, Moment
from zonerss.history.schema import BESIDE, SECTIONS, check_schema, connect, time_of
from zonerss.kernel.boot import Uptime
from zonerss.kernel.keeping import demand_regular
from zonerss.plain import replace
from zonerss.records import Caveat
from zonerss.records.kills import Kill, ToldBy
from zonerss.units import nanoseconds_of

_MOST_FIELD_BYTES = 1 << 25
"""Of one value of the file."""
_FRAME = "id, segment, began_ns, ended_ns, monotonic_ns, boottime_ns, clock_step_ns, other"
_DETAILS = ("holdings", "payers")
"""Sections that a moment can do without."""


class _Extent(Enum):
    """How much of a moment is read: sections, and of them columns where not all of a section is wanted."""

    WHOLE = SECTIONS, None
    LEAN = tuple(name for name in SECTIONS if name not in _DETAILS), None
    FIGURES = ("zones", "processes", "bills"), None  # and of memory.stat REPORTED_STATS
    ZONE_SIZES = ("zones",), sizes.WANTED["zones"]
    PROCESS_SIZES = ("processes",), sizes.WANTED["processes"]


_TIMED = "typeof(began_ns) = 'integer'"
"""A column of SQLite may hold anything. 64 bits of nanoseconds are a time, whatever they are."""
_LAST = "age_ns DESC, id DESC"
"""Snapshots of a black box are kept later than they were taken."""
_SET_BACK = (
    f"SELECT began_ns < (SELECT max(began_ns) FROM snapshots WHERE {_TIMED}) FROM snapshots WHERE {_TIMED} "
    f"ORDER BY {_LAST} LIMIT 1"
)
"""Whether the snapshot that was taken last is earlier than another one by the time of day."""
_MOST_NAME, _MOST_WORDS = 4096, 1 << 15
"""Read of a name, and of the kernel's words: characters, or bytes of what is no text."""


def _cut(column: str, most: int) -> str:
    return f"CASE WHEN length({column}) > {most} THEN substr({column}, 1, {most}) ELSE {column} END"


_NAMES = ", ".join(_cut(name, _MOST_NAME) for name in ("command", "zone", "cgroup", "limit_cgroup"))
_KILL = f"time_ns, pid, {_NAMES}, limit_bytes, reason, told_by, {_cut('words', _MOST_WORDS)}"
MOST_KILLS = 10_000
"""Read of one recording."""


class Timed(NamedTuple):
    """When a snapshot was taken."""

    number: int
    began: datetime
    """By the clock of then, which may have been set since the one before."""
    age_ns: int
    """By clocks that nobody sets, since some moment before the first of the recording."""
    clock_was_set: bool
    """Since the one before."""


_Tables = Mapping[str, Sequence[Table] | None]
_T = TypeVar("_T")


class Recording(Closing):
    """Reads a recording, also while it is written; use it as a context manager. Never blocks the writer."""

    def __init__(self, path: str | Path) -> None:
        """
        :raises UsageError: its name is empty
        :raises CannotServe: it is not there, may not be read, is no recording, of a newer zonerss, or damaged
        """
        if not str(path):
            raise UsageError("the name of the recording is empty: name a file")
        self._path = os.path.abspath(path)
        self._connection: sqlite3.Connection | None = None
        self._is_still = False
        self._mark: tuple[int, ...] = ()
        self._found = Found()
        self._key: tuple[int, _Extent, _Tables] | None = None
        """Number, how much was read, and tables of the key snapshot that was read last."""
        self.damaged: list[str] = []
        """Sentences about snapshots that were left out because they could not be read, so far."""
        self._version = 0
        try:
            found = dict(self._read(self._properties))
        except BaseException:
            self.close()
            raise
        self._host_name = found.get("host_name")

    @property
    def schema_version(self) -> int:
        """Which of the schemas of docs/history.md it has."""
        return self._version

    @property
    def host_name(self) -> str:
        """Of the host that was recorded last; empty: nothing was recorded."""
        return self._host_name if isinstance(self._host_name, str) else ""

    def span(self) -> tuple[datetime, datetime]:
        """
        When the first and the last moment began.

        :raises CannotServe: there is none
        """
        ((first, last),) = self._rows(f"SELECT min(began_ns), max(began_ns) FROM snapshots WHERE {_TIMED}")
        if first is None:
            raise CannotServe(f"{self._path} has no snapshots yet")
        return time_of(first), time_of(last)

    def latest(self) -> datetime:
        """
        When the last one began. Where the clock was set back, others have later times.

        :raises CannotServe: there is none
        """
        rows = self._rows(f"SELECT began_ns FROM snapshots WHERE {_TIMED} ORDER BY {_LAST} LIMIT 1")
        return time_of(rows[0][0]) if rows else self.span()[1]

    def times(self) -> Sequence[datetime]:
        """When each moment began, in the order of time. UTC. One whose time is damaged is left out."""
        rows = self._rows(f"SELECT began_ns FROM snapshots WHERE {_TIMED} ORDER BY began_ns, id")
        return [time_of(began) for (began,) in rows]

    def at(self, when: datetime) -> Moment:
        """
        The last moment that began at or before this time.

        :raises CannotServe: there is none; says what there is
        :raises Damaged: it cannot be read
        """
        rows = self._rows(
            f"SELECT {_FRAME} FROM snapshots WHERE {_TIMED} AND began_ns <= ? ORDER BY began_ns DESC, id DESC LIMIT 1",
            (nanoseconds_of(when),),
        )
        if not rows:
            first, last = self.span()
            raise CannotServe(
                f"{self._path} has nothing of {_spelled(when)}: it goes from {_spelled(first)} to {_spelled(last)}"
            )
        try:
            return self._moment(rows[0])
        except Malformed as err:
            raise Damaged(self._sentence(rows[0], err)) from None

    def before(self, when: datetime, count: int) -> Sequence[int]:
        """The numbers of those that were looked at before that of :meth:`at`, the last of them, in this order."""
        rows = self._rows(
            f"SELECT id FROM snapshots WHERE {_TIMED} AND (age_ns, id) < (SELECT age_ns, id FROM snapshots WHERE "
            f"{_TIMED} AND began_ns <= ? ORDER BY began_ns DESC, id DESC LIMIT 1) ORDER BY {_LAST} LIMIT ?",
            (nanoseconds_of(when), count),
        )
        return [number for (number,) in reversed(rows)]

    def between(self, start: datetime | None = None, end: datetime | None = None) -> Sequence[int]:
        """The numbers of those that began from start to end, both included, in the order of time."""
        rows = self._rows(
            f"SELECT id FROM snapshots WHERE {_TIMED} AND began_ns >= ? AND began_ns <= ? ORDER BY began_ns, id",
            _range(start, end),
        )
        return [number for (number,) in rows]

    def times_between(self, start: datetime | None, end: datetime | None) -> Sequence[Timed]:
        """The same with the time of each, in the order in which they were taken, whatever the clock said."""
        rows = self._rows(
            f"SELECT id, began_ns, age_ns, clock_step_ns FROM snapshots WHERE {_TIMED} AND began_ns >= ? AND "
            "began_ns <= ? ORDER BY age_ns, id",
            _range(start, end),
        )
        return [
            Timed(number, time_of(began), _whole(age), bool(_whole(step)))
            for number, began, age, step in rows
        ]

    def numbered(self, number: int, lean: bool = False) -> Moment:
        """
        The moment of a number of :meth:`before` or :meth:`between`.

        :param lean: leave out which files parts hold and who pays, as if they had not been kept: half of the time
        :raises CannotServe: it was forgotten meanwhile
        :raises Damaged: it cannot be read
        """
        return self._numbered(number, _Extent.LEAN if lean else _Extent.WHOLE)

    def figures(self, number: int) -> Moment:
        """
        The same without parts, files, payers and most of memory.stat: what zones and processes had, each for itself.

        :raises CannotServe: as of :meth:`numbered`
        """
        return self._numbered(number, _Extent.FIGURES)

    def zone_sizes(self, numbers: Iterable[int], grouping: str) -> Iterator[tuple[int, dict[str, int]]]:
        """
        The RSS of the zones of some moments, in bytes, with the number of each. A fortieth of the time.

        Those that are damaged are left out, and :attr:`damaged` has a sentence about each.
        """
        position = GROUPINGS.index(grouping)
        yield from self._sizes(
            numbers,
            _Extent.ZONE_SIZES,
            lambda tables, other, things: sizes.zone_sizes(tables["zones"] or (), position, things),
        )

    def process_sizes(self, numbers: Iterable[int]) -> Iterator[tuple[int, dict[tuple[str, int, int], int]]]:
        """The same of processes, by boot id, pid and start ticks."""
        yield from self._sizes(
            numbers,
            _Extent.PROCESS_SIZES,
            lambda tables, other, things: sizes.process_sizes(tables["processes"] or (), other, things),
        )

    def _sizes(
        self, numbers: Iterable[int], extent: _Extent, sizes_in: Callable[[_Tables, bytes, Found], _T]
    ) -> Iterator[tuple[int, _T]]:
        for number in numbers:
            for row in self._rows(f"SELECT {_FRAME} FROM snapshots WHERE {_TIMED} AND id = ?", (number,)):
                _, segment, *_, other = row

                def ask(connection: sqlite3.Connection) -> _T:
                    tables = self._sections(connection, number, segment, extent)  # noqa: B023  at once
                    return sizes_in(tables, other, self._found.begin(connection))  # noqa: B023

                try:
                    with self._not_remembered_if_refused(), uncollected():
                        found = self._read(ask)
                except (Malformed, CannotServe) as err:
                    self.damaged.append(self._sentence(row, err))
                else:
                    yield number, found

    def _numbered(self, number: int, extent: _Extent) -> Moment:
        for row in self._rows(f"SELECT {_FRAME} FROM snapshots WHERE {_TIMED} AND id = ?", (number,)):
            try:
                return self._moment(row, extent)
            except Malformed as err:
                raise Damaged(self._sentence(row, err)) from None
        raise CannotServe(f"{self._path} has no snapshot {number} any more")

    def moments(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[Moment]:
        """
        Those that began from start to end, both included, in the order of time.

        Those that are damaged are left out, and :attr:`damaged` has a sentence about each.
        """
        numbers = self.between(start, end)
        for (number,) in self._rows(f"SELECT id FROM snapshots WHERE NOT {_TIMED} ORDER BY id"):
            self.damaged.append(f"the snapshot {number} in {self._path} cannot be read: its time is none")
        for number in numbers:
            for row in self._rows(f"SELECT {_FRAME} FROM snapshots WHERE id = ?", (number,)):
                try:
                    moment = self._moment(row)
                except (Malformed, CannotServe) as err:
                    self.damaged.append(self._sentence(row, err))
                else:
                    yield moment

    def kills(self) -> Sequence[Kill]:
        """
        Processes that were killed for want of memory, in the order of time; the last 10,000 of them.

        Where the clock was set back it is the order in which they were kept.

        Those that are damaged are left out, and :attr:`damaged` has a sentence about each.
        """
        if self._version < 2:
            return ()
        found = []
        order = "id DESC" if self._rows(_SET_BACK) == [(1,)] else "time_ns DESC, id DESC"
        for row in self._rows(f"SELECT {_KILL} FROM kills ORDER BY {order} LIMIT ?", (MOST_KILLS,)):
            try:
                found.append(_kill(row))
            except (Malformed, ValueError, OverflowError) as err:
                self.damaged.append(f"a kill in {self._path} cannot be read: {err}")
        return found[::-1]

    def close(self) -> None:
        """Give the file back."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # ---- one moment --------------------------------------------------------------------------------------

    def _moment(self, row: tuple[Any, ...], extent: _Extent = _Extent.WHOLE) -> Moment:
        number, segment, began, ended, monotonic, boottime, step, other = row
        if not all(isinstance(figure, int) for figure in (ended, monotonic, boottime, step)):
            raise Malformed("a time that is none")

        def ask(connection: sqlite3.Connection) -> Moment:
            tables = self._sections(connection, number, segment, extent)
            stats = REPORTED_STATS if extent is _Extent.FIGURES else None
            return moment_of(frame, tables, self._found.begin(connection), stats)

        with self._not_remembered_if_refused():
            frame = Frame(time_of(began), time_of(ended), Uptime(monotonic, boottime), other)
            with uncollected():
                moment = self._read(ask)
            return moment if not step else replace(moment, snapshot=_told(moment, step))

    @contextmanager
    def _not_remembered_if_refused(self) -> Iterator[None]:
        """:raises Malformed: what is read is no moment"""
        try:
            yield
        except (LookupError, TypeError, ValueError, OverflowError, RecursionError) as err:
            self._found, self._key = Found(), None
            raise err if isinstance(err, Malformed) else Malformed(str(err)) from err

    def _sections(
        self, connection: sqlite3.Connection, number: int, segment: int, extent: _Extent
    ) -> _Tables:
        if self._key is None or self._key[:2] != (segment, extent) or number == segment:
            self._key = segment, extent, self._tables(connection, segment, None, extent)
        tables = self._key[2]
        return tables if number == segment else self._tables(connection, number, tables, extent)

    def _tables(
        self, connection: sqlite3.Connection, number: int, key: _Tables | None, extent: _Extent
    ) -> _Tables:
        chosen, wanted = extent.value
        names = (name if name in chosen else "NULL" for name in SECTIONS)
        row = connection.execute(
            f"SELECT {', '.join(names)} FROM snapshots WHERE id = ? AND (? OR segment = id)",
            (number, key is not None),
        ).fetchone()
        if row is None:
            raise Malformed(f"there is no {'' if key else 'key '}snapshot {number}")
        budget = Budget()
        return {
            name: None
            if blob is None
            else unpack(
                blob, SHAPES[name], key[name] if key else None, budget, LEAST_TABLES.get(name), wanted
            )
            for name, blob in zip(SECTIONS, row, strict=True)
        }

    def _sentence(self, row: tuple[Any, ...], err: Exception) -> str:
        return f"the snapshot of {_spelled(time_of(row[2]))} in {self._path} cannot be read: {err}"

    # ---- the file ----------------------------------------------------------------------------------------

    def _properties(self, connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        if self._version == 0:
            raise CannotServe(f"{self._path} is empty: nothing was recorded")
        return connection.execute("SELECT name, value FROM properties LIMIT 100").fetchall()

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._read(lambda connection: connection.execute(query, values).fetchall())

    def _read(self, ask: Callable[[sqlite3.Connection], _T]) -> _T:
        """
        What comes of one view of the file.

        SQLite keeps a file without a log as it found it. A writer that comes then, even if it has gone again, is
        noticed before and after reading; what it has mixed up is read once more.
        """
        if self._connection is not None and not self._is_as_opened():
            self._let_go()
        try:
            found = self._asked(ask)
        except (CannotServe, ValueError, TypeError, OverflowError):
            if self._is_as_opened():
                raise
        else:
            if self._is_as_opened():
                return found
        self._let_go()
        found = self._asked(ask)
        if not self._is_as_opened():
            self._let_go()
            raise CannotServe(f"{self._path} is being replaced while it is read: try again")
        return found

    def _asked(self, ask: Callable[[sqlite3.Connection], _T]) -> _T:
        """Errors of SQLite as sentences."""
        try:
            if self._connection is None:
                self._connection = self._opened()
            self._connection.execute("BEGIN")
            try:
                return ask(self._connection)
            finally:
                self._connection.execute("COMMIT")
        except (
            sqlite3.Error,
            UnicodeDecodeError,
        ) as err:  # the latter: an error whose text quotes damaged text
            self.close()
            if getattr(err, "sqlite_errorcode", None) == sqlite3.SQLITE_CANTOPEN:
                raise CannotServe(self._unopened(err)) from err
            raise CannotServe(f"{self._path} is no recording of zonerss, or is damaged: {err}") from err

    def _unopened(self, err: Exception) -> str:
        """Which of the files may not be read: SQLite only says that one of them cannot be opened."""
        for path in (self._path, *(self._path + suffix for suffix in BESIDE)):
            if os.path.lexists(path) and not os.access(path, os.R_OK, effective_ids=True):
                return f"cannot read {path}: {os.strerror(errno.EACCES)}"
        return f"cannot read {self._path}: {err}"

    def _is_as_opened(self) -> bool:
        """Whether what was read since it was opened is of one file, and not of pages that were written meanwhile."""
        if self._is_still:
            return self._marked() == self._mark and not self._has_log()
        return self._marked()[:2] == self._mark[:2]

    def _let_go(self) -> None:
        """Forget what was read of it."""
        self.close()
        self._found, self._key = Found(), None

    def _marked(self) -> tuple[int, ...]:
        """Which file it is, and when it was written to; empty: it is not there."""
        try:
            found = os.stat(self._path)
        except OSError:
            return ()
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns

    def _has_log(self) -> bool:
        return os.path.lexists(f"{self._path}-wal")

    def _opened(self) -> sqlite3.Connection:
        self._mark = self._marked()
        try:
            demand_regular(self._path, BESIDE)
        except FileNotFoundError:
            raise CannotServe(f"there is no {self._path}") from None
        except OSError as err:
            raise CannotServe(f"cannot read {self._path}: {err.strerror or err}") from err
        # Without a log nobody writes to it, and nothing is made beside it.
        self._is_still = not self._has_log()
        connection = connect(self._path, "mode=ro&immutable=1" if self._is_still else "mode=ro")
        try:
            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MOST_FIELD_BYTES)
            for pragma in (
                "trusted_schema = OFF",
                "query_only = ON",
                "cell_size_check = ON",
                "mmap_size = 0",
            ):
                connection.execute(f"PRAGMA {pragma}")
            self._version = check_schema(connection, self._path)
        except BaseException:
            connection.close()
            raise
        return connection


def _range(start: datetime | None, end: datetime | None) -> tuple[int, int]:
    """In nanoseconds; None: from the beginning, to the end."""
    return (
        -(2**63) if start is None else nanoseconds_of(start),
        2**63 - 1 if end is None else nanoseconds_of(end),
    )


def _kill(row: tuple[Any, ...]) -> Kill:
    """:raises Malformed: a column holds something else than it is for"""
    time_ns, pid, command, zone, cgroup, limit_cgroup, limit_bytes, reason, told_by, words = row
    for number in (pid, limit_bytes):
        if number is not None and not isinstance(number, int):
            raise Malformed(f"{type(number).__name__} in place of a number")
    if not isinstance(time_ns, int):
        raise Malformed("a time that is none")
    texts = [text_or_none(text) for text in (command, zone, cgroup, limit_cgroup, reason)]
    return Kill(
        time=time_of(time_ns),
        pid=pid,
        command=texts[0],
        zone=texts[1],
        cgroup=texts[2],
        limit_cgroup=texts[3],
        limit_bytes=limit_bytes,
        constraint=texts[4],
        told_by=ToldBy(text_or_none(told_by) or ""),
        words=text_or_none(words) or "",
    )


def _told(moment: Moment, step_ns: int) -> Any:
    """The snapshot with a word about a clock that was set."""
    way = "ahead" if step_ns > 0 else "back"
    text = f"The clock of this host was set {way} by {abs(step_ns) / 1e9:.0f} s since the snapshot before this one."
    return replace(moment.snapshot, warnings=(*moment.snapshot.warnings, Caveat("clock", text)))


def _spelled(when: datetime) -> str:
    return when.isoformat(sep=" ", timespec="seconds")


def _whole(value: object) -> int:
    """A column of SQLite may hold anything."""
    return value if isinstance(value, int) else 0
