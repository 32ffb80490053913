"""A machine made of figures."""

from __future__ import annotations

import pytest
from tests.unit.cap.samples import SECOND, M

from zonerss.cap.model import ARM_NS, WALK_NS, Area, World
from zonerss.cap.records import (
    Arm,
    Back,
    Bound,
    ByKind,
    CheckBack,
    Gone,
    Look,
    LookCold,
    PageOut,
    Step,
    Wait,
)


def armed(*areas: Area, wait_s: int = 3, **fields: int) -> tuple[World, Look]:
    """Made, armed, and looked at after some seconds."""
    world = World({"web": areas}, **fields)  # type: ignore[arg-type]
    world.perform(Arm("web", ""))
    world.advance(world.now_ns + wait_s * SECOND)
    found = world.perform(LookCold("web", ""))
    assert isinstance(found, Look)
    return world, found


def test_an_area_has_the_size_that_it_was_given_last() -> None:
    found = Area("anon", ((5, 100), (9, 50)))
    assert [found.size_at(now) for now in (0, 4, 5, 8, 9, 10**12)] == [0, 0, 100, 100, 50, 50]


def test_what_is_touched_is_not_cold() -> None:
    hot, cold = Area("anon", ((0, 7 * M),), SECOND), Area("file", ((0, 5 * M),))
    _, found = armed(hot, cold, Area("file", ((0, 3 * M),), 60 * SECOND))
    assert found.classes.cold == ByKind(0, 8 * M, 0)
    assert found.classes.cold_seconds == 3
    assert found.rss_bytes == 15 * M


def test_only_what_was_there_when_it_was_armed_is_cold() -> None:
    _, found = armed(Area("anon", ((0, 7 * M), (2 * SECOND, 9 * M))))
    assert found.classes.cold == ByKind(7 * M, 0, 0)


def test_classes() -> None:
    shared = Area("shmem", ((0, 1 * M),), shared_with="db")
    several = Area("anon", ((0, 2 * M),), processes=4)
    locked = Area("anon", ((0, 4 * M),), locked=True)
    world, found = armed(shared, several, locked, Area("anon", ((0, 8 * M),)))
    classes = found.classes
    assert (classes.shared_bytes, classes.shared_with) == (1 * M, (("db", 1 * M),))
    assert (classes.several, classes.locked_bytes) == (ByKind(2 * M), 4 * M)
    assert (classes.own, classes.cold) == (ByKind(8 * M), ByKind(8 * M))
    assert world.bound("web") == Bound("web", world.now_ns, (1 + 4 * 2 + 4 + 8) * M, 4)


def test_what_left_takes_swap_and_comes_back_when_touched() -> None:
    world, _ = armed(Area("anon", ((0, 10 * M),), 10 * SECOND), swap_bytes=6 * M)
    found = world.perform(PageOut("web", "", ByKind(8 * M)))
    assert isinstance(found, Step)
    assert (found.tried, found.left) == (ByKind(8 * M), ByKind(6 * M))
    assert world.machine().swap_free_bytes == 0
    assert (world.rss_bytes("web"), world.wanted_bytes("web")) == (4 * M, 10 * M)
    assert world.perform(CheckBack("web", "")) == Back("web", world.now_ns, 6 * M, 0)
    world.advance(10 * SECOND)
    assert world.rss_bytes("web") == 10 * M
    assert world.perform(CheckBack("web", "")) == Back("web", world.now_ns, 6 * M, 6 * M)


def test_what_ends_is_gone_with_what_is_out() -> None:
    world, _ = armed(Area("anon", ((0, 10 * M), (60 * SECOND, 0))))
    world.perform(PageOut("web", "", ByKind(8 * M)))
    world.advance(60 * SECOND)
    assert world.bound("web") == Gone("web", world.now_ns)
    assert world.machine().swap_free_bytes == world.swap_bytes


def test_things_take_time() -> None:
    world, _ = armed(Area("anon", ((0, 10 * M),)))
    assert world.now_ns == ARM_NS + 3 * SECOND + WALK_NS


def test_changes_are_foretold() -> None:
    world = World({"web": (Area("anon", ((0, 1), (7, 2))),)}, reclaiming=((3, 5),))
    found = []
    while (at := world.next_change_ns()) is not None:
        found.append(at)
        world.advance(at)
    assert found == [3, 5, 7]


def test_a_model_does_not_wait() -> None:
    with pytest.raises(TypeError, match="Wait"):
        World({}).perform(Wait("web", "", 0))
