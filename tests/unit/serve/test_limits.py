"""Who has to go where there are too many: never a newcomer for those who say nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.serve.limits import Bucket, Place, Places
from zonerss.serve.webconfig import RateLimit


class Room:
    """Places, and who had to go."""

    def __init__(self, most: int, most_of_one: int) -> None:
        self.places = Places(most, most_of_one)
        self.gone: list[str] = []

    def enter(self, client: str, name: str) -> Place | None:
        return self.places.enter(client, lambda: self.gone.append(name))


def test_the_most_silent_of_the_same_client_goes_first() -> None:
    room = Room(9, 2)
    room.enter("other", "other 1")
    first, second = room.enter("one", "1"), room.enter("one", "2")
    assert first is not None
    assert second is not None
    first.has_asked = True
    assert room.enter("one", "3") is not None
    assert room.gone == ["2"]
    assert (room.places.count, room.places.evicted, room.places.refused) == (3, 1, 0)


def test_where_there_is_no_room_the_client_with_most_gives_way() -> None:
    room = Room(4, 4)
    for number in range(3):
        room.enter("flood", f"flood {number}")
    room.enter("quiet", "quiet")
    assert room.enter("new", "new") is not None
    assert room.gone == ["flood 0"]


def test_who_is_being_answered_stays() -> None:
    room = Room(2, 2)
    for name in ("1", "2"):
        place = room.enter(name, name)
        assert place is not None
        place.has_asked = True
    assert room.enter("3", "3") is None
    assert (room.gone, room.places.refused, room.places.count) == ([], 1, 2)


def test_two_who_are_being_answered_do_not_keep_others_out() -> None:
    room = Room(8, 6)
    for number in range(8):
        place = room.enter("a" if number < 5 else "b", str(number))
        assert place is not None
        place.has_asked = True
    for number in range(3):
        place = room.enter("new", f"new {number}")
        assert (place is not None) == (number < 2)
        if place is not None:
            place.has_asked = True
    # Nobody goes for one who would then have as many.
    assert (room.gone, room.places.refused, room.places.count) == (["0", "1"], 1, 8)


def test_leaving_twice_is_leaving_once() -> None:
    room = Room(2, 2)
    place = room.enter("1", "1")
    assert place is not None
    room.places.leave(place)
    room.places.leave(place)
    assert room.places.count == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(("come", "ask", "leave"))), max_size=60))
def test_the_limits_hold_whatever_comes(steps: list[tuple[str, str]]) -> None:
    room, inside = Room(5, 3), dict[str, tuple[str, Place]]()
    for number, (client, step) in enumerate(steps):
        own = [name for name, (whose, _) in inside.items() if whose == client]
        if step == "come":
            had_silent = any(not place.has_asked for _, place in inside.values())
            place = room.enter(client, str(number))
            for name in room.gone:
                whose, gone = inside.pop(name)
                others = sum(one == whose for one, _ in inside.values())
                assert not gone.has_asked or (not had_silent and len(own) < others)
            room.gone.clear()
            if place is not None:
                inside[str(number)] = (client, place)
        elif own and step == "ask":
            inside[own[0]][1].has_asked = True
        elif own:
            room.places.leave(inside.pop(own[0])[1])
        assert room.places.count == len(inside) <= 5
        assert all(sum(whose == one for whose, _ in inside.values()) <= 3 for one in "abc")


def test_a_bucket_holds_a_burst_and_fills_again() -> None:
    now = [100.0]
    bucket = Bucket(RateLimit(interval_seconds=2.0, burst=3), lambda: now[0])
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    now[0] += 2.0
    assert [bucket.take() for _ in range(2)] == [True, False]
    now[0] += 1000.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert all(Bucket(None, lambda: 0.0).take() for _ in range(1000))
