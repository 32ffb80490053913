"""The command of a cap: what it is told, its session of its own and its deadline, and that one runs at a time."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zonerss.cap.command import MOST, MOST_OF_RULE, Commands

WRITES = "import os, json; json.dump([dict(os.environ), os.getsid(0) == os.getpid(), os.getcwd()], open('{}', 'w'))"
SLEEPS = (
    "import os, subprocess, time; child = subprocess.Popen(['sleep', '1000']); "
    "open('{}', 'w').write(str(child.pid) + ' '); time.sleep(1000)"
)

LEAVES = (
    "import os, subprocess; child = subprocess.Popen(['sleep', '1000']); "
    "open('{}', 'w').write(str(os.getpid()) + ' ' + str(child.pid) + ' ')"
)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def commands(now: list[float]) -> Iterator[Commands]:
    made = Commands(60.0, lambda: now[0])
    yield made
    made.close()


def python(text: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", text)


def until_ended(commands: Commands) -> None:
    while commands.running:
        time.sleep(0.01)
        commands.reap()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_what_it_is_told(commands: Commands, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    out = tmp_path / "out"
    zone = "odd $(touch /tmp/x) \udcff"
    assert commands.start(zone, "rule", 7, 5, python(WRITES.format(out))) is None
    until_ended(commands)
    told, leads, where = json.loads(out.read_text())
    assert (told["ZONERSS_ZONE"], told["ZONERSS_RSS_BYTES"], told["ZONERSS_CAP_BYTES"]) == (zone, "7", "5")
    assert "SECRET" not in told
    assert (leads, where) == (True, "/")


def test_one_of_a_zone_at_a_time(commands: Commands) -> None:
    assert commands.start("a", "rule", None, 5, ("/bin/sleep", "1000")) is None
    assert commands.start("a", "rule", None, 5, ("/bin/sleep", "1000")) == "the one before still runs"
    assert commands.start("b", "rule", None, 5, ("/bin/sleep", "1000")) is None
    assert commands.running == 2


def sleeping(commands: Commands, path: Path) -> int:
    """A command that sleeps with a child; the child."""
    assert commands.start("a", "rule", 7, 5, python(SLEEPS.format(path))) is None
    while not (path.exists() and path.read_text().endswith(" ")):
        time.sleep(0.01)
    child = int(path.read_text())
    assert is_alive(child)
    return child


def gone(pid: int) -> bool:
    while is_alive(pid):
        time.sleep(0.01)
    return True


def test_it_has_a_deadline(commands: Commands, now: list[float], tmp_path: Path) -> None:
    child = sleeping(commands, tmp_path / "out")
    now[0] = 59.0
    commands.reap()
    assert commands.running == 1
    now[0] = 60.0
    commands.reap()
    assert commands.running == 0
    assert gone(child)


def test_it_ends_with_us(commands: Commands, tmp_path: Path) -> None:
    child = sleeping(commands, tmp_path / "out")
    commands.close()
    assert gone(child)


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("/no/such",), "No such file or directory"),
        (("/etc/passwd",), "Permission denied"),
        (("/bin/true", "a\0b"), "embedded null byte"),
    ],
)
def test_what_cannot_be_run(commands: Commands, command: tuple[str, ...], why: str) -> None:
    assert commands.start("a", "rule", 7, 5, command) == why
    assert commands.running == 0


def test_no_file_of_ours_is_its(commands: Commands, tmp_path: Path) -> None:
    out = tmp_path / "out"
    read, write = os.pipe()
    os.set_inheritable(read, True)
    text = f"import os; open('{out}', 'w').write(' '.join(sorted(os.listdir('/proc/self/fd'))))"
    assert commands.start("a", "rule", 7, 5, python(text)) is None
    until_ended(commands)
    os.close(read)
    os.close(write)
    assert len(out.read_text().split()) == 5  # the standard ones, what it writes to, the directory


def left_running(commands: Commands, out: Path) -> int:
    """What a command has started that has ended itself, by its pid."""
    assert commands.start("a", "rule", 7, 5, python(LEAVES.format(out))) is None
    while not (out.exists() and out.read_text().endswith(" ")):
        time.sleep(0.01)
    leader, child = map(int, out.read_text().split())
    while is_alive(leader):
        time.sleep(0.01)
    return child


def test_what_it_leaves_running_is_ended_at_its_deadline(
    commands: Commands, now: list[float], tmp_path: Path
) -> None:
    child = left_running(commands, tmp_path / "out")
    commands.reap()
    assert (commands.running, is_alive(child)) == (1, True)
    now[0] = 60.0
    commands.reap()
    assert commands.running == 0
    assert gone(child)


def test_what_it_leaves_running_ends_with_us(commands: Commands, tmp_path: Path) -> None:
    child = left_running(commands, tmp_path / "out")
    commands.close()
    assert gone(child)


def test_few_run_at_a_time(commands: Commands) -> None:
    sleep = ("/bin/sleep", "1000")
    started = [commands.start(f"{rule}{number}", rule, 7, 5, sleep) for rule in "abc" for number in range(5)]
    assert started == [
        *[None] * MOST_OF_RULE,
        f"{MOST_OF_RULE} commands of its rule run already",
        *[None] * (MOST - MOST_OF_RULE),
        *[f"{MOST} commands run already"] * 6,
    ]
    assert commands.running == MOST
