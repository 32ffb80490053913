"""Running a command: its status, its streams and its signals."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
import threading
from pathlib import Path

import pytest

from zonerss.kernel.child import CannotRun, Ended, running


def nothing() -> None:
    pass


def run(*command: str) -> Ended:
    with running(command, nothing) as child:
        return child.reap()


@pytest.mark.parametrize(
    ("script", "status", "number"),
    [("exit 0", 0, None), ("exit 5", 5, None), ("kill -9 $$", 137, 9), ("kill -TERM $$", 143, 15)],
)
def test_how_it_ended(script: str, status: int, number: int | None) -> None:
    ended = run("sh", "-c", script)
    assert (ended.status, ended.signal) == (status, number)
    assert ended.wall_ns > 0


@pytest.mark.parametrize(
    ("command", "status"), [("no-such-command", 127), ("/no/such", 127), ("/etc/passwd", 126), ("/etc", 126)]
)
def test_what_cannot_be_run_has_a_shells_status(command: str, status: int) -> None:
    with pytest.raises(CannotRun) as err:
        run(command)
    assert err.value.status == status
    assert err.value.filename == command


def test_a_script_without_an_interpreter_is_a_shells(tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text('test "$1" = "a b" && exit 7\n')
    script.chmod(0o755)
    assert run(str(script), "a b").status == 7


def test_join_is_called_in_the_new_process_before_the_program(tmp_path: Path) -> None:
    note = tmp_path / "note"
    with running(
        ["sh", "-c", f"echo $$ >> {note}"], lambda: note.write_text(f"{os.getpid()}\n") and None
    ) as child:
        child.reap()
    assert note.read_text() == f"{child.pid}\n{child.pid}\n"


def test_what_join_raises_is_raised_and_nothing_is_run(tmp_path: Path) -> None:
    def join() -> None:
        raise OSError(16, "busy")

    note = tmp_path / "note"
    with pytest.raises(OSError, match="busy") as err, running(["touch", str(note)], join):
        pass
    assert not isinstance(err.value, CannotRun)
    assert not note.exists()


def test_it_has_our_streams_and_group(capfd: pytest.CaptureFixture[str]) -> None:
    run("sh", "-c", "echo out; echo err >&2")
    assert capfd.readouterr() == ("out\n", "err\n")
    run(sys.executable, "-c", "import os; print(os.getpgrp())")
    assert int(capfd.readouterr().out) == os.getpgrp()


def test_it_has_the_signals_that_we_were_started_with(capfd: pytest.CaptureFixture[str]) -> None:
    def ignored() -> set[signal.Signals]:
        run("sh", "-c", "grep SigIgn /proc/$$/status")
        mask = int(capfd.readouterr().out.split()[1], 16)
        return {number for number in signal.valid_signals() if mask >> (number - 1) & 1}

    assert not ignored() & {signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM}
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        assert signal.SIGINT in ignored()
    finally:
        signal.signal(signal.SIGINT, before)


def test_its_status_is_known_where_ends_of_children_are_ignored(capfd: pytest.CaptureFixture[str]) -> None:
    """Then the kernel reaps a child itself; so may zonerss be started, as by a server that wants no zombies."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert run("sh", "-c", "exit 5").status == 5
        run("grep", "SigIgn", "/proc/self/status")  # a shell sets it for itself
        with pytest.raises(CannotRun):
            run("no-such-command")
        assert signal.getsignal(signal.SIGCHLD) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert int(capfd.readouterr().out.split()[1], 16) >> (signal.SIGCHLD - 1) & 1


def test_one_whose_status_was_taken_is_not_waited_for_for_ever() -> None:
    with running(["true"], nothing) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED)
        assert child.wait(60)
        with pytest.raises(ChildProcessError):
            child.reap()


@pytest.mark.parametrize(
    ("what", "error"),
    [("os.pidfd_open", OSError(errno.EMFILE, "x")), ("threading.Thread.start", RuntimeError("x"))],
)
def test_one_that_cannot_be_waited_for_is_not_left(
    what: str, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    def children() -> str:  # a zombie is one, too
        return Path(f"/proc/self/task/{threading.get_native_id()}/children").read_text()

    files, others = len(os.listdir("/proc/self/fd")), children()
    with monkeypatch.context() as patch:
        patch.setattr(f"zonerss.kernel.child.{what}", fail)
        with pytest.raises(OSError, match=r"x|thread") as err:
            run("sleep", "600")
    assert not isinstance(err.value, CannotRun)
    assert children() == others
    assert len(os.listdir("/proc/self/fd")) == files


def test_signals_to_us_are_passed_on_or_left_to_it() -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    for number in (signal.SIGTERM, signal.SIGHUP):
        with running(["sleep", "600"], nothing) as child:
            os.kill(os.getpid(), signal.SIGINT)  # it has that from the terminal
            assert not child.wait(0.01)
            os.kill(os.getpid(), number)
            assert child.reap().signal == number
    assert before == {number: signal.getsignal(number) for number in before}


def test_a_short_one_has_not_the_memory_of_the_process_that_started_it() -> None:
    """The kernel's figure begins with that of the process before it executes the program."""
    assert run("true").largest_rss_bytes is None


def test_a_large_one_tells_its_memory() -> None:
    # Larger than what we have, which other tests may have made large.
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 + (100 << 20)
    ended = run(sys.executable, "-I", "-S", "-c", f"x = bytearray({size})")
    assert ended.largest_rss_bytes is not None
    assert size < ended.largest_rss_bytes < size + (100 << 20)


def test_nothing_is_left_open() -> None:
    run("true")
    before = (len(os.listdir("/proc/self/fd")), threading.active_count())
    for _ in range(3):
        run("true")
        with pytest.raises(CannotRun):
            run("no-such-command")
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before
