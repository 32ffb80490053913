"""The least that a measurement needs, found by leaving out one capability after the other (see docs/places.md)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

LOOKS = 10
LEAST = ("sys_admin", "dac_read_search", "sys_ptrace")
NOBODY = 65534


@pytest.fixture(scope="module")
def other() -> Iterator[int]:
    """A process of another user."""
    with subprocess.Popen(["sleep", "1000"], user=NOBODY, group=NOBODY, extra_groups=()) as process:
        while Path(f"/proc/{process.pid}/comm").read_text() != "sleep\n":
            time.sleep(0.01)
        yield process.pid
        process.kill()


def run_zonerss(source: str, capabilities: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """zonerss as a root that has no other capabilities than these."""
    bounding = "".join(f",+{name}" for name in capabilities)
    return subprocess.run(
        [
            *("setpriv", f"--bounding-set=-all{bounding}", "--inh-caps=-all"),
            *(sys.executable, "-m", "zonerss", "--source", source, "--by", "user", "--json"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("source", ["pagemap", "pagetable"])
def test_three_capabilities_are_enough(source: str, other: int):
    for _ in range(LOOKS):
        told = run_zonerss(source, LEAST)
        assert told.returncode == 0, told.stderr
        snapshot = json.loads(told.stdout)
        if not {gap["cause"] for gap in snapshot["gaps"]} & {"began", "exited", "exec", "moved", "reused"}:
            break  # nobody began or ended meanwhile
    assert snapshot["source"] == source
    assert snapshot["gaps"] == []
    assert {zone["processes"] for zone in snapshot["zones"] if "nobody" in zone["zone"]} == {1}


def test_without_sys_admin_there_are_no_frame_numbers():
    told = run_zonerss("pagemap", ("dac_read_search", "sys_ptrace"))
    assert (told.returncode, told.stdout) == (1, "")
    assert "CAP_SYS_ADMIN" in told.stderr


@pytest.mark.parametrize("missing", ["dac_read_search", "sys_ptrace"])
def test_without_one_of_the_others_processes_of_other_users_are_gaps(missing: str, other: int):
    told = run_zonerss("pagemap", tuple(name for name in LEAST if name != missing))
    assert told.returncode == 0, told.stderr
    refused = {gap["pid"] for gap in json.loads(told.stdout)["gaps"] if gap["cause"] == "refused"}
    if missing == "dac_read_search":
        assert refused == {other}
    else:
        # Of root's own processes those that have more capabilities than we are gaps as well.
        assert other in refused
