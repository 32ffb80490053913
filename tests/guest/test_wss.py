"""What is touched is the same, to the page, on each kernel of the guest, and here no DAMON clears bits besides."""

from tests.live.test_wss import (  # noqa: F401  fixtures among them
    session,
    still,
    test_a_huge_page_is_touched_as_a_whole_and_stays_one,
    test_clear_refs_of_a_process_whose_first_thread_has_ended,
    test_clear_refs_sees_them_each_once,
    test_each_zone_has_what_it_touched_of_a_page_that_two_zones_map,
    test_locked_pages_are_unknown,
    test_pages_of_a_file,
    test_pages_that_may_not_be_touched_are_idle,
    test_pages_that_two_processes_of_a_zone_map_are_unknown_once,
    test_pages_touched_once_each_and_no_others,
    two_of_a_zone,
)
