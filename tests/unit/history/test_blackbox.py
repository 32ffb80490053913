"""The black box: who was killed, told once, and what was before is kept."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.unit.history.moments import Host

from zonerss.answers.autopsy import LastLook, autopsy
from zonerss.errors import CannotServe, StoreFull, StoreTooLarge
from zonerss.history import blackbox
from zonerss.history.blackbox import (
    BlackBox,
    Kills,
    joined,
    kill_sentence,
    of_program,
    opening_sentences,
    shared_out,
)
from zonerss.history.keeper import LEAST_BYTES, Keeper
from zonerss.history.moment import Moment
from zonerss.history.recording import Recording
from zonerss.history.ring import Ring
from zonerss.kernel.cgroupfs import MemoryHierarchy
from zonerss.kernel.killers import ProgramKill
from zonerss.kernel.oom import LoggedKill, LogLine
from zonerss.motion.victims import Victim
from zonerss.plain import replace
from zonerss.records.kills import Kill, ToldBy

NOW = datetime(2026, 11, 28, 12, 0, 10, tzinfo=UTC)
SECOND = 1_000_000_000


def logged(pid: int = 100, at_ns: int = 3 * SECOND, **fields: Any) -> LoggedKill:
    told = LoggedKill(at_ns, pid, "worker", "CONSTRAINT_MEMCG", "/docker/5f", "/docker", 96 << 20, "words")
    return replace(told, **fields)


def kill(pid: int = 100, second: int = 3) -> Kill:
    at = NOW + timedelta(seconds=second)
    return Kill(at, pid, "x", "zone-0000", "/a", "/a", 1, "CONSTRAINT_MEMCG", ToldBy.LOG, "words")


class Told:
    """Tells the kills that it was given, and of which look it was asked with each."""

    def __init__(self, *rounds: Sequence[Kill]) -> None:
        self._rounds = list(rounds)
        self.asked: list[Moment | None] = []
        self.troubles: list[str | None] = []

    def since_last(self, latest: Moment | None) -> tuple[list[Kill], int]:
        self.asked.append(latest)
        return (list(self._rounds.pop(0)) if self._rounds else []), 0

    def trouble(self) -> str | None:
        return self.troubles.pop(0) if self.troubles else None

    def close(self) -> None:
        pass


@contextmanager
def box_of(
    path: Path, told: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[BlackBox, Keeper, list[str]]]:
    host, said, seconds = Host(2, 2), [], iter(range(1000))
    monkeypatch.setattr(blackbox, "take_moment", lambda _, lean: host.moment(next(seconds), lean=lean))
    with Keeper(path) as keeper, Ring(300, 1 << 18) as ring:
        yield BlackBox(keeper, ring, told, 2.0, said.append), keeper, said


def look(box: BlackBox, times: int = 1) -> None:
    for _ in range(times):
        box.look(None, lambda: 0.0)  # type: ignore[arg-type]


# ---- who was killed --------------------------------------------------------------------------------------


def test_the_tracepoint_and_the_log_tell_of_one_kill() -> None:
    (found,) = joined([Victim(4 * SECOND, 100, "worker")], [logged()], (0, 10 * SECOND), NOW, None)
    assert found.told_by is ToldBy.TRACEPOINT
    assert found.time == NOW - timedelta(seconds=6)
    assert (found.limit_cgroup, found.limit_bytes, found.words) == ("/docker", 96 << 20, "words")


def test_each_may_know_of_kills_that_the_other_does_not() -> None:
    found = joined(
        [Victim(7 * SECOND, 5, None), Victim(2 * SECOND, 6, "b")], [logged(9)], (0, 10 * SECOND), NOW, None
    )
    assert [(one.pid, one.command, one.told_by) for one in found] == [
        (6, "b", ToldBy.TRACEPOINT),
        (9, "worker", ToldBy.LOG),
        (5, None, ToldBy.TRACEPOINT),
    ]


def test_the_logs_clock_may_be_off() -> None:
    """A kill was between the last asking and now, whatever its time stamp says."""
    early, late = joined([], [logged(1, 1), logged(2, 99 * SECOND)], (8 * SECOND, 10 * SECOND), NOW, None)
    assert (early.time, late.time) == (NOW - timedelta(seconds=2), NOW)


def test_the_victims_zone_is_that_of_the_last_look() -> None:
    latest = Host(3, 3).moment()
    pid = latest.snapshot.members[0].task.pid
    there, below, gone = joined(
        [],
        [
            logged(pid, 1),
            logged(9999, 2, cgroup=f"{latest.snapshot.zones[1].cgroup}/inner"),
            logged(9998, 3, cgroup="/nowhere"),
        ],
        (0, SECOND),
        NOW,
        latest,
    )
    assert there.zone == latest.snapshot.members[0].zones[0].name
    assert below.zone == latest.snapshot.zones[1].zone
    assert gone.zone is None


def bare(monkeypatch: pytest.MonkeyPatch) -> Kills:
    """Where neither bcc nor the log serve."""

    def refuse(*_: object) -> None:
        raise CannotServe("bcc is missing: install Debian's python3-bpfcc")

    def forbid(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("zonerss.motion.victims.VictimTracer", refuse)
    monkeypatch.setattr(blackbox, "KernelLog", forbid)
    return Kills()


def counted(second: int, kills: int) -> Moment:
    moment = Host(2, 2).moment(second)
    groupings = list(moment.snapshot.groupings)
    one, *rest = groupings[-1].zones
    groupings[-1] = replace(groupings[-1], zones=(replace(one, oom_kills=kills), *rest))
    return replace(moment, snapshot=replace(moment.snapshot, groupings=tuple(groupings)))


def test_without_both_a_cgroups_counter_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = bare(monkeypatch)
    assert kills.since_last(None) == ([], 0)
    assert kills.since_last(counted(0, 7)) == ([], 0)  # those were before
    found, lost = kills.since_last(counted(2, 9))
    assert ([(one.pid, one.told_by) for one in found], lost) == ([(None, ToldBy.COUNTER)] * 2, 0)
    assert found[0].cgroup == counted(2, 9).snapshot.groupings[-1].zones[0].cgroup
    assert kills.since_last(counted(4, 9)) == ([], 0)


def test_a_kill_of_the_last_process_of_a_cgroup_is_told_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It has none any more at the next look, and is asked for all that; once it is removed it is not."""

    def moment(second: int, counts: dict[str, int]) -> Moment:
        found = counted(second, 0)
        *rest, last = found.snapshot.groupings
        one = last.zones[0]
        zones = tuple(replace(one, zone=path, cgroup=path, oom_kills=n) for path, n in counts.items())
        groupings = (*rest, replace(last, zones=zones))
        return replace(found, snapshot=replace(found.snapshot, groupings=groupings))

    kills = bare(monkeypatch)
    monkeypatch.setattr(blackbox, "find_memory_hierarchy", lambda _: MemoryHierarchy(2, tmp_path, "/"))
    inner = tmp_path / "a" / "b" / "memory.events"
    inner.parent.mkdir(parents=True)
    inner.write_text("oom_kill 1\n")
    both, upper = {"/a": 0, "/a/b": 0}, {"/a": 0}
    told = [[kill.cgroup for kill in kills.since_last(moment(n, both))[0]] for n in range(2)]
    told += [[kill.cgroup for kill in kills.since_last(moment(n, upper))[0]] for n in range(2, 4)]
    inner.write_text("oom_kill 2\n")
    told += [[kill.cgroup for kill in kills.since_last(moment(4, {**both, "/a/b": 2}))[0]]]
    inner.unlink()
    told += [[kill.cgroup for kill in kills.since_last(moment(n, upper))[0]] for n in range(5, 7)]
    assert told == [[], [], ["/a/b"], [], ["/a/b"], [], []]


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = bare(monkeypatch)
    with Ring(300, 4096) as ring:
        said = [line for line in opening_sentences(ring, kills) if "swapped" not in line]
    assert said == [
        "oom:mark_victim cannot be traced: bcc is missing: install Debian's python3-bpfcc",
        "the kernel's log cannot be read (Operation not permitted): of a kill limit and constraint are not known",
        "kills are told by a cgroup's count of kills, at each look",
    ]


def test_more_kills_than_are_kept_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    kills = bare(monkeypatch)
    kills.since_last(counted(0, 0))
    found, lost = kills.since_last(counted(2, blackbox.ZONE_KILLS + 5))
    assert (len(found), lost) == (blackbox.ZONE_KILLS, 5)


def test_a_storm_leaves_room_for_kills_of_others() -> None:
    storm, other = [kill()] * 1000, replace(kill(), zone="other")
    whole = replace(kill(), constraint="CONSTRAINT_NONE")
    assert shared_out([*storm, other, *storm, whole]) == [*storm[: blackbox.ZONE_KILLS], other, whole]
    assert shared_out([whole] * 1000) == [whole] * blackbox.MACHINE_KILLS


def test_each_storm_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them, look after look: not the last one only, and not again at each look."""
    other = replace(kill(), zone="other", cgroup="/other")
    rounds = [[kill(), other]] * (blackbox.ZONE_KILLS + 3)
    with box_of(tmp_path / "a.zrec", Told([], *rounds), monkeypatch) as (box, _, said):
        look(box, 1 + len(rounds))
        assert (box.tally.kills, box.tally.kills_lost) == (2 * blackbox.ZONE_KILLS, 6)
    refused = [line for line in said if line.startswith("a kill is not kept")]
    assert len(refused) == 2
    assert f"{blackbox.ZONE_KILLS} kills of zone-0000 of this time" in refused[0]
    assert f"{blackbox.ZONE_KILLS} kills of other of this time" in refused[1]


@pytest.mark.parametrize("late", [0, 1, 2, 3])
def test_one_kill_is_told_once_whenever_its_line_comes(late: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tracepoint tells it first; the line comes before any of the readings that follow."""
    line = LogLine(1, "Memory cgroup out of memory: Killed process 100 (worker) total-vm:1kB")

    class Machine:
        """A tracepoint and a log; the kill happens when the log is first read, its line ``late`` calls later."""

        calls = -1
        told = logged = False

        def __init__(self, *_: object) -> None:
            pass

        def _step(self) -> int:
            Machine.calls += 1
            return Machine.calls

        def close(self) -> None:
            pass

    class Tracer(Machine):
        def read(self) -> tuple[list[Victim], int]:
            self._step()
            if Machine.told:
                return [], 0
            Machine.told = True
            return [Victim(1, 100, "worker")], 0

    class Log(Machine):
        def read(self) -> list[LogLine]:
            if self._step() <= late or Machine.logged:
                return []
            Machine.logged = True
            return [line]

    monkeypatch.setattr("zonerss.motion.victims.VictimTracer", Tracer)
    monkeypatch.setattr(blackbox, "KernelLog", Log)
    monkeypatch.setattr(blackbox, "_LOG_LAGS_SECONDS", 0)
    kills = Kills()
    told = [kill for _ in range(3) for kill in kills.since_last(None)[0]]
    assert [(kill.pid, kill.told_by) for kill in told] == [(100, ToldBy.TRACEPOINT)]
    assert Machine.logged


def test_a_kill_between_the_two_questions_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    line = LogLine(1, "Memory cgroup out of memory: Killed process 100 (worker) total-vm:1kB")
    happened: list[int] = []

    class Tracer:
        told = False

        def __init__(self, *_: object) -> None:
            pass

        def read(self) -> tuple[list[Victim], int]:
            news = bool(happened) and not self.told
            self.told = self.told or news
            happened.append(1)  # right after the first question
            return ([Victim(1, 100, "worker")] if news else []), 0

    class Log:
        told = False

        def read(self) -> list[LogLine]:
            news = bool(happened) and not self.told
            self.told = self.told or news
            return [line] if news else []

    monkeypatch.setattr("zonerss.motion.victims.VictimTracer", Tracer)
    monkeypatch.setattr(blackbox, "KernelLog", Log)
    kills = Kills()
    told = [kill for _ in range(3) for kill in kills.since_last(None)[0]]
    assert [(kill.pid, kill.told_by) for kill in told] == [(100, ToldBy.TRACEPOINT)]


# ---- what is kept ----------------------------------------------------------------------------------------


def test_nothing_is_kept_while_nothing_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with box_of(tmp_path / "a.zrec", told := Told(), monkeypatch) as (box, _, said):
        look(box, 5)
        assert (box.tally.looks, box.tally.looks_kept, box.tally.kills) == (5, 0, 0)
    assert said == []
    assert len(told.asked) == 5
    with Recording(tmp_path / "a.zrec") as recording:
        assert recording.times() == recording.kills() == [] or not recording.times()


def test_what_was_before_a_kill_is_kept_and_a_second_kill_as_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one comes while the first is being kept: the next asking finds it."""
    told = Told([], [], [kill(7)], [kill(8)], [])
    with box_of(tmp_path / "a.zrec", told, monkeypatch) as (box, keeper, said):
        look(box, 2)
        keeper.add(regular := Host(2, 2).moment(1.5))
        look(box, 3)
        box.keep_kills()
        assert (box.tally.looks_kept, box.tally.kills, box.tally.kills_lost) == (3, 2, 0)
    with Recording(tmp_path / "a.zrec") as recording:
        assert [one.pid for one in recording.kills()] == [7, 8]
        assert recording.kills()[0] == kill(7)
        seconds = [(at - regular.snapshot.began).total_seconds() for at in recording.times()]
        assert seconds == [-1.5, -0.5, 0, 0.5]
        assert recording.latest() == recording.times()[-1]
    assert said == [kill_sentence(kill(7)), kill_sentence(kill(8))]


def test_what_cannot_be_had_any_more_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = Told()
    told.troubles = [None, "journalctl has ended"]
    with box_of(tmp_path / "a.zrec", told, monkeypatch) as (box, _, said):
        look(box, 4)
    assert said == ["journalctl has ended"]


def test_where_there_is_no_room_that_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with box_of(tmp_path / "a.zrec", Told([], [kill(), kill(9)]), monkeypatch) as (box, keeper, said):
        look(box)
        monkeypatch.setattr(
            keeper, "add_kill", lambda _: (_ for _ in ()).throw(StoreFull("the disk is full"))
        )
        look(box)
        assert (box.tally.kills, box.tally.kills_lost) == (0, 2)
    assert said == [
        kill_sentence(kill()),
        "a kill is not kept, or not all that was before it: the disk is full",
    ]


@pytest.mark.parametrize(("refusal", "looks"), [(StoreTooLarge, 1), (StoreFull, 0)])
def test_a_look_for_which_there_is_no_room_takes_no_kill_with_it(
    refusal: type[StoreFull], looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that is too large is passed over: the others may fit."""
    with box_of(tmp_path / "a.zrec", Told([], [], [kill()]), monkeypatch) as (box, keeper, said):
        look(box, 2)
        add, refused = keeper.add, []

        def add_all_but_the_first(moment: Moment, beside_kills: bool) -> int:
            if not refused:
                refused.append(moment)
                raise refusal("no room")
            return add(moment, beside_kills)

        monkeypatch.setattr(keeper, "add", add_all_but_the_first)
        look(box)
        assert (box.tally.looks_kept, box.tally.kills, box.tally.kills_lost) == (looks, 1, 0)
    assert said == [kill_sentence(kill()), "a kill is not kept, or not all that was before it: no room"]


def test_what_ends_a_look_does_not_end_the_keeping(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    within: list[str] = []

    @contextmanager
    def while_looking() -> Iterator[None]:
        within.append("in")
        yield
        within.append("out")

    with box_of(tmp_path / "a.zrec", told := Told([kill()]), monkeypatch) as (box, keeper, _):
        monkeypatch.setattr(keeper, "add_kill", lambda _: within.append("kept"))
        box.look(None, lambda: 0.0, while_looking)  # type: ignore[arg-type]
    assert within == ["in", "out", "kept"]
    assert len(told.asked) == 1


def test_a_kill_is_kept_before_the_looks_and_the_newest_look_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends the process meanwhile leaves a whole file with the kill and the looks so far; autopsy tells of them."""
    path = tmp_path / "a.zrec"
    child = os.fork()
    if not child:
        with box_of(path, Told([], [], [], [kill(7)]), monkeypatch) as (box, keeper, _):
            add, added = keeper.add, list[Moment]()

            def add_one_and_die_in_the_next(moment: Moment, beside_kills: bool = False) -> int:
                if added:
                    keeper._connection.execute("BEGIN IMMEDIATE")
                    os.kill(os.getpid(), signal.SIGKILL)
                added.append(moment)
                return add(moment, beside_kills)

            monkeypatch.setattr(keeper, "add", add_one_and_die_in_the_next)
            look(box, 4)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with Recording(path) as recording:
        assert [one.pid for one in recording.kills()] == [7]
        (newest,) = [one.snapshot for one in recording.moments()]
        assert recording.damaged == []
        told = autopsy(recording.kills()[0], [newest], LastLook(newest, None, {}, {}))
    assert newest.began == Host(2, 2).moment(2).snapshot.began
    assert (told.looks, [one.bytes for one in told.grown]) == ((newest,), [0, 0])
    with Keeper(path) as keeper:  # it is continued
        keeper.add(Host(2, 2).moment(60))


def test_a_recorder_that_is_to_end_keeps_looks_a_moment_longer_and_the_rest_where_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zrec"
    with box_of(path, Told([], [], [], [kill(7)]), monkeypatch) as (box, _, _):
        look(box, 3)
        monkeypatch.setattr(blackbox, "_LAST_SECONDS", 0.0)
        monkeypatch.setattr(box, "_is_ending", lambda: box.tally.looks_kept == 1)
        box.keep_kills()
        assert (box.tally.kills, box.tally.looks_kept) == (1, 1)
        monkeypatch.setattr(box, "_is_ending", lambda: False)
        box.keep_kills()
        assert (box.tally.kills, box.tally.looks_kept) == (1, 3)
        box.keep_kills()
        assert box.tally.looks_kept == 3
    with Recording(path) as recording:
        assert len(recording.times()) == 3
        assert recording.latest() == recording.times()[-1]


def test_many_looks_are_kept_with_one_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with box_of(tmp_path / "a.zrec", Told(*[[]] * 40, [kill(7)]), monkeypatch) as (box, keeper, _):
        look(box, 40)
        sync, waits = os.fdatasync, list[int]()
        monkeypatch.setattr(os, "fdatasync", lambda fd: (waits.append(fd), sync(fd)))
        within = list[int]()
        add = keeper.add

        def note(moment: Moment, beside_kills: bool = False) -> int:
            within.append(keeper._pragma("synchronous"))
            return add(moment, beside_kills)

        monkeypatch.setattr(keeper, "add", note)
        box.keep_kills()
        assert box.tally.looks_kept == 40
        assert within == [1] * 40  # NORMAL: a transaction does not wait
        assert len(waits) == 1 + 40 // blackbox._LOOKS_AT_ONCE + 1
        assert keeper._pragma("synchronous") == 2


def test_looks_of_before_a_kill_do_not_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than --max-size has room for: the newest are kept, and the kill."""
    path, noise, said = tmp_path / "a.zrec", random.Random(1), list[str]()
    with Keeper(path, max_bytes=LEAST_BYTES) as keeper, Ring(300) as ring:
        keeper.add(Host(2, 2).moment(0))
        box = BlackBox(keeper, ring, Told([kill(250)]), 2.0, said.append)  # type: ignore[arg-type]
        for number in range(200):
            name = "".join(chr(noise.randrange(0x4E00, 0x9F00)) for _ in range(5000))
            ring.add(replace(Host(2, 2).moment(1 + number, lean=True), host_name=name))
        box.keep_kills()
        assert 5 < box.tally.looks_kept < 200
    with Recording(path) as recording:
        assert [one.time for one in recording.kills()] == [kill(250).time]
        first = Host(2, 2).moment(0).snapshot.began
        seconds = [(at - first).total_seconds() for at in recording.times()]
    assert seconds[-box.tally.looks_kept :] == [*range(201 - box.tally.looks_kept, 201)]
    assert "what was before a kill takes more than 1,048,576 bytes leave for it" in said[-1]


def test_what_keeping_costs_is_no_part_of_what_looks_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spent = [0.0]
    with box_of(tmp_path / "a.zrec", Told([], [kill(7)]), monkeypatch) as (box, keeper, _):
        monkeypatch.setattr(blackbox.time, "thread_time", lambda: spent[0])
        add_kill = keeper.add_kill

        def costly(one: Kill) -> None:
            spent[0] += 50.0
            add_kill(one)

        monkeypatch.setattr(keeper, "add_kill", costly)
        for _ in range(2):
            box.look(None, lambda: spent[0])  # type: ignore[arg-type]
        assert (box.tally.processor_seconds, box.tally.keeping_seconds) == (0.0, 50.0)


def test_what_a_program_ends_is_kept_as_a_kill() -> None:
    """That the process ended by the signal is a guess, and no limit is known."""
    asked = ProgramKill(
        1_764_329_269_000_000, "earlyoom", 411, "chrome", None, "sending SIGTERM to process 411"
    )
    found = of_program(asked)
    assert (found.pid, found.command, found.told_by) == (411, "chrome", ToldBy.EARLYOOM)
    assert (found.limit_cgroup, found.constraint, found.words) == (None, None, asked.words)
    assert found.time.isoformat() == "2025-11-28T11:27:49+00:00"
    assert kill_sentence(found).startswith("earlyoom has killed pid 411, chrome, for want of memory")
    oomd = of_program(ProgramKill(0, "systemd-oomd", None, None, "/shop", "Killed /shop due to"))
    assert kill_sentence(oomd).startswith("systemd-oomd has killed the processes of /shop for want of memory")


def test_programs_are_asked_beside_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = ProgramKill(0, "earlyoom", 411, "chrome", None, "sending SIGTERM to process 411")
    kills = Kills()
    kills.close()
    told = SimpleNamespace(read=lambda: [asked], close=lambda: None, trouble=lambda: None)
    monkeypatch.setattr(kills, "_tracer", None)
    monkeypatch.setattr(kills, "_log", None)
    monkeypatch.setattr(kills, "_programs", told)
    found, lost = kills.since_last(None)
    assert (found, lost) == ([of_program(asked)], 0)


def test_the_sentence_of_a_kill() -> None:
    assert kill_sentence(kill()) == (
        "the kernel has killed pid 100, x, of zone-0000 for want of memory: the limit of /a; zonerss autopsy tells more"
    )
    unknown = Kill(NOW, None, None, None, "/a", None, None, None, ToldBy.COUNTER)
    assert "has killed a process of /a for want of memory" in kill_sentence(unknown)
    whole = replace(kill(), limit_cgroup=None, constraint="CONSTRAINT_NONE", zone=None, cgroup=None)
    assert "has killed pid 100, x, for want of memory: CONSTRAINT_NONE" in kill_sentence(whole)
