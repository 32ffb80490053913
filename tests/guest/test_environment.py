"""Whether the guest has what it was made for. Runs first."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live.conftest import cannot_serve

PROJECT = Path(__file__).parents[2]


def test_the_kernel_is_one_of_the_matrix():
    series = subprocess.run(
        [sys.executable, PROJECT / "vm/kernels.py"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert ".".join(os.uname().release.split(".")[:2]) in series


def test_the_memory_controller_is_on_version_2():
    assert "memory" in Path("/sys/fs/cgroup/cgroup.controllers").read_text().split()


@pytest.mark.parametrize("source", ["pagemap", "pagetable"])
def test_both_sources_serve(source: str):
    assert not cannot_serve(source)


@pytest.mark.parametrize(
    "file",
    [
        "/sys/kernel/btf/vmlinux",
        "/sys/kernel/mm/ksm/run",
        "/sys/kernel/tracing/kprobe_events",
        "/sys/fs/cgroup/init.scope/memory.reclaim",
    ],
)
def test_the_kernel_has(file: str):
    assert Path(file).exists()


def test_a_kprobe_can_be_set():
    events = Path("/sys/kernel/tracing/kprobe_events")
    tell(events, "p:zonerss_test/probe vfs_read")
    try:
        assert "zonerss_test/probe" in events.read_text()
    finally:
        tell(events, "-:zonerss_test/probe")
    assert "zonerss_test" not in events.read_text()


def tell(events: Path, command: str) -> None:
    # Without O_APPEND all other probes would go; Python's own "a" seeks, which this file does not know.
    fd = os.open(events, os.O_WRONLY | os.O_APPEND)
    try:
        os.write(fd, command.encode())
    finally:
        os.close(fd)
