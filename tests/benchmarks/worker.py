"""Run by the Python of one build or another: does what it is asked, a line of JSON each, and says what it cost.

    {"do": "take", "session": {"source": "pagetable"}, "by": ["cgroup"]}
    {"wall_ns": 5300000, "cpu_ns": 7100000}

A session is opened when it is first asked for, and kept. Only what both builds have is used here; what has another
name or place in one of them is looked for in both.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib import import_module
from typing import Any

try:
    import zonerss as package
except ImportError:
    import collector as package

Answer = dict[str, int]
SESSIONS: dict[str, Any] = {}
OPEN = ExitStack()


def module(*names: str) -> Any:
    """The first module of these names that the package has."""
    for name in names:
        try:
            return import_module(f"{package.__name__}.{name}")
        except ModuleNotFoundError as err:
            if not (err.name or "").startswith(package.__name__):
                raise
    raise ModuleNotFoundError(f"{package.__name__} has none of {', '.join(names)}")


def session_of(how: dict[str, Any]) -> Any:
    key = json.dumps(how, sort_keys=True)
    if key not in SESSIONS:
        SESSIONS[key] = OPEN.enter_context(package.Session(**how))
    return SESSIONS[key]


def timed(work: Callable[[], object]) -> Answer:
    """What it costs; what is given back afterwards costs nothing."""
    gc.collect()
    began, busy = time.perf_counter_ns(), time.process_time_ns()
    result = work()
    answer = {"wall_ns": time.perf_counter_ns() - began, "cpu_ns": time.process_time_ns() - busy}
    del result
    return answer


def take(session: dict[str, Any], **how: Any) -> Answer:
    """A snapshot with a warm session."""
    kept = session_of(session)
    return timed(lambda: kept.take(**how))


def walk(session: dict[str, Any], **how: Any) -> Answer:
    """The same; the wall time is the walk's alone."""
    kept, found = session_of(session), []
    answer = timed(lambda: found.append(kept.take(**how)))
    return answer | {"wall_ns": found[0].walk_ns}


def first(session: dict[str, Any], **how: Any) -> Answer:
    """Opening a session, its first snapshot, closing it."""

    def work() -> None:
        with package.Session(**session) as new:
            new.take(**how)

    return timed(work)


def share(session: dict[str, Any], by: str) -> Answer:
    """Parts and pairs of all zones, the largest parts named."""
    kept, measure = session_of(session), module("commands.share").measure
    return timed(lambda: measure(kept, by))


def files(session: dict[str, Any], by: str, zone: str | None = None) -> Answer:
    """Which files the zones map: Evidence.holdings() and sums."""
    kept, measure = session_of(session), module("commands.files").measure
    return timed(lambda: measure(kept, by, zone))


def whatif(session: dict[str, Any], by: str, without: list[str]) -> Answer:
    """What would come back if zones ended."""
    kept, measure = session_of(session), module("commands.whatif").measure
    return timed(lambda: measure(kept, by, without))


def payers(session: dict[str, Any], by: str) -> Answer:
    """Who pays for each frame: Evidence.payers() and sums."""
    kept, pay_matrix = session_of(session), module("answers.explain.account", "accounting").pay_matrix
    return timed(lambda: pay_matrix(kept, by))


def mapcounts(session: dict[str, Any], **how: Any) -> Answer:
    """How often the frames of a snapshot are mapped: Evidence.mapcounts(), without taking it."""
    snapshot = session_of(session).take(**how)
    return timed(getattr(snapshot, "evidence", snapshot).mapcounts)


def memory(session: dict[str, Any]) -> Answer:
    """By how many bytes this process grows at most while it takes a first snapshot."""
    with package.Session(**session) as new:
        before = status_bytes("VmRSS:")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # the peak begins anew
        new.take()
        return {"bytes": status_bytes("VmHWM:") - before}


def status_bytes(name: str) -> int:
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


TASKS = {task.__name__: task for task in (take, walk, first, share, files, whatif, payers, mapcounts, memory)}


def answer_to(request: dict[str, Any]) -> dict[str, Any]:
    try:
        return dict(TASKS[request.pop("do")](**request))
    except Exception as err:
        return {"error": f"{type(err).__name__}: {err}"}


if __name__ == "__main__":
    with OPEN:
        for line in sys.stdin:
            print(json.dumps(answer_to(json.loads(line))), flush=True)
