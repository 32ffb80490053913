"""Windows made by hand: what may be off, and by how much."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.oracle import partition, usage

from zonerss.motion.bound import (
    PAGES_OF_A_TABLE,
    Churn,
    Sighting,
    Window,
    bounds,
    ceilings,
    clamped,
    differences,
)


def seen(zone: str, rss: int = 100, mm: int = 0, identity: object = 1) -> Sighting:
    return Sighting(identity, mm, zone, {"anon": rss, "file": 0, "shmem": 0}, rss)


def window(churn=None, parents=None, exchanged: int = 0, slack: int = 0) -> Window:
    return Window(churn or {}, parents or {}, (), exchanged, True, slack)


TWO = {1: seen("a", mm=1), 2: seen("b", mm=2)}


def test_where_nothing_changed_nothing_is_uncertain():
    assert bounds(window(), TWO, TWO, {}) == {"a": 0, "b": 0}


def test_pages_that_came_or_went_or_were_copied_count_once_each():
    churn = Churn(came_pages=3, went_pages=5, copied_pages=7)
    assert bounds(window({1: churn}), TWO, TWO, {}) == {"a": 15, "b": 0}


def test_what_a_child_got_by_fork_does_not_count():
    churn = {1: Churn(forked_pages=1000), 9: Churn(came_pages=4)}
    assert bounds(window(churn, {9: 1}), TWO, TWO, {}) == {"a": 4, "b": 0}


def test_a_grandchild_belongs_to_the_zone_of_the_first_that_was_listed():
    assert bounds(window({9: Churn(came_pages=4)}, {9: 8, 8: 2}), TWO, TWO, {}) == {"a": 0, "b": 4}


def test_parents_in_a_circle_end():
    assert bounds(window({9: Churn(came_pages=4)}, {9: 8, 8: 9}), TWO, TWO, {}) == {"a": 0, "b": 0}


def test_the_first_change_of_a_window_is_the_difference_to_what_was_read_before():
    churn = Churn(came_pages=2, first_pages={"anon": 97})
    assert bounds(window({1: churn}), TWO, TWO, {})["a"] == 5
    assert bounds(window({1: churn}, slack=64), TWO, TWO, {})["a"] == 69


def test_a_first_change_to_what_could_not_be_read_is_a_page_table_at_most():
    unread = {1: Sighting(1, 1, "a", {}, 50)}
    churn = Churn(first_pages={"anon": 97, "file": 3})
    assert bounds(window({1: churn}), unread, unread, {})["a"] == 2 * PAGES_OF_A_TABLE


def test_who_ended_took_all_its_pages_along():
    assert bounds(window(), TWO, {2: TWO[2]}, {}) == {"a": 100, "b": 0}
    assert bounds(window({1: Churn(came_pages=2, replaced=True)}), TWO, TWO, {})["a"] == 104


def test_another_process_of_the_same_pid_or_other_memory_is_another():
    assert bounds(window(), TWO, {**TWO, 1: seen("a", mm=1, identity=2)}, {})["a"] == 100


def test_who_moved_counts_in_both_zones():
    later = {**TWO, 1: seen("b", mm=1)}
    assert bounds(window(), TWO, later, {}) == {"a": 100, "b": 100}


def test_who_moved_there_and_back_counts_in_both_zones():
    assert bounds(window(), TWO, TWO, {1: {"b", "a"}}) == {"a": 100, "b": 100}


def test_a_zone_that_nobody_was_in_before():
    assert bounds(window(), TWO, TWO, {1: {"c"}})["c"] == 100


def test_a_child_that_began_in_another_zone_brings_what_it_got_by_fork():
    churn = {1: Churn(forked_pages=70), 9: Churn(came_pages=4)}
    later = {**TWO, 9: seen("b", mm=9)}
    assert bounds(window(churn, {9: 1}), TWO, later, {}) == {"a": 4, "b": 74}


def test_an_address_space_of_two_zones_counts_in_both():
    shared = {1: seen("a", mm=1), 2: seen("b", mm=1)}
    assert bounds(window({1: Churn(came_pages=3)}), shared, shared, {}) == {"a": 3, "b": 3}


def test_mremap_moves_no_more_than_there_is():
    assert bounds(window({1: Churn(moved_pages=7)}), TWO, TWO, {})["a"] == 7
    assert bounds(window({1: Churn(moved_pages=10**9)}), TWO, TWO, {})["a"] == 100


def test_what_threads_held_back_is_part_of_what_there_was():
    """Before Linux 6.2 RSS tells less than there is."""
    assert bounds(window({1: Churn(held_pages=40)}), unmet(64, 90), unmet(64, 90), {})["a"] == 64 + 40 - 90
    churn = {1: Churn(held_pages=40, came_pages=3, moved_pages=10**9)}
    assert bounds(window(churn), unmet(64, 104), unmet(64, 104), {})["a"] == 3 + 64 + 40 + 3
    held = {1: Churn(held_pages=40)}
    assert bounds(window(held), unmet(64, None), {}, {})["a"] == 64 + 40


def test_who_slept_all_the_time_had_what_the_walk_met():
    assert bounds(window(), unmet(1, 174), {}, {})["a"] == 174


def test_exchanged_pages_may_be_anybodys():
    assert bounds(window(exchanged=6), TWO, TWO, {}) == {"a": 6, "b": 6}


def unmet(rss: int, walked: int | None) -> dict[int, Sighting]:
    return {1: Sighting(1, 1, "a", {"anon": rss, "file": 0, "shmem": 0}, rss, walked)}


def test_what_was_there_and_stayed_and_was_not_met_is_uncertain():
    """munmap under way: the walk saw no mapping, most entries have not been zapped yet."""
    zapping = {1: Churn(went_pages=19)}
    assert bounds(window(zapping), unmet(64, 16), unmet(64, 16), {})["a"] == 19 + (64 - 19 - 16)
    assert bounds(window(zapping), unmet(64, 45), unmet(64, 45), {})["a"] == 19
    assert bounds(window(zapping), unmet(64, None), unmet(64, None), {})["a"] == 19
    assert bounds(window(), unmet(64, 16), unmet(64, 16), {})["a"] == 48


def test_where_rss_is_read_inexactly_a_quiet_process_stays_quiet():
    assert bounds(window(slack=4), unmet(64, 52), unmet(64, 52), {})["a"] == 0
    assert bounds(window(slack=4), unmet(64, 51), unmet(64, 51), {})["a"] == 13 + 12
    zapping = {1: Churn(went_pages=2)}
    assert bounds(window(zapping, slack=4), unmet(64, 62), unmet(64, 62), {})["a"] == 2 + 12


def test_differences_are_net_and_a_newcomer_is_all_new():
    later = {1: seen("a", 90, mm=1), 2: TWO[2], 3: seen("b", 30, mm=3)}
    found = differences(TWO, later)
    assert found.churn == {1: Churn(went_pages=10), 3: Churn(came_pages=30)}
    assert bounds(found, TWO, later, {}) == {"a": 10, "b": 30}


def test_of_who_could_not_be_read_nothing_is_known_unless_it_left():
    unread = Sighting(1, 1, "a", {}, 50)
    both = {**TWO, 1: unread}
    assert bounds(differences(both, both), both, both, {}) == {"b": 0}
    assert bounds(differences(both, TWO), both, TWO, {}) == {"b": 0}
    later = {2: TWO[2]}
    assert bounds(differences(both, later), both, later, {}) == {"a": 50, "b": 0}
    # Read at first and not afterwards: it was leaving, and took all it had along.
    assert bounds(differences(TWO, both), TWO, both, {}) == {"a": 100, "b": 0}


# ---- what a zone can have had at most ------------------------------------------------------------------


def test_who_did_nothing_had_what_it_has():
    assert ceilings(window(), TWO, TWO, {}) == {"a": 100, "b": 100}


def test_a_page_that_comes_and_goes_for_ever_is_no_more_than_the_peak():
    churn = Churn(came_pages=5000, went_pages=5000, most_pages={"anon": 140, "file": 0, "shmem": 0})
    assert ceilings(window({1: churn}), TWO, TWO, {})["a"] == 140
    assert bounds(window({1: churn}), TWO, TWO, {})["a"] == 10000
    assert clamped(10000, 130, 140) == 130
    assert clamped(10000, 20, 140) == 120
    assert clamped(7, 20, 140) == 7
    assert clamped(7, 20, None) == 7


def test_without_the_peak_it_is_what_came():
    churn = Churn(came_pages=50, went_pages=5000, raced=2)
    assert ceilings(window({1: churn}), TWO, TWO, {})["a"] == 154
    assert ceilings(window({1: churn}, slack=10), TWO, TWO, {})["a"] == 184


def test_who_called_exec_had_two_memories():
    churn = Churn(came_pages=50, replaced=True, most_pages={"anon": 100, "file": 0, "shmem": 0})
    assert ceilings(window({1: churn}), TWO, TWO, {})["a"] == 150


def test_a_child_can_keep_what_its_parent_gave_up():
    churn = {1: Churn(went_pages=30, forked_pages=100), 9: Churn(came_pages=4)}
    assert ceilings(window(churn, {9: 1}), TWO, TWO, {}) == {"a": 134, "b": 100}


def test_who_moved_can_have_been_in_both_zones():
    assert ceilings(window(), TWO, {**TWO, 1: seen("b", mm=1)}, {}) == {"a": 100, "b": 200}
    churn = {1: Churn(forked_pages=70), 9: Churn(came_pages=4)}
    later = {**TWO, 9: seen("b", mm=9)}
    assert ceilings(window(churn, {9: 1}), TWO, later, {})["b"] == 174


def test_of_who_could_not_be_read_there_is_no_ceiling():
    assert ceilings(window(), {1: Sighting(1, 1, "a", {}, 50), 2: TWO[2]}, TWO, {}) == {"b": 100}


def test_where_threads_hold_pages_back_there_is_no_ceiling():
    assert ceilings(Window({}, {}, (), 0, True, rss_is_all=False), TWO, TWO, {}) == {}


def test_processors_that_did_not_come_to_rest_make_both_wider():
    late = Window({}, {}, (), 6, True, unsettled_pages=512)
    assert bounds(late, TWO, TWO, {}) == {"a": 518, "b": 518}
    assert bounds(late, TWO, TWO, {1: {"c"}})["c"] == 618
    assert ceilings(late, TWO, TWO, {}) == {"a": 612, "b": 612}


@given(
    before=st.lists(st.integers(0, 9), min_size=1, max_size=12),
    changes=st.lists(st.tuples(st.integers(0, 11), st.none() | st.integers(0, 9)), max_size=15),
    met=st.lists(st.integers(0, 15), min_size=12, max_size=12),
    hidden=st.sets(st.integers(0, 11)),
)
def test_no_walk_is_further_off_than_the_changes(before, changes, met, hidden):
    """Entries that map frames, changes in order, and a walk that meets each entry at a moment of its own, or never."""
    states = [list(before)]
    came = went = 0
    for entry, frame in changes:
        state = list(states[-1])
        if entry < len(state) and state[entry] != frame:
            went += state[entry] is not None  # zapped, then mapped
            came += frame is not None
            state[entry] = frame
        states.append(state)

    def rss(frames):
        parts = partition(("a", frame, "anon") for frame in frames if frame is not None)
        return usage(parts)["a"].rss if parts else 0

    found = [
        states[min(met[entry], len(changes))][entry] for entry in range(len(before)) if entry not in hidden
    ]
    walked = rss(found)
    first = unmet(sum(frame is not None for frame in before), sum(frame is not None for frame in found))
    most = {"anon": max(sum(frame is not None for frame in state) for state in states), "file": 0, "shmem": 0}
    changed = window({1: Churn(came_pages=came, went_pages=went, most_pages=most)})
    bound = clamped(bounds(changed, first, first, {})["a"], walked, ceilings(changed, first, first, {})["a"])
    for state in states:
        assert abs(walked - rss(state)) <= bound
