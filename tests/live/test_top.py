"""top for real: in a terminal (tmux), into a pipe, and what is left behind when it ends, however it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.live import needs

ZONERSS = [sys.executable, "-m", "zonerss"]
PATIENCE = 60  # seconds; no test depends on it but to fail


class Terminal:
    """A tmux session with a shell in it."""

    def __init__(self, directory: Path, shell: str = "sh"):
        self.directory = directory
        self._socket = str(directory / "tmux")
        self._name = f"zonerss-{uuid.uuid4().hex[:8]}"
        self._tmux("-f", "/dev/null", "new-session", "-d", "-s", self._name, "-x", "80", "-y", "24", shell)

    def _tmux(self, *words: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, *words], check=True, capture_output=True, text=True
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        self._tmux("send-keys", "-t", self._name, *keys)

    def resize(self, columns: int, lines: int) -> None:
        self._tmux("resize-window", "-t", self._name, "-x", str(columns), "-y", str(lines))

    def screen(self) -> str:
        return self._tmux("capture-pane", "-p", "-t", self._name)

    def state(self, name: str) -> str:
        return self._tmux("display-message", "-p", "-t", self._name, f"#{{{name}}}").strip()

    def wait(self, true: Callable[[], bool], what: str) -> None:
        limit = time.monotonic() + PATIENCE
        while not true():
            assert time.monotonic() < limit, f"waited for {what}; the screen shows:\n{self.screen()}"
            time.sleep(0.1)

    def end(self) -> None:
        self._tmux("kill-session", "-t", self._name)


@pytest.fixture
def terminal(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Terminal]:
    if not shutil.which("tmux"):
        needs.skip("needs_tmux")
    terminal = Terminal(tmp_path, getattr(request, "param", "sh"))
    try:
        yield terminal
    finally:
        terminal.end()


def begin(terminal: Terminal, *more: str) -> None:
    words = " ".join([f"cd {os.getcwd()} &&", *more, *ZONERSS, "top", "--interval", "1"])
    terminal.keys(f"stty -a > {terminal.directory}/before; {words}; echo left=$?", "Enter")
    terminal.wait(lambda: "RSS" in terminal.screen() and "zones," in terminal.screen(), "the zones")


def is_sane(terminal: Terminal) -> bool:
    """Not on the other screen, no mouse reports, the cursor visible."""
    return [terminal.state(name) for name in ("alternate_on", "mouse_any_flag", "cursor_flag")] == [
        "0",
        "0",
        "1",
    ]


def check_settings(terminal: Terminal) -> None:
    """The line settings of the terminal are what they were."""
    before, after = (terminal.directory / name for name in ("before", "after"))
    terminal.keys(f"stty -a > {after}; echo do''ne", "Enter")
    terminal.wait(lambda: "done" in terminal.screen(), "the shell")
    assert settings(after) == settings(before)


def settings(file: Path) -> list[str]:
    """Without the first line, which tells the size."""
    return file.read_text().splitlines()[1:]


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def top_of(terminal: Terminal) -> int:
    """The process that the shell started."""
    (pid,) = children_of(int(terminal.state("pane_pid")))
    return pid


def test_start_keys_quit(terminal: Terminal):
    begin(terminal)
    assert terminal.state("alternate_on") == "1"
    for key, says in (
        ("?", "with whom it shares"),
        ("Enter", "Processes of"),
        ("t", "CGROUP"),
        ("m", "another zone"),
    ):
        terminal.keys(key)
        terminal.wait(lambda says=says: says in terminal.screen(), says)
        terminal.keys("Escape")
        time.sleep(0.3)  # what follows an escape at once belongs to it
        terminal.wait(lambda: "TREND" in terminal.screen().splitlines()[1], "the zones")
    terminal.keys("q")
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")
    assert is_sane(terminal)
    check_settings(terminal)


def test_resize(terminal: Terminal):
    begin(terminal)
    terminal.resize(60, 15)
    terminal.wait(lambda: "PROCS" not in terminal.screen() and "TREND" in terminal.screen(), "less columns")
    assert all(len(line) <= 60 for line in terminal.screen().splitlines())
    terminal.resize(80, 24)
    terminal.wait(lambda: "PROCS" in terminal.screen(), "all columns")


@pytest.mark.parametrize("terminal", ["sh", "bash --norc"], indirect=True)
@pytest.mark.parametrize("victim", ["screen", "guard"])
def test_killed(terminal: Terminal, victim: str):
    """kill -9 of the process that draws, or of the one that waits for it: the terminal is as it was.

    When the second one is gone the shell has the terminal back. sh leaves its settings as they are, bash makes its own.
    """
    begin(terminal)
    guard = top_of(terminal)
    (screen,) = children_of(guard)
    os.kill(screen if victim == "screen" else guard, signal.SIGKILL)
    terminal.wait(lambda: not Path(f"/proc/{screen}").exists(), "the end of both")
    terminal.wait(lambda: is_sane(terminal), "a sane terminal")
    check_settings(terminal)


def test_no_colour(terminal: Terminal):
    begin(terminal, "NO_COLOR=1")
    coloured = subprocess.run(
        ["tmux", "-S", terminal._socket, "capture-pane", "-e", "-p", "-t", terminal._name],
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    # Shades of grey are 232 to 255 of 256 colours; the sixteen of old and the cube of the others are colours.
    assert re.findall(r"\x1b\[[34]8;5;(\d+)m", coloured)
    assert all(int(number) >= 232 for number in re.findall(r"[34]8;5;(\d+)", coloured))
    assert not re.findall(r"\x1b\[(?:3|4|9|10)[1-6]m", coloured)
    terminal.keys("q")
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")


def run_top(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([*ZONERSS, "top", *words], capture_output=True, text=True, timeout=PATIENCE)


def test_a_batch():
    done = run_top("--batch", "-n", "2", "--interval", "0.2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("PROCS") == 2
    assert done.stderr == ""


def test_prstats_form_into_a_pipe():
    done = run_top("0.2", "2")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Total: ") == 2


def test_a_batch_of_documents():
    done = run_top("--json", "-n", "2", "-i", "0.2")
    documents = [json.loads(line) for line in done.stdout.splitlines()]
    assert [document["schema"] for document in documents] == ["zonerss.snapshot/1"] * 2
    assert {document["uncertainty"] for document in documents} <= {"traced", "net"}


@pytest.mark.parametrize(
    "words", [("0",), ("x",), ("1", "0"), ("-i", "nan"), ("--sort", "x"), ("1", "2", "-n", "3")]
)
def test_nonsense_is_refused_in_one_line(words: tuple[str, ...]):
    done = run_top(*words)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
