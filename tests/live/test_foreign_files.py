"""Files of a stranger's file system: whatever it answers, or never answers, is its own harm."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import pids_in, stopped
from tests.live.foreign_files import FLUSH, HELD, OPEN, STATFS, ForeignFiles
from tests.live.measure import Zone
from tests.oracle import PAGE
from tests.unit.threads import threads, until
from zonerss.records import Cause

PAGES = 61


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


def take(zone: Zone) -> zonerss.records.Usage:
    snapshot = zonerss.take_snapshot(by=("cgroup",), basis="incore", zone=zone.name)
    pids = pids_in(zone.path)
    assert [gap for gap in snapshot.gaps if gap.pid in pids] == []
    (usage,) = snapshot.zones
    return usage


@pytest.mark.parametrize("answer", [errno.EMFILE, errno.ENFILE, errno.ECANCELED, errno.ENOMEM, errno.EINTR])
@pytest.mark.parametrize("operation", [OPEN, STATFS])
def test_an_error_is_the_file_s(operation: int, answer: int, foreign: ForeignFiles, mapped: Zone) -> None:
    """The file is not asked, then; what is mapped of it counts all the same where it could not be opened."""
    with stopped([mapped.path]):
        before = take(mapped)
        foreign.answers[operation] = answer
        after = take(mapped)
    lost = 0 if operation == OPEN else PAGES * PAGE
    assert before.file_bytes - after.file_bytes == lost


@pytest.mark.parametrize("operation", [OPEN, STATFS, FLUSH])
def test_who_is_never_answered_can_be_interrupted(
    operation: int, foreign: ForeignFiles, mapped: Zone
) -> None:
    def raise_it(number: int, frame: FrameType | None) -> None:
        raise Interrupted

    main, running = threading.get_ident(), threads()
    foreign.when_held = lambda: signal.pthread_kill(main, signal.SIGALRM)
    foreign.answers[operation] = HELD
    if operation == FLUSH:
        foreign.answers[STATFS] = errno.EIO  # so that the file is closed again at once
    before = signal.signal(signal.SIGALRM, raise_it)
    try:
        with pytest.raises(Interrupted):
            take(mapped)
    finally:
        signal.signal(signal.SIGALRM, before)
    until(lambda: threads() == running + 1, "nobody but the thread that waits is left")
    foreign.let_go()
    until(lambda: threads() == running, "the thread that waited has ended")
    assert take(mapped).file_bytes >= PAGES * PAGE


@pytest.mark.parametrize("operation", [OPEN, STATFS])
def test_who_is_never_answered_is_a_gap(operation: int, foreign: ForeignFiles, mapped: Zone) -> None:
    """Without anybody's signal, after the patience that the session has."""
    running = threads()
    foreign.answers[operation] = HELD
    with zonerss.Session(patience=0.2) as session:
        snapshot = session.take(by=("cgroup",), basis="incore", zone=mapped.name)
    pids = pids_in(mapped.path)
    assert [gap.cause for gap in snapshot.gaps if gap.pid in pids] == [Cause.BUSY]
    foreign.let_go()
    until(lambda: threads() == running, "the thread that waited has ended")


def test_closing_waits_for_nobody(foreign: ForeignFiles, mapped: Zone) -> None:
    running = threads()
    foreign.answers[FLUSH] = HELD
    assert take(mapped).file_bytes >= PAGES * PAGE
    foreign.let_go()
    until(lambda: threads() == running, "the file is closed")
