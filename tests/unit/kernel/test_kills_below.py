"""Kills of a cgroup less those of zones below it, from look to look."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.kernel import kills_below
from zonerss.kernel.kills_below import KillsBelow


def told(looks: list[tuple[dict[str, int], tuple[str, ...]]], path: str = "/a") -> list[int | None]:
    """What it says at each look: what each cgroup counts, and which below the path are zones."""
    memory = KillsBelow()
    return [memory.own("zone", path, zones, counts.get) for counts, zones in looks]


def test_who_has_no_process_any_more_keeps_its_kills() -> None:
    """They are not the upper one's: that would be told of a kill that was another's."""
    assert told(
        [
            ({"/a": 3, "/a/b": 3}, ("/a/b",)),
            ({"/a": 4, "/a/b": 4}, ()),
            ({"/a": 4, "/a/b": 4}, ("/a/b",)),
            ({"/a": 5, "/a/b": 4}, ()),
        ]
    ) == [0, 0, 0, 1]


def test_who_is_removed_leaves_them_to_nobody() -> None:
    assert told(
        [
            ({"/a": 3, "/a/b": 2}, ("/a/b",)),
            ({"/a": 3}, ()),
            ({"/a": 3, "/a/b": 0}, ("/a/b",)),
            ({"/a": 4, "/a/b": 1}, ("/a/b",)),
            ({"/a": 5}, ()),
        ]
    ) == [1, 1, 1, 1, 1]


def test_who_is_made_anew_between_two_looks_has_had_them() -> None:
    looks = [({"/a": 3, "/a/b": 3}, ("/a/b",)), ({"/a": 4, "/a/b": 1}, ("/a/b",))]
    assert told(looks) == [0, 0]


def test_the_upper_one_made_anew_remembers_nothing() -> None:
    looks = [({"/a": 3, "/a/b": 3}, ("/a/b",)), ({"/a": 1}, ())]
    assert told(looks) == [0, 1]


def test_below_each_other_they_count_once() -> None:
    assert told(
        [
            ({"/a": 5, "/a/b": 3, "/a/b/c": 2}, ("/a/b/c",)),
            ({"/a": 5, "/a/b": 3, "/a/b/c": 2}, ("/a/b",)),
            ({"/a": 5, "/a/b": 3}, ()),
            ({"/a": 5, "/a/b": 3}, ("/a/b",)),
        ]
    ) == [3, 2, 2, 2]


def test_who_was_killed_in_it_before_it_was_removed_is_not_the_upper_ones() -> None:
    assert told([({"/a": 0, "/a/b": 0}, ("/a/b",)), ({"/a": 1}, ()), ({"/a": 2}, ())]) == [0, 0, 1]
    # Made anew meanwhile, as an engine does when it starts a container again.
    assert told([({"/a": 1, "/a/b": 1}, ("/a/b",)), ({"/a": 2, "/a/b": 0}, ("/a/b",))]) == [0, 0]


def test_what_the_upper_one_counts_in_itself_is_its_own() -> None:
    memory = KillsBelow()
    looks = [({"/a": 0, "/a/b": 0}, 0), ({"/a": 3}, 2)]
    own = [memory.own("zone", "/a", ("/a/b",), counts.get, lambda _, n=n: n) for counts, n in looks]
    assert own == [0, 2]


def test_groupings_are_apart_and_who_is_not_there_is_not_known() -> None:
    memory, counts = KillsBelow(), {"/a": 3, "/a/b": 3}
    assert memory.own("cgroup", "/a", ("/a/b",), counts.get) == 0
    assert memory.own("zone", "/a", (), counts.get) == 3
    assert memory.own("zone", "/gone", (), counts.get) is None


def test_it_remembers_a_bounded_number_of_them() -> None:
    memory = KillsBelow()
    for number in range(kills_below._MOST_UPPERS + 10):
        memory.own("zone", f"/{number}", (f"/{number}/b",), lambda _: 1)
    assert len(memory._uppers) == kills_below._MOST_UPPERS


@given(
    st.lists(st.tuples(st.sampled_from(["/a", "/a/b", "/a/c", "/a/c/d"]), st.booleans()), max_size=30),
)
def test_kills_elsewhere_are_never_the_upper_ones(steps: list[tuple[str, bool]]) -> None:
    """A kill in a cgroup that was a zone once raises no other's count; one in the upper one always does."""
    memory, zones = KillsBelow(), ["/a/b", "/a/c"]
    counts = dict.fromkeys(["/a", "/a/b", "/a/c", "/a/c/d"], 0)
    memory.own("zone", "/a", zones, counts.get)
    own = 0
    for killed, has_processes in steps:
        for path in counts:
            counts[path] += killed == path or killed.startswith(f"{path}/")
        own += killed == "/a"
        assert memory.own("zone", "/a", zones if has_processes else (), counts.get) == own
