"""Names of zones: unique among all, and found again by how they are shown."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import UnknownZone
from zonerss.records import Zone
from zonerss.views.text import encodable, printable
from zonerss.zones.labels import find_names, label, raw_name

ID = "0123456789abcdef" * 4
OTHER = "0123456789ab" + "f" * 52


def test_label_leaves_distinct_names_alone() -> None:
    zones = (Zone(name="a", id=ID), Zone(name="b", id=ID))
    assert label(zones) == zones


def test_label_tells_two_containers_of_one_name_apart() -> None:
    far = "f" * 64
    one, two = Zone(name="web", cgroup="/1", id=ID), Zone(name="web", cgroup="/2", id=far)
    assert [found.name for found in label([one, two])] == ["web@0123456789ab", "web@ffffffffffff"]
    assert [found.name for found in label([two, one])] == ["web@ffffffffffff", "web@0123456789ab"]


def test_label_uses_the_full_id_where_the_short_one_does_not_tell() -> None:
    one, two = Zone(name="web", cgroup="/1", id=ID), Zone(name="web", cgroup="/2", id=OTHER)
    assert [found.name for found in label([one, two])] == [f"web@{ID}", f"web@{OTHER}"]


def test_label_keeps_global_and_renames_the_container_called_so() -> None:
    container, root = Zone(name="global", cgroup="/1", id=ID), Zone(name="global", kind="global")
    assert [found.name for found in label([container, root])] == ["global@0123456789ab", "global"]


def test_label_takes_the_cgroup_where_there_is_no_id() -> None:
    zones = [Zone(name="x.service", cgroup=path) for path in ("/a/x.service", "/b/x.service")]
    assert [found.name for found in label(zones)] == ["x.service@/a/x.service", "x.service@/b/x.service"]


def test_label_of_a_name_that_another_label_would_take() -> None:
    zones = [
        Zone(name="web", cgroup="/1", id=ID),
        Zone(name="web", cgroup="/2", id=OTHER),
        Zone(name=f"web@{ID}", cgroup="/3", id="c" * 64),
    ]
    assert len({found.name for found in label(zones)}) == 3


some_text = st.sampled_from(["a", "b", "a@x", "a@/c", ""])
some_zones = st.builds(
    Zone,
    name=some_text,
    cgroup=st.none() | st.sampled_from(["/c", "/d", "/e"]),
    id=st.none() | st.sampled_from([ID, OTHER, "x", "/c"]),
    kind=st.sampled_from(["cgroup", "docker"]),
)


@settings(deadline=None)
@given(st.lists(some_zones), st.randoms())
def test_label_is_unique_deterministic_and_changes_only_names(zones: list[Zone], random) -> None:  # type: ignore[no-untyped-def]
    labelled = dict(zip(zones, label(zones), strict=True))
    assert len({found.name for found in labelled.values()}) == len(labelled)
    for before, after in labelled.items():
        assert (before.cgroup, before.id, before.kind) == (after.cgroup, after.id, after.kind)
    shuffled = random.sample(zones, len(zones))
    assert dict(zip(shuffled, label(shuffled), strict=True)) == labelled


@pytest.mark.parametrize("raw", [b"a\nb\x1b[2J\xff", b"plain", b"caf\xc3\xa9 \xe2\x80\xae", b"\x7f\x80"])
def test_a_name_is_found_by_what_is_shown_of_it(raw: bytes) -> None:
    name = raw.decode("utf-8", "surrogateescape")
    assert raw_name(printable(name)) == name
    assert raw_name(encodable(name)) == name
    assert find_names([printable(name), name], {name, "other"}) == (name, name)


def test_a_name_is_taken_as_it_stands_first() -> None:
    assert find_names([r"a\x2db"], {r"a\x2db", "a-b"}) == (r"a\x2db",)


@pytest.mark.parametrize(
    ("name", "hint"), [("nginy", "did you mean nginx?"), ("zzz", "zonerss show lists the zones")]
)
def test_an_unknown_name_is_answered_with_names_like_it(name: str, hint: str) -> None:
    with pytest.raises(UnknownZone, match="no process of this host is in a zone") as caught:
        find_names([name], {"nginx", "db"})
    assert str(caught.value).endswith(hint)
    assert caught.value.zone == name


@given(
    st.text(max_size=20)
    | st.from_regex(r"(\\u[0-9a-f]{4}|\\U[0-9a-f]{8}|\\x[0-9a-f]{2}){1,3}", fullmatch=True)
)
def test_any_spelling_can_be_asked_for(text: str) -> None:
    raw_name(text).encode("utf-8", "surrogateescape")


def test_surrogates_that_stand_for_no_byte_stay_as_they_are_spelled() -> None:
    assert raw_name(r"\ud800\udfff\udc41") == r"\ud800\udfff\udc41"
