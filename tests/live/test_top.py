"""top for real: in a terminal (tmux), into a pipe, and what is left behind when it ends, however it ends."""

from __future__ import annotations

import contextlib
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
from tests.live.test_stuck import a_stuck_process
from zonerss.history.keeper import Keeper
from zonerss.history.moment import take_moment
from zonerss.snapshot import Session

pytestmark = pytest.mark.same_in_container

ZONERSS = [sys.executable, "-m", "zonerss"]
ZONES = re.compile(r"\d zones?, ")
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

    def click(self, column: int, line: int, times: int = 1) -> None:
        """Press and release the left button, counted from 1 (xterm's SGR mouse reports)."""
        once = "".join(f"\x1b[<0;{column};{line}{c}" for c in "Mm")
        self._tmux("send-keys", "-t", self._name, "-l", once * times)

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
    terminal.wait(lambda: "RSS" in terminal.screen() and ZONES.search(terminal.screen()), "the zones")


def moment_line(terminal: Terminal) -> list[str]:
    """Of the screen of a recording: the place, how many there are, the state."""
    found = re.search(r"(\d+) of (\d+)  (PAUSED|▶) +(\S+)x", terminal.screen())
    return [part for part in found.groups() if part] if found else []


def test_a_recording_is_played(terminal: Terminal, tmp_path: Path):
    """Arrows, Home and End, the speed, space; the zone's page at a moment; q."""
    file = tmp_path / "x.zrec"
    with Session() as session, Keeper(file) as keeper:
        for _ in range(4):
            keeper.add(take_moment(session, lean=True))
    terminal.keys(
        f"cd {os.getcwd()} && {' '.join(ZONERSS)} top --no-config --from {file}; echo left=$?", "Enter"
    )

    def is_at(place: int, state: str, speed: str) -> bool:
        return moment_line(terminal) == [str(place), str(count), state, speed]

    terminal.wait(lambda: bool(moment_line(terminal) and ZONES.search(terminal.screen())), "the moment")
    count = int(moment_line(terminal)[1])
    assert count == 4
    assert is_at(count, "PAUSED", "8")
    for key, place, speed in (
        ("Left", count - 1, "8"),
        ("Left", count - 2, "8"),
        ("Right", count - 1, "8"),
        ("Home", 1, "8"),
        ("Left", 1, "8"),
        ("-", 1, "4"),
        ("-", 1, "2"),
        ("+", 1, "4"),
        ("End", count, "4"),
    ):
        terminal.keys(key)
        terminal.wait(lambda at=(place, "PAUSED", speed): is_at(*at), f"{key}: {place} at {speed}")
    terminal.keys("Space")  # from the beginning to the end
    terminal.wait(lambda: not is_at(count, "PAUSED", "4"), "that it plays")
    terminal.wait(lambda: is_at(count, "PAUSED", "4"), "the end")
    terminal.keys("Home")
    terminal.wait(lambda: is_at(1, "PAUSED", "4"), "the first one")
    terminal.keys("Enter")
    terminal.wait(lambda: "PSRSS" in terminal.screen() and is_at(1, "PAUSED", "4"), "a zone's page")
    terminal.keys("Escape")  # if q came with it, the two were one key
    terminal.wait(lambda: "PSRSS" not in terminal.screen() and is_at(1, "PAUSED", "4"), "the zones")
    terminal.keys("q")
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")
    assert is_sane(terminal)


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
        ("Enter", "EXCL"),
        ("p", "Processes of"),
        ("t", "CGROUP"),
        ("m", "another zone"),
        ("e", "charged"),
    ):
        terminal.keys(key)
        terminal.wait(lambda says=says: says in terminal.screen() and not on_zones(terminal), says)
        terminal.keys("Escape")
        time.sleep(0.3)  # what follows an escape at once belongs to it
        terminal.wait(lambda: on_zones(terminal), "the zones")
    terminal.keys("q")
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")
    assert is_sane(terminal)
    check_settings(terminal)


def on_zones(terminal: Terminal) -> bool:
    return "TREND" in terminal.screen()


def test_ctrl_c_ends(terminal: Terminal):
    """It said "Press ctrl+q to quit the app"."""
    begin(terminal)
    terminal.keys("C-c")
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")
    assert is_sane(terminal)
    check_settings(terminal)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_told_to_end(terminal: Terminal, number: signal.Signals):
    begin(terminal)
    guard = top_of(terminal)
    os.kill(guard if number == signal.SIGTERM else children_of(guard)[0], number)
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")
    assert is_sane(terminal)
    check_settings(terminal)


def test_the_mouse(terminal: Terminal):
    begin(terminal)
    lines = terminal.screen().splitlines()
    row = next(number for number, line in enumerate(lines, 1) if "EXCL" in line)
    header = lines[row - 1].index("EXCL") + 2, row
    terminal.click(*header)
    terminal.wait(lambda: "EXCL▼" in terminal.screen(), "the other order")
    terminal.click(*header)
    terminal.wait(lambda: "EXCL▲" in terminal.screen(), "the other way round")
    terminal.click(4, row + 1, times=2)
    terminal.wait(lambda: not on_zones(terminal) and "PROP" in terminal.screen(), "the page of a zone")
    terminal.keys("q")
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")


def test_resize(terminal: Terminal):
    begin(terminal)
    terminal.resize(60, 15)
    terminal.wait(lambda: "TREND" not in terminal.screen() and "GROWS" in terminal.screen(), "less columns")
    assert all(len(line) <= 60 for line in terminal.screen().splitlines())
    terminal.resize(80, 24)
    terminal.wait(lambda: "TREND" in terminal.screen(), "all columns")


def test_a_stuck_machine_shows_the_frame_answers_keys_and_lets_go(terminal: Terminal, tmp_path: Path):
    """The first walk waits for a process for a minute: the screen was blank, and leaving waited for it, too."""
    with a_stuck_process(tmp_path):
        words = " ".join([f"cd {os.getcwd()} &&", *ZONERSS, "top", "--patience", "3000"])
        terminal.keys(f"{words}; echo left=$?", "Enter")
        terminal.wait(lambda: "looking…" in terminal.screen() and "ZONE" in terminal.screen(), "the frame")
        terminal.keys("?")
        terminal.wait(lambda: "with whom it shares" in terminal.screen(), "the help")
        terminal.keys("q")
        terminal.wait(lambda: "left=0" in terminal.screen(), "the end")
        assert is_sane(terminal)
        terminal.wait(lambda: not others_of(terminal), "the end of all that it started")


def test_leaving_at_once_leaves_nothing(terminal: Terminal):
    """Its tracer is being compiled at that time, in a process of its own."""
    words = " ".join([f"cd {os.getcwd()} &&", *ZONERSS, "top"])
    terminal.keys(f"{words}; echo left=$?", "Enter")
    terminal.wait(lambda: "looking…" in terminal.screen() or ZONES.search(terminal.screen()), "the frame")
    terminal.keys("q")
    terminal.wait(lambda: "left=0" in terminal.screen(), "the end")
    terminal.wait(lambda: not others_of(terminal), "the end of all that it started")


def others_of(terminal: Terminal) -> list[str]:
    """What runs in the terminal's session beside its shell; a stuck process lets nobody read more than its stat."""
    session, found = terminal.state("pane_pid"), []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            pid, _, rest = path.read_text(errors="replace").partition(" ")
            if rest.rpartition(")")[2].split()[3] == session != pid:
                found.append(rest)
    return found


def test_a_dumb_terminal_gets_a_sentence(terminal: Terminal):
    """It drew a full screen of escapes."""
    words = " ".join([f"cd {os.getcwd()} && TERM=dumb", *ZONERSS, "top"])
    terminal.keys(f"clear; {words}; echo left=$?", "Enter")
    terminal.wait(lambda: "left=1" in terminal.screen(), "the sentence")
    assert "TERM=dumb is no terminal with a screen" in terminal.screen()
    assert is_sane(terminal)


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
    assert sum(line.startswith("ZONE") for line in done.stdout.splitlines()) == 2
    assert done.stderr == ""


def test_into_a_pipe_without_a_count_is_refused():
    done = run_top()
    assert done.returncode == 1
    assert done.stdout == ""
    assert re.fullmatch(r"zonerss: standard \w+ is no terminal: top needs one.*--batch.*\n", done.stderr)


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
