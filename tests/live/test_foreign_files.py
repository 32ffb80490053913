"""Files of a stranger's file system: whatever it answers, or never answers, is its own harm.

A request that the server of a FUSE file system has read cannot be given up by anybody, so none is sent. Where such a
file system lies below an overlay, which nobody can see, its files are opened by a thread that may be left behind.
"""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import FrameType

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import pids_in, stopped
from tests.live.foreign_files import ANSWERED, FLUSH, HELD, OPEN, ForeignFiles
from tests.live.measure import Zone
from tests.oracle import PAGE
from tests.unit.threads import threads, until
from zonerss.commands import main
from zonerss.records import Cause

PAGES = 61
FOR_EVER = 120


class Interrupted(Exception):
    """Raised by a signal's handler, as Ctrl-C raises KeyboardInterrupt."""


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[ForeignFiles]:
    try:
        made = ForeignFiles(tmp_path, PAGES)
    except OSError as error:
        needs.skip("needs_mount", str(error))
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def mapped(foreign: ForeignFiles, make_zone: Callable) -> Zone:
    """A zone whose process maps all of the file."""
    zone = make_zone("a")
    zone.spawn().map(f"file {foreign.path} {PAGES} shared read")
    return zone


@pytest.fixture
def below(
    foreign: ForeignFiles, make_zone: Callable, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Zone]:
    """The same through an overlay."""
    empty, view = (tmp_path_factory.mktemp(name) for name in ("empty", "view"))
    options = f"lowerdir={foreign.path.parent}:{empty}"
    done = subprocess.run(
        ["mount", "-t", "overlay", "-o", options, "zonerss-test", view], capture_output=True
    )
    if done.returncode:
        needs.skip("needs_mount", done.stderr.decode(errors="replace").strip())
    try:
        zone = make_zone("a")
        zone.spawn().map(f"file {view / 'file'} {PAGES} shared read")
        take(zone)  # whoever looks at overlays of the host by a thread has that thread now
        until_closed(view)
        yield zone
        foreign.let_go()
        zone.end()
        until_closed(view)
    finally:
        subprocess.run(["umount", "-l", view], check=True)


def until_closed(directory: Path) -> None:
    """
    None of its files is open here.

    A child of ours would close them, too, before it is another program: while it does, none of our threads runs, and
    one of them is the server that is to answer.
    """

    def links() -> Iterator[str]:
        for name in os.listdir("/proc/self/fd"):
            with suppress(FileNotFoundError):
                yield os.readlink(f"/proc/self/fd/{name}")

    until(lambda: not any(link.startswith(str(directory)) for link in links()), "its files are closed")


def take(zone: Zone) -> zonerss.records.Usage:
    snapshot = zonerss.take_snapshot(by=("cgroup",), basis="incore", zone=zone.name)
    pids = pids_in(zone.path)
    assert [gap for gap in snapshot.gaps if gap.pid in pids] == []
    (usage,) = snapshot.zones
    return usage


# ---- whom nobody asks -----------------------------------------------------------------------------------


def test_nothing_is_asked_of_its_server(foreign: ForeignFiles, mapped: Zone) -> None:
    """What page tables map of the file counts."""
    with stopped([mapped.path]):
        foreign.asked.clear()
        foreign.answers.update(dict.fromkeys(ANSWERED, HELD))
        by_incore = take(mapped)
        by_tables = zonerss.take_snapshot(by=("cgroup",), zone=mapped.name).zones[0]
        files = measure_files(mapped)[1]
        assert foreign.asked == []
    assert by_incore.file_bytes >= by_tables.file_bytes
    (file,) = (file for file in files if file.file and file.file.name == str(foreign.path))
    assert file.bytes == PAGES * PAGE


def measure_files(zone: Zone) -> tuple:
    from zonerss.commands.files import measure

    with zonerss.Session() as session:
        return measure(session, "cgroup", zone.name)


@pytest.mark.parametrize(
    "words",
    [["show", "--basis", "incore"], ["files"], ["share"], ["explain", "--numbers"]],
    ids=lambda words: words[0],
)
def test_exit_waits_for_nobody(words: list[str], foreign: ForeignFiles, mapped: Zone) -> None:
    if words[0] == "explain":
        words = [*words, mapped.name, "--by", "cgroup"]
    foreign.answers.update(dict.fromkeys(ANSWERED, HELD))
    command = [sys.executable, "-m", "zonerss", *words, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FOR_EVER, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["schema"].startswith("zonerss.")


def test_a_file_counts_once_in_each_zone(foreign: ForeignFiles, make_zone: Callable) -> None:
    """Told apart by its frames: a zone that maps it twice has it once, two zones share it."""
    zones = [make_zone(name) for name in "ab"]
    mems = [zone.spawn() for zone in zones]
    with stopped([zone.path for zone in zones]):
        before = [take(zone) for zone in zones]
    mems[0].map(f"file {foreign.path} {PAGES} shared read")
    mems[0].map(f"file {foreign.path} {PAGES} private read")
    mems[1].map(f"file {foreign.path} 29 shared read")
    with stopped([zone.path for zone in zones]):
        after = [take(zone) for zone in zones]
    grown = [(new.file_bytes - old.file_bytes) // PAGE for new, old in zip(after, before, strict=True)]
    shared = [(new.shared_bytes - old.shared_bytes) // PAGE for new, old in zip(after, before, strict=True)]
    assert grown == [PAGES, 29]
    assert shared == [29, 29]


# ---- who is asked without our knowing it ----------------------------------------------------------------


@pytest.mark.parametrize("answer", [errno.EMFILE, errno.ENFILE, errno.ECANCELED, errno.ENOMEM, errno.EINTR])
def test_an_error_is_the_file_s(answer: int, foreign: ForeignFiles, below: Zone) -> None:
    """The file is not asked, then; what is mapped of it counts all the same, and it is said."""
    with stopped([below.path]) as pids:
        before = take(below)
        foreign.asked.clear()
        foreign.answers[OPEN] = answer
        snapshot = zonerss.take_snapshot(by=("cgroup",), basis="incore", zone=below.name)
        assert OPEN in foreign.asked
    assert [usage.file_bytes for usage in snapshot.zones] == [before.file_bytes]
    assert [gap.cause for gap in snapshot.gaps if gap.pid in pids] == [Cause.UNREADABLE]


@pytest.mark.parametrize("words", [["show", "--basis", "incore"], ["explain", "--numbers"]])
@pytest.mark.parametrize("held", [OPEN, FLUSH])
def test_exit_does_not_wait_for_it_either(
    held: int, words: list[str], foreign: ForeignFiles, below: Zone
) -> None:
    """Nor do they who read what we print: who waits is left behind, and ends once it is answered."""
    if words[0] == "explain":
        words = [*words, below.name, "--by", "cgroup"]
    foreign.answers[held] = HELD
    command = [sys.executable, "-m", "zonerss", *words, "--json", "--patience", "0.5"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=FOR_EVER, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["schema"].startswith("zonerss.")
    (left,) = re.findall(r"process (\d+) is left behind", done.stderr)
    assert Path("/proc", left).exists()
    foreign.let_go()
    until(lambda: not Path("/proc", left).exists(), "who was left behind has ended")


def test_who_is_never_answered_can_be_interrupted(foreign: ForeignFiles, below: Zone) -> None:
    def raise_it(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    main, running = threading.get_ident(), threads()
    foreign.when_held = lambda: signal.pthread_kill(main, signal.SIGALRM)
    foreign.answers[OPEN] = HELD
    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        with pytest.raises(Interrupted):
            take(below)
    finally:
        signal.signal(signal.SIGALRM, before)
    until(lambda: len(threads() - running) <= 1, "nobody but the thread that waits is left")
    foreign.let_go()
    until(lambda: threads() <= running, "the thread that waited has ended")
    assert take(below).file_bytes >= PAGES * PAGE


def test_who_is_never_answered_is_a_gap(foreign: ForeignFiles, below: Zone) -> None:
    """Without anybody's signal, after the patience that the session has."""
    running = threads()
    foreign.answers[OPEN] = HELD
    with zonerss.Session(patience=0.2) as session:
        snapshot = session.take(by=("cgroup",), basis="incore", zone=below.name)
    pids = pids_in(below.path)
    assert [gap.cause for gap in snapshot.gaps if gap.pid in pids] == [Cause.BUSY]
    foreign.let_go()
    until(lambda: threads() <= running, "the thread that waited has ended")


@pytest.mark.parametrize("verb", ["show", "files", "share", "whatif", "zone", "explain"])
def test_nothing_is_asked_but_by_incore(
    verb: str, source: str, foreign: ForeignFiles, below: Zone, capsys: pytest.CaptureFixture[str]
) -> None:
    """What it is (statx(2)), what its name is and of what type its file system: the kernel knows."""
    foreign.asked.clear()
    foreign.answers.update(dict.fromkeys(set(ANSWERED) - {FLUSH}, HELD))
    zone = [] if verb in ("show", "share") else [below.name]
    assert main([verb, *zone, "--by", "cgroup", "--source", source, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    pids = pids_in(below.path)
    assert [gap for gap in told["gaps"] if gap["pid"] in pids] == []
    # A look before the test has closed the file, which the kernel tells the server after the descriptor is gone.
    assert set(foreign.asked) <= {FLUSH}


def test_closing_waits_for_nobody(foreign: ForeignFiles, below: Zone) -> None:
    running = threads()
    foreign.answers[FLUSH] = HELD
    assert take(below).file_bytes >= PAGES * PAGE
    foreign.let_go()
    until(lambda: threads() <= running, "the file is closed")
