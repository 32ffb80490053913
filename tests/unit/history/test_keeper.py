"""The writer of a recording: what comes back, what is forgotten, how large the file is, what is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing, suppress
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit import builders
from tests.unit.history.moments import SECOND_NS, Host, drifting, moments, same

from zonerss.errors import CannotServe, StoreFull, StoreTooLarge, UsageError
from zonerss.history import keeper
from zonerss.history.figures import pack_numbers
from zonerss.history.identities import Found
from zonerss.history.keeper import LEAST_BYTES, SEGMENT_SNAPSHOTS, Keeper
from zonerss.history.moment import Moment
from zonerss.history.recording import Recording
from zonerss.history.schema import BESIDE, IDENTITIES, PAGE_SIZE
from zonerss.kernel.boot import Uptime
from zonerss.plain import replace
from zonerss.records.kills import MEMCG, Kill, ToldBy

MIB = 1 << 20
A_KILL = Kill(builders.BEGAN, 1, "x", "web", "/a", "/a", 1, MEMCG, ToldBy.LOG)
EVERY_FILE = ("", *BESIDE)


def size_of(path: Path) -> int:
    return sum(os.stat(f"{path}{s}").st_size for s in EVERY_FILE if os.path.exists(f"{path}{s}"))


def rows(path: Path, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        found = connection.execute(query).fetchall()
    connection.close()
    return found


def kept(path: Path) -> list[Moment]:
    with Recording(path) as recording:
        found = list(recording.moments())
        assert recording.damaged == []
    return found


@given(st.data())
@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
def test_any_moments_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.zrec"
    added = []
    with Keeper(path) as keeper:
        for number in range(data.draw(st.integers(1, 4))):
            added.append(data.draw(moments(seconds=10 * number)))
            keeper.add(added[-1])
    for one, other in zip(added, kept(path), strict=True):
        same(one, other)


def test_a_file_that_is_to_be_smaller_does_not_grow_while_somebody_reads_it(tmp_path: Path) -> None:
    """What it has to give back goes through its log, which a reader keeps from being written back."""
    path, host = tmp_path / "a.zrec", Host(60, 20)
    with Keeper(path) as keeper:
        for number in range(150):
            host.drift(1)
            keeper.add(host.moment(number))
    large = size_of(path)
    assert large > 1.2 * MIB
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM snapshots").fetchone()
        with Keeper(path, max_bytes=MIB) as keeper:
            assert size_of(path) <= large + MIB
            for refused in (lambda: keeper.add(host.moment(200)), lambda: keeper.add_kill(A_KILL)):
                with pytest.raises(StoreFull, match="somebody has been reading it for long"):
                    refused()
            assert size_of(path) <= large + MIB
            reader.execute("COMMIT")
            keeper.add(host.moment(201))
            keeper.add_kill(A_KILL)
            assert size_of(path) <= MIB
    assert size_of(path) <= MIB
    same(kept(path)[-1], host.moment(201))


def test_each_needs_its_key_at_most_and_a_new_key_begins_in_time(tmp_path: Path) -> None:
    path, made = tmp_path / "a.zrec", drifting(3, 3, 5)
    added = [next(made) for _ in range(SEGMENT_SNAPSHOTS + 3)]
    with Keeper(path) as keeper:
        for moment in added:
            keeper.add(moment)
    found = rows(path, "SELECT segment, count(*) FROM snapshots GROUP BY segment ORDER BY segment")
    assert [size for _, size in found] == [SEGMENT_SNAPSHOTS, 3]
    for one, other in zip(added, kept(path), strict=True):
        same(one, other)


def test_a_difference_that_does_not_pay_becomes_a_key(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    with Keeper(path) as keeper:
        keeper.add(Host(9, 20, seed=1, prefix="a").moment(0))
        keeper.add(Host(9, 20, seed=2, prefix="b").moment(10))
    assert rows(path, "SELECT id, segment FROM snapshots") == [(1, 1), (2, 2)]


def test_what_is_fetched_ahead_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the owners of all sets; what is left out is found when it is asked for."""
    path, most, size = tmp_path / "a.zrec", 100, 30
    monkeypatch.setattr("zonerss.history.identities._MOST_CACHED_OWNERS", most)
    sets = {number: tuple(range(number, number + size)) for number in range(1, 2001)}
    with Keeper(path) as keeper:
        keeper.add(next(drifting()))
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM sets")
        connection.executemany(
            "INSERT INTO sets (id, segment, owners) VALUES (?, 1, ?)",
            [(number, pack_numbers(owners)) for number, owners in sets.items()],
        )
        found = Found().begin(connection)
        found.fetch("sets", sets)
        assert most < found._cached_owners <= most + size
        assert all(found.owner_set(number) == owners for number, owners in sets.items())
    connection.close()


def test_a_recording_is_continued(tmp_path: Path) -> None:
    path, made = tmp_path / "a.zrec", drifting()
    added = [next(made) for _ in range(4)]
    for pair in (added[:2], added[2:]):
        with Keeper(path) as keeper:
            for moment in pair:
                keeper.add(moment)
    for one, other in zip(added, kept(path), strict=True):
        same(one, other)
    assert rows(path, "SELECT count(*) FROM zones WHERE name LIKE 'zone-%'") == [(3,)]


def test_it_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    before = os.umask(0)
    try:
        with Keeper(path) as keeper:
            keeper.add(next(drifting()))
            modes = {stat.S_IMODE(os.stat(f"{path}{s}").st_mode) for s in ("", "-wal", "-shm")}
    finally:
        os.umask(before)
    assert modes == {0o600}
    assert sorted(os.listdir(tmp_path)) == ["a.zrec"]


def test_what_is_older_is_forgotten_by_segments_and_what_only_they_refer_to(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    with Keeper(path, keep_seconds=300) as keeper:
        for number, prefix in enumerate("abcd"):
            host = Host(9, 9, seed=number, prefix=prefix)
            for step in range(3):
                keeper.add(host.moment(1000 * number + 10 * step))
    assert len(kept(path)) == 3
    assert rows(path, "SELECT DISTINCT substr(name, 1, 1) FROM zones WHERE container IS NOT NULL") == [("d",)]
    (oldest,) = rows(path, "SELECT min(segment) FROM snapshots")[0]
    for table in IDENTITIES:
        assert rows(path, f"SELECT count(*) FROM {table} WHERE segment < {oldest}") == [(0,)], table


def test_a_long_time_between_snapshots_keeps_no_more_than_a_sixteenth_of_what_is_to_be_kept(
    tmp_path: Path,
) -> None:
    path, host, hour, most = tmp_path / "a.zrec", Host(2, 2), 3600, []
    with Keeper(path, keep_seconds=24 * hour) as keeper, Recording(path) as recording:
        for number in range(60):
            keeper.add(host.moment(number * hour))
            first, last = recording.span()
            most.append((last - first).total_seconds() / hour)
    assert 24 <= max(most) <= 24 + 24 / 16


def test_adding_takes_no_longer_the_more_there_is(tmp_path: Path) -> None:
    """In steps of SQLite's virtual machine."""
    path, made, steps = tmp_path / "a.zrec", drifting(2, 2, 3), []
    with Keeper(path, keep_seconds=86400) as keeper:
        for _ in range(3):
            keeper.add(next(made))
    for more in (200, 3000):
        with sqlite3.connect(path) as connection:
            columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(snapshots)")]
            for _ in range(more):
                connection.execute(
                    f"INSERT INTO snapshots SELECT NULL, seq + 1, {', '.join(columns[2:])} "
                    "FROM snapshots, sqlite_sequence WHERE id = 1 AND name = 'snapshots'"
                )
        connection.close()
        with Keeper(path, keep_seconds=86400) as keeper:
            keeper.add(next(made))
            counted = count()
            keeper._connection.set_progress_handler(lambda counted=counted: next(counted) < 0, 1)
            keeper.add(next(made))
            steps.append(next(counted))
    assert steps[1] < 2 * steps[0]


def test_a_clock_that_is_set_forgets_nothing_and_is_told(tmp_path: Path) -> None:
    path, made = tmp_path / "a.zrec", drifting()
    with Keeper(path, keep_seconds=3600) as keeper:
        for step_seconds in (0, 86400, -3600):
            moment = next(made)
            jump = timedelta(seconds=step_seconds)
            shown = replace(
                moment.snapshot, began=moment.snapshot.began + jump, ended=moment.snapshot.ended + jump
            )
            keeper.add(replace(moment, snapshot=shown))
    by_time = kept(path)
    told = [[w.text for w in moment.snapshot.warnings if w.name == "clock"] for moment in by_time]
    assert told == [
        ["The clock of this host was set back by 90000 s since the snapshot before this one."],
        [],
        ["The clock of this host was set ahead by 86400 s since the snapshot before this one."],
    ]


DAY = 86400


def booted(host: Host, seconds: float, boot: str, uptime: float) -> Moment:
    """A moment of some boot, by a time of day that may be wrong."""
    up = Uptime(round(uptime * SECOND_NS), round(uptime * SECOND_NS))
    return replace(host.moment(seconds), boot_id=boot, uptime=up)


def test_a_clock_that_is_wrong_at_boot_forgets_nothing(tmp_path: Path) -> None:
    path, host = tmp_path / "a.zrec", Host(2, 2)
    wrong = 30 * 365 * DAY
    with Keeper(path, keep_seconds=7 * DAY) as keeper:
        for seconds in (0, 60):
            keeper.add(booted(host, seconds, "first", seconds))
        for uptime in (30, 60, 1200):  # then it is put right
            keeper.add(booted(host, wrong + uptime, "second", uptime))
        for uptime in (1260, 4000, 9000):
            keeper.add(booted(host, 600 + uptime, "second", uptime))
        assert len(kept(path)) == 8
        for days in range(1, 9):
            keeper.add(booted(host, 600 + days * DAY, "second", days * DAY))
    assert rows(path, "SELECT count(*) FROM snapshots WHERE id <= 4") == [(0,)]


def test_a_clock_that_was_behind_forgets_nothing_of_this_boot(tmp_path: Path) -> None:
    path, host = tmp_path / "a.zrec", Host(2, 2)
    for uptime in (0, 8000, 16000, 24000):
        with Keeper(path, keep_seconds=7 * DAY) as keeper:  # each begins a segment
            keeper.add(booted(host, uptime - (9999 * DAY if uptime < 8000 else 0), "first", uptime))
            keeper.add(booted(host, uptime + 4000, "first", uptime + 4000))
    assert len(kept(path)) == 8


def test_what_was_kept_before_a_long_time_off_is_forgotten_after_an_hour(tmp_path: Path) -> None:
    path, host, month = tmp_path / "a.zrec", Host(2, 2), 30 * DAY
    with Keeper(path, keep_seconds=7 * DAY) as keeper:
        keeper.add(booted(host, 0, "first", 100))
    with Keeper(path, keep_seconds=7 * DAY) as keeper:
        keeper.add(booted(host, month, "second", 60))
        keeper.add(booted(host, month + 3000, "second", 3060))
    assert len(kept(path)) == 3
    with Keeper(path, keep_seconds=7 * DAY) as keeper:
        for uptime in (3120, 7000):
            keeper.add(booted(host, month + uptime - 60, "second", uptime))
    assert rows(path, "SELECT id FROM snapshots") == [(2,), (3,), (4,), (5,)]


def test_another_boot_is_no_clock_that_was_set(tmp_path: Path) -> None:
    path, made = tmp_path / "a.zrec", drifting()
    with Keeper(path) as keeper:
        keeper.add(next(made))
        keeper.add(replace(next(made), boot_id="another", uptime=Uptime(5, 6)))
    assert all(moment.snapshot.warnings == () for moment in kept(path))


@given(st.integers(0, 1 << 30), st.integers(1, 4), st.lists(st.integers(1, 40), min_size=1, max_size=3))
@settings(max_examples=3, deadline=None)
def test_it_is_never_larger_than_it_may_be(
    tmp_path_factory: pytest.TempPathFactory, seed: int, mib: int, sizes: list[int]
) -> None:
    path, most, last = tmp_path_factory.mktemp("most") / "a.zrec", mib * MIB, None
    with Keeper(path, max_bytes=most) as keeper:
        for number, zones in enumerate(sizes * 6):
            last = Host(zones, 3 * zones, seed=seed + number, prefix=f"{number}-").moment(10 * number)
            keeper.add(last)
            assert size_of(path) <= most
    same(kept(path)[-1], last)


def test_the_oldest_goes_where_there_is_no_more_room(tmp_path: Path) -> None:
    path, times, added = tmp_path / "a.zrec", [], []
    with Keeper(path, max_bytes=LEAST_BYTES) as keeper, Recording(path) as recording:
        while len(times) == len(added):
            added.append(large(len(added)))
            keeper.add(added[-1])
            assert size_of(path) <= LEAST_BYTES
            times = recording.times()
    assert len(times) > 2
    for one, other in zip(added[-len(times) :], kept(path), strict=True):
        same(one, other)


def large(number: int) -> Moment:
    """A moment with nothing in common with others."""
    return Host(30, 30, seed=number, prefix=f"{number}{'x' * 500}").moment(10 * number)


def test_a_file_that_may_be_smaller_now_becomes_so(tmp_path: Path) -> None:
    path, number = tmp_path / "a.zrec", 0
    with Keeper(path) as keeper:
        while size_of(path) < 2 * LEAST_BYTES:
            number += 1
            keeper.add(large(number))
    with Keeper(path, max_bytes=LEAST_BYTES) as keeper:
        assert size_of(path) <= LEAST_BYTES
        keeper.add(last := large(number + 1))
        assert size_of(path) <= LEAST_BYTES
    same(kept(path)[-1], last)


def test_a_snapshot_that_cannot_fit_is_refused_and_smaller_ones_go_on(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    small = [Host(3, 3).moment(0), Host(3, 3).moment(20)]
    with Keeper(path, max_bytes=LEAST_BYTES) as keeper:
        keeper.add(small[0])
        with pytest.raises(StoreTooLarge, match="too few; raise --max-size"):
            keeper.add(Host(300, 300, prefix="x" * 3000).moment(10))
        keeper.add(small[1])
        assert size_of(path) <= LEAST_BYTES
    for one, other in zip(small, kept(path), strict=True):
        same(one, other)


@pytest.mark.parametrize(("bound", "most"), [("content.MOST_OWNERS", 100), ("figures.MOST_BYTES", 5000)])
def test_what_would_not_be_read_again_is_refused_and_smaller_ones_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bound: str, most: int
) -> None:
    path = tmp_path / "a.zrec"
    small = [Host(3, 3).moment(0), Host(3, 3).moment(20)]
    monkeypatch.setattr(f"zonerss.history.{bound}", most)
    with Keeper(path) as keeper:
        keeper.add(small[0])
        with pytest.raises(StoreTooLarge, match="too large to be read again"):
            keeper.add(Host(60, 60).moment(10))
        keeper.add(small[1])
    for one, other in zip(small, kept(path), strict=True):
        same(one, other)


def test_a_log_that_cannot_be_written_back_now_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Keeper) -> None:
        err = sqlite3.OperationalError("database or disk is full")
        err.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise err

    path, made = tmp_path / "a.zrec", drifting()
    monkeypatch.setattr(Keeper, "_write_back", full)
    with Keeper(path) as keeper:
        added = [next(made), next(made)]
        for moment in added:
            assert keeper.add(moment) > 0
    assert len(kept(path)) == len(added)


def test_too_few_bytes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        Keeper(tmp_path / "a.zrec", max_bytes=LEAST_BYTES - 1)
    assert os.listdir(tmp_path) == []


def test_one_writes_and_others_read_meanwhile(tmp_path: Path) -> None:
    path, made = tmp_path / "a.zrec", drifting()
    with Keeper(path) as keeper:
        keeper.add(next(made))
        with pytest.raises(CannotServe, match="another process records into"):
            Keeper(path)
        with Recording(path) as recording:
            for number in range(2, 6):
                keeper.add(next(made))
                assert len(recording.times()) == number
    with Keeper(path):
        pass


def test_a_reader_that_does_not_end_costs_no_more_than_its_share(tmp_path: Path) -> None:
    path, made = tmp_path / "a.zrec", map(large, count())
    with Keeper(path, max_bytes=LEAST_BYTES) as keeper:
        keeper.add(next(made))
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM snapshots").fetchall()
        refused = []
        for _ in range(9):
            try:
                keeper.add(next(made))
            except StoreFull as err:
                refused.append(str(err))
            assert size_of(path) <= LEAST_BYTES
        reader.close()
        assert "somebody has been reading it for long" in refused[-1]
        keeper.add(last := next(made))
    same(kept(path)[-1], last)


KILLED = """
import sys
from tests.unit.history.moments import Host
from zonerss.history.keeper import Keeper
host, number = Host(5, 5), 0
with Keeper(sys.argv[1], max_bytes=int(sys.argv[2])) as keeper:
    while True:
        keeper.add(host.moment(number))
        number += 1
        print(number, flush=True)
        host.drift()
"""
KILLS = int(os.environ.get("ZONERSS_KILLS", "4"))


REFUSED = """
from zonerss.errors import StoreFull
from zonerss.history import keeper as module
class Refused(module.Keeper):
    def add(self, moment):  # while somebody reads for long
        try:
            return super().add(moment)
        except StoreFull:
            return 0
module.Keeper = Refused
"""


def test_the_size_holds_whenever_somebody_looks(tmp_path: Path) -> None:
    """From outside, at full speed: the file with its log and index, until the oldest was forgotten twice."""
    path = tmp_path / "a.zrec"
    program = [sys.executable, "-c", f"{REFUSED}{KILLED}", str(path), str(LEAST_BYTES)]
    firsts: set[object] = set()
    with subprocess.Popen(program, stdout=subprocess.DEVNULL) as running:
        try:
            while len(firsts) < 3:
                assert running.poll() is None
                for _ in range(100):
                    # What moves out of the log is in the file before it leaves the log.
                    found = sum(map(there, (f"{path}-wal", f"{path}-shm", str(path))))
                    assert found <= LEAST_BYTES
                with suppress(CannotServe), Recording(path) as recording:  # it may be about to be made
                    firsts.update(recording.times()[:1])
        finally:
            running.kill()


def there(path: str) -> int:
    """Its size in bytes; 0: there is none."""
    return os.stat(path).st_size if os.path.exists(path) else 0


def test_kill_loses_the_last_snapshot_at_most(tmp_path: Path) -> None:
    for kill in range(KILLS):
        path = tmp_path / f"{kill}.zrec"
        program = [sys.executable, "-c", KILLED, str(path), str(LEAST_BYTES)]
        with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as running:
            assert running.stdout
            for _ in range(1 + kill % 7):
                running.stdout.readline()
            time.sleep(kill % 13 / 500)
            running.send_signal(signal.SIGKILL)
            told = [line for line in running.stdout if line.endswith("\n")]
        finished = 1 + kill % 7 + len(told)
        found = kept(path)
        assert finished <= len(found) <= finished + 1
        host = Host(5, 5)
        for number, moment in enumerate(found):
            same(moment, host.moment(number))
            host.drift()
        with Keeper(path) as keeper:
            keeper.add(host.moment(len(found)))
        assert len(kept(path)) == len(found) + 1


def test_what_is_no_recording_is_left_alone(tmp_path: Path) -> None:
    text, other = tmp_path / "text", tmp_path / "other.db"
    text.write_text("no database " * 1000)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    for path in (text, other):
        before = path.read_bytes()
        with pytest.raises(CannotServe, match="no recording of zonerss"):
            Keeper(path)
        assert path.read_bytes() == before


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    Keeper(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 4")
    connection.close()
    for opener in (Keeper, Recording):
        with pytest.raises(CannotServe, match="newer zonerss: its schema version is 4"):
            opener(path)


def test_links_and_what_others_can_write_to_are_refused(tmp_path: Path) -> None:
    real, link, shared, fifo = (tmp_path / name for name in ("real", "link", "shared", "fifo"))
    link.symlink_to(real)
    shared.touch()
    shared.chmod(0o666)
    os.mkfifo(fifo)
    for path in (link, shared, fifo, tmp_path):
        with pytest.raises(CannotServe, match="cannot record"):
            Keeper(path)
    assert not real.exists()
    (tmp_path / "new.zrec-wal").symlink_to(real)
    with pytest.raises(CannotServe, match="no regular file"):
        Keeper(tmp_path / "new.zrec")
    with pytest.raises(CannotServe, match="No such file or directory"):
        Keeper(tmp_path / "nowhere" / "a.zrec")


def opening(meanwhile: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """Who can write to the directory does so after the file was looked at, and before it is opened."""
    connect = sqlite3.connect

    def connect_later(name: str, **kwargs: Any) -> sqlite3.Connection:
        if name.startswith("file:"):
            meanwhile()
        return connect(name, **kwargs)

    monkeypatch.setattr(keeper.sqlite3, "connect", connect_later)


@pytest.mark.parametrize("other", ["empty", "link", "nothing", "link to nothing"])
def test_another_file_in_its_place_is_not_written_to(
    other: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, victim = tmp_path / "a.zrec", tmp_path / "victim"
    if other == "link":
        victim.touch()

    def put() -> None:
        path.rename(tmp_path / "away")
        if other.startswith("link"):
            path.symlink_to(victim)
        elif other == "empty":
            path.touch()

    opening(put, monkeypatch)
    with pytest.raises(
        CannotServe, match=r"cannot record: another file|cannot record into .*: unable to open"
    ):
        Keeper(path)
    assert victim.exists() == (other == "link")
    assert not victim.exists() or victim.stat().st_size == 0
    assert not path.exists() or path.stat().st_size == 0


@pytest.mark.parametrize("there", [False, True])
def test_where_everybody_can_make_files_nobody_puts_a_log_beside_it(
    there: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in /tmp. A journal names a file that SQLite deletes, a log has pages in place of the recording's."""
    tmp_path.chmod(0o1777)
    path, met = tmp_path / "a.zrec", []
    if there:
        with Keeper(path) as writer:
            writer.add(Host(2, 1).moment())

    def put() -> None:
        for suffix in BESIDE:
            with suppress(FileExistsError):
                os.close(os.open(f"{path}{suffix}", os.O_WRONLY | os.O_CREAT | os.O_EXCL))
                met.append(suffix)

    opening(put, monkeypatch)
    with Keeper(path) as writer:
        writer.add(Host(2, 1).moment())
        assert met == []
        assert not os.path.exists(f"{path}-journal")
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    with Recording(path) as recording:
        assert len(list(recording.moments())) == 1 + there


def test_where_everybody_can_replace_it_nothing_is_recorded(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(
        CannotServe, match=r"cannot record: everybody can put another file in place of .*a\.zrec"
    ):
        Keeper(tmp_path / "a.zrec")


@pytest.mark.parametrize("suffix", BESIDE)
def test_what_others_have_put_beside_it_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    beside = Path(f"{path}{suffix}")
    beside.write_bytes(b"x")
    os.chown(beside, 65534, 65534)
    with pytest.raises(CannotServe, match=r"belongs to the user 65534"):
        Keeper(path)
    assert beside.read_bytes() == b"x"


@pytest.mark.parametrize("size", [1, PAGE_SIZE, 10 * PAGE_SIZE])
def test_what_was_begun_and_not_finished_is_begun_anew(size: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    path.write_bytes(bytes(min(size, PAGE_SIZE)) + b"x" * (size - PAGE_SIZE))
    with Keeper(path) as writer:
        writer.add(Host(2, 1).moment())
    with Recording(path) as recording:
        assert len(list(recording.moments())) == 1


@pytest.mark.parametrize("name", [b"a?mode=ro&x=%41#\xc3\xa9\x7f.zrec", b"\xff\xfe.zrec", b"../../x/a.zrec"])
def test_a_path_may_have_any_characters(name: bytes, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    path = (
        f"/{tmp_path}/x/y/{os.fsdecode(name)}"
        if name.startswith(b".")
        else f"/{tmp_path}/{os.fsdecode(name)}"
    )
    with Keeper(path) as writer:
        writer.add(Host(2, 1).moment())
    with Recording(path) as recording:
        assert len(list(recording.moments())) == 1


def test_the_host_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    with Keeper(path) as keeper:
        keeper.add(Host(2, 1, name="host-7").moment())
    with Recording(path) as recording:
        assert recording.host_name == "host-7"
        assert recording.schema_version == 3
        assert recording.span() == (builders.BEGAN, builders.BEGAN)


@pytest.mark.parametrize("there", [False, True])
def test_where_everybody_may_make_files_the_log_has_its_name(tmp_path: Path, there: bool) -> None:
    """Without it a reader meanwhile sees nothing, and what ends the writer takes all since the last writing back."""
    tmp_path.chmod(0o1777)
    path = tmp_path / "a.zrec"
    if there:
        Keeper(path).close()
    with Keeper(path) as writer:
        writer.add(Host(2, 1).moment())
        assert len(kept(path)) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
