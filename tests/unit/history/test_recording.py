"""The reader of a recording: times, what is damaged, what a stranger may have made."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.unit import builders
from tests.unit.history.moments import SECOND_NS, Host, same

from zonerss.errors import CannotServe, Damaged, TooManyKills, UsageError
from zonerss.history import content
from zonerss.history.content import SHAPES
from zonerss.history.figures import MOST_BYTES, Table, pack, pack_numbers
from zonerss.history.keeper import (
    LEAST_BYTES,
    MACHINE_KILLS,
    MOST_KILLS,
    SEGMENT_SNAPSHOTS,
    ZONE_KILLS,
    Keeper,
)
from zonerss.history.moment import REPORTED_STATS, Moment
from zonerss.history.recording import Recording
from zonerss.history.replay import PastSession
from zonerss.history.schema import BESIDE, SCHEMA_VERSION, SECTIONS
from zonerss.kernel.boot import Uptime
from zonerss.plain import replace
from zonerss.records.kills import Kill, ToldBy

DAMAGES = int(os.environ.get("ZONERSS_DAMAGES", "60"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Moment]]:
    """Six moments, ten seconds apart."""
    path, host, added = tmp_path_factory.mktemp("made") / "a.zrec", Host(5, 5, name="made"), []
    with Keeper(path) as keeper:
        for number in range(6):
            added.append(host.moment(10 * number))
            keeper.add(added[-1])
            host.drift()
    return path, added


@pytest.fixture
def copied(made: tuple[Path, list[Moment]], tmp_path: Path) -> Path:
    shutil.copy(made[0], tmp_path / "a.zrec")
    return tmp_path / "a.zrec"


def test_what_was_the_last_at_a_time(made: tuple[Path, list[Moment]]) -> None:
    path, added = made
    with Recording(path) as recording:
        assert recording.times() == [moment.snapshot.began for moment in added]
        assert recording.span() == (added[0].snapshot.began, added[-1].snapshot.began)
        for seconds, number in ((0, 0), (9.9, 0), (10, 1), (29, 2), (50, 5), (9999, 5)):
            same(recording.at(builders.BEGAN + timedelta(seconds=seconds)), added[number])
        with pytest.raises(CannotServe, match="goes from 2026-11-22 12:00:00"):
            recording.at(builders.BEGAN - timedelta(seconds=1))


def test_the_last_one_kept_is_not_the_latest_where_the_clock_was_set_back(tmp_path: Path) -> None:
    path, host, added = tmp_path / "a.zrec", Host(3, 3), []
    with Keeper(path) as keeper:
        for at, seconds in enumerate((0, 3600, 10, 20)):
            moment = host.moment(seconds)
            uptime = Uptime(at * 10 * SECOND_NS, at * 10 * SECOND_NS)  # which nobody sets
            added.append(replace(moment, uptime=uptime))
            keeper.add(added[-1])
            host.drift()
    with Recording(path) as recording:
        assert recording.latest() == added[-1].snapshot.began
        now = PastSession(recording)
        assert now.moment.snapshot.began == added[-1].snapshot.began
        numbers = recording.before(recording.latest(), 2)
        for number, moment in zip(numbers, added[1:3], strict=True):
            assert recording.numbered(number).snapshot.began == moment.snapshot.began
        assert recording.before(recording.span()[1], 9) == [1]
        with pytest.raises(CannotServe, match="has no snapshot 99"):
            recording.numbered(99)


def test_the_moments_between_two_times(made: tuple[Path, list[Moment]]) -> None:
    path, added = made
    with Recording(path) as recording:
        found = list(recording.moments(added[2].snapshot.began, added[4].snapshot.began))
    for one, other in zip(added[2:5], found, strict=True):
        same(one, other)


def test_numbers_of_those_between_two_times_and_a_lean_moment(made: tuple[Path, list[Moment]]) -> None:
    path, moments = made
    with Recording(path) as recording:
        began = [moment.snapshot.began for moment in moments]
        numbers = recording.between(began[1], began[2])
        assert len(numbers) == 2
        for number, moment in zip(numbers, moments[1:3], strict=True):
            lean = replace(moment, holdings=None, billed=None, cgroups={})
            same(recording.numbered(number, lean=True), lean)
            same(recording.numbered(number), moment)
            assert figures_in(recording.figures(number)) == figures_in(moment)
        assert len(recording.between()) == len(moments)


def figures_in(moment: Moment) -> tuple[Any, ...]:
    """What a report looks at."""
    snapshot = moment.snapshot
    stats = {
        path: {name: bill.stat[name] for name in REPORTED_STATS if name in bill.stat}
        for path, bill in moment.bills.items()
    }
    return (
        *(
            snapshot.began,
            snapshot.zones,
            snapshot.groupings,
            snapshot.total,
            snapshot.machine,
            snapshot.gaps,
        ),
        *(snapshot.processes, [(one.task.pid, one.task.start_ticks) for one in snapshot.members]),
        *(stats, moment.open_files, moment.boot_id, moment.processors),
    )


def test_reading_leaves_nothing_beside_the_file(made: tuple[Path, list[Moment]]) -> None:
    path, _ = made
    before = path.read_bytes()
    with Recording(path) as recording:
        recording.at(builders.BEGAN)
        assert os.listdir(path.parent) == [path.name]
    assert os.listdir(path.parent) == [path.name]
    assert path.read_bytes() == before


def test_what_is_recorded_after_it_was_opened_is_seen(copied: Path) -> None:
    with Recording(copied) as recording:
        assert len(recording.times()) == 6
        with Keeper(copied) as keeper:
            keeper.add(Host(5, 5).moment(60))
            assert len(recording.times()) == 7
        assert len(recording.times()) == 7


def test_a_writer_that_came_and_went_between_two_reads_is_noticed(copied: Path) -> None:
    host = Host(5, 5, name="later")
    with Recording(copied) as recording:
        recording.at(builders.BEGAN)
        with Keeper(copied) as keeper:
            for number in range(6, 40):
                keeper.add(host.moment(10 * number))
                host.drift()
        assert len(recording.times()) == 40
        same(recording.at(builders.BEGAN + timedelta(hours=1)), later := list(recording.moments())[-1])
        assert later.host_name == "later"
        assert recording.damaged == []


def test_another_file_in_its_place_is_noticed(copied: Path, tmp_path: Path) -> None:
    """Whether or not somebody writes to it: what was remembered of the first is not taken for what is in the second."""
    other = Host(4, 9, seed=5, name="other").moment(0)
    for is_written in (False, True):
        path, second = tmp_path / f"{is_written}.zrec", tmp_path / "second.zrec"
        shutil.copy(copied, path)
        with Keeper(second) as keeper:
            keeper.add(other)
        with ExitStack() as stack:
            if is_written:
                stack.enter_context(Keeper(path))
            recording = stack.enter_context(Recording(path))
            recording.at(builders.BEGAN)
            for suffix in ("", *BESIDE):
                if os.path.exists(f"{path}{suffix}"):
                    os.rename(f"{path}{suffix}", f"{path}.old{suffix}")
            os.rename(second, path)
            same(recording.at(builders.BEGAN), other)


def test_what_changes_while_it_is_read_is_read_once_more(
    made: tuple[Path, list[Moment]], copied: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, changes = Recording._sections, 1

    def changing(self: Recording, *key: Any) -> Any:
        nonlocal changes
        found = read(self, *key)
        if changes:
            changes -= 1
            os.utime(copied, ns=(changes, changes))
        return found

    with Recording(copied) as recording:
        monkeypatch.setattr(Recording, "_sections", changing)
        same(recording.at(builders.BEGAN), made[1][0])
        changes = 9
        with pytest.raises(CannotServe, match="is being replaced while it is read"):
            recording.at(builders.BEGAN)


def test_nothing_was_recorded_yet(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    with Keeper(path), Recording(path) as recording:
        assert recording.times() == []
        assert recording.host_name == ""
        for ask in (recording.span, lambda: recording.at(builders.BEGAN)):
            with pytest.raises(CannotServe, match="no snapshots yet"):
                ask()


def test_what_is_no_recording(tmp_path: Path) -> None:
    text, empty, fifo, other = (tmp_path / name for name in ("text", "empty", "fifo", "other"))
    text.write_text("no database " * 1000)
    empty.touch()
    os.mkfifo(fifo)
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE snapshots (id)")
    connection.close()
    for path, why in (
        (text, "no recording of zonerss"),
        (empty, "nothing was recorded"),
        (fifo, "no regular file"),
        (tmp_path, "no regular file"),
        (other, "another database"),
        (tmp_path / "missing", "there is no "),
    ):
        with pytest.raises(CannotServe, match=why):
            Recording(path)


def test_an_empty_name_is_refused_as_such() -> None:
    with pytest.raises(UsageError, match="the name of the recording is empty"):
        Recording("")


@pytest.fixture
def left() -> Iterator[Path]:
    """A recording as a recorder has it open, in a directory that everybody can list."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        with Keeper(directory / "open.zrec") as keeper:
            keeper.add(Host(2, 1).moment(0))
            for suffix in ("", "-wal", "-shm"):
                shutil.copy(directory / f"open.zrec{suffix}", directory / f"a.zrec{suffix}")
                (directory / f"a.zrec{suffix}").chmod(0o644)
        yield directory / "a.zrec"


@contextmanager
def unprivileged() -> Iterator[None]:
    """Root may read what its mode forbids: it is another user meanwhile, as with setpriv(1)."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(before)


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_which_file_may_not_be_read(left: Path, suffix: str) -> None:
    with unprivileged(), Recording(left) as recording:
        assert len(recording.times()) == 1
    os.chmod(f"{left}{suffix}", 0)
    with unprivileged(), pytest.raises(CannotServe) as caught:
        Recording(left)
    assert str(caught.value) == f"cannot read {left}{suffix}: Permission denied"


def test_a_log_that_is_a_pipe_is_not_waited_for(copied: Path) -> None:
    os.mkfifo(f"{copied}-wal")
    with pytest.raises(CannotServe, match="no regular file"):
        Recording(copied)


def test_a_file_that_ends_early(copied: Path) -> None:
    whole = copied.read_bytes()
    for size in (*range(0, 4096, 512), *range(4096, len(whole), 8192)):
        copied.write_bytes(whole[:size])
        read_all(copied)


def read_all(path: Path) -> int:
    """How many moments could be read, whatever was done to the file: sentences, or moments."""
    found = 0
    try:
        with Recording(path) as recording:
            recording.times()
            for moment in recording.moments():
                found += len(moment.snapshot.zones) > 0
            assert all("cannot be read" in sentence for sentence in recording.damaged)
            recording.at(builders.BEGAN + timedelta(hours=1))
    except CannotServe:
        pass
    return found


def test_any_damage_is_a_sentence(copied: Path) -> None:
    whole, chance = copied.read_bytes(), random.Random(7)
    for _ in range(DAMAGES):
        data = bytearray(whole)
        for _ in range(chance.choice((1, 1, 10, 100))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        copied.write_bytes(data)
        read_all(copied)


def test_a_damaged_snapshot_is_left_out_and_said(made: tuple[Path, list[Moment]], copied: Path) -> None:
    change(copied, "UPDATE snapshots SET parts = zeroblob(9) WHERE id = 3")
    with Recording(copied) as recording:
        found = list(recording.moments())
        (sentence,) = recording.damaged
        with pytest.raises(Damaged, match=r"cannot be read: no zlib stream"):
            recording.at(builders.BEGAN + timedelta(seconds=20))
    assert sentence.startswith("the snapshot of 2026-11-22 12:00:20+00:00 in ")
    for one, other in zip([m for n, m in enumerate(made[1]) if n != 2], found, strict=True):
        same(one, other)


@pytest.mark.parametrize("value", ["9e999", "-9e999", "1e30", "0.5", "'x'", "x'00'"])
def test_a_time_that_is_none_takes_that_snapshot_only(
    made: tuple[Path, list[Moment]], copied: Path, value: str
) -> None:
    whole = [moment for number, moment in enumerate(made[1]) if number != 2]
    change(copied, f"UPDATE snapshots SET began_ns = {value} WHERE id = 3")
    with Recording(copied) as recording:
        assert recording.times() == [moment.snapshot.began for moment in whole]
        assert recording.span() == (whole[0].snapshot.began, whole[-1].snapshot.began)
        same(recording.at(builders.BEGAN + timedelta(seconds=20)), whole[1])
        found = list(recording.moments())
        assert recording.damaged == [f"the snapshot 3 in {copied} cannot be read: its time is none"]
    for one, other in zip(whole, found, strict=True):
        same(one, other)


@pytest.mark.parametrize("column", ["ended_ns", "monotonic_ns", "boottime_ns", "clock_step_ns"])
@pytest.mark.parametrize("value", ["9e999", "0.5", "'x'"])
def test_other_times_that_are_none(copied: Path, column: str, value: str) -> None:
    change(copied, f"UPDATE snapshots SET {column} = {value} WHERE id = 3")
    with Recording(copied) as recording:
        assert len(list(recording.moments())) == 5
        (sentence,) = recording.damaged
    assert sentence.endswith("cannot be read: a time that is none")


def change(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(statement, values)
    connection.close()


def in_json(path: Path, edit: Callable[[dict[str, object]], object]) -> None:
    with sqlite3.connect(path) as connection:
        for number, blob in connection.execute("SELECT id, other FROM snapshots").fetchall():
            other = json.loads(zlib.decompress(blob))
            edit(other)
            packed = zlib.compress(json.dumps(other).encode())
            connection.execute("UPDATE snapshots SET other = ? WHERE id = ?", (packed, number))
    connection.close()


BOMB = zlib.compress(bytes(MOST_BYTES + 1))
HOSTILE = {
    "owners that are not there": "UPDATE owners SET zone = 1234567",
    "zones of another type": "UPDATE zones SET name = 7",
    "a process of text": "UPDATE processes SET pid = 'x'",
    "no owners": "DELETE FROM owners",
    "no texts": "DELETE FROM texts",
    "no files": "DELETE FROM files",
    "a kind that is none": "UPDATE files SET kind = 'x'",
    "aliases that are no list": "UPDATE files SET aliases = '{}'",
    "aliases that are too deep": f"UPDATE files SET aliases = '{'[' * 100_000}'",
    "segments in a circle": "UPDATE snapshots SET segment = 7 - id",
    "segments of nothing": "UPDATE snapshots SET segment = 99",
    "sections of text": "UPDATE snapshots SET zones = 'x'",
    "sections swapped": "UPDATE snapshots SET zones = parts, parts = zones",
    "times of text": "UPDATE snapshots SET ended_ns = 'x'",
    "sets of text": "UPDATE sets SET owners = 'x'",
    "sets of nobody": f"UPDATE sets SET owners = x'{pack_numbers([77777]).hex()}'",
    "sets of all": f"UPDATE sets SET owners = x'{pack_numbers(range(1, 100_000)).hex()}'",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_a_stranger_may_have_written(copied: Path, name: str) -> None:
    change(copied, HOSTILE[name])
    assert read_all(copied) == 0


@pytest.mark.parametrize("column", ["other", "zones", "parts", "processes", "bills", "holdings", "payers"])
def test_a_blob_that_is_a_bomb(copied: Path, column: str) -> None:
    change(copied, f"UPDATE snapshots SET {column} = ?", BOMB)
    assert read_all(copied) == 0


@pytest.mark.parametrize("member", ["source", "gaps", "warnings", "processors", "page_size", "walk_ns"])
def test_json_of_another_type(copied: Path, member: str) -> None:
    in_json(copied, lambda other: other.update({member: {"x": 1}}))
    assert read_all(copied) == 0


def test_figures_that_no_machine_has(copied: Path) -> None:
    rows = [((n,), (-1, 1 << 65, 0, 0, 0)) for n in range(1, 4)]
    change(copied, "UPDATE snapshots SET parts = ?", pack([Table.of(rows, 1, 5)]))
    assert read_all(copied) == 0


@pytest.mark.parametrize(("section", "table"), [("zones", 0), ("zones", 1), ("processes", 0), ("bills", 1)])
def test_figures_that_are_larger_than_memory_can_be(copied: Path, section: str, table: int) -> None:
    """Their sums would not fit where others are added up."""
    keys, figures = SHAPES[section][table]
    rows = [((1,) * keys, (1, *([1 << 63] * (figures - 1))) if figures > 1 else (1 << 63,))]
    tables = [Table.of(rows if n == table else [], *shape) for n, shape in enumerate(SHAPES[section])]
    if (section, table) == ("zones", 0):
        tables[1] = Table.of([((1,), (1,) * figures)], *SHAPES[section][1])
    change(copied, f"UPDATE snapshots SET {section} = ?", pack(tables))
    with Recording(copied) as recording:
        assert list(recording.moments()) == []
        assert all("a figure that is larger than memory can be" in said for said in recording.damaged)


def test_sets_that_would_fill_the_memory(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content, "MOST_OWNERS", 3)
    assert read_all(copied) == 0


def test_sections_that_would_fill_the_memory_together(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(copied) as connection:
        blobs = connection.execute(f"SELECT {', '.join(SECTIONS)} FROM snapshots WHERE id = 1").fetchone()
    connection.close()
    sizes = [len(zlib.decompress(blob)) for blob in blobs]
    assert read_all(copied) == 6
    monkeypatch.setattr("zonerss.history.figures.MOST_BYTES", sum(sizes))
    assert read_all(copied) == 6
    monkeypatch.setattr("zonerss.history.figures.MOST_BYTES", sum(sizes) - 1)
    assert read_all(copied) == 0


def test_a_set_that_would_fill_the_memory(copied: Path) -> None:
    change(copied, "UPDATE sets SET owners = ?", b"\1" * ((1 << 20) + 1))
    with Recording(copied) as recording:
        assert list(recording.moments()) == []
        assert "a set of owners of more than 1,048,576 bytes" in recording.damaged[0]


def test_what_is_refused_is_not_remembered(copied: Path) -> None:
    in_json(copied, lambda other: other.update(basis=7))
    with Recording(copied) as recording:
        assert list(recording.moments()) == []
        assert recording._key is None
        assert not any(recording._found._cached.values())


def test_views_and_triggers_are_refused(copied: Path) -> None:
    for statement in (
        "CREATE TRIGGER t AFTER INSERT ON texts BEGIN DELETE FROM texts; END",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TABLE more (a)",
    ):
        change(copied, statement)
        for opener in (Recording, Keeper):
            with pytest.raises(CannotServe, match="its tables are not those"):
                opener(copied)
        change(copied, f"DROP {statement.split()[1]} {statement.split()[2]}")
    with Recording(copied):
        pass


@pytest.mark.parametrize(
    "row",
    [
        (
            "trigger",
            "sqlite_t",
            "texts",
            "CREATE TRIGGER sqlite_t AFTER INSERT ON texts BEGIN DELETE FROM texts; END",
        ),
        (
            "trigger",
            "sqliteXt",
            "texts",
            "CREATE TRIGGER sqliteXt AFTER INSERT ON texts BEGIN DELETE FROM texts; END",
        ),
        (
            "trigger",
            "texts",
            "texts",
            "CREATE TRIGGER texts AFTER INSERT ON texts BEGIN DELETE FROM texts; END",
        ),
        ("view", "sqlite_stat1", "sqlite_stat1", "CREATE VIEW sqlite_stat1 AS SELECT 1"),
        ("table", "sqlite1", "sqlite1", "CREATE TABLE sqlite1 (a)"),
    ],
    ids=lambda row: " ".join(row[:2]),
)
def test_what_has_a_name_as_of_sqlites_own_is_refused(copied: Path, row: tuple[str, ...]) -> None:
    change(copied, "INSERT INTO sqlite_master VALUES (?, ?, ?, 0, ?)", *row)
    for opener in (Recording, Keeper):
        with pytest.raises(CannotServe, match=r"no recording of zonerss"):
            opener(copied)


@pytest.mark.parametrize("member", ["walk_ns", "walk_pages", "unsettled_bytes", "processors"])
def test_numbers_that_no_machine_has(copied: Path, member: str) -> None:
    in_json(copied, lambda other: other.update({member: 1 << 63}))
    assert read_all(copied) == 0


def test_pages_of_another_size_are_refused(copied: Path) -> None:
    in_json(copied, lambda other: other.update(page_size=65536))
    with Recording(copied) as recording, pytest.raises(CannotServe, match="its pages have 65536 bytes"):
        recording.at(builders.BEGAN)


# ---- kills, and what is kept late ------------------------------------------------------------------------


def file_bytes(path: Path) -> int:
    return sum(part.stat().st_size for part in path.parent.glob(f"{path.name}*"))


def kill(second: float, **fields: Any) -> Kill:
    at = builders.BEGAN + timedelta(seconds=second)
    told = Kill(
        at,
        7,
        "w\udcff",
        "web",
        "/a",
        "/a/b",
        4096,
        "CONSTRAINT_MEMCG",
        ToldBy.TRACEPOINT,
        "oom-kill:\nKilled",
    )
    return replace(told, **fields)


def nothing_told(second: float) -> Kill:
    fields = ("pid", "command", "zone", "cgroup", "limit_cgroup", "limit_bytes", "constraint")
    return kill(second, **dict.fromkeys(fields), told_by=ToldBy.COUNTER, words="")


def test_kills_are_kept_and_read_in_the_order_of_time(tmp_path: Path) -> None:
    path, host = tmp_path / "a.zrec", Host(2, 2)
    kills = [kill(5), nothing_told(3), kill(9, words="x" * 100_000)]
    with Keeper(path) as keeper:
        keeper.add(host.moment(0))
        for one in kills:
            keeper.add_kill(one)
    with Recording(path) as recording:
        found = recording.kills()
    assert list(found[:2]) == [kills[1], kills[0]]
    assert len(found[2].words) == 8192
    assert recording.damaged == []


def test_where_the_clock_was_set_back_the_kill_that_was_kept_last_is_the_last(tmp_path: Path) -> None:
    path, host = tmp_path / "a.zrec", Host(2, 2)
    with Keeper(path) as keeper:
        for seconds, one in ((0, kill(5)), (10, kill(-3595))):
            moment, step = host.moment(seconds), timedelta(hours=-1 if seconds else 0)
            shown = replace(
                moment.snapshot, began=moment.snapshot.began + step, ended=moment.snapshot.ended + step
            )
            keeper.add(replace(moment, snapshot=shown))
            keeper.add_kill(one)
    with Recording(path) as recording:
        assert recording.kills() == [kill(5), kill(-3595)]


def test_kills_go_with_the_snapshots_of_their_time(tmp_path: Path) -> None:
    path, host = tmp_path / "a.zrec", Host(2, 2)
    with Keeper(path, keep_seconds=60) as keeper:
        for number in range(200):
            keeper.add(host.moment(number))
            keeper.add_kill(kill(number))
    with Recording(path) as recording:
        first = recording.times()[0]
        assert first > builders.BEGAN + timedelta(seconds=100)
        assert recording.kills()[0].time >= first


def test_kills_count_for_the_most_that_the_file_may_have(tmp_path: Path) -> None:
    """Those of a storm, too, and the recording goes on after it."""
    path, host = tmp_path / "a.zrec", Host(2, 2)
    with Keeper(path, max_bytes=LEAST_BYTES) as keeper:
        for number in range(60):
            keeper.add(host.moment(number))
            for _ in range(6):
                keeper.add_kill(kill(number, words="x" * 8192))
            assert file_bytes(path) <= LEAST_BYTES
        keeper.add(host.moment(61))
        keeper.add_kill(kill(61))
        assert file_bytes(path) <= LEAST_BYTES
    with Recording(path) as recording:
        assert recording.kills()[-1].time == kill(61).time
        assert recording.latest() is not None


def test_a_storm_of_kills_takes_no_snapshot_with_it(tmp_path: Path) -> None:
    """Who is killed again and again, as a stranger can be by a limit of its own, fills no recording."""
    path, host = tmp_path / "a.zrec", Host(2, 2)
    with Keeper(path) as keeper:
        keeper.add(host.moment(0))
        for _ in range(ZONE_KILLS):
            keeper.add_kill(kill(1))
        with pytest.raises(TooManyKills, match=f"{ZONE_KILLS} kills of {kill(1).zone} of this time are in"):
            keeper.add_kill(kill(2))
        assert keeper.add(host.moment(1)) > 0
        for number in range(2, SEGMENT_SNAPSHOTS + 1):
            keeper.add(host.moment(number))
        keeper.add_kill(kill(99))  # of the next segment
    with Recording(path) as recording:
        assert [one.time for one in recording.kills()] == [kill(1).time] * ZONE_KILLS + [kill(99).time]
        assert len(recording.times()) == SEGMENT_SNAPSHOTS + 1


def test_a_storm_of_kills_takes_no_kills_of_others_with_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    whole = replace(kill(5), limit_cgroup=None, constraint="CONSTRAINT_NONE")  # of the same zone
    others = [replace(kill(3), zone="other"), replace(kill(4), zone=None), replace(kill(6), constraint=None)]
    with Keeper(path) as keeper:
        keeper.add(Host(2, 2).moment(0))
        for number in range(1000):
            with suppress(TooManyKills):
                keeper.add_kill(replace(kill(1), zone="storm", cgroup=f"/storm/{number}"))
        for one in (*others, whole):
            keeper.add_kill(one)
        for number in range(1000):  # zones without number
            with suppress(TooManyKills):
                keeper.add_kill(replace(kill(7), zone=f"storm-{number}"))
        with pytest.raises(TooManyKills, match=f"{MOST_KILLS} kills of zones of this time"):
            keeper.add_kill(replace(kill(8), zone="late"))
        for _ in range(MACHINE_KILLS - 1):
            keeper.add_kill(whole)
        with pytest.raises(TooManyKills, match=f"{MACHINE_KILLS} kills of the whole machine of this time"):
            keeper.add_kill(whole)
    with Recording(path) as recording:
        found = recording.kills()
    assert len(found) == MOST_KILLS + MACHINE_KILLS
    assert sum(one.zone == "storm" for one in found) == ZONE_KILLS
    assert [one for one in found if one in others] == others
    assert sum(one.is_of_machine for one in found) == MACHINE_KILLS


def test_a_kill_before_the_first_snapshot_of_a_continued_recording_goes_with_the_last_one(
    copied: Path,
) -> None:
    with Keeper(copied) as keeper:
        keeper.add_kill(kill(55))
    with closing(sqlite3.connect(copied)) as connection:
        (segment,) = connection.execute("SELECT segment FROM kills").fetchone()
        assert (segment,) == connection.execute("SELECT max(segment) FROM snapshots").fetchone()


@pytest.mark.parametrize("value", ["x" * 1_000_000, b"\xff" * 1_000_000])
def test_of_a_strangers_kill_no_more_is_read_than_a_kill_has(copied: Path, value: Any) -> None:
    with Keeper(copied) as keeper:
        keeper.add_kill(kill(55))
    change(copied, "UPDATE kills SET words = ?, cgroup = ?", value, value)
    with Recording(copied) as recording:
        (found,) = recording.kills()
    assert len(found.words) == 1 << 15
    assert len(found.cgroup or "") == 4096


def as_version_1(path: Path) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE kills")
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'kills'")
        connection.execute("PRAGMA user_version = 1")
    connection.close()


def test_version_1_is_read_and_becomes_todays_when_it_is_continued(copied: Path) -> None:
    as_version_1(copied)
    with Recording(copied) as recording:
        times = recording.times()
        assert (recording.schema_version, list(recording.kills())) == (1, [])
    with Keeper(copied) as keeper:
        keeper.add_kill(kill(55))
    with Recording(copied) as recording:
        assert (recording.schema_version, recording.times()) == (SCHEMA_VERSION, times)
        assert [one.pid for one in recording.kills()] == [7]


def test_of_version_2_nothing_is_known_of_images_and_what_is_added_later_has_them(tmp_path: Path) -> None:
    path, host = tmp_path / "a.zrec", Host(3, 3)
    with Keeper(path) as keeper:
        keeper.add(replace(host.moment(), images=None))
        keeper.add(replace(host.moment(10), images=None))
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 2")
    connection.close()
    with Recording(path) as recording:
        assert recording.schema_version == 2
        assert [moment.images for moment in recording.moments()] == [None, None]
    with Keeper(path) as keeper:
        keeper.add(host.moment(20))
        keeper.add(replace(host.moment(30), images={}))
        keeper.add(replace(host.moment(40), images=None))
        keeper.add(host.moment(50))
    with Recording(path) as recording:
        assert recording.schema_version == 3
        expected = host.moment().images
        found = [moment.images for moment in recording.moments()]
    assert found == [None, None, expected, {}, None, expected]
    assert expected
    assert {image.name for image in expected.values()} == {f"registry.example/app-{n}:1" for n in range(3)}


def test_a_version_1_with_tables_of_version_2_is_refused(copied: Path) -> None:
    with sqlite3.connect(copied) as connection:
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    for opener in (Recording, Keeper):
        with pytest.raises(CannotServe, match="not those of schema version 1"):
            opener(copied)


@pytest.mark.parametrize(
    ("column", "value"),
    [("pid", "x"), ("limit_bytes", b"\0"), ("told_by", "nobody"), ("time_ns", "soon"), ("command", 7)],
)
def test_a_damaged_kill_is_left_out_and_named(copied: Path, column: str, value: Any) -> None:
    with Keeper(copied) as keeper:
        keeper.add_kill(kill(3))
        keeper.add_kill(kill(4))
    with sqlite3.connect(copied) as connection:
        connection.execute(f"UPDATE kills SET {column} = ? WHERE id = 1", (value,))
    connection.close()
    with Recording(copied) as recording:
        assert [one.time for one in recording.kills()] == [kill(4).time]
        assert "a kill in" in recording.damaged[-1]


def test_what_is_kept_late_has_its_place_in_time(tmp_path: Path) -> None:
    """Looks of a black box are older than the snapshot that was kept last."""
    path, host = tmp_path / "a.zrec", Host(3, 3)
    at = {seconds: host.moment(seconds, lean=seconds % 10 != 0) for seconds in (0, 2, 4, 6, 10, 12, 20)}
    with Keeper(path) as keeper:
        for seconds in (0, 10, 2, 4, 6, 12, 20):
            keeper.add(at[seconds])
    with Recording(path) as recording:
        began = {moment.snapshot.began: seconds for seconds, moment in at.items()}
        assert [began[time] for time in recording.times()] == sorted(at)
        assert began[recording.latest()] == 20
        before = recording.before(recording.latest(), 9)
        assert [began[recording.numbered(n).snapshot.began] for n in before] == [0, 2, 4, 6, 10, 12]
        assert not any(caveat.name == "clock" for m in recording.moments() for caveat in m.snapshot.warnings)
    with Keeper(path) as keeper:  # what it remembers of the file is the last one by time
        keeper.add(host.moment(30))
    with Recording(path) as recording:
        assert recording.latest() == builders.BEGAN + timedelta(seconds=30)
