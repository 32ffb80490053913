"""The cgroups of test runs that were killed go, with what is in them; those of others stay."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.leftovers import cgroups as cgroups_of_ours
from tests.live.cgroups import TestCgroups, end_processes, is_of_the_dead, pids_in, remove, sweep
from tests.own import PREFIX

PROJECT = Path(__file__).parents[2]
SCRIPT = """
import subprocess, sys
from tests.live.cgroups import TestCgroups, move
cgroups = TestCgroups()
cgroups.open()
path = cgroups.make("zone")
sleep = subprocess.Popen(["sleep", "600"])
move(sleep.pid, path)
print(path, file=sys.stderr, flush=True)
sys.stdin.read()
cgroups.close()
"""


@contextmanager
def another_run() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """Another test run, and the cgroup of a zone of it, in which there is a process."""
    command = [sys.executable, "-c", SCRIPT]
    with subprocess.Popen(
        command, cwd=PROJECT, stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as run:
        zone = Path(run.stderr.readline().strip())
        try:
            yield run, zone
        finally:
            run.stdin.close()
            run.wait()
            if zone.exists():
                end_processes(zone)
                remove(zone)
                remove(zone.parent)


def test_what_a_run_that_was_killed_has_left_goes_and_no_other(cgroups: TestCgroups) -> None:
    with another_run() as (_, kept), another_run() as (killed, lost):
        killed.kill()
        killed.wait()
        assert pids_in(lost)
        assert is_of_the_dead(lost.parent)
        for path in (kept.parent, cgroups.top):
            assert not is_of_the_dead(path)
        sweep(cgroups.hierarchy.mount)
        assert not lost.parent.exists()
        assert pids_in(kept)
    assert not kept.parent.exists()
    assert cgroups.top.exists()


def test_whoever_has_the_lock_lives_whatever_its_pid(cgroups: TestCgroups) -> None:
    """Seen from another pid namespace there may be no such process."""
    assert int(cgroups.top.name.removeprefix(PREFIX)) == os.getpid()  # which does not make it alive
    assert not is_of_the_dead(cgroups.top)


def test_cgroups_of_ours_are_seen(cgroups: TestCgroups) -> None:
    before = cgroups_of_ours()
    path = cgroups.make("seen")
    assert list(cgroups_of_ours().keys() - before.keys()) == [("cgroup", str(path))]
    cgroups.remove(path)
    assert cgroups_of_ours() == before
