"""Arguments without argparse: what argparse makes of them is the oracle."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zonerss.commands.parser import Parser, verb_parser
from zonerss.commands.quick import PLAIN, quickly
from zonerss.errors import UsageError


def flags(parser: Parser) -> list[str]:
    return [option for action in parser._actions if action.nargs == 0 for option in action.option_strings]


def by_argparse(verb: str, words: list[str]) -> dict[str, Any] | None:
    parser = verb_parser(verb)
    parser.set_defaults(configuration=None)
    try:
        return vars(parser.parse_words(words))
    except (UsageError, SystemExit):
        return None


def by_hand(verb: str, words: list[str]) -> dict[str, Any] | None:
    found = quickly(import_module(f"zonerss.commands.{verb}"), verb, words)
    return None if found is None else vars(found)


@pytest.mark.parametrize("verb", PLAIN)
@given(st.data())
def test_it_is_what_argparse_makes_of_them(verb: str, data: st.DataObject) -> None:
    known = [*flags(verb_parser(verb)), "--limit", "--no-config", "--config=x", "--nonsense", "--", "-", "-x"]
    words = data.draw(
        st.lists(st.sampled_from(known) | st.sampled_from(["web", "db", "", "7", "x y"]), max_size=4)
    )
    found = by_hand(verb, words)
    if found is not None:
        assert found == by_argparse(verb, words)


@pytest.mark.parametrize("words", [[], ["--json"], ["--all"], ["web"], ["web", "db", "--bytes", "--json"]])
def test_what_is_common_needs_no_argparse(words: list[str]) -> None:
    verb = "zone" if words[:1] == ["web"] else "show"
    found = by_hand(verb, words)
    assert found is not None
    assert found == by_argparse(verb, words)


@pytest.mark.parametrize(
    "words",
    [["--json", "--tsv"], ["--json", "--json"], ["--jso"], ["-h"], ["--by", "user"], ["--limit=3"], ["--"]],
)
def test_the_rest_is_left_to_argparse(words: list[str]) -> None:
    assert by_hand("show", words) is None


def test_a_zone_page_needs_its_zone() -> None:
    assert by_hand("zone", []) is None
    assert by_hand("zone", ["--json"]) is None


def test_a_plain_command_does_not_import_argparse() -> None:
    text = (
        "import sys; from zonerss.commands import parse; parse('show', ['--no-config'][:0]);"
        "parse('zone', ['web', '--json']); print(sorted({'argparse', 'shutil', 'gettext'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, env={"ZONERSS_CONFIG": ""}
    )
    assert done.stdout == "[]\n"
