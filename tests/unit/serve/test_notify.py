"""What a service manager is told, over a socket of the test's own."""

from __future__ import annotations

import os
import socket
import uuid
from pathlib import Path

import pytest

from zonerss.serve.notify import Notifier, journal_stream, watchdog_seconds


@pytest.mark.parametrize("abstract", [False, True])
def test_messages_reach_the_manager(abstract: bool, tmp_path: Path) -> None:
    name = f"@{uuid.uuid4()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0" + name[1:] if abstract else name)
        notifier = Notifier({"NOTIFY_SOCKET": name})
        notifier.ready("two\nlines")
        notifier.alive()
        notifier.reloading()
        notifier.status("x")
        notifier.stopping()
        notifier.close()
        found = [manager.recv(999).decode() for _ in range(5)]
    assert found[:2] == ["READY=1\nSTATUS=two lines", "WATCHDOG=1"]
    assert found[2].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert found[3:] == ["STATUS=x", "STOPPING=1"]


@pytest.mark.parametrize("name", ["", "/nowhere/at/all", "relative", "vsock:2:1"])
def test_without_a_manager_nothing_happens(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name} if name else {})
    notifier.ready("x")
    notifier.close()
    notifier.alive()


def test_a_manager_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(100_000):
            notifier.alive()
        notifier.close()


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "42"}, 0.5),
        ({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "43"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_is_named(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_seconds(environ, 42) == seconds


def test_the_journal_is_told_by_the_file_that_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log:
        found = os.fstat(log.fileno())
        assert journal_stream({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, log.fileno())
        assert not journal_stream({"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino + 1}"}, log.fileno())
        assert not journal_stream({}, log.fileno())
    assert not journal_stream({"JOURNAL_STREAM": "1:2"}, 99_999)
