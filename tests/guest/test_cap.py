"""A capper's hands on version 2, and on each kernel of the guest."""

from __future__ import annotations

from tests.live.test_cap_hands import (  # noqa: F401  fixtures among them
    a_file,
    armed_and_touched,
    hands,
    one_processor,
    pages,
    present,
    test_a_pid_that_was_used_again_between_choice_and_action,
    test_a_zone_comes_under_its_cap_and_nobody_feels_it,
    test_cold_pages_of_a_file_leave_and_come_back,
    test_each_page_is_in_its_class,
    test_memory_of_each_kind_leaves_into_swap,
    test_what_others_map_is_not_touched,
    test_where_swap_is_full_it_stops,
)


def test_a_frozen_cgroup(hands, disk_directory, zone, mem) -> None:  # noqa: F811
    file = a_file(mem, disk_directory, 211)
    (zone.path / "cgroup.freeze").write_text("1")
    try:
        armed_and_touched(hands, zone, lambda: None)
        assert hands.page_out(zone.name, pages(file=211)).left == pages(file=211)
    finally:
        (zone.path / "cgroup.freeze").write_text("0")
    assert not any(present(file))
