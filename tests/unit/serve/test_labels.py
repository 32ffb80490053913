"""Labels of zones: printable, never two alike, and what a name tells of a pod."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.builders import usage

from zonerss.serve.labels import MOST_BYTES, info_labels, spelled
from zonerss.views.text import printable

BYTE = b"\xff".decode("utf-8", "surrogateescape")
TEXT = st.text(
    st.one_of(st.characters(), st.sampled_from("\\xfau~0123456789\n\x1b" + BYTE)), min_size=1, max_size=12
)


def test_what_is_printable_is_its_own_label() -> None:
    names = ["web", "kube-system/coredns/coredns", "dev-disk\\x2duuid.swap", 'a"b', "größe", "a b"]
    assert spelled(names) == {name: name for name in names}


def test_what_is_not_printable_is_escaped_as_in_tables() -> None:
    assert spelled(["a\nb", "\x1b[2J", BYTE, "\u202e", "\ud800"]) == {
        "a\nb": "a\\x0ab",
        "\x1b[2J": "\\x1b[2J",
        BYTE: "\\xff",
        "\u202e": "\\u202e",
        "\ud800": "\\ud800",
    }


def test_two_names_that_are_printed_alike_have_two_labels() -> None:
    labels = spelled([BYTE, "\\xff"])
    assert labels["\\xff"] == "\\xff"
    assert labels[BYTE].startswith("\\xff~")
    assert len(labels[BYTE]) == len("\\xff~") + 8
    # who makes a zone of that very name does not get its series
    third = labels[BYTE]
    labels = spelled([BYTE, "\\xff", third])
    assert labels[third] == third
    assert len(set(labels.values())) == 3


LONG = st.tuples(TEXT, st.sampled_from(("a", "ß", "\n", BYTE, "\\xff")), st.integers(1000, 1030)).map(
    lambda parts: parts[1] * parts[2] + parts[0]
)


def test_what_is_long_is_shortened_and_told_apart() -> None:
    bound = "a" * MOST_BYTES
    names = [bound, bound + "1", bound + "2", "ß" * MOST_BYTES, "\n" * MOST_BYTES, BYTE * MOST_BYTES]
    labels = spelled(names)
    assert labels[bound] == bound
    assert labels[bound + "1"].startswith("a" * 900)
    assert len(set(labels.values())) == len(names)
    assert max(len(label.encode()) for label in labels.values()) == MOST_BYTES
    # who makes a zone of that very name does not get its series
    second = labels[bound + "1"]
    again = spelled([*names, second])
    assert again[second] == second
    assert len(set(again.values())) == len(names) + 1


@given(st.lists(TEXT | LONG, unique=True, max_size=8))
def test_labels_are_distinct_printable_and_do_not_depend_on_the_order(names: list[str]) -> None:
    labels = spelled(names)
    assert set(labels) == set(names)
    assert len(set(labels.values())) == len(names)
    assert all(printable(label, "utf-8") == label for label in labels.values())
    assert all(len(label.encode()) <= MOST_BYTES for label in labels.values())
    for other in itertools.islice(itertools.permutations(names), 5):
        assert spelled(other) == labels


@pytest.mark.parametrize(
    ("kind", "name", "parts"),
    [
        ("docker", "web/1", {"container": "web/1"}),
        ("lxc", "box", {"container": "box"}),
        ("pod", "shop/web-0", {"namespace": "shop", "pod": "web-0"}),
        ("pod", "pod-8f3a", {"pod": "pod-8f3a"}),
        ("kubernetes", "shop/web-0/nginx", {"namespace": "shop", "pod": "web-0", "container": "nginx"}),
        ("kubernetes", "pod-8f3a/0123456789ab", {"pod": "pod-8f3a", "container": "0123456789ab"}),
        ("kubernetes", "0123456789ab", {}),
        ("service", "a/b/c", {}),
    ],
)
def test_names_tell_of_containers_and_pods(kind: str, name: str, parts: dict[str, str]) -> None:
    zone = usage(name, kind=kind, cgroup="/x\n", id=None)
    assert info_labels(zone, name) == {"zone": name, "kind": kind, "cgroup": "/x\\x0a", **parts}


def test_long_paths_of_cgroups_are_shortened() -> None:
    found = [info_labels(usage("u", cgroup="/x" * 2000 + end, id=None), "u")["cgroup"] for end in "ab"]
    assert found[0] != found[1]
    assert {path[:900] for path in found} == {"/x" * 450}
    assert all(len(path.encode()) <= MOST_BYTES for path in found)


def test_what_is_unknown_is_no_label() -> None:
    assert info_labels(usage("u", cgroup=None, id="00ff"), "u") == {
        "zone": "u",
        "kind": "cgroup",
        "id": "00ff",
    }
