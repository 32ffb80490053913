"""Names of users from a directory that may be down."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from zonerss.kernel import patience, users
from zonerss.kernel.users import NameService


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PAUSES", patience.Pauses())


@pytest.fixture
def down() -> Iterator[threading.Event]:
    """Set, it answers; it does so in the end."""
    event = threading.Event()
    yield event
    event.set()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_is_remembered_for_a_while_also_that_there_is_none() -> None:
    asked, clock = list[int](), Clock()
    service = NameService(lambda uid: asked.append(uid) or {7: "alice"}.get(uid), clock)  # type: ignore[func-returns-value]
    for _ in range(3):
        assert (service.name(7), service.name(8)) == ("alice", None)
    assert asked == [7, 8]
    clock.now += users.REMEMBERED_SECONDS
    assert service.name(7) == "alice"
    assert asked == [7, 8, 7]


def test_a_directory_that_is_down_is_waited_for_once(down: threading.Event) -> None:
    """Its users have numbers then, however many of them there are."""
    asked = list[int]()

    def ask(uid: int) -> str:
        asked.append(uid)
        down.wait()
        return "late"

    service = NameService(ask, seconds=0.01)
    assert [service.name(uid) for uid in range(100, 200)] == [None] * 100
    assert asked == [100]


def test_what_it_told_before_it_went_down_is_still_said(down: threading.Event) -> None:
    clock = Clock()
    down.set()

    def ask(uid: int) -> str:
        down.wait()
        return "alice"

    service = NameService(ask, clock, 0.01)
    assert service.name(7) == "alice"
    down.clear()
    clock.now += users.REMEMBERED_SECONDS
    assert service.name(7) == "alice"


def test_one_that_the_host_does_not_know_has_no_name() -> None:
    assert users.NAME_SERVICE.name(4_000_000_123) is None
    assert users.NAME_SERVICE.name(1 << 70) is None
