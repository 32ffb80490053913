"""When nothing is told of what others use of a cgroup's memory; all else of a look: tests/live/test_cap_hands.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from zonerss.cap import look as module
from zonerss.kernel.roots import HOST
from zonerss.records import Cause, Caveat, Gap


class Session:
    """Of a walk that has found no zone."""

    def __init__(self, warnings: tuple[Caveat, ...], gaps: tuple[Gap, ...]) -> None:
        self.found = SimpleNamespace(warnings=warnings, gaps=gaps, zones=(), members=())

    def take(self, *_: object, **__: object) -> SimpleNamespace:
        return self.found

    def place(self, _: str) -> tuple[None, tuple[()]]:
        return None, ()


@pytest.mark.parametrize(
    ("warnings", "gaps", "is_asked"),
    [
        ((), (), True),
        ((Caveat("cgroups", "."),), (), True),
        ((Caveat("pid_namespace", "."),), (), False),
        ((), (Gap(7, "tables", Cause.BUSY),), False),
    ],
    ids=["all seen", "another warning", "only a pid namespace", "one process not"],
)
def test_what_others_use_is_not_told_where_some_are_not_seen(
    monkeypatch: pytest.MonkeyPatch, warnings: tuple[Caveat, ...], gaps: tuple[Gap, ...], is_asked: bool
) -> None:
    asked: list[object] = []

    def billed(*arguments: object) -> dict[str, int]:
        asked.append(arguments)
        return {}

    monkeypatch.setattr(module, "_classes", lambda *_: {})
    monkeypatch.setattr(module, "_billed", billed)
    session: Any = Session(warnings, gaps)
    assert module.look(session, HOST, "zone", ["a"], {}, 0) == module.Found({}, None)
    assert bool(asked) is is_asked
