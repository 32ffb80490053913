"""Processes that the kernel really kills, each by the limit of a cgroup of ours: what was before is kept and told."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.cgroups import Hierarchy, move
from tests.live.measure import Zone
from zonerss.history.blackbox import BlackBox, Kills
from zonerss.history.keeper import Keeper
from zonerss.history.recording import Recording
from zonerss.history.ring import Ring
from zonerss.kernel.oom import KernelLog
from zonerss.records.kills import ToldBy
from zonerss.snapshot import Session

MIB = 2**20
LIMIT = 48 * MIB
HOG = """
import sys
held = []
print("here", flush=True)
for line in sys.stdin:
    block = bytearray(int(line) << 20)  # b"x" * n would take it twice for a moment
    block[::4096] = b"x" * len(range(0, len(block), 4096))
    held.append(block)
    print("done", flush=True)
"""


class Hog:
    """A process in a zone that takes as much memory as it is told to, and never more than twice the zone's limit."""

    def __init__(self, zone: Zone) -> None:
        self.taken = 0
        self.process = subprocess.Popen(
            [sys.executable, "-S", "-c", HOG],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: move(os.getpid(), zone.path),
        )
        self.pid = self.process.pid
        assert self._says() == "here\n"

    def _says(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def take(self, mib: int) -> bool:
        """False: it was killed."""
        self.taken += mib
        assert self.taken * MIB < 2 * LIMIT
        assert self.process.stdin
        try:
            print(mib, file=self.process.stdin, flush=True)
            return self._says() == "done\n"
        except BrokenPipeError:
            return False

    def take_all(self) -> None:
        while self.take(2):
            pass
        assert self.process.wait(60) == -9

    def end(self) -> None:
        self.process.kill()
        with suppress(BrokenPipeError):
            self.process.communicate()


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
        first.take_all()
        second.take_all()  # before anybody has asked about the first
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
