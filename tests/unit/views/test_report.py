"""report: complete texts of recordings made by hand, and nothing of a stranger's that a terminal or Markdown obeys."""

from __future__ import annotations

import pytest
from tests.unit.answers.reports import MIB, recorded
from tests.unit.documents import ODD, watched

from zonerss.answers.conditions import outcomes, parse_conditions
from zonerss.answers.report import compared
from zonerss.views.report import (
    condition_lines,
    escaped,
    markdown_compared,
    render,
    render_compared,
    render_markdown,
)
from zonerss.views.terminal import Terminal, printing_to


def test_a_report_has_figures_verdicts_and_reasons() -> None:
    lines = render(watched())
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:6]}
    assert rows["pool"] == ["80M", "138M", "138M", "+12M/min", "unsharing"]
    assert rows["saw"] == ["20M", "25M", "25M", "=", "saw-tooth"]
    assert rows["log"] == ["12M", "12M", "12M", "(+6.0M/min)", "bill-only"]
    assert rows["steady"] == ["7.0M", "7.0M", "7.0M", "=", "steady"]
    text = "\n".join(lines)
    assert "saw saw-tooth: it rose and fell 4 times, by 5.0M the median, one fall every 60 s." in text
    assert "At this pace it meets its limit in 8 m 20 s." in text
    assert "37 snapshots of vm from " in text
    assert "(4 m 50 s), of which 30 were looked at, at even distances; peaks are of " in text
    assert "Left out: the snapshot of 2026-11-22 12:00:07+00:00 in caf" in text


def test_nothing_foreign_is_obeyed() -> None:
    report = watched()
    rows = compared(report, report)
    found = outcomes(parse_conditions("verdict(*)!=steady"), report)
    for lines in (
        render(report),
        render_markdown(report),
        render_compared(rows),
        markdown_compared(rows),
        condition_lines(found),
    ):
        assert all(line.isprintable() for line in lines), lines
        assert any("caf" in line for line in lines)


def test_no_row_is_wider_than_the_terminal() -> None:
    with printing_to(Terminal(80, 24)):
        lines = render(watched())
    assert all(len(line) <= 80 for line in lines[:10])


def test_a_limit_says_how_many_there_are_more() -> None:
    lines = render(watched(), limit=2)
    assert "3 zones more (--limit)." in lines


def test_too_few_snapshots_have_no_verdict() -> None:
    lines = render(watched(3))
    assert all(line.split()[-2:] == ["–", "–"] for line in lines[1:6])


def test_marks_of_markdown_are_text() -> None:
    assert escaped("a|b*<i>_&`[x](y)") == "a\\|b\\*\\<i\\>\\_&amp;\\`\\[x\\]\\(y\\)"
    assert escaped("@team #12") == "@&#8203;team \\#&#8203;12"
    lines = render_markdown(recorded({"a|b": lambda n: (9 + n) * MIB}))
    assert lines[:3] == [
        "| zone | first | last | peak | growth | verdict |",
        "| :-- | --: | --: | --: | --: | :-- |",
        "| a\\|b | 9.0M | 68M | 68M | \\+60M/min | grows |",
    ]
    assert lines[4].startswith("- **a\\|b grows**: \\+59M in 59 s: 59M of it anon of pid 101 \\(httpd\\)")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("https://evil.example/x", "https:&#8203;//evil.example/x"),
        ("x/FTP://evil.example", "x/FTP:&#8203;//evil.example"),
        ("www.evil.example", "www&#8203;.evil.example"),
        ("_WWW.evil.example (www.b.c)", "\\_WWW&#8203;.evil.example \\(www&#8203;.b.c\\)"),
        ("mailto:a@evil.example", "mailto:a@&#8203;evil.example"),
        ("xmpp:a@evil.example/b", "xmpp:a@&#8203;evil.example/b"),
    ],
)
def test_no_name_is_a_link(name: str, text: str) -> None:
    assert escaped(name) == text


def test_two_recordings_stand_side_by_side() -> None:
    before, after = (
        recorded({"a": lambda n: 9 * MIB}),
        recorded({"a": lambda n: (9 + n) * MIB, "new": lambda n: MIB}),
    )
    lines = render_compared(compared(before, after))
    assert lines[0].split() == [
        *("ZONE", "GROWTH", "BEFORE", "PEAK", "BEFORE", "LAST", "BEFORE", "VERDICT", "BEFORE")
    ]
    assert lines[1].split() == ["a", "+60M/min", "=", "68M", "9.0M", "68M", "9.0M", "grows", "steady"]
    assert lines[2].split() == ["new", "=", "–", "1.0M", "–", "1.0M", "–", "steady", "–"]


def test_a_condition_that_holds_names_its_zones() -> None:
    report = watched()
    assert condition_lines(outcomes(parse_conditions("growth(pool)>1M/min, rss(pool)>9G"), report)) == [
        "--fail-on growth(pool)>1M/min holds of pool"
    ]
    assert ODD not in "\n".join(condition_lines(outcomes(parse_conditions("rss(*)>1"), report)))
