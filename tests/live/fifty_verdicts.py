"""Fifty leaks, saws, logs and steady processes, all real and at once: how many verdicts of `report` are right.

No test of every run: it takes more than a minute, and 200 processes. To run it, as root:

    .venv/bin/python -m pytest -s -p no:cacheprovider tests/live/fifty_verdicts.py
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live.test_report import STEP_PAGES, WRITTEN_BYTES, Logger, told
from tests.workloads.mem import Mem, Range
from zonerss.history.keeper import Keeper
from zonerss.history.moment import take_moment
from zonerss.snapshot import Session
from zonerss.zones.rules import parse_rules

EACH, LOOKS, SECONDS = 50, 60, 1.0
STEADY_PAGES = 1000
RULES = """
[[rule]]
match = '/zonerss-test-[0-9]+/((leak|saw|log|still)-[0-9]+)'
name = '{1}'
"""


class Saw:
    """Rises and falls, with a period and a height of its own."""

    def __init__(self, mem: Mem, dice: random.Random) -> None:
        self._mem, self._held = mem, list[Range]()
        self._period, self._pages = dice.randint(6, 20), dice.randint(2, 8) * STEP_PAGES
        self._since = dice.randrange(self._period)

    def step(self) -> None:
        self._held.append(self._mem.map(f"anon {self._pages}"))
        self._since += 1
        if self._since % self._period == 0:
            for one in self._held:
                self._mem.unmap(one, 0, one.pages)
            self._held.clear()


class Steady:
    """Keeps what it has, and takes and gives back some more, by chance."""

    def __init__(self, mem: Mem, dice: random.Random) -> None:
        self._mem, self._dice = mem, dice
        mem.map(f"anon {STEADY_PAGES}")
        self._more: Range | None = None

    def step(self) -> None:
        if self._more is not None:
            self._mem.unmap(self._more, 0, self._more.pages)
        self._more = self._mem.map(f"anon {self._dice.randint(1, STEADY_PAGES // 10)}")


@pytest.fixture
def loggers(make_zone: Callable, tmp_path: Path) -> Iterator[dict[str, Logger]]:
    names = [f"log-{number}" for number in range(EACH)]
    found = {name: Logger(make_zone(name).path, tmp_path / f"{name}.log") for name in names}
    yield found
    for one in found.values():
        one.close()


def test_fifty_of_each(
    make_zone: Callable, loggers: dict[str, Logger], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(1)
    leaks = {name: make_zone(name).spawn() for name in (f"leak-{number}" for number in range(EACH))}
    saws = [Saw(make_zone(f"saw-{number}").spawn(), dice) for number in range(EACH)]
    steady = [Steady(make_zone(f"still-{number}").spawn(), dice) for number in range(EACH)]
    path, began = tmp_path / "a.zrec", time.monotonic()
    with Session(rules=parse_rules(RULES, "rules")) as session, Keeper(path) as keeper:
        for look in range(LOOKS):
            for leak in leaks.values():
                leak.map(f"anon {STEP_PAGES}")
            for other in (*saws, *steady):
                other.step()
            for logger in loggers.values():
                logger.write(WRITTEN_BYTES)
            keeper.add(take_moment(session))
            time.sleep(max(0.0, began + (look + 1) * SECONDS - time.monotonic()))
    took = time.monotonic() - began
    found = told(capsys, str(path))
    words: dict[str, Counter[str]] = {}
    for name, zone in found.items():
        if name != "processes" and name.partition("-")[0] in ("leak", "saw", "log", "still"):
            words.setdefault(name.partition("-")[0], Counter())[str(zone["verdict"])] += 1
    named = sum(
        (found[name]["kind"], found[name]["pid"]) == ("anon", leak.pid) for name, leak in leaks.items()
    )
    filed = sum(
        (found[name]["kind"], found[name]["file"], found[name]["pid"])
        == ("cache", str(logger.file), logger.process.pid)
        for name, logger in loggers.items()
    )
    with capsys.disabled():
        print(f"\n{LOOKS} snapshots in {took:.0f} s, {EACH} zones of each:")
        for what, counts in words.items():
            print(f"{what}: {', '.join(f'{word} {count}' for word, count in counts.most_common())}")
        print(f"leaks named by their pid: {named}; logs named by file and pid: {filed}")
    assert words["leak"] == {"grows": EACH}
    assert words["saw"] == {"saw-tooth": EACH}
    assert words["log"] == {"bill-only": EACH}
    assert "grows" not in words["still"]
    assert (named, filed) == (EACH, EACH)
