"""A child that works for its parent: how it ends, and what becomes of both."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.threads import until

from zonerss.kernel import stand_in

LEAD = """
import os, signal, sys, threading
from zonerss.kernel import stand_in
stand_in.LAST_WAIT_MS = 200
status = stand_in.begin()
if status is not None:
    print("parent", status, flush=True)
    sys.exit()
print("child", os.getpid(), flush=True)
"""
STAYS = "import ctypes; ctypes.CDLL(None).prctl(1, 0)\n"
"""When its parent ends."""
EXIT = {"x86_64": 60, "aarch64": 93}[os.uname().machine]
"""exit(2), of one thread."""
Started = subprocess.Popen[str]


def started(child: str) -> Started:
    return subprocess.Popen(
        [sys.executable, "-c", LEAD + child], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def pid_of(process: Started) -> int:
    assert process.stdout
    word, pid = process.stdout.readline().split()
    assert word == "child"
    return int(pid)


@pytest.fixture
def left() -> Iterator[list[int]]:
    """Children that have outlived their parents; their parent is another one by then."""
    pids: list[int] = []
    yield pids
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        until(lambda pid=pid: is_gone(pid), "it has ended")


def is_gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def ended(process: Started) -> tuple[str, str]:
    assert process.stdout
    assert process.stderr
    with process:
        out, err = process.stdout.read(), process.stderr.read()
    assert process.returncode == 0
    return out, err


@pytest.mark.parametrize(
    ("child", "status"),
    [
        ("stand_in.tell(3); sys.exit(3)", 3),
        ("sys.exit(5)", 5),
        ("os.kill(os.getpid(), signal.SIGKILL)", -9),
        ("stand_in.tell(-2); signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), 2)", -2),
    ],
    ids=["told", "not told", "killed", "interrupted"],
)
def test_how_it_ended(child: str, status: int) -> None:
    process = started(child)
    pid = pid_of(process)
    assert ended(process) == (f"parent {status}\n", "")
    assert is_gone(pid)


def test_one_that_stays_is_left_behind_with_nothing_that_others_wait_for(left: list[int]) -> None:
    """Our pipes end although it lives."""
    process = started(STAYS + "stand_in.tell(7); signal.pause()")
    left.append(pid_of(process))
    out, err = ended(process)
    assert out == "parent 7\n"
    assert err.startswith(f"zonerss: process {left[0]} is left behind")
    assert not is_gone(left[0])


def test_one_whose_first_thread_was_all_that_could_be_ended(left: list[int]) -> None:
    """As after SIGKILL where another thread cannot be ended: it is a zombie that cannot be waited for."""
    process = started(
        STAYS + "threading.Thread(target=threading.Event().wait).start()\n"
        f"ctypes.CDLL(None).syscall({EXIT}, 0)"
    )
    left.append(pid_of(process))
    assert process.wait() == 0
    assert process.stdout
    assert process.stderr
    with process:  # it could not let go of them
        assert process.stdout.readline() == "parent -9\n"
        assert "is left behind" in process.stderr.readline()


@pytest.mark.parametrize("call", ["fork", "pipe"])
def test_without_a_child_we_go_on_ourselves(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted() -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, call, exhausted)
    assert stand_in.begin() is None
    stand_in.tell(1)  # to nobody
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_of_the_parent_are_the_childs(number: int) -> None:
    process = started(
        f"signal.signal({int(number)}, lambda *_: sys.exit(9)); print('ready', flush=True); signal.pause()"
    )
    pid_of(process)
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert ended(process) == ("parent 9\n", "")


def test_what_is_typed_interrupts_the_child_once_and_its_parent_not_at_all() -> None:
    """A child may end in order for it."""
    lines = (
        "def end(*_):\n    print('interrupted', flush=True)\n    os.read(0, 1)\n    stand_in.tell(4)\n    sys.exit(4)\n"
        "signal.signal(2, end)\nprint('ready', flush=True)\nsignal.pause()\n"
    )
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", LEAD + lines],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(theirs, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        pid_of(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        os.write(ours, b"\x03\n")
        assert ended(process) == ("interrupted\nparent 4\n", "")
    finally:
        os.close(ours)


def test_a_parent_that_is_killed_leaves_no_child() -> None:
    process = started("signal.pause()")
    pid = pid_of(process)
    with process:
        process.kill()
    until(lambda: is_gone(pid), "it ends with its parent")
