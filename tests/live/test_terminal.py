"""Every verb in a terminal of some widths, with zones whose names nobody would choose: no line is wider than it is.

Each verb runs once in a pseudo-terminal of the least width. The others are drawn in this process, from snapshots that
all of them share.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterable, Iterator
from contextlib import redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest
from rich.cells import cell_len

from tests.live.measure import Zone
from zonerss.commands import main, share, watching
from zonerss.evidence import Evidence
from zonerss.history.keeper import Keeper
from zonerss.plain import dataclass, replace
from zonerss.records.kills import Kill, ToldBy
from zonerss.snapshot import Session, Snapshot
from zonerss.views.terminal import Style, Terminal

pytestmark = pytest.mark.same_in_container

PROJECT = Path(__file__).parents[2]
WIDTHS = (60, 80, 120, 200)
STYLE = re.compile(r"\x1b\[[0-9;]*m")
NAMES = {
    "one": "a",
    "long": "x" * 250,
    "wide": "漢字" * 41,
    "combining": "a\u0301" * 60 + "b",
    "escape": "\x1b[31mred\x1b[0m\x1b[2J\x07",
    "bytes": os.fsdecode(b"\xff\xfe" * 60),
    "emoji": "👩‍👧 pod",
    "bidi": "\u202ebackwards",
    "words": "not one word " * 12,
}


@dataclass
class Shown:
    """What a terminal was sent."""

    status: int
    text: str

    @property
    def lines(self) -> list[str]:
        return STYLE.sub("", self.text).replace("\r\n", "\n").splitlines()


def on_terminal(*words: str, columns: int, rows: int = 24, **environment: str) -> Shown:
    """Run zonerss in a pseudo-terminal."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    inherited = {
        name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")
    }
    running = subprocess.Popen(
        [sys.executable, "-m", "zonerss", *words],
        cwd=PROJECT,
        env=inherited | {"TERM": "xterm-256color"} | environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        close_fds=True,
    )
    os.close(slave)
    found = b""
    try:
        while data := os.read(master, 65536):
            found += data
    except OSError:
        pass  # the last one has closed it
    finally:
        os.close(master)
    return Shown(running.wait(), found.decode("utf-8", "replace"))


class RememberingEvidence:
    """Answers each question that costs a walk or a look at all frames once."""

    COSTLY = ("payers", "holdings", "ram", "mapcounts", "cgroups", "counters", "shmem")

    def __init__(self, evidence: Evidence) -> None:
        self._evidence, self._known = evidence, dict[str, Any]()

    def __getattr__(self, name: str) -> Any:
        answer = getattr(self._evidence, name)
        if name not in self.COSTLY:
            return answer

        def once(*given: Any, **wanted: Any) -> Any:
            given = tuple(tuple(one) if isinstance(one, Iterable) else one for one in given)
            key = repr((name, given, sorted(wanted.items())))
            if key not in self._known:
                self._known[key] = answer(*given, **wanted)
            return self._known[key]

        return once


class Remembering(Session):
    """Takes each snapshot once for all tests of this file."""

    taken: dict[str, Snapshot]

    def take(self, *given: Any, **wanted: Any) -> Snapshot:
        key = repr((given, sorted(wanted.items(), key=str)))
        if key not in self.taken:
            snapshot = super().take(*given, **wanted)
            evidence = cast("Evidence", RememberingEvidence(snapshot.ask()))
            self.taken[key] = replace(snapshot, evidence=evidence)
        return self.taken[key]


Draw = Callable[..., Shown]


@pytest.fixture(scope="module")
def remembered(zones) -> Iterator[dict[str, Snapshot]]:
    taken: dict[str, Snapshot] = {}
    yield taken
    taken.clear()


@pytest.fixture
def draw(remembered: dict[str, Snapshot], monkeypatch: pytest.MonkeyPatch) -> Draw:
    """Run zonerss in this process, as in a terminal of some columns."""
    monkeypatch.setattr(Remembering, "taken", remembered, raising=False)
    monkeypatch.setattr(watching, "Session", Remembering)

    def run(*words: str, columns: int) -> Shown:
        terminal = Terminal(columns, 24, Style(colour=True), "utf-8", redraws=True)
        for module in (watching, share):
            monkeypatch.setattr(module, "find_terminal", lambda *_: terminal)
        with redirect_stdout(io.StringIO()) as printed:
            status = main(words)
        return Shown(status, printed.getvalue().replace("\n", "\r\n"))

    return run


@pytest.fixture(scope="module")
def zones(cgroups) -> Iterator[dict[str, Zone]]:
    """A process in a cgroup of each name; they share the program and a memfd."""
    made = {key: Zone(cgroups, cgroups.make(name)) for key, name in NAMES.items()}
    try:
        memory = None
        for zone in made.values():
            mem = zone.spawn()
            mem.map("anon 41")
            if memory is None:
                memory = mem.map("memfd 23")
            else:
                mem.map(f"file {memory.path} 23 shared read")
        yield made
    finally:
        for zone in made.values():
            zone.end()
            cgroups.remove(zone.path)


Words = Callable[[dict[str, Zone]], list[str]]


def pid_of(zones: dict[str, Zone]) -> str:
    return str(zones["long"].mems[0].pid)


VERBS: dict[str, Words] = {
    "show": lambda zones: ["--by", "cgroup", "--all"],
    "show some rows": lambda zones: ["--by", "cgroup"],
    "show users": lambda zones: ["-a"],
    "show tree": lambda zones: ["show", "--tree"],
    "show bytes": lambda zones: ["--by", "cgroup", "--bytes"],
    "ps": lambda zones: ["ps", "--by", "cgroup"],
    "share": lambda zones: ["share", "--by", "cgroup"],
    "share without colours": lambda zones: ["share", "--by", "cgroup", "--bytes"],
    "files": lambda zones: ["files", "--by", "cgroup"],
    "check": lambda zones: ["check"],
    "schema": lambda zones: ["schema"],
    "top": lambda zones: ["top", "--batch", "-n", "1", "--by", "cgroup"],
    "help": lambda zones: ["help", "words"],
    "overview": lambda zones: ["--help"],
    "help of a verb": lambda zones: ["show", "--help"],
    "machine": lambda zones: ["explain"],
    "tmpfs": lambda zones: ["explain", "--tmpfs"],
    "images": lambda zones: ["share", "--by-image"],
    "frames whole": lambda zones: ["frames", "--pfn", pid_of(zones)],
    "chosen columns": lambda zones: ["-o", "+cgroup,id", "--by", "cgroup"],
    "frames": lambda zones: ["frames", pid_of(zones)],
    "explain a process": lambda zones: ["explain", "--pid", pid_of(zones)],
    "explain payers": lambda zones: ["explain", "--payers", "--by", "cgroup"],
}
OF_A_ZONE = {
    "files of": ["files"],
    "share of": ["share"],
    "ps of": ["ps", "--args", "--zone"],
    "whatif": ["whatif", "--without"],
    "explain": ["explain"],
    "explain numbers": ["explain", "--numbers"],
    "explain private": ["explain", "--private-shared"],
    "explain since": ["explain", "--since=-0.1s"],
    "wss of": ["wss", "--for", "0.1s"],
}


WAITING = ("explain since", "wss of")
"""A line says that they wait, and goes again."""


def assert_fits(shown: Shown, columns: int, redrawn: bool = False) -> None:
    """redrawn: lines may be drawn over again, by control sequences that are no style."""
    assert shown.status == 0, shown.text
    assert shown.lines
    text = re.sub(r"\r(?!\n)|\x1b\[[0-9;]*[A-LN-Za-ln-z]", "\r\n" if redrawn else r"\g<0>", shown.text)
    shown = replace(shown, text=text)
    for line in shown.lines:
        assert cell_len(line) <= columns, line
    rest = STYLE.sub("", shown.text).replace("\r\n", "")
    assert not [char for char in rest if ord(char) < 32 or 0x7F <= ord(char) < 0xA0], (
        "a name came through raw"
    )


ON_A_TERMINAL = ("help", "overview", "help of a verb", "schema", "top")
"""What is laid out for the terminal that is found, not for that of put()."""


@pytest.mark.parametrize("verb", VERBS)
def test_no_line_is_wider_than_the_terminal(verb: str, zones, draw: Draw):
    words = VERBS[verb](zones)
    assert_fits(on_terminal(*words, columns=WIDTHS[0]), WIDTHS[0])
    for columns in WIDTHS[1:]:
        drawn = on_terminal if verb in ON_A_TERMINAL else draw
        assert_fits(drawn(*words, columns=columns), columns)


def test_no_line_of_a_page_is_wider_than_the_terminal(zones, draw: Draw):
    names = [zone.name for zone in zones.values()]
    words = ["zone", *names, "--by", "cgroup"]
    assert_fits(on_terminal(*words, columns=WIDTHS[0]), WIDTHS[0])
    for columns in WIDTHS:
        shown = draw(*words, columns=columns)
        assert_fits(shown, columns)
        assert sum(line.startswith("RSS ") for line in shown.lines) == len(NAMES)


@pytest.mark.parametrize("verb", OF_A_ZONE)
def test_no_line_about_a_zone_is_wider_than_the_terminal(verb: str, zones, draw: Draw):
    for key in ("long", "wide", "escape"):
        words = [*OF_A_ZONE[verb], zones[key].name, "--by", "cgroup"]
        if key == "long":
            assert_fits(on_terminal(*words, columns=WIDTHS[0]), WIDTHS[0], redrawn=verb in WAITING)
        for columns in WIDTHS:
            assert_fits(draw(*words, columns=columns), columns)


@pytest.fixture(scope="module")
def recording(zones, tmp_path_factory) -> Path:
    """Three looks at the zones, with the names that the recording keeps, and a kill of which the kernel said much."""
    file = tmp_path_factory.mktemp("recording") / "x.zrec"
    words = ["record", "-o", str(file), "--interval", "0.3", "--for", "1s"]
    assert_fits(on_terminal(*words, columns=WIDTHS[0]), WIDTHS[0], redrawn=True)
    name = zones["long"].name
    said = f"oom-kill:constraint=CONSTRAINT_MEMCG,oom_memcg={name}\nMemory cgroup out of memory: Killed process 1"
    with Keeper(file) as keeper:
        keeper.add_kill(
            Kill(
                datetime.now(UTC),
                os.getpid(),
                "worker",
                name,
                name,
                name,
                30 << 20,
                "CONSTRAINT_MEMCG",
                ToldBy.TRACEPOINT,
                said,
            )
        )
    return file


@pytest.mark.parametrize("columns", WIDTHS)
@pytest.mark.parametrize("verb", ["report", "report of two", "show", "zone", "autopsy", "cap"])
def test_no_line_about_a_recording_is_wider_than_the_terminal(
    verb: str, columns: int, recording: Path, zones
):
    name = zones["long"].name
    words = {
        "report": ["report", str(recording), "--by", "cgroup"],
        "report of two": ["report", str(recording), str(recording), "--by", "cgroup"],
        "show": ["show", "--from", str(recording), "--by", "cgroup", "--all"],
        "zone": ["zone", name, "--from", str(recording), "--by", "cgroup"],
        "autopsy": ["autopsy", str(recording)],
        "cap": ["cap", f"{name}=30M", "--from", str(recording), "--by", "cgroup"],
    }[verb]
    assert_fits(on_terminal(*words, columns=columns), columns)


@pytest.mark.parametrize("columns", WIDTHS)
def test_each_zone_has_one_row(columns: int, remembered: dict[str, Snapshot], draw: Draw):
    shown = draw("--by", "cgroup", "--all", columns=columns)
    head = next(number for number, line in enumerate(shown.lines) if line.startswith("CGROUP"))
    rows = shown.lines[head + 1 : shown.lines.index("", head)]
    assert len(rows) in {len(snapshot.zones) for snapshot in remembered.values()}
    ours = [row for row in rows if row.startswith(("/", "…"))]
    assert len(ours) >= len(NAMES)


def test_a_watch_keeps_its_header_on_the_screen(zones):
    shown = on_terminal("--by", "cgroup", "--watch", "0.1", "--count", "3", columns=80, rows=24)
    screens = shown.text.split("\x1b[H\x1b[J")[1:]
    assert len(screens) == 3
    for screen in screens:
        assert screen.count("\n") <= 23
        assert ", every 0.1 s" in screen.splitlines()[0]
    processes = on_terminal("ps", "--watch", "0.1", "--count", "1", columns=80, rows=12)
    assert processes.text.count("\n") <= 11
    assert "more lines" in processes.text


def test_the_cursor_of_a_dumb_terminal_is_left_alone(zones):
    shown = on_terminal("--watch", "0.1", "--count", "2", columns=80, TERM="dumb")
    assert shown.status == 0
    assert "\x1b" not in shown.text


ENVIRONMENTS = (
    {"LC_ALL": "C"},
    {"LANG": "C", "LC_ALL": ""},
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "latin-1"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
)


@pytest.mark.parametrize(
    ("verb", "environment"),
    [
        *(("show", environment) for environment in ENVIRONMENTS),
        *(
            (verb, {"PYTHONIOENCODING": "ascii"})
            for verb in ("ps", "show tree", "share without colours", "files")
        ),
        ("ps", {"PYTHONIOENCODING": "latin-1"}),
    ],
    ids=str,
)
def test_in_an_encoding_that_lacks_characters(verb: str, environment: dict[str, str], zones):
    shown = on_terminal(*VERBS[verb](zones), columns=60, **environment)
    assert "Traceback" not in shown.text
    assert_fits(shown, 60)
    if environment.get("PYTHONIOENCODING") == "ascii":
        assert shown.text.isascii()


def test_pages_in_ascii(zones):
    names = [zone.name for zone in zones.values()]
    shown = on_terminal("zone", *names, "--by", "cgroup", columns=80, PYTHONIOENCODING="ascii", NO_COLOR="1")
    assert_fits(shown, 80)
    assert shown.text.isascii()
    assert "\x1b" not in shown.text
    bars = [line for line in shown.lines if line.startswith("RSS ")]
    assert len(bars) == len(NAMES)
    assert all("#" in line or "=" in line for line in bars)
