"""Tracing where somebody is in its way: a real-time process, an affinity of ours, a small memory cgroup."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.live import needs
from tests.live.cgroups import TestCgroups, move
from zonerss.errors import CannotServe
from zonerss.kernel.roots import HOST
from zonerss.motion.settle import Settler
from zonerss.motion.tracer import ChurnTracer
from zonerss.plain import dataclass

HOG = """
import os, select, sys
os.sched_setaffinity(0, {int(sys.argv[1])})
try:
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
except PermissionError:
    print("refused", flush=True)
    sys.exit()
print("here", flush=True)
while not select.select([0], [], [], 0)[0]:
    pass
"""
TAKE = """
import sys, zonerss
with zonerss.Session("pagemap", uncertainty=len(sys.argv) > 1) as session:
    print(session.take("cgroup").uncertainty)
"""


@pytest.fixture
def hog() -> Iterator[int]:
    """A processor of ours that a real-time process leaves to nobody, but for what the kernel throttles."""
    ours = sorted(os.sched_getaffinity(0))
    if len(ours) < 2:
        needs.skip("needs_quiet", "there is one processor only")
    with subprocess.Popen(
        [sys.executable, "-c", HOG, str(ours[-1])], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        try:
            answer = process.stdout.readline()
            if answer == b"refused\n":
                needs.skip("needs_realtime")
            assert answer == b"here\n"
            yield ours[-1]
        finally:
            process.kill()


def test_a_real_time_process_is_not_waited_for(hog: int) -> None:
    before = os.sched_getaffinity(0)
    settler = Settler(HOST)
    assert [settler.settle() for _ in range(5)] == [0] * 5
    assert os.sched_getaffinity(0) == before


def test_a_processor_outside_of_our_affinity_is_not_visited() -> None:
    before = os.sched_getaffinity(0)
    one = min(before)
    os.sched_setaffinity(0, {one})
    try:
        settler = Settler(HOST)
        assert settler._visit() <= {one}
        assert settler.settle() == 0
        assert os.sched_getaffinity(0) == {one}
    finally:
        os.sched_setaffinity(0, before)


@dataclass(frozen=True)
class Taken:
    """A snapshot that a process took in a cgroup of its own."""

    status: int
    said: str
    errors: str
    peak_bytes: int
    ended: int
    """Processes that the kernel has ended for their memory."""


def take_in(cgroups: TestCgroups, traces: bool, limit_bytes: int | None = None) -> Taken:
    path = cgroups.make("small")
    try:
        limit, peak, events = (
            ("memory.limit_in_bytes", "memory.max_usage_in_bytes", "memory.oom_control")
            if cgroups.hierarchy.version == 1
            else ("memory.max", "memory.peak", "memory.events")
        )
        if not (path / limit).exists():
            needs.skip("needs_cgroups", "no memory controller for this cgroup")
        if limit_bytes is not None:
            (path / limit).write_text(str(limit_bytes))
            if (path / "memory.swap.max").exists():
                (path / "memory.swap.max").write_text("0")
        done = subprocess.run(
            [sys.executable, "-c", TAKE, *(["traces"] if traces else [])],
            preexec_fn=lambda: move(os.getpid(), path),
            capture_output=True,
            text=True,
        )
        counts = dict(line.split() for line in (path / events).read_text().splitlines())
        return Taken(
            done.returncode,
            done.stdout.strip(),
            done.stderr,
            int((path / peak).read_text()),
            int(counts["oom_kill"]),
        )
    finally:
        cgroups.remove(path)


def test_a_cgroup_that_is_too_small_for_the_compiler_ends_the_compiler_only(cgroups: TestCgroups) -> None:
    """Larger than what a snapshot needs, and by far too small for what the compiler needs besides."""
    try:
        ChurnTracer(HOST).close()
    except CannotServe as err:
        needs.skip("needs_bcc", str(err))
    alone, traced = [
        [take_in(cgroups, traces) for _ in range(2)][1]  # the second finds in memory what it reads of files
        for traces in (False, True)
    ]
    assert (alone.status, alone.said, alone.ended) == (0, "None", 0), alone
    assert (traced.status, traced.said, traced.ended) == (0, "traced", 0), traced
    besides = traced.peak_bytes - alone.peak_bytes
    assert besides > 0
    small = take_in(cgroups, True, alone.peak_bytes + besides // 4)
    assert (small.status, small.said, small.ended) == (0, "net", 1), small
