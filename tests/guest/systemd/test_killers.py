"""What a unit says in the journal, by a real journald: the words are earlyoom's, the program is ours."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zonerss.kernel.killers import JournalKills, ProgramKill

UNIT = Path("/run/systemd/system/earlyoom.service")
PATIENCE = 300  # seconds; no test depends on it but to fail
WORDS = 'sending SIGTERM to process 411 uid 1000 "chrome": badness 871, VmRSS 2048 MiB'
OTHER = WORDS.replace("411", "412")


def systemctl(*words: str) -> None:
    subprocess.run(["systemctl", *words], check=True, capture_output=True, timeout=PATIENCE)


@pytest.fixture
def unit() -> Iterator[None]:
    """One that says what earlyoom would say, each time that it is started."""
    UNIT.write_text(f"[Service]\nType=oneshot\nExecStart=/bin/echo '{WORDS}'\n")
    systemctl("daemon-reload")
    yield
    UNIT.unlink()
    systemctl("daemon-reload")


def test_the_journal_tells_what_the_unit_says_and_not_what_others_say(unit: None) -> None:
    kills = JournalKills()
    try:
        assert told(kills)
        command = ["systemd-cat", "--identifier=earlyoom", "/bin/echo", OTHER]
        subprocess.run(command, check=True, timeout=PATIENCE)
        found = told(kills)
        assert {(kill.program, kill.pid, kill.command, kill.words) for kill in found} == {
            ("earlyoom", 411, "chrome", WORDS)
        }
        assert abs(found[-1].at_us / 1e6 - time.time()) < PATIENCE
    finally:
        kills.close()


def test_after_journald_was_restarted_and_journalctl_ended_they_are_still_told(unit: None) -> None:
    kills = JournalKills()
    try:
        assert told(kills)
        systemctl("restart", "systemd-journald.service")
        assert told(kills)
        child = kills._child
        assert child
        child.kill()
        child.wait(PATIENCE)
        UNIT.write_text(f"[Service]\nType=oneshot\nExecStart=/bin/echo '{OTHER}'\n")
        systemctl("daemon-reload")
        systemctl("start", UNIT.name)  # nobody follows the journal now
        found: list[ProgramKill] = []
        until = time.monotonic() + PATIENCE
        while not any(kill.pid == 412 for kill in found):
            assert time.monotonic() < until, found
            time.sleep(0.5)
            found += kills.read()
        assert [kill.words for kill in found if kill.pid == 412] == [OTHER]
        assert "it is started again" in (kills.trouble() or "")
    finally:
        kills.close()


def told(kills: JournalKills) -> list[ProgramKill]:
    """What is told, of which the last is of the unit; said again until it is, for journalctl may not follow yet."""
    found: list[ProgramKill] = []
    until = time.monotonic() + PATIENCE
    while not any(kill.pid == 411 for kill in found):
        systemctl("start", UNIT.name)
        assert time.monotonic() < until
        time.sleep(0.5)
        found += kills.read()
    return found
