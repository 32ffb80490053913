"""Processes that the kernel really kills, each by the limit of a cgroup of ours: what was before is kept and told."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.eaters import Eater
from tests.live import needs
from tests.live.cgroups import Hierarchy, move
from tests.live.measure import Zone
from tests.live.serving import Served
from tests.live.test_record import Running, begin, demand_whole  # noqa: F401  a fixture among them
from zonerss.commands import main
from zonerss.errors import ZonerssError
from zonerss.history.blackbox import BlackBox, Kills
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording
from zonerss.history.ring import Ring
from zonerss.kernel.oom import KernelLog
from zonerss.records.kills import ToldBy
from zonerss.snapshot import Session

MIB = 2**20
LIMIT = 48 * MIB
ROOM = MIB
"""For a recorder that is short of memory, beyond what it has."""


class Hog(Eater):
    """Never takes more than twice its zone's limit."""

    def __init__(self, zone: Zone) -> None:
        super().__init__(zone.path)
        self.taken = 0

    def take(self, mib: int) -> bool:
        """False: it was killed."""
        self.taken += mib
        assert self.taken * MIB < 2 * LIMIT
        return self.take_bytes(mib * MIB)

    def take_to_the_limit(self) -> None:
        """Until it is killed."""
        while self.take(2):
            pass
        assert self.process.wait(60) == -9


@pytest.fixture
def limited(make_zone: Callable) -> Zone:
    """A zone with a limit of its own, and no swap: nothing else can be hit."""
    zone: Zone = make_zone("limited")
    version = Hierarchy().version
    name = "memory.max" if version == 2 else "memory.limit_in_bytes"
    if not (zone.path / name).exists():
        needs.skip("needs_cgroups", "there is no memory controller")
    (zone.path / name).write_text(str(LIMIT))
    with suppress(OSError):
        (zone.path / ("memory.swap.max" if version == 2 else "memory.swappiness")).write_text("0")
    return zone


@pytest.fixture
def hog(limited: Zone) -> Iterator[Callable[[], Hog]]:
    hogs: list[Hog] = []

    def make() -> Hog:
        hogs.append(Hog(limited))
        return hogs[-1]

    yield make
    for one in hogs:
        one.end()


def demand_log() -> None:
    try:
        KernelLog().close()
    except OSError as err:
        needs.skip("needs_kernel_log", str(err))


def test_two_kills_are_kept_with_what_was_before(
    limited: Zone, hog: Callable[[], Hog], tmp_path: Path
) -> None:
    demand_log()
    path, said = tmp_path / "a.zrec", []
    with ExitStack() as stack:
        keeper = stack.enter_context(Keeper(path))
        ring, kills = stack.enter_context(Ring(300.0)), Kills()
        stack.callback(kills.close)
        session = stack.enter_context(Session())
        box = BlackBox(keeper, ring, kills, 1.0, said.append)
        first, second = hog(), hog()
        box.look(session, lambda: 0.0)
        first.take(20)
        box.look(session, lambda: 0.0)
        assert box.tally.kills == 0
        first.take_to_the_limit()
        second.take_to_the_limit()  # before anybody has asked about the first
        box.look(session, lambda: 0.0)
        assert (box.tally.kills, box.tally.kills_lost, box.tally.looks_kept) == (2, 0, 2)
    with Recording(path) as recording:
        found = [kill for kill in recording.kills() if kill.pid in (first.pid, second.pid)]
        assert [kill.pid for kill in found] == [first.pid, second.pid]
        looks = list(recording.moments())
    for kill in found:
        assert kill.told_by in (ToldBy.TRACEPOINT, ToldBy.LOG)
        assert (kill.cgroup, kill.limit_cgroup, kill.limit_bytes) == (limited.name, limited.name, LIMIT)
        assert kill.constraint == "CONSTRAINT_MEMCG"
        assert f"Killed process {kill.pid} " in kill.words
        assert looks[-1].snapshot.ended <= kill.time
        assert any(f"has killed pid {kill.pid}, " in sentence for sentence in said)
    before, after = (
        next(usage.rss_bytes for usage in look.snapshot.groupings[1].zones if usage.zone == limited.name)
        for look in looks
    )
    assert 19 * MIB < after - before < 24 * MIB


def test_the_ring_is_locked_and_never_larger(tmp_path: Path) -> None:
    """What zonerss itself takes, look by look: nothing beyond what it has had from the beginning."""
    with Keeper(tmp_path / "a.zrec") as keeper, Session() as session, Ring(300.0, 1 << 16) as ring:
        kills = Kills()
        if ring.why_not_locked:
            needs.skip("needs_memory", ring.why_not_locked)
        box = BlackBox(keeper, ring, kills, 1.0, print)
        locked = locked_bytes()
        looks = 0
        while len(ring) == looks:  # how much a look takes depends on what runs here; each takes some
            box.look(session, lambda: 0.0)
            looks += 1
            assert ring.used_bytes <= 1 << 16
        assert locked_bytes() == locked >= 1 << 16
        kills.close()


def locked_bytes() -> int:
    rows = Path("/proc/self/status").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("VmLck:"))


def told(capsys: pytest.CaptureFixture[str], path: Path, *pids: int) -> list[dict[str, Any]]:
    """What autopsy tells of the kills of some processes, in the order of time."""
    assert main(["autopsy", "--no-config", str(path), "--json"]) == 0
    kills: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["kills"]
    return [one for one in kills if one["pid"] in pids]


def test_serve_keeps_what_was_before_a_kill(
    limited: Zone, hog: Callable[[], Hog], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demand_log()
    path = tmp_path / "a.zrec"
    box = ("--black-box", "1m/0.2s", "--max-cpu", "100")
    with Served("--listen", "127.0.0.1:0", "--interval", "1h", "--record", str(path), *box) as served:
        served.wait(lambda: times_in(path), "the first look")
        while len(times_in(path)) < 3:  # the walk's, and those of the box before the latest kill
            victim = hog()
            victim.take_to_the_limit()
            served.wait(lambda: f"has killed pid {victim.pid}, " in served.log, "it to notice")  # noqa: B023
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(60) == 0
    (kill,) = told(capsys, path, victim.pid)
    assert (kill["limit_cgroup"], kill["limit_bytes"]) == (limited.name, LIMIT)
    assert len(kill["before"]) >= 2


def test_serve_says_what_its_budget_allows_the_black_box(tmp_path: Path) -> None:
    budget = ("--black-box", "1m/0.1s", "--max-cpu", "0.1")
    with Served("--listen", "127.0.0.1:0", "--record", str(tmp_path / "a.zrec"), *budget) as served:
        served.wait(lambda: "allows the black box" in served.log, "what it may do")
        found = re.search(
            r"half of --max-cpu 0\.1% allows the black box a look about every ([\d.]+) s rather than every 0\.1 s; "
            r"--max-cpu ([\d.]+)% would do",
            served.log,
        )
        assert found, served.log
        assert float(found[1]) > 0.1
        assert float(found[2]) > 0.1


def test_nothing_is_lost_where_the_recorder_itself_is_short_of_memory(
    limited: Zone,
    hog: Callable[[], Hog],
    make_zone: Callable[[str], Zone],
    begin: Callable[..., Running],  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its cgroup may have next to no memory more: the ring is there already, and locked."""
    demand_log()
    path, tight = tmp_path / "a.zrec", make_zone("tight")
    peak, limit = tight.path / "memory.peak", tight.path / "memory.max"
    if Hierarchy().version == 1:
        peak, limit = tight.path / "memory.max_usage_in_bytes", tight.path / "memory.limit_in_bytes"
    if not peak.exists():
        needs.skip("needs_cgroups", "this kernel does not tell the peak of a cgroup's charge")
    victim = hog()
    options = ("-o", str(path), "--interval", "0.5s", "--black-box", "1m/0.5s")
    recorder = begin(*options, before_exec=lambda: move(os.getpid(), tight.path))
    recorder.line_with("recording ")

    def look_on(count: int) -> None:
        first = len(times_in(path))
        while len(times_in(path)) < first + count:
            assert recorder.process.poll() is None
            time.sleep(0.1)

    look_on(3)
    limit.write_text(str(int(peak.read_text()) + ROOM))
    victim.take(20)
    look_on(2)
    victim.take_to_the_limit()
    recorder.line_with(f"has killed pid {victim.pid}, ")
    status, rest = recorder.end()
    assert status == 0, rest
    (kill,) = told(capsys, path, victim.pid)
    assert (kill["limit_cgroup"], kill["limit_bytes"]) == (limited.name, LIMIT)
    assert len(kill["before"]) >= 3
    demand_whole(path)


def times_in(path: Path) -> list[datetime]:
    try:
        with Recording(path) as recording:
            return list(recording.times())
    except ZonerssError:  # it has not begun yet
        return []
