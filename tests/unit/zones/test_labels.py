"""Names of zones: unique among all, and found again by how they are shown."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import AmbiguousZone, UnknownZone
from zonerss.records import Zone
from zonerss.views.text import encodable, printable
from zonerss.zones.labels import find_names, label, raw_name, shortest_name

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


USERS = "/user.slice/user-1000.slice/"


def test_a_users_container_takes_no_name_from_another_one() -> None:
    """He can choose each name that marks could give; the system's container keeps the one that it has without him."""
    system = Zone(name="web", cgroup="/docker/x", id=ID, kind="docker")
    forged = ["web", f"web@{ID[:12]}", f"web@{ID}", "web@/docker/x", f"web@docker:{ID}:/docker/x", "web@2"]
    zones = [system, *(Zone(name, f"{USERS}{n}", OTHER[:-1] + str(n)) for n, name in enumerate(forged))]
    found = [zone.name for zone in label(zones)]
    assert found[0] == "web"
    assert len(set(found)) == len(zones)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(["web", "web@1", "web@1@2", "web@/c", "web@docker:1:/c", "web@2", ""]), max_size=9
    )
)
def test_whatever_names_users_choose_all_are_apart(names: list[str]) -> None:
    system = [Zone("web", "/c", "1", "docker"), Zone("web", "/d", "1", "docker")]
    zones = [*system, *(Zone(name, f"{USERS}{n}", "1", "podman") for n, name in enumerate(names))]
    found = [zone.name for zone in label(zones)]
    assert len(set(found)) == len(zones)
    assert found[:2] == [zone.name for zone in label(system)]


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


# ---- short names -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("short", "name"),
    [
        ("postgres-ux", "/postgres-ux"),
        ("postgres-ux", "/system.slice/postgres-ux"),
        ("system.slice/postgres-ux", "/system.slice/postgres-ux"),
        ("nginx", "nginx.service"),
        ("nginx", "/system.slice/nginx.service"),
        ("postgresql", "postgresql@15-main.service"),
        ("postgresql@15-main", "postgresql@15-main.service"),
        ("web", "web@0123456789ab"),
        ("x", "x.service@run"),
        ("app", "shop/web/app"),
        (r"a\x0ab", "/x/a\nb"),
    ],
)
def test_a_short_name_that_one_zone_has(short: str, name: str) -> None:
    assert find_names([short], {name, "other", "/another/one.service"}) == (name,)


@pytest.mark.parametrize(
    "short", ["post", "postgres", "gres-ux", "slice/postgres-ux", "", "/", "ux", "POSTGRES-UX"]
)
def test_the_beginning_of_a_word_is_no_short_name(short: str) -> None:
    with pytest.raises(UnknownZone) as caught:
        find_names([short], {"/system.slice/postgres-ux", "/"} - {short})
    assert not isinstance(caught.value, AmbiguousZone)


def test_two_zones_that_a_short_name_could_mean_are_both_named() -> None:
    known = {"/a/web.service", "/b/web", "db"}
    with pytest.raises(AmbiguousZone) as caught:
        find_names(["web"], known)
    assert str(caught.value) == "'web' can mean /a/web.service or /b/web: name one of them in full"
    assert (caught.value.exit_status, caught.value.zone) == (2, "web")
    assert find_names(["b/web"], known) == ("/b/web",)


def test_of_many_zones_that_a_short_name_could_mean_five_are_named() -> None:
    with pytest.raises(AmbiguousZone, match=r"/0/x or /1/x or /2/x or /3/x or /4/x and 3 more: name"):
        find_names(["x"], {f"/{n}/x" for n in range(8)})


def test_a_name_in_full_is_never_ambiguous() -> None:
    assert find_names(["web"], {"web", "/web", "web.service", "/a/web"}) == ("web",)


def test_a_mistyped_name_is_answered_with_zones_whose_last_part_is_like_it() -> None:
    with pytest.raises(
        UnknownZone, match=r"did you mean /system\.slice/postgresql@15-main\.service\?"
    ) as caught:
        find_names(["postgreslq"], {"/system.slice/postgresql@15-main.service", "/a", "/b"})
    assert caught.value.close == ("/system.slice/postgresql@15-main.service",)


parts = st.text("ab", min_size=1, max_size=2)
some_names = st.builds(
    lambda slash, path, instance, unit: slash + "/".join(path) + instance + unit,
    st.sampled_from(["", "/"]),
    st.lists(parts, min_size=1, max_size=3),
    st.sampled_from(["", "@a", "@b"]),
    st.sampled_from(["", ".service", ".scope", ".other"]),
)


def could_mean(short: str, name: str) -> bool:
    """The same in other words: what stands before ends with a slash, what follows is an instance, a type or both."""
    after = r"(@[^/]*)?(\.(service|scope|slice|socket|mount|swap))?(@[^/]*)?"
    return bool(short) and re.fullmatch(rf"(.*/)?{re.escape(short)}{after}", name, re.DOTALL) is not None


@given(some_names, st.sets(some_names, max_size=6))
def test_short_names_against_an_oracle(wanted: str, known: set[str]) -> None:
    expected = {wanted} & known or {name for name in known if could_mean(wanted, name)}
    if len(expected) == 1:
        assert set(find_names([wanted], known)) == expected
        return
    with pytest.raises(AmbiguousZone if expected else UnknownZone) as caught:
        find_names([wanted], known)
    assert all(name in str(caught.value) for name in sorted(expected)[:5])
    assert isinstance(caught.value, AmbiguousZone) == bool(expected)


@given(st.text(min_size=1), st.sets(st.text(), max_size=5))
def test_whatever_is_named_is_answered(wanted: str, known: set[str]) -> None:
    with contextlib.suppress(UnknownZone):
        assert set(find_names([wanted], known)) <= known


def test_the_shortest_name() -> None:
    known = {
        "a/b/web.service",
        "postgresql@15-main.service",
        "postgresql@16.service",
        "web/x",
        "y/x",
        "plain",
    }
    assert shortest_name("a/b/web.service", known) == "web"
    assert shortest_name("postgresql@16.service", known) == "postgresql@16"
    assert shortest_name("web/x", known) == "web/x"
    assert shortest_name("plain", known) == "plain"


@given(st.sets(st.text("ab/@.", min_size=1, max_size=6), min_size=1, max_size=6))
def test_the_shortest_name_is_that_zones_alone(known: set[str]) -> None:
    for name in known:
        short = shortest_name(name, known)
        assert len(short) <= len(name)
        assert find_names([short], known) == (name,)
