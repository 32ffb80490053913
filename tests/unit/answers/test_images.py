"""What one image saves, against counting page by page."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zonerss.answers.images import group_by_image, images_usage
from zonerss.answers.share import shared_parts
from zonerss.census.kinds import Kind
from zonerss.census.parts import Parts
from zonerss.records.images import Image
from zonerss.units import pages_to_bytes

NAMES = dict(enumerate("abcdef"))
A, B = Image("aa" * 32, "web:1"), Image("bb" * 32, None)
NO_PAGES = (0,) * len(Kind)


def parts_of(pages: dict[tuple[int, ...], int]) -> Parts:
    return Parts.of(len(NAMES), {zones: (count, *NO_PAGES[1:]) for zones, count in pages.items()})


def test_by_hand() -> None:
    """a and b are of one image and share 7 pages, 3 of them with c, which is of another; d is no container."""
    parts = parts_of({(0,): 100, (0, 1): 4, (0, 1, 2): 3, (2, 3): 50, (3,): 1000})
    images, total = images_usage(shared_parts(parts, NAMES), {B: ["c"], A: ["a", "b"]})
    one, other = images
    assert (one.image, one.containers) == (A, ("a", "b"))
    assert one.rss_bytes == pages_to_bytes(100 + 4 + 3)
    assert one.apart_bytes == pages_to_bytes((100 + 4 + 3) + (4 + 3))
    assert one.shared_bytes == one.saved_bytes == pages_to_bytes(7)
    assert (other.rss_bytes, other.saved_bytes, other.numbers) == (pages_to_bytes(53), 0, ())
    assert total.saved_bytes == pages_to_bytes(7 + 3)
    assert total.containers == ("a", "b", "c")


def test_three_of_one_image_save_two_thirds() -> None:
    parts = parts_of({(0, 1, 2): 6})
    ((one,), _) = images_usage(shared_parts(parts, NAMES), {A: ["a", "b", "c"]})
    assert (one.apart_bytes, one.rss_bytes, one.saved_bytes, one.shared_bytes) == tuple(
        map(pages_to_bytes, (18, 6, 12, 6))
    )


def test_containers_of_unknown_image_are_in_the_total() -> None:
    images, total = images_usage(shared_parts(parts_of({(0, 1): 5}), NAMES), {A: ["a"]}, ["b"])
    assert [usage.saved_bytes for usage in images] == [0]
    assert (total.containers, total.saved_bytes) == (("a", "b"), pages_to_bytes(5))


def test_one_image_by_its_id_whatever_it_is_called() -> None:
    found = group_by_image(
        {
            "c": Image("aa" * 32, None),
            "a": Image("aa" * 32, "web:2"),
            "b": A,
            "d": Image(None, "web:1"),
            "e": None,
        }
    )
    assert found == {Image("aa" * 32, "web:1"): ("a", "b", "c"), Image(None, "web:1"): ("d",)}


def test_a_user_does_not_name_an_image_of_the_systems_containers() -> None:
    image_of = {"a": Image("aa" * 32, "web:1"), "b": Image("aa" * 32, "AAA"), "c": Image("bb" * 32, "AAA")}
    found = group_by_image(image_of, of_users=("b", "c"))
    assert found == {Image("aa" * 32, "web:1"): ("a", "b"), Image("bb" * 32, "AAA"): ("c",)}
    unnamed = group_by_image({**image_of, "a": Image("aa" * 32, None)}, of_users=("b", "c"))
    assert Image("aa" * 32, None) in unnamed


sets = st.sets(st.sampled_from(list(NAMES)), min_size=1).map(lambda zones: tuple(sorted(zones)))


@given(
    st.dictionaries(sets, st.integers(1, 50), max_size=12),
    st.lists(st.sampled_from([A, B, None]), min_size=6, max_size=6),
)
def test_the_laws(pages: dict[tuple[int, ...], int], made_of: list[Image | None]) -> None:
    image_of = dict(zip(NAMES.values(), made_of, strict=True))
    unknown = [zone for zone, image in image_of.items() if image is None]
    images, total = images_usage(shared_parts(parts_of(pages), NAMES), group_by_image(image_of), unknown)
    for usage in (*images, total):
        members = {number for number, name in NAMES.items() if name in usage.containers}
        counts = [(len(members & set(zones)), count) for zones, count in pages.items()]
        assert usage.rss_bytes == pages_to_bytes(sum(count for met, count in counts if met))
        assert usage.apart_bytes == pages_to_bytes(sum(met * count for met, count in counts))
        assert usage.shared_bytes == pages_to_bytes(sum(count for met, count in counts if met > 1))
        assert usage.shared_bytes <= usage.saved_bytes if usage.shared_bytes else usage.saved_bytes == 0
    assert total.saved_bytes >= sum(usage.saved_bytes for usage in images)
