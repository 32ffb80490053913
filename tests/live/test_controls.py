"""Limits, kills and unmapped cache of cgroups that are set for it, on whichever version has the memory controller."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import zonerss
from tests.live import needs
from tests.live.cgroups import move
from zonerss.records import Usage

MIB = 2**20


def told(zone) -> Usage:
    (usage,) = zonerss.take_snapshot("cgroup", zone=zone.name, controls=True).zones
    return usage


@pytest.fixture
def version(cgroups) -> int:
    return cgroups.hierarchy.version


@contextmanager
def limited(directory: Path, size: int, version: int, name: str = "memory.max") -> Iterator[None]:
    file = directory / (name if version == 2 else "memory.limit_in_bytes")
    if not file.exists():
        needs.skip("needs_cgroups", f"no {file.name}: the memory controller is not enabled here")
    before = file.read_text()
    file.write_text(str(size))
    try:
        yield
    finally:
        # Version 1 writes no limit as a number that it takes back as -1.
        file.write_text(before if version == 2 or int(before) < 2**62 else "-1")


def parents_limit(zone) -> int | None:
    """Of what lies above the tests' own cgroups, whatever the host has set."""
    return told(zone).limit_bytes


def test_no_limit(zone) -> None:
    above = [path for path in zone.path.parents if (path / "cgroup.procs").exists()]
    values = [(path / "memory.max") for path in above if (path / "memory.max").exists()]
    if any(value.read_text() != "max\n" for value in values):
        needs.skip("needs_host", "a cgroup above ours has a limit")
    assert told(zone).limit_bytes is None
    assert told(zone).high_bytes is None


def test_the_zones_own_limit(zone, version) -> None:
    with limited(zone.path, 300 * MIB, version):
        assert told(zone).limit_bytes == 300 * MIB
    assert told(zone).limit_bytes == parents_limit(zone)


def test_the_parents_limit_is_smaller(zone, version, cgroups) -> None:
    with limited(cgroups.top, 200 * MIB, version), limited(zone.path, 200 * MIB, version):
        pass  # both files are there
    with limited(cgroups.top, 200 * MIB, version):
        assert told(zone).limit_bytes == 200 * MIB
        with limited(zone.path, 100 * MIB, version):
            assert told(zone).limit_bytes == 100 * MIB
    with limited(zone.path, 300 * MIB, version), limited(cgroups.top, 200 * MIB, version):
        assert told(zone).limit_bytes == 200 * MIB


def test_memory_high_is_of_version_2(zone, version) -> None:
    if version == 1:
        assert told(zone).high_bytes is None
        return
    with limited(zone.path, 250 * MIB, version, "memory.high"):
        assert told(zone).high_bytes == 250 * MIB


def test_pressure_is_of_version_2(zone, version) -> None:
    usage = told(zone)
    if version == 1 or not (zone.path / "memory.pressure").exists():
        assert (usage.pressure_some, usage.pressure_full) == (None, None)
    else:
        assert 0 <= usage.pressure_full <= usage.pressure_some <= 100


def test_a_kill(zone, version) -> None:
    before = told(zone).oom_kills
    with limited(zone.path, told(zone).charged_bytes + 20 * MIB, version):
        eater = subprocess.Popen(
            [sys.executable, "-c", "b = bytearray(200 << 20)"],
            preexec_fn=lambda: (
                Path("/proc/self/oom_score_adj").write_text("1000"),
                move(os.getpid(), zone.path),
            ),
        )
        assert eater.wait() == -signal.SIGKILL
        assert told(zone).oom_kills == before + 1


def test_page_cache_that_nobody_maps(zone, version, disk_directory: Path) -> None:
    before = told(zone)
    path = disk_directory / "cached"
    code = f"open({str(path)!r}, 'wb').write(bytes(48 << 20))"
    subprocess.run([sys.executable, "-c", code], check=True, preexec_fn=lambda: move(os.getpid(), zone.path))
    for _ in range(10):
        after = told(zone)
        if after.cache_unmapped_bytes - before.cache_unmapped_bytes >= 47 * MIB:
            break
        time.sleep(0.5)  # memory.stat is flushed every two seconds
    assert abs(after.cache_unmapped_bytes - before.cache_unmapped_bytes - 48 * MIB) <= MIB
    path.unlink()


def test_what_removed_cgroups_hold(zone, version, tmpfs_directory: Path) -> None:
    inner = zone.path / "inner"
    inner.mkdir()
    path = tmpfs_directory / "left"
    try:
        code = f"open({str(path)!r}, 'wb').write(bytes(24 << 20))"
        if version == 2:
            needs.skip("needs_cgroup1", "a cgroup with processes has no children on version 2")
        before = told(zone).dead_cgroups_bytes
        subprocess.run([sys.executable, "-c", code], check=True, preexec_fn=lambda: move(os.getpid(), inner))
    finally:
        inner.rmdir()
    for _ in range(10):
        grown = told(zone).dead_cgroups_bytes - before
        if grown >= 23 * MIB:
            break
        time.sleep(0.5)
    assert abs(grown - 24 * MIB) <= 2 * MIB
