"""`record -- COMMAND`: run a command in a cgroup of its own, look at it meanwhile, and say what it used."""

from __future__ import annotations

import argparse
import errno
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from typing import TextIO

from zonerss.answers.run import Looks, Run, pause_seconds
from zonerss.commands.options import read_rules
from zonerss.errors import EXHAUSTED, UsageError, ZonerssError
from zonerss.history.keeper import Keeper
from zonerss.history.moment import Moment, take_moment
from zonerss.kernel.cgroup_namespace import go_back
from zonerss.kernel.cgroupfs import find_memory_hierarchy
from zonerss.kernel.child import CannotRun, Child, Ended, running
from zonerss.kernel.outputs import written
from zonerss.kernel.own_cgroup import OwnCgroup, own_cgroup
from zonerss.kernel.roots import HOST
from zonerss.records import Gap
from zonerss.records.files import Holdings
from zonerss.snapshot import Session, Snapshot
from zonerss.views.document import render_json
from zonerss.views.run import document, render
from zonerss.views.terminal import find_terminal, printing_to
from zonerss.views.text import fit, printable
from zonerss.zones.rules import Rule


def run_command(args: argparse.Namespace, keeper: Keeper | None) -> int:
    """
    Run the command, say what it used, and end with its status.

    :param keeper: where snapshots are kept; None: nowhere
    :raises UsageError: the place of the report cannot be written
    :raises CannotServe: there can be no cgroup for it, or nothing can be walked
    """
    run = None
    try:
        with _report(args.report) as report:
            run = _looked_at(args, keeper)
            try:
                _say(run, args, report)
            except OSError:
                _drop(report)
                raise
    except OSError as err:
        if run is None:
            raise
        _complain(f"cannot write the report: {err}")
    return run.status


def _looked_at(args: argparse.Namespace, keeper: Keeper | None) -> Run:
    with ExitStack() as stack:
        place = stack.enter_context(own_cgroup(find_memory_hierarchy(HOST)))
        rules = (_rule(place), *read_rules(args.rules))
        session = stack.enter_context(
            Session(args.source, rules, threads=args.threads, patience=args.patience, follow=True)
        )
        session.take(
            "zone"
        )  # what cannot be walked is told before it runs, and what takes long to load is loaded
        watch = _Watch(session, Looks(_name(place)), keeper, args)
        try:
            with running(args.command, lambda: _move(place)) as child:
                watch.look_until_it_ends(child)
                ended = child.reap()
        except CannotRun as err:
            raise _not_run(err) from err
        return _run_of(args.command, place, ended, watch.looks)


def _move(place: OwnCgroup) -> None:
    """Of the command, before it is executed: into its cgroup, and back to the cgroup namespace that we began in."""
    place.join()  # first: with nsdelegate nobody is moved to or from what lies outside of his namespace
    go_back()


class _Watch:
    """Looks at a command while it runs. What goes wrong with that is told, and does not end it."""

    def __init__(
        self, session: Session, looks: Looks, keeper: Keeper | None, args: argparse.Namespace
    ) -> None:
        self.looks = looks
        self._session, self._keeper, self._args = session, keeper, args
        self._looking = _Trouble("cannot look", "can look again")
        self._keeping = _Trouble("cannot keep", "snapshots are kept again")
        if keeper is not None:
            looks.kept = looks.not_kept = 0

    def look_until_it_ends(self, child: Child) -> None:
        while child.is_running:
            began_ns = time.monotonic_ns()
            with self._looking.told():
                self._look((began_ns - child.began_ns) / 1e9)
            now_ns = time.monotonic_ns()
            took = (now_ns - began_ns) / 1e9
            if self._args.interval is not None:
                pause = self._args.interval - took % self._args.interval  # what is late is skipped
            else:
                pause = pause_seconds((now_ns - child.began_ns) / 1e9, took)
            child.wait(pause)

    def _look(self, seconds: float) -> None:
        if self._keeper is None:
            snapshot = self._session.take("zone")
            self.looks.add(seconds, snapshot, lambda: self._holdings(snapshot))
            return
        moment = take_moment(self._session, self._args.lean)
        self.looks.add(seconds, moment.snapshot, lambda: (moment.holdings, moment.holding_gaps))
        self.looks.note_kept(self._keep(self._keeper, moment))

    def _keep(self, keeper: Keeper, moment: Moment) -> bool:
        with self._keeping.told():
            keeper.add(moment)
            return True
        return False

    def _holdings(self, snapshot: Snapshot) -> tuple[Holdings, tuple[Gap, ...]]:
        members = [member for member in snapshot.members if member.zones[0].name == self.looks.zone]
        return snapshot.ask().holdings(members)


class _Trouble:
    """What goes wrong and does not end the command is told when it begins and when it is over."""

    def __init__(self, begins: str, over: str) -> None:
        self._begins, self._over = begins, over
        self._is_there = False

    @contextmanager
    def told(self) -> Iterator[None]:
        """Tells of what is raised within."""
        try:
            yield
        except (ZonerssError, OSError, MemoryError) as err:
            if not self._is_there:
                _complain(f"{self._begins}, and goes on: {str(err) or EXHAUSTED[errno.ENOMEM]}")
            self._is_there = True
            return
        if self._is_there:
            _complain(self._over)
        self._is_there = False


@contextmanager
def _report(path: str | None) -> Iterator[TextIO]:
    """Where the report goes: standard error, standard output for -, or a file."""
    if path is None or path == "-":
        yield sys.stderr if path is None else sys.stdout
        return
    with ExitStack() as stack:
        try:
            fd = stack.enter_context(written(path))
        except (OSError, ValueError) as err:
            raise UsageError(f"cannot write the report to {path}: {err}") from err
        with open(os.dup(fd), "w", encoding="utf-8", errors="backslashreplace") as file:
            yield file


def _drop(stream: TextIO) -> None:
    """Discard what could not be written: Python would try again at exit, and end with a status of its own."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


def _complain(sentence: str) -> None:
    """On standard error, where that can be written: the command's status matters more."""
    with suppress(OSError):
        print(f"zonerss: {printable(sentence)}", file=sys.stderr, flush=True)


def _name(place: OwnCgroup) -> str:
    return place.path.rpartition("/")[2]


def _rule(place: OwnCgroup) -> Rule:
    """What is in the cgroup and below it is one zone."""
    return Rule(re.compile(rf"\A{re.escape(place.path)}(?=/|\Z)"), _name(place))


def _not_run(err: CannotRun) -> ZonerssError:
    why = "there is no such command" if err.errno == 2 else err.strerror
    error = ZonerssError(f"cannot run {err.filename}: {why}")
    error.exit_status = err.status
    return error


def _run_of(command: list[str], place: OwnCgroup, ended: Ended, looks: Looks) -> Run:
    return Run(
        command=tuple(command),
        zone=looks.zone,
        cgroup=place.path,
        has_bill=place.has_bill,
        began=ended.moment - timedelta(microseconds=ended.wall_ns // 1000),
        ended=ended.moment,
        wall_seconds=ended.wall_ns / 1e9,
        user_seconds=ended.user_seconds,
        system_seconds=ended.system_seconds,
        status=ended.status,
        signal=ended.signal,
        peak_charged_bytes=place.peak_bytes(),
        largest_process_bytes=ended.largest_rss_bytes,
        oom_kills=place.oom_kills(),
        left=tuple(sorted(place.processes())),
        seen=looks,
    )


def _say(run: Run, args: argparse.Namespace, report: TextIO) -> None:
    if args.json:
        print(render_json(document(run), compact=args.report is None), file=report)
    else:
        terminal = find_terminal("never", report)
        with printing_to(terminal):
            lines = list(fit(render(run, args.bytes), terminal.width))
        print("\n".join(lines), file=report)
    report.flush()
