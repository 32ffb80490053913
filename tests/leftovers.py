"""What a test leaves behind fails it: processes, cgroups, mounts and threads that it began and did not end.

A pytest plugin, which tests/conftest.py registers. What is begun while a fixture of a wider scope is set up may stay
until that fixture has ended.
"""

from __future__ import annotations

import functools
import os
import re
import threading
import time
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.live.cgroups import Hierarchy, unescape
from tests.own import NAME, pid_of

PATIENCE_SECONDS = 2.0
Things = dict[object, str]
"""By what tells one from another: what a person is told of it."""


class Watch:
    """What there is of ours."""

    def __init__(self) -> None:
        self.places = [NAME]
        """What the mount point of each mount of ours has in it."""
        self._strangers: set[str] = set()

    def things(self) -> Things:
        return {**self.children(), **threads(), **cgroups(), **self.mounts()}

    def children(self) -> Things:
        """Processes that we began and did not wait for, running or ended. Each pid of others is read once."""
        try:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return {}
        found: Things = {}
        pids = {name for name in os.listdir("/proc") if name.isdigit()}
        self._strangers &= pids
        for pid in pids - self._strangers:
            try:
                stat = Path(f"/proc/{pid}/stat").read_bytes().decode(errors="replace")
            except OSError:
                continue
            command, _, rest = stat.rpartition(")")
            state, parent, *others = rest.split()
            if int(parent) == os.getpid():
                began = others[17]
                found["process", pid, began] = f"process {command})" + " has not been waited for" * (
                    state == "Z"
                )
            else:
                self._strangers.add(pid)
        return found

    def mounts(self) -> Things:
        found: Things = {}
        for line in Path("/proc/self/mountinfo").read_bytes().decode(errors="surrogateescape").splitlines():
            number, _, _, _, point, *_ = line.split(" ")
            if any(re.search(rf"{re.escape(place)}(?!\d)", point) for place in self.places):
                found["mount", number] = f"mount {unescape(point)!a}"
        return found


def threads() -> Things:
    """Those that would keep us from ending."""
    return {
        ("thread", thread.ident): f"thread {thread.name}"
        for thread in threading.enumerate()
        if not thread.daemon and thread is not threading.main_thread()
    }


@functools.cache
def places_of_cgroups() -> tuple[Path, ...]:
    try:
        hierarchy = Hierarchy()
    except FileNotFoundError:
        return ()
    return tuple({hierarchy.parent_of_tests(), *hierarchy.mounts_of_version2})


def cgroups() -> Things:
    found: Things = {}
    for place in places_of_cgroups():
        for name in os.listdir(place):
            if pid_of(name) == os.getpid():
                for directory, *_ in os.walk(place / name):
                    found["cgroup", directory] = f"cgroup {directory!a}"
    return found


class Leftovers:
    """The plugin."""

    def __init__(self) -> None:
        self.watch = Watch()
        self._before: Things = {}
        self._wide: dict[str, Things] = {}
        """What each fixture that outlives a test began."""

    def pytest_sessionstart(self) -> None:
        self._before = self.watch.things()

    @pytest.hookimpl(wrapper=True)
    def pytest_fixture_setup(
        self, fixturedef: pytest.FixtureDef[object], request: pytest.FixtureRequest
    ) -> Generator[None, object, object]:
        if fixturedef.scope == "function":
            return (yield)
        before = self.watch.things()
        try:
            return (yield)
        finally:
            now = self.watch.things()
            self._wide[key(fixturedef)] = {one: now[one] for one in now.keys() - before.keys()}

    def pytest_fixture_post_finalizer(self, fixturedef: pytest.FixtureDef[object]) -> None:
        self._wide.pop(key(fixturedef), None)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> Generator[None, None, None]:
        try:
            yield
        finally:
            left = self._left()
            self._before |= left  # the tests after this one are not to blame
        if left:
            pytest.fail(f"left behind: {', '.join(sorted(left.values()))}", pytrace=False)

    def _left(self) -> Things:
        """What was begun and has not ended; a thread that was told to end may take a moment."""
        until = time.monotonic() + PATIENCE_SECONDS
        while (left := self._begun()) and time.monotonic() < until:
            time.sleep(0.01)
        return left

    def _begun(self) -> Things:
        known = self._before.keys() | {one for things in self._wide.values() for one in things}
        return {one: text for one, text in self.watch.things().items() if one not in known}


def key(fixturedef: pytest.FixtureDef[object]) -> str:
    return f"{fixturedef.baseid}::{fixturedef.argname}"
