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
SMALL_BYTES = 64 << 20
TAKE = """
import zonerss
with zonerss.Session("pagemap", uncertainty=True) as session:
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


def test_a_cgroup_that_is_too_small_for_the_compiler_ends_the_compiler_only(cgroups: TestCgroups) -> None:
    try:
        ChurnTracer(HOST).close()
    except CannotServe as err:
        needs.skip("needs_bcc", str(err))
    path = cgroups.make("small")
    try:
        limit = "memory.limit_in_bytes" if cgroups.hierarchy.version == 1 else "memory.max"
        if not (path / limit).exists():
            needs.skip("needs_cgroups", "no memory controller for this cgroup")
        (path / limit).write_text(str(SMALL_BYTES))
        done = subprocess.run(
            [sys.executable, "-c", TAKE],
            preexec_fn=lambda: move(os.getpid(), path),
            capture_output=True,
            text=True,
        )
    finally:
        cgroups.remove(path)
    assert (done.returncode, done.stdout.strip()) in ((0, "net"), (0, "traced")), done.stderr
