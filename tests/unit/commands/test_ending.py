"""Signals that ask to end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from zonerss.commands.ending import Ending, Leave

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS)
def test_what_may_be_broken_off_is_left_at_once(number: signal.Signals) -> None:
    reached = []

    def work() -> None:
        with ending.interruptible():
            os.kill(os.getpid(), number)
            reached.append("after the signal")

    with Ending() as ending, pytest.raises(Leave):
        work()
    assert ending.signal == number
    assert not reached


def test_what_must_be_whole_is_done_first() -> None:
    reached = []
    with Ending() as ending:
        os.kill(os.getpid(), signal.SIGTERM)
        reached.append("kept")
        with pytest.raises(Leave), ending.interruptible():
            reached.append("looked")
    assert reached == ["kept"]


def test_handlers_come_back_and_what_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handlers = [signal.getsignal(number) for number in SIGNALS]
        with Ending() as ending, ending.interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
        assert ending.signal is None
        assert handlers == [signal.getsignal(number) for number in SIGNALS]
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_second_one_ends_the_process() -> None:
    script = (
        "import os, signal\n"
        "from zonerss.commands.ending import Ending\n"
        "with Ending():\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    print('alive')\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (-signal.SIGTERM, b"")
