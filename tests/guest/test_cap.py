"""A capper's hands on version 2, and on each kernel of the guest: memory.reclaim and pressure triggers, too."""

from __future__ import annotations

import time

from tests.live.measure import major_faults
from tests.live.swap import swap_on
from tests.live.test_cap import again_and_again, cap
from tests.live.test_cap_hands import (  # noqa: F401  fixtures among them
    MIB,
    a_file,
    armed_and_touched,
    hands,
    look,
    one_processor,
    pages,
    present,
    settled,
    test_a_pid_that_was_used_again_between_choice_and_action,
    test_a_zone_comes_under_its_cap_and_nobody_feels_it,
    test_cold_pages_of_a_file_leave_and_come_back,
    test_each_page_is_in_its_class,
    test_memory_of_each_kind_leaves_into_swap,
    test_what_has_executed_another_program_is_left_alone,
    test_what_has_moved_to_another_zone_is_left_alone,
    test_what_others_map_is_not_touched,
    test_where_swap_is_full_it_stops,
)
from tests.oracle import PAGE
from zonerss.cap.forecast import reclaimable
from zonerss.cap.policy import RECLAIM_BYTES
from zonerss.cap.records import ByKind, Cap


def test_a_frozen_cgroup(hands, disk_directory, zone, mem) -> None:  # noqa: F811
    file = a_file(mem, disk_directory, 211)
    (zone.path / "cgroup.freeze").write_text("1")
    try:
        armed_and_touched(hands, zone, lambda: None)
        assert hands.page_out(zone.name, pages(file=211)).left == pages(file=211)
    finally:
        (zone.path / "cgroup.freeze").write_text("0")
    assert not any(present(file))


def stolen(zone) -> int:
    """Pages that reclaim has taken from a cgroup."""
    rows = dict(line.split() for line in (zone.path / "memory.stat").read_text().splitlines())
    return int(rows["pgsteal"])


def test_a_file_that_is_billed_here_and_hot_in_the_neighbour(hands, disk_directory, make_zone) -> None:  # noqa: F811
    """memory.reclaim goes by the bill, and would take it from the neighbour: so it is not asked."""
    zone, other = make_zone("a"), make_zone("b")
    mem, neighbour = zone.spawn(), other.spawn()
    several = settled(mem, mem.map(f"anon {4 * MIB}"))
    mem.fork()
    path = disk_directory / "shared"
    with path.open("wb") as file:
        file.truncate(8 << 20)
    mine = mem.map(f"file {path} {8 * MIB} shared write")
    theirs = neighbour.map(f"file {path} {8 * MIB} shared read")
    found = look(hands, zone)
    assert found.reclaimable
    assert found.classes.several_anon_bytes >= several.pages * PAGE
    assert found.billed_here_mapped_elsewhere_bytes >= mine.pages * PAGE
    faults, before = major_faults(neighbour.pid), stolen(zone)
    with again_and_again(lambda: neighbour.read(theirs, 0, theirs.pages)):
        (row,) = cap(f"{zone.name}={found.rss_bytes // 2}", "--once", "--cold", "1s", "--enforce")["zones"]
    assert row["forecast"]["not_reclaimed"] == "memory.reclaim would take pages that other zones use"
    assert row["nover"] == 1
    assert stolen(zone) == before
    assert all(present(theirs) + present(mine))
    assert major_faults(neighbour.pid) == faults


def test_what_several_processes_map_is_reclaimed(hands, zone, mem, only_one) -> None:  # noqa: F811
    """
    Their accessed bits are not cleared. But a child begins with clear ones, and those of what was mapped once before
    were cleared then.
    """
    where = settled(mem, mem.map(f"anon {16 * MIB}"))
    with swap_on(64):
        assert hands.arm(zone.name).problem is None
        mem.fork()
        found = armed_and_touched(hands, zone, lambda: None)
        assert found.billed_here_mapped_elsewhere_bytes == 0
        assert found.classes.cold_several_anon_bytes >= 15 << 20
        rule = Cap(zone.name, found.rss_bytes - (12 << 20))
        assert reclaimable(rule, found, hands.machine(), ByKind()) >= 15 << 20
        left = 0
        while left < 12 << 20:
            step = hands.reclaim(zone.name, RECLAIM_BYTES)
            print(step)
            assert step.left.anon_bytes == step.left_bytes > 0
            left += step.left_bytes
        assert left >= 12 << 20
        assert sum(present(where)) * PAGE <= (16 << 20) - (12 << 20)
        assert hands.back(zone.name).of_bytes == left
        mem.read(where, 0, where.pages)
        assert hands.back(zone.name).back_bytes > 0


def test_pressure_wakes(hands, zone, mem, only_one) -> None:  # noqa: F811
    """A limit below what it uses makes its task wait for memory."""
    where = mem.map(f"anon {24 * MIB}")
    look(hands, zone)
    assert hands.wait([zone.name], 0.1) == set()
    with swap_on(64):
        (zone.path / "memory.high").write_text(str(8 << 20))
        try:
            woken: set[str] = set()
            until_s = time.monotonic() + 60
            while not woken and time.monotonic() < until_s:
                mem.write(where, 0, where.pages)
                woken = hands.wait([zone.name], 0.5)
        finally:
            (zone.path / "memory.high").write_text("max")
    assert woken == {zone.name}
