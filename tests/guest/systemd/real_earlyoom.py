"""The real earlyoom ends a process; autopsy tells of it by earlyoom's own words in a real journal.

No test of every run: Debian's package would begin by itself in every guest. To run it:

    tests/guest/systemd/fetch earlyoom
    vm/guest test --kernel 6.12 --systemd tests/guest/systemd/real_earlyoom.py
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.eaters import Eater
from tests.guest.systemd.test_killers import PATIENCE, UNIT, systemctl
from tests.guest.test_autopsy import available_bytes, rss_of
from tests.live.measure import Zone
from tests.live.test_autopsy import MIB, told
from zonerss.history.blackbox import BlackBox, Kills
from zonerss.history.keeper import Keeper
from zonerss.history.ring import Ring
from zonerss.snapshot import Session

PROGRAM = Path(__file__).parents[3] / "vm/out/earlyoom/usr/bin/earlyoom"


@pytest.fixture
def earlyoom() -> Iterator[None]:
    """It ends whoever has the highest oom_score once 160 MiB more are taken; a machine without swap lacks swap, too."""
    least_kib = (available_bytes() - 160 * MIB) // 1024
    UNIT.write_text(f"[Service]\nExecStart={PROGRAM} -r 0 -M {least_kib},{least_kib // 2}\n")
    systemctl("daemon-reload")
    yield
    systemctl("stop", UNIT.name)
    UNIT.unlink()
    systemctl("daemon-reload")


def test_what_earlyoom_ends_is_told(
    earlyoom: None, make_zone: Callable[[str], Zone], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    path = tmp_path / "a.zrec"
    with ExitStack() as stack:
        keeper = stack.enter_context(Keeper(path))
        ring, kills = stack.enter_context(Ring(300.0)), Kills()
        stack.callback(kills.close)
        box = BlackBox(keeper, ring, kills, 1.0, said.append)
        session = stack.enter_context(Session())
        eater = Eater(make_zone("eaten").path, 1000)
        stack.callback(eater.end)
        box.look(session, lambda: 0.0)
        assert eater.take_bytes(48 * MIB)
        box.look(session, lambda: 0.0)
        systemctl("start", UNIT.name)
        assert eater.take_all(8 * MIB) == -signal.SIGTERM
        until = time.monotonic() + PATIENCE
        while not any("earlyoom" in sentence for sentence in said):
            assert time.monotonic() < until, said
            time.sleep(0.5)
            box.look(session, lambda: 0.0)
    (kill,) = told(capsys, path, eater.pid)
    print(*said, *kill["words"], sep="\n")
    assert kill["told_by"] == "earlyoom"
    assert kill["zone"].startswith("/zonerss-test-")  # all cgroups of tests are one zone by name
    assert any(f"sending SIGTERM to process {eater.pid} " in words for words in kill["words"])
    first, last = kill["before"][0], kill["before"][-1]
    assert rss_of(last, kill["zone"]) - rss_of(first, kill["zone"]) >= 48 * MIB
    assert any(row["zone"] == kill["zone"] and row["freed_bytes"] >= 48 * MIB for row in kill["whatif"])
    assert (kill["limit_cgroup"], kill["constraint"]) == (None, None)
