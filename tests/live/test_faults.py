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
