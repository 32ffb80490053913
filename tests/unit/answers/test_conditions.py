"""Conditions: what is taken, what holds, and where an error is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.answers.reports import MIB, recorded

from zonerss.answers.conditions import BadCondition, outcomes, parse_conditions
from zonerss.errors import UsageError

REPORT = recorded({"web": lambda n: (20 + n) * MIB, "/db": lambda n: 40 * MIB})
"""60 snapshots a second apart: web grows by 1M/s to 79M."""


def holds(text: str) -> list[str]:
    return [zone.usage.zone for held in outcomes(parse_conditions(text), REPORT) for zone in held.holding]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("growth(web)>59M/min", ["web"]),
        ("growth(web)>61M/min", []),
        ("growth(web)>0.9M/s", ["web"]),
        ("growth(*)>=1G/h", ["web"]),
        ("growth(db)>0/min", []),
        ("rss(web)>78M", ["web"]),
        ("rss(web)>79M", []),
        ("rss(web)>=79MiB", ["web"]),
        ("rss(w?b)>1", ["web"]),
        ("rss('w?b')>1", []),
        ("rss(db)<=40M", ["/db"]),
        ("first(*)<30M", ["web"]),
        ("last(web) > 78m", ["web"]),
        ("verdict(*)=grows", ["web"]),
        ("verdict(*)!=grows", ["/db"]),
        (" verdict ( * ) = steady , rss ( web ) > 1K ", ["/db", "web"]),
    ],
)
def test_what_holds(text: str, expected: list[str]):
    assert holds(text) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("", 1),
        ("rs(web)>1", 1),
        ("rss web>1", 5),
        ("rss()>1", 5),
        ("rss(web>1", 10),
        ("rss('web)>1M", 5),
        ("rss(web)=1M", 9),
        ("rss(web)>", 10),
        ("rss(web)>many", 10),
        ("growth(web)>1M", 15),
        ("growth(web)>1M/week", 16),
        ("verdict(web)>grows", 13),
        ("verdict(web)=leaks", 14),
        ("rss(web)>1M rss(db)>1M", 13),
        ("rss(web)>1M,", 13),
    ],
)
def test_an_error_has_its_place(text: str, place: int):
    with pytest.raises(UsageError) as caught:
        parse_conditions(text)
    assert f"at character {min(place, len(text) + 1)} there must be" in str(caught.value)


def test_a_word_that_is_nearly_right_is_named():
    with pytest.raises(BadCondition, match="did you mean saw-tooth"):
        parse_conditions("verdict(web)=sawtooth")


def test_too_few_snapshots_are_not_known():
    few = recorded({"web": lambda n: (20 + n) * MIB}, count=3)
    (growth, size) = outcomes(parse_conditions("growth(web)>1M/min, rss(web)>21M"), few)
    assert ([z.usage.zone for z in growth.unknown], growth.holding) == (["web"], [])
    assert [z.usage.zone for z in size.holding] == ["web"]


def taken(text: str) -> bool:
    """Whether it is a condition; what is none is refused in a sentence."""
    try:
        return bool(parse_conditions(text))
    except BadCondition as err:
        return "there must be" not in str(err)


@given(st.text(max_size=60))
def test_any_text_is_taken_or_refused_in_a_sentence(text: str):
    assert not taken(text)  # of texts by chance none is a condition


PIECES = [
    "growth",
    "rss",
    "verdict",
    "(",
    ")",
    "web",
    "*",
    ">",
    ">=",
    "=",
    "1M",
    "/min",
    "grows",
    ",",
    "'",
    " ",
]


@given(st.lists(st.sampled_from(PIECES), max_size=12))
def test_what_is_nearly_a_condition_likewise(words: list[str]):
    text = "".join(words)
    if taken(text):
        again = ",".join(one.text for one in parse_conditions(text))
        assert again.replace(" ", "") == text.replace(" ", "")
