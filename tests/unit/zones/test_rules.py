"""The user's own rules: what they make, and that an error says where and what to do."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zonerss.errors import UsageError
from zonerss.records import Zone
from zonerss.zones.rules import parse_rules


def zone(text: str, path: str) -> Zone | None:
    (rule,) = parse_rules(text, "r.toml")
    return rule.zone_of(path)


def test_no_rules() -> None:
    assert parse_rules("", "r.toml") == ()
    assert parse_rules("# nothing yet\nrule = []\n", "r.toml") == ()


@pytest.mark.parametrize(
    ("match", "path", "cgroup"),
    [
        ("^/a", "/a/b", "/a"),
        ("^/a", "/abc/d", "/abc"),
        ("b", "/a/xby/z", "/a/xby"),
        ("/b$", "/a/b", "/a/b"),
        ("^/a/", "/a/b/c", "/a/b"),
        ("^", "/a/b", "/a"),
        ("^/$", "/", "/"),
    ],
)
def test_the_zone_is_the_ancestor_in_which_the_match_ends(match: str, path: str, cgroup: str) -> None:
    assert zone(f"[[rule]]\nmatch = '{match}'\nname = 'x'\n", path) == Zone(
        name="x", cgroup=cgroup, kind="rule"
    )


def test_name_from_groups() -> None:
    text = r"""
        [[rule]]
        match = '^/grid/(?P<user>[^/]+)/(\d+)(/x)?'
        name = "{user}-{2}{3}-{0}-{not a group}"
    """
    found = zone(text, "/grid/eve/12")
    assert found is not None
    assert found.name == "eve-12-/grid/eve/12-{not a group}"


def test_a_rule_that_does_not_match_leaves_the_path_to_others() -> None:
    assert zone("[[rule]]\nmatch = '^/x$'\nname = 'x'\n", "/xy") is None


def test_inline_rules() -> None:
    rules = parse_rules("rule = [{match = '^/a', name = 'a'}, {name = 'b', match = '^/b'}]", "r.toml")
    assert [rule.name for rule in rules] == ["a", "b"]


FIRST = "[[rule]]\nmatch = '^/a'\nname = 'a'\n\n"


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[[rule]\nmatch = 1\n", "1:7", "no valid TOML"),
        ("x = 'a\n", "2:1", "no valid TOML"),
        ("\n\nx =", "3:4", "no valid TOML"),
        ("[rule]\nmatch = 'a'\nname = 'b'\n", "1:2", "two brackets"),
        ("rule = 3\n", "1:1", "two brackets"),
        ("rule = [3]\n", "1:1", "two brackets"),
        ("# c\n[[rules]]\nmatch = 'a'\n", "2:3", "unknown table or key 'rules'"),
        (FIRST + "[[rule]]\nmatch = 'a'\n", "5:1", "no name"),
        (FIRST + "[[rule]]\nname = 'a'\n", "5:1", "no match"),
        (FIRST + "[[rule]]\nmatch = 'a'\nname = 7\n", "7:8", "name must be a text"),
        (FIRST + "[[rule]]\nmatch = ''\nname = 'a'\n", "6:9", "match must be a text"),
        (FIRST + "[[rule]]\nmatch = 'a'\nnames = 'a'\n", "7:1", "unknown key 'names'"),
        (FIRST + "[[rule]]\n  match = '^/a(b'\nname = 'a'\n", "6:15", "no regular expression"),
        (FIRST + "[[rule]]\nmatch = '^/[[:digit:]]'\nname = 'a'\n", "6:9", "Possible nested set"),
        (FIRST + "[[rule]]\nmatch = 'a'\nname = 'x{2}'\n", "7:10", "no such group"),
        (FIRST + "[[rule]]\nmatch = '(?P<a>a)'\nname = '{b}'\n", "7:9", "{0}, {1}, {a}"),
        (FIRST + "[[rule]]\nmatch = 'a'\nname = '{}'\n", "7:9", "no such group"),
    ],
)
def test_an_error_names_file_line_and_column(text: str, where: str, what: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_rules(text, "/etc/z rules.toml")
    sentence = str(caught.value)
    assert sentence.startswith(f"/etc/z rules.toml:{where}: ")
    assert what in sentence
    assert "\n" not in sentence


tokens = st.lists(
    st.sampled_from(
        ["[[rule]]\n", "match", "name", " = ", "'a'", "'('", "'{1}'", "3", "\n", "{", "}", "[", "]", "rule"]
    )
).map("".join)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("x = " + "[" * 100_000, "r.toml:"),
        ("x = " + "1" * 5000, "r.toml:"),
        ("[[rule]]\nmatch = 'a{99999999999999999999}'\nname = 'a'", "r.toml:2:9: match is too much"),
        (f"[[rule]]\nmatch = '{'(' * 5000}{')' * 5000}'\nname = 'a'", "r.toml:2:"),
        ("[[rule]]\nmatch = 'a'\nname = '{" + "9" * 5000 + "}'", "r.toml:3:9: name uses"),
    ],
    ids=["lists", "digits", "repeated", "groups", "number"],
)
def test_too_much_of_a_thing(text: str, what: str) -> None:
    with pytest.raises(UsageError, match=what):
        parse_rules(text, "r.toml")


pieces = [*"ab()[]{}?*+|^$.:P<>=!1", "(?P<a>", "(?", "{1}", "\\1", "\\"]
patterns = st.lists(st.sampled_from(pieces), max_size=10).map("".join)
templates = st.lists(st.sampled_from(["{", "}", "{1}", "{a}", "{٣}", "{²}", "x", "{0}", "{_}"])).map("".join)


@settings(deadline=None)
@given(patterns, templates, st.text(st.sampled_from("ab/1"), max_size=8))
def test_any_rule_makes_a_zone_or_a_usage_error(match: str, name: str, path: str) -> None:
    text = f"[[rule]]\nmatch = '''\n{match}'''\nname = '{name}'\n"
    try:
        rules = parse_rules(text, "r.toml")
    except UsageError as error:
        rules, sentence = (), str(error)
    else:
        sentence = "r.toml:"
    assert sentence.startswith("r.toml:")
    for rule in rules:
        found = rule.zone_of(f"/{path}")
        assert found is None or f"/{path}".startswith(str(found.cgroup))


@settings(deadline=None)
@given(st.text() | tokens)
def test_any_text_is_rules_or_a_usage_error(text: str) -> None:
    try:
        rules = parse_rules(text, "r.toml")
    except UsageError as error:
        rules, sentence = (), str(error)
    else:
        sentence = "r.toml:"
    assert sentence.startswith("r.toml:")
    for rule in rules:
        rule.zone_of("/a/b")
