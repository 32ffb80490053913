"""zonerss-cap.service under a real systemd: within its sandbox it holds a service under its cap, and ends in order."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from zonerss.kernel.capper import DIRECTORY
from zonerss.snapshot import Session

PROJECT = Path(__file__).parents[3]
UNIT = PROJECT / "packaging/systemd/zonerss-cap.service"
PLACE = Path("/run/systemd/system")
CAPS = Path("/etc/zonerss/caps.toml")
PATIENCE = 300  # seconds; no test depends on it but to fail
MIB = 1 << 20
HOT, COLD = 4 * MIB, 16 * MIB
OURS = f"""
[Service]
WorkingDirectory={PROJECT}
BindReadOnlyPaths={PROJECT}
ExecStart=
ExecStart={sys.executable} -m zonerss cap --enforce --caps {CAPS}
"""
"""This checkout in place of what is installed; where it is below /tmp, PrivateTmp= would hide it."""
WORKER = f"""
import mmap, os, sys, time
file = os.open(sys.argv[1], os.O_RDONLY)
memory = mmap.mmap(file, {HOT + COLD}, prot=mmap.PROT_READ)
end = {HOT + COLD}
while True:
    sum(memory[at] for at in range(0, end, 4096))
    end = {HOT}
    time.sleep(0.1)
"""
"""Maps a file, reads all of it once, and its beginning again and again."""


def run(*words: str) -> str:
    return subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE).stdout.strip()


def shown(name: str) -> str:
    return run("systemctl", "show", UNIT.name, "--property", name, "--value")


def wait(true: Callable[[], Any], what: str) -> Any:
    limit = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < limit, f"waited for {what}:\n{log()}"
        time.sleep(0.2)
    return found


def log() -> str:
    return run("journalctl", "--no-pager", "--output=cat", "--unit", UNIT.name)


def status() -> Any:
    words = [sys.executable, "-m", "zonerss", "cap", "--status", "--json"]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else None


@pytest.fixture
def worker(disk_directory: Path) -> Iterator[str]:
    """The name of a service that has mapped its file."""
    path, name = disk_directory / "file", "worker.service"
    path.write_bytes(os.urandom(HOT + COLD))
    with path.open("rb") as file:
        os.fsync(file.fileno())
    run("systemd-run", f"--unit={name}", "--property=Type=exec", sys.executable, "-c", WORKER, str(path))
    try:
        wait(lambda: rss(name) > HOT + COLD, "its memory")
        yield name
    finally:
        run("systemctl", "stop", name)


def rss(name: str) -> int:
    with Session() as session:
        found = [zone.rss_bytes for zone in session.take("zone").zones if zone.zone == name]
    return found[0] if found else 0


@pytest.fixture
def capped(worker: str) -> Iterator[int]:
    """Its cap, 12 MiB below what it maps. The unit is there, and not begun."""
    size = rss(worker) - 12 * MIB
    drop_in = PLACE / f"{UNIT.name}.d"
    CAPS.parent.mkdir(exist_ok=True)
    CAPS.write_text(f'cold = "5s"\n[[cap]]\nzone = "{worker}"\ncap = "{size}"\n')
    CAPS.chmod(0o600)
    (PLACE / UNIT.name).write_text(UNIT.read_text())
    drop_in.mkdir()
    (drop_in / "test.conf").write_text(OURS)
    try:
        run("systemctl", "daemon-reload")
        yield size
    finally:
        subprocess.run(["systemctl", "stop", UNIT.name], check=False)
        for path in (CAPS, PLACE / UNIT.name, drop_in / "test.conf"):
            path.unlink()
        drop_in.rmdir()
        run("systemctl", "daemon-reload")


def limits(name: str) -> dict[str, str]:
    directory = Path("/sys/fs/cgroup" + run("systemctl", "show", name, "--property=ControlGroup", "--value"))
    files = ("memory.max", "memory.high", "memory.low", "memory.min", "memory.swap.max", "cgroup.freeze")
    return {file: (directory / file).read_text() for file in files}


def test_the_unit_is_as_systemd_has_it() -> None:
    """No key and no value that it does not know."""
    command = ["systemd-analyze", "verify", "--man=no", str(UNIT)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    said = [line for line in told.splitlines() if UNIT.name in line and "is not executable" not in line]
    assert said == []


def test_it_holds_a_service_under_its_cap_and_leaves_nothing(worker: str, capped: int) -> None:
    before = limits(worker)
    begun = subprocess.run(["systemctl", "start", UNIT.name], check=False)
    assert begun.returncode == 0, log()
    held = Path(f"/proc/{shown('MainPID')}/status").read_text()
    assert "Seccomp:\t2" in held
    assert "NoNewPrivs:\t1" in held

    def is_under() -> Any:
        found = status()
        zones = found["zones"] if found else []
        return zones[0] if zones and zones[0]["pout_bytes"] and zones[0]["excess_bytes"] == 0 else None

    zone = wait(is_under, "it to be under its cap")
    assert (zone["zone"], zone["cap_bytes"]) == (worker, capped)
    # Less than that much where it has lost some of its own memory meanwhile. A machine that is too busy to run the
    # worker makes its hot pages cold: they come back, within seconds or once it runs again, and go at the next look.
    assert MIB < zone["pout_bytes"] <= 12 * MIB + capped // 20 + MIB + zone["refault_bytes"] + HOT
    wait(lambda: rss(worker) <= capped, "its memory to stay under its cap")
    run("systemctl", "stop", UNIT.name)
    assert (shown("Result"), shown("ExecMainStatus"), shown("NRestarts")) == ("success", "0", "0")
    assert os.listdir(DIRECTORY) == ["lock"]
    assert limits(worker) == before
    assert run("systemctl", "is-active", worker) == "active"
