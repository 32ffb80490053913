"""The writer of a recording: moments into one SQLite file (docs/history.md).

A segment is a key snapshot and those after it, which are differences to it. Each snapshot is one transaction. What is
to be forgotten goes by whole segments, together with the identities that no later one refers to.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from zonerss.closing import Closing
from zonerss.errors import CannotServe, StoreFull, StoreTooLarge, TooManyKills, UsageError
from zonerss.history.content import Sections, other_of, sections_of
from zonerss.history.figures import Budget, Malformed, Table, pack, uncollected
from zonerss.history.identities import Given
from zonerss.history.moment import Moment
from zonerss.history.schema import (
    APPLICATION_ID,
    BESIDE,
    IDENTITIES,
    PAGE_SIZE,
    SCHEMA,
    SCHEMA_VERSION,
    SECTIONS,
    SINCE_2,
    check_schema,
    connect,
    sql_text,
)
from zonerss.kernel.keeping import Taken, descriptors_of, hold_file, occupied, sync_file
from zonerss.kernel.safely import Unfit
from zonerss.records.kills import MEMCG, Kill
from zonerss.units import nanoseconds_of

LEAST_BYTES = 1 << 20
"""How much --max-size must leave at the least."""
SEGMENT_SNAPSHOTS = 64
ZONE_KILLS, MOST_KILLS = 16, 256
"""Of one zone, and of all zones, in a segment, which is of 64 snapshots at the most."""
MACHINE_KILLS = 32
"""Beside these, of the whole machine."""
MOST_WORDS = 8192
"""Characters of the kernel's words about a kill."""
_FORGOTTEN_PART = 16
"""A segment is no larger, and spans no longer, than this part of what is kept."""
_PAYS = 0.75
"""A difference is kept as long as it takes less than this part of what its key takes."""
_CLOCK_STEP_NS = 1_000_000_000
"""By how much the time of day and the time since boot must disagree to be told."""
_WAL_BYTES = 4 << 20
"""When the log is written back, where nothing limits it further."""
_STEADY_NS = 3600 * 1_000_000_000
"""So long the time of day must go on without being set before it counts for what earlier boots kept."""
_SLACK_BYTES = 32 * PAGE_SIZE
"""Pages of the tables' trees that a snapshot changes besides its own."""
_OF_ZONES = f"coalesce(reason, '{MEMCG}') = '{MEMCG}'"
"""Of kills: those that want of memory of the whole machine is not told of, as of Kill.is_of_machine."""
_ROW_BYTES = 64
"""Of a row besides its values."""
_SHM_BYTES = 64 << 10
_VACUUM_PAGES = 16
"""Given back at once: each goes through the log with those that refer to it."""
_NO_ROOM = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE)


class _Now(NamedTuple):
    """What decides how old a snapshot is."""

    age_ns: int
    """Of the recording, without the time that the host was off."""
    boot_age_ns: int
    """The same when this boot began; of snapshots of earlier boots it is less."""
    day_ns: int | None
    """The time of day since 1970; None: it may be set yet."""


class Keeper(Closing):
    """Writes moments into a recording; use it as a context manager. One at a time for each file."""

    def __init__(
        self, path: str | Path, keep_seconds: float | None = None, max_bytes: int | None = None
    ) -> None:
        """
        Make a recording, or continue one.

        :param keep_seconds: forget moments that are older; None: keep all
        :param max_bytes: forget the oldest moments so that the file and what SQLite keeps beside it are not larger
        :raises UsageError: max_bytes is less than :data:`LEAST_BYTES`
        :raises CannotServe: the file cannot be made or continued: it is no recording, of a newer zonerss, or another
            process writes to it
        """
        if max_bytes is not None and max_bytes < LEAST_BYTES:
            raise UsageError(
                f"a recording takes {LEAST_BYTES:,} bytes at the least; {max_bytes:,} are too few"
            )
        self._path, self._max_bytes = os.path.abspath(path), max_bytes
        self._keep_ns = None if keep_seconds is None else round(keep_seconds * 1e9)
        self._wal_bytes = _WAL_BYTES if max_bytes is None else min(_WAL_BYTES, max_bytes // 3)
        self._steady_since_ns: int | None = None
        """Since when by CLOCK_BOOTTIME nobody has set the time of day, as far as was seen."""
        self._kill_segment: int | None = None
        """Of the kill that was kept last."""
        self._is_to_shrink = False
        """A file that was there is larger than it may be, and somebody who reads it keeps it so."""
        self._lock = self._held()
        try:
            self._connection = self._opened()
            with self._sentences():
                self._given = Given(self._connection)
                self._load()
                if max_bytes is not None:
                    self._shrink()
        except BaseException:
            self.close()
            raise

    def add(self, moment: Moment, beside_kills: bool = False) -> int:
        """
        Keep a moment. It is on the disk when this returns. It may be older than the last one, if both are of one boot.

        :param beside_kills: forget neither the kill that was kept last nor what was kept since to make room for it
        :return: how many bytes it took, those of names and of other identities that are new included
        :raises StoreFull: there is no room; what was kept is whole, and the next may fit
        :raises StoreTooLarge: it is larger than what is read again, or than what --max-size leaves for one
        :raises CannotServe: the file cannot be written
        """
        self._given.begin()
        try:
            with self._sentences(), uncollected():
                size = self._add_readable(moment, beside_kills)
        except BaseException:
            self._forget_state()
            raise
        with suppress(StoreFull), self._sentences():  # it is kept in the log, and the next one tells
            self._write_back()
        return size

    @contextmanager
    def together(self) -> Iterator[None]:
        """
        What is added within is on the disk at the next :meth:`sync`, or when this ends: one wait for all of it.

        Each is still a transaction. What ends the process meanwhile leaves a whole file that has all of them; what ends
        the machine leaves a whole file that may lack the last ones.

        :raises CannotServe: the file cannot be written
        """
        with self._sentences():
            self._connection.execute("PRAGMA synchronous = NORMAL")
        try:
            yield
        finally:
            self._connection.execute("PRAGMA synchronous = FULL")
        self.sync()

    def sync(self) -> None:
        """
        Wait until what was added is on the disk.

        :raises CannotServe: the file cannot be written
        """
        try:
            sync_file(f"{self._path}-wal")
        except FileNotFoundError:
            pass  # it was written back, and with that it is there
        except OSError as err:
            refused = StoreFull if err.errno == errno.ENOSPC else CannotServe
            raise refused(f"cannot record into {self._path}: {err.strerror}") from err

    def add_kill(self, kill: Kill) -> None:
        """
        Keep that a process was killed. It goes with the snapshots that were kept at that time.

        Who is killed again and again must not take the place of snapshots, nor of others' kills: a segment has no more
        than ZONE_KILLS of a zone, MOST_KILLS of all, and MACHINE_KILLS of the whole machine.

        :raises StoreFull: there is no room
        :raises TooManyKills: there are so many already
        :raises CannotServe: the file cannot be written
        """
        row = (
            *(nanoseconds_of(kill.time), kill.pid),
            *map(sql_text, (kill.command, kill.zone, kill.cgroup, kill.limit_cgroup)),
            *(kill.limit_bytes, kill.constraint, str(kill.told_by), sql_text(kill.words[:MOST_WORDS])),
        )
        names = "time_ns, pid, command, zone, cgroup, limit_cgroup, limit_bytes, reason, told_by, words"
        size = _ROW_BYTES + sum(_bytes_of(value) for value in row)
        with self._sentences():
            self._demand_shrunk()
            self._demand_few_kills(self._segment_of_kills(), kill)
        try:
            with self._sentences():
                self._shorten_log(size)
                with self._transaction():
                    segment = self._segment_of_kills()
                    self._make_room(size, segment, segment)
                    self._connection.execute(
                        f"INSERT INTO kills (segment, {names}) VALUES (?, {', '.join('?' * len(row))})",
                        (segment, *row),
                    )
                    self._demand_room()
        except BaseException:
            self._forget_state()
            raise
        self._kill_segment = segment
        self._segment_bytes += size

    def _demand_few_kills(self, segment: int, kill: Kill) -> None:
        if kill.is_of_machine:
            self._demand_fewer(MACHINE_KILLS, "of the whole machine", segment, f"NOT {_OF_ZONES}")
            return
        whose = "of no zone that is known" if kill.zone is None else f"of {kill.zone}"
        self._demand_fewer(ZONE_KILLS, whose, segment, f"{_OF_ZONES} AND zone IS ?", sql_text(kill.zone))
        self._demand_fewer(MOST_KILLS, "of zones", segment, _OF_ZONES)

    def _demand_fewer(self, most: int, whose: str, segment: int, chosen: str, *values: object) -> None:
        """:raises TooManyKills: the segment has so many of these"""
        asked = f"SELECT count(*) FROM kills WHERE segment = ? AND {chosen}"
        (count,) = self._connection.execute(asked, (segment, *values)).fetchone()
        if count >= most:
            raise TooManyKills(
                f"{most} kills {whose} of this time are in {self._path}: further ones of it are counted only, until "
                "the next segment of the recording begins"
            )

    def close(self) -> None:
        """Give the file back. What was added stays."""
        connection, self._connection = getattr(self, "_connection", None), None  # type: ignore[assignment]
        if connection is not None:
            connection.close()  # writes the log back, if it can
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    # ---- opening -----------------------------------------------------------------------------------------

    def _held(self) -> int:
        try:
            return hold_file(self._path, BESIDE)
        except Taken:
            raise CannotServe(
                f"another process records into {self._path}: end it, or name another file"
            ) from None
        except Unfit as err:
            raise CannotServe(f"cannot record: {err}") from None
        except OSError as err:
            raise CannotServe(f"cannot record into {self._path}: {err.strerror}") from err

    def _opened(self) -> sqlite3.Connection:
        try:
            with occupied(self._path, BESIDE):
                if not any(os.pread(self._lock, PAGE_SIZE, 0)):
                    _fill(self._lock)
                return self._connected()
        except Unfit as err:
            raise CannotServe(f"cannot record: {err}") from None
        except OSError as err:
            refused = StoreFull if err.errno == errno.ENOSPC else CannotServe
            raise refused(f"cannot record into {self._path}: {err.strerror}") from err

    def _connected(self) -> sqlite3.Connection:
        """:raises Unfit: it is not the file that we hold that SQLite has opened"""
        ours = descriptors_of(self._lock)
        with self._sentences():
            connection = connect(self._path, "mode=rw")
        try:
            if not descriptors_of(self._lock) - ours:
                raise Unfit(f"another file was put in place of {self._path} while it was opened")
            with self._sentences():
                version = check_schema(connection, self._path)
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("PRAGMA wal_autocheckpoint = 0")
                connection.execute(f"PRAGMA journal_size_limit = {self._wal_bytes}")
                connection.execute("PRAGMA trusted_schema = OFF")
                if version < SCHEMA_VERSION:
                    _upgrade(connection, version)
        except BaseException:
            connection.close()
            raise
        return connection

    def _load(self) -> None:
        """What is remembered of the file: the last snapshot. The next one begins a segment."""
        self._given.load()
        row = self._connection.execute(
            "SELECT ended_ns, boottime_ns, age_ns FROM snapshots ORDER BY age_ns DESC, id DESC LIMIT 1"
        ).fetchone()
        boot = self._connection.execute("SELECT value FROM properties WHERE name = 'boot_id'").fetchone()
        self._last: tuple[int, int, int] | None = row
        self._boot_id = boot[0] if boot else ""
        self._key: Sections | None = None
        self._segment = self._key_bytes = self._key_age_ns = self._segment_bytes = self._count = 0

    def _forget_state(self) -> None:
        """After a failure: what is remembered may not be what is on the disk."""
        connection = self._connection
        if connection is not None:
            try:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                self._load()
            except (sqlite3.Error, Malformed):
                self._key = None

    @contextmanager
    def _sentences(self) -> Iterator[None]:
        """Errors of SQLite as sentences."""
        try:
            yield
        except Malformed as err:
            raise CannotServe(f"cannot record into {self._path}: {err}") from None
        except (sqlite3.Error, UnicodeDecodeError) as err:
            code = getattr(err, "sqlite_errorcode", 0)
            if code in _NO_ROOM:
                raise StoreFull(
                    f"cannot record into {self._path}: the disk is full; make room, and it goes on"
                ) from err
            if code & 0xFF in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_OK):
                raise CannotServe(
                    f"{self._path} is no recording of zonerss, or is damaged ({err}): name another file"
                ) from err
            raise CannotServe(f"cannot record into {self._path}: {err}") from err

    # ---- adding ------------------------------------------------------------------------------------------

    def _add_readable(self, moment: Moment, beside_kills: bool) -> int:
        try:
            return self._add(moment, beside_kills)
        except Malformed as err:
            raise StoreTooLarge(
                f"cannot record into {self._path}: the snapshot is too large to be read again ({err})"
            ) from None

    def _add(self, moment: Moment, beside_kills: bool) -> int:
        self._demand_shrunk()  # first: what is forgotten by that can be referred to no more
        sections = sections_of(moment, self._given)
        age_ns, step_ns = self._clocks(moment)
        now = self._now(moment, age_ns, step_ns)
        blobs, is_key = self._packed(sections, age_ns)
        other = other_of(moment)
        size = len(other) + sum(len(blob) for blob in blobs if blob)
        number = self._next_snapshot()
        segment = number if is_key else self._segment
        kept_from = segment
        if beside_kills and self._kill_segment is not None:
            kept_from = min(segment, self._kill_segment)
        added, changed = self._given.written_bytes(segment)
        self._shorten_log(size + added + changed)
        with self._transaction():
            self._given.touch(segment)  # first, so that nothing goes that this snapshot refers to
            if self._keep_ns is not None:
                self._forget_older(now, self._keep_ns, kept_from)
            self._make_room(size + added, segment, kept_from)
            self._given.write(segment)
            times = [nanoseconds_of(moment.snapshot.began), nanoseconds_of(moment.snapshot.ended)]
            uptime = [moment.uptime.monotonic_ns, moment.uptime.boottime_ns]
            row = [number, segment, *times, *uptime, age_ns, step_ns, other, *blobs]
            self._connection.execute(f"INSERT INTO snapshots VALUES ({', '.join('?' * len(row))})", row)
            self._tell(moment)
            self._demand_room()
        self._given.written(segment)
        if is_key:
            self._given.keep_from(self._segment)
            self._key, self._segment, self._key_bytes = sections, segment, size
            self._segment_bytes = self._count = 0
            self._key_age_ns = age_ns
        self._segment_bytes += size
        self._count += 1
        if self._last is None or moment.boot_id != self._boot_id or age_ns >= self._last[2]:
            self._last = times[1], uptime[1], age_ns
        self._boot_id = moment.boot_id
        return size + added

    def _packed(self, sections: Sections, age_ns: int) -> tuple[list[bytes | None], bool]:
        """The blobs, and whether they are no difference."""
        if self._key is not None and self._fits_segment(age_ns):
            budget = Budget()
            blobs = [_blob(sections[name], self._key[name], budget) for name in SECTIONS]
            if sum(len(blob) for blob in blobs if blob) < _PAYS * self._key_bytes:
                return blobs, False
        budget = Budget()
        return [_blob(sections[name], None, budget) for name in SECTIONS], True

    def _fits_segment(self, age_ns: int) -> bool:
        """Whether the segment may have one more: what is forgotten goes by whole segments."""
        return (
            self._count < SEGMENT_SNAPSHOTS
            and (self._max_bytes is None or self._segment_bytes < self._max_bytes // _FORGOTTEN_PART)
            and (self._keep_ns is None or age_ns - self._key_age_ns <= self._keep_ns // _FORGOTTEN_PART)
        )

    def _clocks(self, moment: Moment) -> tuple[int, int]:
        """The age of the recording at this moment, and by how much the time of day was set since the last one."""
        if self._last is None:
            return 0, 0
        ended_ns, boottime_ns, age_ns = self._last
        by_day = nanoseconds_of(moment.snapshot.ended) - ended_ns
        by_boot = moment.uptime.boottime_ns - boottime_ns
        if moment.boot_id != self._boot_id:
            return age_ns + moment.uptime.boottime_ns, 0  # how long the host was off is not sure
        step = by_day - by_boot
        if by_boot < 0:  # it was looked at before the last one
            return age_ns + by_boot, 0
        return age_ns + by_boot, step if abs(step) >= _CLOCK_STEP_NS else 0

    def _now(self, moment: Moment, age_ns: int, step_ns: int) -> _Now:
        boottime_ns = moment.uptime.boottime_ns
        if self._steady_since_ns is None or step_ns or moment.boot_id != self._boot_id:
            self._steady_since_ns = boottime_ns
        is_steady = boottime_ns - self._steady_since_ns >= _STEADY_NS
        return _Now(
            age_ns, age_ns - boottime_ns, nanoseconds_of(moment.snapshot.ended) if is_steady else None
        )

    def _next_snapshot(self) -> int:
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'snapshots'").fetchone()
        return (row[0] if row else 0) + 1

    def _tell(self, moment: Moment) -> None:
        if moment.boot_id != self._boot_id or self._last is None:
            self._connection.executemany(
                "INSERT OR REPLACE INTO properties VALUES (?, ?)",
                [
                    ("host_name", moment.host_name),
                    ("boot_id", moment.boot_id),
                    ("page_size", moment.snapshot.page_size),
                ],
            )

    # ---- forgetting --------------------------------------------------------------------------------------

    def _shorten_log(self, needed: int) -> None:
        """Before a snapshot is written: the log has room for it."""
        if self._max_bytes is None:
            return
        most = self._wal_bytes - _SLACK_BYTES
        if needed > most:
            raise self._too_large(needed)
        if self._log_bytes() + needed > most:
            self._write_back(all_of_it=True)
            if self._log_bytes() + needed > most:
                raise self._read_for_long()

    def _read_for_long(self) -> StoreFull:
        return StoreFull(
            f"cannot record into {self._path}: somebody has been reading it for long, which keeps its log from being "
            "shortened; it goes on when that ends"
        )

    def _make_room(self, needed: int, current: int, kept_from: int) -> None:
        """Forget as much as it takes, of what is before the segment ``kept_from``."""
        if self._max_bytes is None:
            return
        while self._pages_used() * PAGE_SIZE + needed + _SLACK_BYTES > self._file_budget:
            if self._forget_oldest(kept_from):
                continue
            if self._oldest(current) is None:
                raise self._too_large(needed)
            raise StoreFull(
                f"cannot record into {self._path}: what was before a kill takes more than {self._max_bytes:,} bytes "
                "leave for it; raise --max-size"
            )

    def _too_large(self, needed: int) -> StoreTooLarge:
        return StoreTooLarge(
            f"cannot record into {self._path}: one snapshot takes about {needed:,} bytes, for which "
            f"{self._max_bytes:,} are too few; raise --max-size"
        )

    def _demand_room(self) -> None:
        if self._max_bytes is not None and self._pragma("page_count") * PAGE_SIZE > self._file_budget:
            raise StoreFull(
                f"cannot record into {self._path}: it would be larger than {self._max_bytes:,} bytes"
            )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        yield
        self._connection.execute("COMMIT")

    def _forget_older(self, now: _Now, keep_ns: int, kept_from: int) -> None:
        """Segments whose last snapshot is older."""
        while (oldest := self._oldest(kept_from)) is not None and self._is_older(oldest, now, keep_ns):
            self._forget_oldest(kept_from)

    def _is_older(self, segment: int, now: _Now, keep_ns: int) -> bool:
        age_ns = self._last_of(segment, "age_ns")
        if age_ns < now.age_ns - keep_ns:
            return True
        if now.day_ns is None or age_ns - self._last_of(segment, "boottime_ns") >= now.boot_age_ns:
            return False
        return self._last_of(segment, "ended_ns") < now.day_ns - keep_ns

    def _oldest(self, kept_from: int) -> int | None:
        """The oldest segment; None: there is none before ``kept_from``."""
        row = self._connection.execute("SELECT segment FROM snapshots ORDER BY id LIMIT 1").fetchone()
        return None if row is None or row[0] >= kept_from else row[0]

    def _segment_of_kills(self) -> int:
        """That of the last snapshot; that of the first one to come where there is none yet."""
        if self._segment:
            return self._segment
        row = self._connection.execute("SELECT segment FROM snapshots ORDER BY id DESC LIMIT 1").fetchone()
        return self._next_snapshot() if row is None else int(row[0])

    def _last_of(self, segment: int, column: str) -> int:
        """The greatest value in a segment; its snapshots have ids one after the other."""
        (found,) = self._connection.execute(
            f"SELECT max({column}) FROM snapshots WHERE id >= ? AND id < ? AND segment = ?",
            (segment, segment + SEGMENT_SNAPSHOTS, segment),
        ).fetchone()
        if not isinstance(found, int):
            raise Malformed(f"the segment {segment} is damaged; name another file")
        return found

    def _forget_oldest(self, kept_from: int) -> bool:
        """Forget the oldest segment before ``kept_from``; whether there was one."""
        oldest = self._oldest(kept_from)
        if oldest is None:
            return False
        execute = self._connection.execute
        execute("DELETE FROM snapshots WHERE id <= ?", (self._last_of(oldest, "id"),))
        for table in (*IDENTITIES, "kills"):
            execute(f"DELETE FROM {table} WHERE segment <= ?", (oldest,))
        self._given.keep_from(oldest + 1)
        return True

    # ---- the file's size ---------------------------------------------------------------------------------

    @property
    def _file_budget(self) -> int:
        assert self._max_bytes is not None
        return self._max_bytes - self._wal_bytes - _SHM_BYTES

    def _pages_used(self) -> int:
        return self._pragma("page_count") - self._pragma("freelist_count")

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _write_back(self, all_of_it: bool = False) -> None:
        """Move the log into the file where it is half of what it may be, as far as nobody reads what it replaces."""
        if all_of_it or self._log_bytes() > self._wal_bytes // 2:
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            finally:
                self._connection.execute("PRAGMA busy_timeout = 5000")

    def _log_bytes(self) -> int:
        try:
            return os.stat(f"{self._path}-wal").st_size
        except FileNotFoundError:
            return 0

    def _demand_shrunk(self) -> None:
        """:raises StoreFull: a file that was there is still larger than it may be"""
        if self._is_to_shrink:
            self._shrink()
        if self._is_to_shrink:
            raise self._read_for_long()

    def _shrink(self) -> None:
        """A file that was there may be larger than it may be now. What goes, goes through the log, step by step."""
        self._is_to_shrink = True
        while self._pages_used() * PAGE_SIZE > self._file_budget:
            if not self._has_short_log():
                return
            with self._transaction():
                if not self._forget_oldest(self._next_snapshot()):
                    break
        while self._pragma("page_count") * PAGE_SIZE > self._file_budget and self._pragma("freelist_count"):
            if not self._has_short_log():
                return
            self._connection.execute(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})").fetchall()
        self._is_to_shrink = False
        self._write_back()

    def _has_short_log(self) -> bool:
        """Whether the log has room for a step, once it was written back."""
        self._write_back()
        return self._log_bytes() <= self._wal_bytes // 2


def _fill(fd: int) -> None:
    """
    Make an empty recording of an empty file, without SQLite opening anything beside it for that.

    What is begun and not finished has no first page, and is begun anew.

    :raises OSError: it cannot be written
    """
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size = {PAGE_SIZE}")
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        for statement in SCHEMA.values():
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        image = bytearray(connection.serialize())
    image[18:20] = b"\2\2"  # in WAL mode (SQLite's file format, 1.3.3)
    os.ftruncate(fd, 0)
    for first, end in ((PAGE_SIZE, len(image)), (0, PAGE_SIZE)):
        while first < end:
            first += os.pwrite(fd, image[first:end], first)
        os.fsync(fd)


def _upgrade(connection: sqlite3.Connection, version: int) -> None:
    """To the schema of today. Snapshots that are there stay as they are."""
    connection.execute("BEGIN IMMEDIATE")
    for name in SINCE_2 if version < 2 else ():
        connection.execute(SCHEMA[name])
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _blob(tables: Sequence[Table] | None, base: Sequence[Table] | None, budget: Budget) -> bytes | None:
    return None if tables is None else pack(tables, base, budget)


def _bytes_of(value: object) -> int:
    """About how much a value takes in the file."""
    if isinstance(value, str):
        return len(value.encode())
    return len(value) if isinstance(value, bytes) else 9
