"""Every call of the core that can fail does so once: each time an exact answer, one with gaps, or a sentence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import needs
from tests.live.conftest import SOURCES, cannot_serve
from tests.live.fault_questions import ACTED_ON
from tests.workloads.build import build, build_mem
from zonerss.kernel.namespaces import is_first_namespace
from zonerss.kernel.roots import HOST

pytestmark = pytest.mark.same_in_container

PROJECT = Path(__file__).parents[2]
WALK = {"openat", "read", "pread", "malloc", "calloc", "realloc", "pthread_create"}
CALLS = {
    "snapshot": WALK,
    "incore": WALK,
    "holdings": WALK,
    "listing": {"read", "calloc", "realloc", "syscall"},
    "slices": {"read", "calloc", "realloc"},
    "cold": {"pread", "syscall"},
    "clear_refs": {"mmap", "fork", "syscall", "poll", "write", "waitpid"},
    "pageout": {"pread", "syscall", "poll"},
    "frames": {"pread", "ioctl"},
    "mapcount": {"pread", "calloc", "realloc", "mmap"},
    "several": {"pread", "calloc", "realloc", "mmap"},
    "sums": {"malloc", "calloc", "realloc", "mmap"},
}
"""Some that each question makes."""


@pytest.fixture(scope="module")
def library() -> Path:
    return build(PROJECT / "tests" / "workloads" / "faults.c", "-shared", "-fPIC", "-ldl")


@pytest.mark.parametrize(
    ("source", "question"),
    [
        *((source, question) for source in SOURCES for question in ("snapshot", "incore", "holdings")),
        ("pagetable", "listing"),  # of no source
        *(("pagetable", question) for question in ACTED_ON),
    ],
)
def test_whatever_fails_no_figure_is_wrong(source: str, question: str, library: Path) -> None:
    if reason := cannot_serve(source):
        needs.skip("needs_frames" if source == "pagemap" else f"needs_{source}", reason)
    if not is_first_namespace(HOST, "pid"):
        needs.skip("needs_host", "we are in a pid namespace ourselves")
    build_mem()  # not as the first process of a namespace
    prefix = ("unshare", "--pid", "--fork", "--mount-proc")
    command = (*prefix, sys.executable, "-m", "tests.live.every_fault", source, question)
    environment = {**os.environ, "LD_PRELOAD": str(library)}
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, env=environment, check=False)
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, (done.stderr, rows[-1:])
    assert [row for row in rows if row[-1]] == []
    assert {function for function, _, _, calls, _ in rows if calls} >= CALLS[question]


WITHOUT_POLL = """
import errno, os, sys
from tests.live.every_fault import Faults
from zonerss._core import ffi, lib

faults, row = Faults(), ffi.new("struct cleared *")
for function, how in (("poll", errno.ENOMEM), ("syscall", errno.EMFILE)):
    for full in (True, False):
        ours, theirs = os.pipe()
        if full:
            os.set_blocking(theirs, False)
            try:
                while os.write(theirs, bytes(1 << 16)):
                    pass
            except BlockingIOError:
                os.set_blocking(theirs, True)
        faults.arm(function, 0, how, True)
        error = lib.clear_by_clear_refs(theirs, PATIENCE_MS * 1_000_000, row)
        print(errno.errorcode.get(-error, error), faults.disarm())
        os.close(ours)
        os.close(theirs)
"""
PATIENCE_MS, START_MS = 200, 2000
"""How long a child may take, and how long it may wait for a processor before (clear.c)."""


def test_a_child_is_waited_for_where_nothing_tells_that_it_has_ended(library: Path) -> None:
    """Without memory for poll(2), or a descriptor to poll: it looks once a millisecond, and does not spin."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_POLL.replace("PATIENCE_MS", str(PATIENCE_MS))],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        env={**os.environ, "LD_PRELOAD": str(library)},
        check=True,
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert [error for error, _ in rows] == ["ETIMEDOUT", "0", "ETIMEDOUT", "0"]
    assert all(0 < int(calls) <= PATIENCE_MS + START_MS + 1 for _, calls in rows)
