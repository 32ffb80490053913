"""What hands do with the answers of the kernel; what the kernel does: tests/live/test_cap_hands.py."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from tests.unit.builders import members

from zonerss._core import ffi
from zonerss.cap import hands as module
from zonerss.cap.hands import Hands, _Held
from zonerss.cap.records import ByKind, Machine
from zonerss.census.kinds import Kind
from zonerss.errors import CannotServe, UnknownZone
from zonerss.kernel.pageout import PagedOut
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.units import PAGE_BYTES

MIB = 1 << 20
(MEMBER,) = members("a")


class Ranges:
    """Processes of a zone, each with slices enough."""

    def __init__(self, pids: Sequence[int]) -> None:
        self.tasks = [(replace(MEMBER.task, pid=pid), "a") for pid in pids]

    def of(self, *_: object) -> tuple[int, int]:
        return 0, 100


class Kernel:
    """Pages of some processes do not leave."""

    def __init__(self, pinned: Sequence[int] = (), calls: int = 1000) -> None:
        self.pinned, self.calls = pinned, calls
        self.asked: list[int] = []
        self.swap_free_bytes = 16 * MIB

    def page_out(
        self, _roots: object, task: Any, _at: object, _count: object, _cut: object, most: int, _s: object
    ) -> PagedOut:
        if len(self.asked) >= self.calls:
            raise CannotServe("no thread can be started")
        self.asked.append(most)
        left = 0 if task.pid in self.pinned else min(most, 512)
        return PagedOut(1, 0, min(most, 512), (), left, 0, 0)

    def machine(self, _: object) -> Machine:
        return Machine(0, 64 * MIB, 0, 16 * MIB, self.swap_free_bytes, False)


@pytest.fixture
def hands() -> Iterator[Hands]:
    with Hands("zone") as hands:
        yield hands


def acting(hands: Hands, monkeypatch: pytest.MonkeyPatch, kernel: Kernel, pids: Sequence[int]) -> None:
    monkeypatch.setattr(module, "page_out", kernel.page_out)
    monkeypatch.setattr(module, "machine_of", kernel.machine)
    monkeypatch.setattr(module.Session, "movement", lambda *_: lambda task: False)
    hands._held["a"] = _Held(ranges=Ranges(pids))  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["anon_bytes", "file_bytes", "shmem_bytes"])
def test_pages_of_one_process_that_do_not_leave_hold_up_no_other(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    acting(hands, monkeypatch, Kernel(pinned=[7]), [7, 8])
    step = hands.page_out("a", ByKind(**{kind: 4 * MIB}))
    assert step.left == ByKind(**{kind: 4 * MIB})
    assert step.problem is None
    assert step.left_out == (f"process 7: pages of kind {kind.removesuffix('_bytes')} do not leave",)


@pytest.mark.parametrize(
    ("cause", "left_out"),
    [(Cause.EXITED, ()), (Cause.BUSY, ("process 7: its memory was locked for too long",))],
)
def test_a_process_that_cannot_be_had_is_passed_over(
    hands: Hands, monkeypatch: pytest.MonkeyPatch, cause: Cause, left_out: tuple[str, ...]
) -> None:
    kernel = Kernel()
    acting(hands, monkeypatch, kernel, [7, 8])

    def page_out(roots: object, task: Any, *rest: Any) -> PagedOut | Gap:
        return Gap(7, "pageout", cause) if task.pid == 7 else kernel.page_out(roots, task, *rest)

    monkeypatch.setattr(module, "page_out", page_out)
    step = hands.page_out("a", ByKind(file_bytes=4 * MIB))
    assert (step.left_bytes, step.problem, step.left_out) == (4 * MIB, None, left_out)


def test_it_says_that_it_ended_before_a_huge_page(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    acting(hands, monkeypatch, Kernel(), [7])
    slices = ffi.new("struct slice[]", [{"start": 0, "end": 2 * MIB, "huge": 1} for _ in range(3)])
    hands._held["a"].ranges.of = lambda *_: (slices, 3)  # type: ignore[union-attr,method-assign]

    def page_out(
        _r: object, _t: object, _at: object, count: int, _cut: int, most: int, _s: object
    ) -> PagedOut:
        pages = 2 * MIB // PAGE_BYTES
        return PagedOut(1, 0, pages, (), pages, 0, 0) if most >= pages else PagedOut(0, 0, 0, (), 0, 0, 0)

    monkeypatch.setattr(module, "page_out", page_out)
    step = hands.page_out("a", ByKind(file_bytes=3 * MIB))
    assert (step.left_bytes, step.tried.total_bytes, step.huge_bytes) == (2 * MIB, 2 * MIB, 2 * MIB)
    step = hands.page_out("a", ByKind(file_bytes=4 * MIB))
    assert (step.left_bytes, step.huge_bytes) == (4 * MIB, 0)


def test_pages_of_large_folios_are_passed_over(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    acting(hands, monkeypatch, Kernel(), [7])
    monkeypatch.setattr(module, "page_out", lambda *_: PagedOut(1, 0, 512, (), 512, 100, 0))
    step = hands.page_out("a", ByKind(file_bytes=4 * MIB))
    assert (step.problem, step.left_out, step.large_bytes) == (None, (), 200 * PAGE_BYTES)


def test_the_last_of_swap_is_left_to_others_whatever_was_decided(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = Kernel()
    acting(hands, monkeypatch, kernel, [7])
    kernel.swap_free_bytes = 3 * MIB
    assert hands.page_out("a", ByKind(anon_bytes=8 * MIB)).left == ByKind(anon_bytes=2 * MIB)
    kernel.swap_free_bytes = MIB + 1  # less than a page more than what is left
    step = hands.page_out("a", ByKind(anon_bytes=8 * MIB))
    assert (step.left_bytes, step.problem) == (
        0,
        "swap is full up to the last 1/16: anon and shmem are left alone",
    )


def test_what_had_left_before_it_failed_is_told(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    acting(hands, monkeypatch, Kernel(calls=1), [7])
    step = hands.page_out("a", ByKind(file_bytes=4 * MIB))
    assert (step.left, step.problem) == (ByKind(file_bytes=2 * MIB), "no thread can be started")


def test_of_a_zone_that_is_not_there_any_more_nothing_is_kept(hands: Hands) -> None:
    hands._held["no such zone"] = _Held()
    assert "no such zone" not in hands.bounds()
    assert "no such zone" not in hands._held


def reclaiming(hands: Hands, monkeypatch: pytest.MonkeyPatch, walks: Sequence[Any]) -> list[int]:
    """Hands of a zone whose walks come out so; what memory.reclaim is asked for."""
    asked, left = [], iter(walks)

    def alone(_: str) -> Any:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(hands, "_alone", alone)
    monkeypatch.setattr(module, "reclaim", lambda _hierarchy, _cgroup, size: asked.append(size))
    monkeypatch.setattr(module, "_left_between", lambda before, after: {Kind.ANON: before - after})
    hands._held["a"] = _Held(cgroup="/a")
    return asked


def test_what_has_left_is_counted_by_another_walk_where_the_first_fails(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = reclaiming(hands, monkeypatch, [1000, CannotServe("no thread can be started"), 900])
    step = hands.reclaim("a", 8 * MIB)
    assert (asked, step.left, step.problem) == ([8 * MIB], ByKind(anon_bytes=100 * PAGE_BYTES), None)
    assert hands.back("a").of_bytes == 100 * PAGE_BYTES


def test_what_could_not_be_counted_is_told(hands: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = CannotServe("no thread can be started")
    asked = reclaiming(hands, monkeypatch, [1000, failed, failed])
    step = hands.reclaim("a", 8 * MIB)
    assert (asked, step.left_bytes) == ([8 * MIB], 0)
    assert step.problem == "what has left could not be counted: no thread can be started"


def test_of_a_zone_that_ended_meanwhile_nothing_has_left(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    reclaiming(hands, monkeypatch, [1000, UnknownZone("there is no zone a", "a")])
    step = hands.reclaim("a", 8 * MIB)
    assert (step.left_bytes, step.problem) == (0, "it ended meanwhile")


def test_zones_below_one_limit_of_swap_fill_it_together(
    hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves is read before each step, whatever it left at the look."""
    acting(hands, monkeypatch, Kernel(), [7])
    hands._held["a"].cgroup = "/parent/a"
    for room, left in ((2 * MIB, 2 * MIB), (0, 0)):
        monkeypatch.setattr(module, "limited_swap_room", lambda *_, room=room: room)
        hands._held["a"].at.clear()
        step = hands.page_out("a", ByKind(anon_bytes=4 * MIB))
        assert step.left_bytes == left
    assert step.problem == "its cgroup may not use more swap: anon and shmem are left alone"
