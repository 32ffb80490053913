"""serve under a real systemd, by the units of packaging/systemd: begun by its socket, reloaded, watched, stopped."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[3]
UNITS = PROJECT / "packaging/systemd"
PLACE = Path("/run/systemd/system")
NAME = "zonerss-exporter"
PATIENCE = 600  # seconds; no test depends on it but to fail
OURS = f"""
[Service]
# A checkout below /tmp is seen in spite of PrivateTmp=.
BindReadOnlyPaths={PROJECT}
WorkingDirectory={PROJECT}
ExecStart=
ExecStart={sys.executable} -m zonerss serve --no-config --interval 1s --max-cpu 100%
WatchdogSec=30
TimeoutAbortSec=5
"""
"""This checkout in place of what is installed, and a watchdog that need not be waited for as long."""


def systemctl(*words: str) -> str:
    done = subprocess.run(["systemctl", *words], check=True, capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout.strip()


def shown(name: str) -> str:
    return systemctl("show", f"{NAME}.service", "--property", name, "--value")


def log() -> str:
    command = ["journalctl", "--no-pager", "--output=cat", "--unit", f"{NAME}.service"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def wait(true: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < limit, f"waited for {what}:\n{log()}"
        time.sleep(0.2)


def ask(path: str) -> tuple[int, str]:
    """Status and body, at the address of the socket unit."""
    connection = http.client.HTTPConnection("127.0.0.1", 9742, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def units() -> Iterator[None]:
    """The socket, listening; the service is not begun."""
    made = [PLACE / f"{NAME}.{kind}" for kind in ("service", "socket")]
    drop_in = PLACE / f"{NAME}.service.d"
    for path in made:
        path.write_text((UNITS / path.name).read_text())
    drop_in.mkdir()
    (drop_in / "test.conf").write_text(OURS)
    try:
        systemctl("daemon-reload")
        systemctl("start", f"{NAME}.socket")
        yield
    finally:
        subprocess.run(["systemctl", "stop", f"{NAME}.socket", f"{NAME}.service"], check=False)
        for path in (*made, drop_in / "test.conf"):
            path.unlink()
        drop_in.rmdir()
        systemctl("daemon-reload")


def test_the_units_are_as_systemd_has_them():
    """No key and no value that it does not know."""
    for kind in ("service", "socket"):
        command = ["systemd-analyze", "verify", "--man=no", str(UNITS / f"{NAME}.{kind}")]
        told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
        said = [line for line in told.splitlines() if NAME in line and "is not executable" not in line]
        assert said == []


@pytest.mark.usefixtures("units")
def test_whoever_asks_first_begins_it_and_its_own_cgroup_is_a_zone():
    assert shown("ActiveState") == "inactive"
    assert ask("/-/healthy")[0] == 200
    assert shown("ActiveState") == "active"  # it has said that it is ready
    wait(lambda: ask("/-/ready")[0] == 200, "the first walk")
    status, body = ask("/metrics")
    assert status == 200
    assert f'zonerss_zone_processes{{zone="{NAME}.service"}} 1.0' in body
    wait(lambda: "zones walked" in shown("StatusText"), "what it says of itself")
    held = Path(f"/proc/{shown('MainPID')}/status").read_text()
    assert "Seccomp:\t2" in held
    assert "NoNewPrivs:\t1" in held


@pytest.mark.usefixtures("units")
def test_a_reload_reads_again_and_stays_active():
    ask("/-/healthy")
    before = shown("MainPID")
    systemctl("reload", f"{NAME}.service")
    wait(lambda: "rules and web configuration were read again" in log(), "the reload")
    assert (shown("ActiveState"), shown("MainPID")) == ("active", before)


@pytest.mark.usefixtures("units")
def test_one_that_hangs_is_ended_by_the_watchdog_and_begins_anew():
    ask("/-/healthy")
    hung, restarts = (
        shown("MainPID"),
        int(shown("NRestarts")),
    )  # a slow machine may have restarted it at its begin
    time.sleep(35)  # it was fed for longer than the watchdog waits
    assert shown("MainPID") == hung
    os.kill(int(hung), signal.SIGSTOP)
    wait(
        # On a slow machine its new begin may take longer than it may, and is begun anew, too.
        lambda: int(shown("NRestarts")) > restarts and shown("ActiveState") == "active",
        "the watchdog",
    )
    assert shown("MainPID") != hung
    wait(lambda: ask("/-/ready")[0] == 200, "the first walk of the new one")


@pytest.mark.usefixtures("units")
def test_it_is_stopped_in_order_and_begun_again():
    ask("/-/healthy")
    systemctl("stop", f"{NAME}.service")
    assert (shown("Result"), shown("ExecMainStatus"), shown("ExecMainCode")) == ("success", "0", "1")
    assert ask("/-/healthy")[0] == 200
    assert shown("ActiveState") == "active"
