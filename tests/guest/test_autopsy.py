"""Processes that the kernel kills: by a limit of version 2, and of the whole machine. What was before is kept and told.

The machine is made to have little memory left by a process that the kernel kills last; those that it shall kill have
the highest oom_score_adj there is, and all others are spared.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.eaters import Eater
from tests.live.measure import Zone
from tests.live.test_autopsy import (  # noqa: F401  fixtures among them
    LIMIT,
    MIB,
    Hog,
    hog,
    limited,
    test_the_ring_is_locked_and_never_larger,
    test_two_kills_are_kept_with_what_was_before,
    told,
)
from zonerss.history.blackbox import BlackBox, Kills
from zonerss.history.keeper import Keeper
from zonerss.history.ring import Ring
from zonerss.snapshot import Session

LEFT = 160 * MIB
"""For the test, the kernel and the two that are killed."""


@pytest.fixture
def spared() -> Iterator[None]:
    """This test, and whatever else runs on the machine, is not what the kernel kills."""
    before = {}
    for path in Path("/proc").glob("[0-9]*/oom_score_adj"):
        try:
            before[path] = path.read_text()
            path.write_text("-900")
        except OSError:
            continue  # it has left
    assert not Path("/proc/swaps").read_text().splitlines()[1:], "with swap nobody is killed for a long time"
    yield
    for path, score in before.items():
        try:
            path.write_text(score)
        except OSError:
            continue


@pytest.fixture
def eater(spared: None) -> Iterator[Callable[[Zone, int], Eater]]:
    eaters: list[Eater] = []

    def make(zone: Zone, score: int) -> Eater:
        eaters.append(Eater(zone.path, score))
        return eaters[-1]

    yield make
    for one in eaters:
        one.end()


@pytest.fixture
def watching(tmp_path: Path) -> Iterator[tuple[BlackBox, Session]]:
    """A black box, its ring in memory before there is little of it."""
    said: list[str] = []
    with ExitStack() as stack:
        keeper = stack.enter_context(Keeper(tmp_path / "a.zrec"))
        ring, kills = stack.enter_context(Ring(300.0)), Kills()
        stack.callback(kills.close)
        assert not kills.missing
        session = stack.enter_context(Session())
        yield BlackBox(keeper, ring, kills, 1.0, said.append), session


def available_bytes() -> int:
    rows = Path("/proc/meminfo").read_text().splitlines()
    return next(int(row.split()[1]) * 1024 for row in rows if row.startswith("MemAvailable:"))


def rss_of(look: dict[str, Any], zone: str) -> int:
    return next(int(one["rss_bytes"]) for one in look["zones"] if one["zone"].endswith(zone))


def test_the_limit_of_a_cgroup(
    limited: Zone,  # noqa: F811
    hog: Callable[[], Hog],  # noqa: F811
    watching: tuple[BlackBox, Session],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    box, session = watching
    victim, second = hog(), hog()
    box.look(session, lambda: 0.0)
    victim.take(20)
    box.look(session, lambda: 0.0)
    victim.take_to_the_limit()
    second.take_to_the_limit()  # before anybody has asked about the first
    box.look(session, lambda: 0.0)
    kills = told(capsys, tmp_path / "a.zrec", victim.pid, second.pid)
    assert [one["pid"] for one in kills] == [victim.pid, second.pid]
    for one in kills:
        assert (one["limit_cgroup"], one["limit_bytes"], one["constraint"]) == (
            limited.name,
            LIMIT,
            "CONSTRAINT_MEMCG",
        )
        assert one["bill"]["cgroup"] == limited.name
        assert len(one["before"]) == 2
        grown = next(row for row in one["growth"] if row["zone"] == one["zone"])
        assert 19 * MIB < grown["last_bytes"] - grown["first_bytes"] < 24 * MIB
        ended = next(row for row in one["whatif"] if row["zone"] == one["zone"])
        assert ended["freed_bytes"] > 19 * MIB


def test_the_whole_machine(
    make_zone: Callable[[str], Zone],
    eater: Callable[[Zone, int], Eater],
    watching: tuple[BlackBox, Session],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    box, session = watching
    most, one, other = make_zone("most"), make_zone("one"), make_zone("other")
    first, second, rest = eater(one, 1000), eater(other, 999), eater(most, -900)
    box.look(session, lambda: 0.0)
    while (left := available_bytes() - LEFT) > 0:
        assert rest.take_bytes(min(left, 256 * MIB) // mmap.PAGESIZE * mmap.PAGESIZE)
    first.take_bytes(8 * MIB)
    second.take_bytes(8 * MIB)
    box.look(session, lambda: 0.0)
    assert first.take_all(16 * MIB) == second.take_all(16 * MIB) == -9
    assert rest.process.poll() is None
    box.look(session, lambda: 0.0)
    rest.end()
    kills = told(capsys, tmp_path / "a.zrec", first.pid, second.pid)
    assert [kill["pid"] for kill in kills] == [first.pid, second.pid]
    for kill, zone in zip(kills, (one, other), strict=True):
        assert (kill["limit_cgroup"], kill["limit_bytes"], kill["bill"]) == (None, None, None)
        assert kill["constraint"] == "CONSTRAINT_NONE"
        assert kill["cgroup"] == zone.name
        before, at_last = kill["before"][0], kill["before"][-1]
        assert rss_of(at_last, kill["zone"]) - rss_of(before, kill["zone"]) >= 8 * MIB
        assert any(row["zone"] == kill["zone"] and row["freed_bytes"] >= 8 * MIB for row in kill["whatif"])
        assert any("Out of memory: Killed process" in words for words in kill["words"])
