"""The page: all of a report as text in tables, a policy that holds, and nothing that a stranger's name begins."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.browser.recordings import HOSTILE, HOSTILE_ZONES, ZONES, night
from tests.unit.answers.reports import MIB, recorded
from tests.unit.documents import ODD, watched
from tests.unit.views.html.pages import Page

from zonerss.answers.closeup import Closeup
from zonerss.answers.conditions import outcomes, parse_conditions
from zonerss.answers.report import Report, compared
from zonerss.commands import report as command
from zonerss.plain import replace
from zonerss.views.html import sections
from zonerss.views.html.page import render
from zonerss.views.report import render as text
from zonerss.views.text import printable


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, Closeup]:
    path = tmp_path_factory.mktemp("page") / "<b>night.zrec"
    night(path, ZONES[:7] + HOSTILE_ZONES, 40)
    report = command.read(str(path), "zone")
    last = command._last(report, None)
    assert last is not None
    return report, last


@pytest.fixture(scope="module")
def page(made: tuple[Report, Closeup]) -> Page:
    return Page(render(*made))


def test_every_zone_has_a_row_and_a_section(page: Page, made: tuple[Report, Closeup]) -> None:
    names = [printable(zone.usage.zone, "utf-8") for zone in made[0].zones]
    assert len(names) == 12
    summaries = [words for words in page.words("summary") if any(words.startswith(name) for name in names)]
    assert [name for name in names if not any(words.startswith(name) for words in summaries)] == []
    assert len(page.all("details", class_="zone")) == len(names)
    assert len(page.data["zones"]) == len(names)


def test_nothing_of_a_stranger_is_obeyed(page: Page) -> None:
    assert list(page.dangers()) == []
    assert all(char.isprintable() or char == "\n" for char in page.text)
    for name in HOSTILE:
        assert printable(name, "utf-8") in page.text


def test_the_policy_allows_what_is_in_the_page_and_nothing_else(page: Page) -> None:
    (policy,) = (one.attributes["content"] for one in page.all("meta", http_equiv="Content-Security-Policy"))
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules.pop("default-src") == "'none'"
    assert rules.pop("img-src") == "data:"

    def allowed(texts: list[str]) -> str:
        digests = (b64encode(sha256(text.encode()).digest()).decode() for text in texts)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    assert rules.pop("style-src") == allowed(page.words("style"))
    assert rules.pop("script-src") == allowed(page.words("script")[1:])
    assert rules == {"base-uri": "'none'", "form-action": "'none'"}


def test_links_lead_to_something(page: Page) -> None:
    ids = [one.attributes["id"] for one in page.elements if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    targets = {one.attributes["href"].removeprefix("#") for one in page.all("a")}
    assert targets <= set(ids)
    assert {"verdicts", "time", "where", "sharing", "zones", "each", "numbers", "zone-0"} <= targets


def test_every_chart_has_words_and_every_table_a_caption(page: Page) -> None:
    drawn = [one for one in page.elements if "data-chart" in one.attributes]
    assert {one.attributes["data-chart"] for one in drawn} == {"kinds", "layers", "treemap", "heat", "zone"}
    assert all(one.attributes["role"] == "img" and one.attributes["aria-label"] for one in drawn)
    assert len(page.all("caption")) == len(page.all("table")) > 15
    assert all(page.words("caption"))
    assert all(one.attributes["scope"] in ("row", "col") for one in page.all("th"))


def test_the_chain_of_a_zone_is_that_of_explain(page: Page, made: tuple[Report, Closeup]) -> None:
    account = made[1].accounts["workers"]
    assert account.chain.holds
    assert "sum of process RSS (8 processes)" in page.text
    assert "charged to /pods/0 (memory.current)" in page.text
    rows = made[1].numbers["workers"]
    assert next(one.bytes for one in rows if one.name == "docker stats") == account.chain.charged_bytes
    assert "docker stats" in page.words("th", scope="col")
    assert "getvmusage" not in page.words("th", scope="col")
    assert "Not known from a recording: getvmusage" in page.text


def test_missing_snapshots_are_told(page: Page) -> None:
    assert page.data["holes"] == [28]
    assert re.search(r"No snapshot from 2026-11-22 \S+ \S+ to 2026-11-22 \S+ \S+ \(1 h \d+ m\)", page.text)


def test_the_figures_are_those_of_the_text(page: Page, made: tuple[Report, Closeup]) -> None:
    lines = [line.split() for line in text(made[0])]
    figures = next(words for words in lines if words[0] == "workers")
    (row,) = (words for words in page.words("tr") if words.startswith("".join(figures[:3])))
    assert all(figure in row for figure in figures)
    assert figures[-1] == "grows"


def test_without_the_last_snapshot_the_rest_is_there() -> None:
    found = Page(render(watched()))
    assert list(found.dangers()) == []
    assert "chains and sharing are missing" in found.text
    assert found.text.count("It is not in the last snapshot") == 5
    assert printable(ODD, "utf-8") in found.text
    assert "where" not in {one.attributes.get("id") for one in found.all("section")}


def test_two_recordings_and_conditions() -> None:
    before, after = watched(leak=0), watched()
    held = outcomes(parse_conditions("growth(*)>1M/min, rss(steady)>9G"), after)
    found = Page(render(after, None, held, before, compared(before, after)))
    assert list(found.dangers()) == []
    assert "--fail-on rss(steady)>9G does not hold" in found.text
    assert "--fail-on growth(*)>1M/min holds of" in found.text
    (table,) = (words for words in found.words("table") if words.startswith("Zones of both recordings"))
    assert "BEFORE" in table
    assert table.index("+6.0M/min") < table.index("pool")


def test_a_limit_leaves_out_and_says_so(made: tuple[Report, Closeup]) -> None:
    found = Page(render(*made, limit=2))
    assert len(found.all("details", class_="zone")) == len(found.data["zones"]) == 2
    assert "10 zones more (--limit)." in found.text


def test_of_many_verdicts_the_first_are_told(
    made: tuple[Report, Closeup], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sections, "MOST_VERDICTS", 2)
    found = Page(render(*made))
    (verdicts,) = found.words("ul", class_="verdicts")
    assert verdicts.startswith("workers grows")
    assert re.search(r"And \d zones? more that are not steady: see each zone\.$", verdicts)


def test_whole_bytes(made: tuple[Report, Closeup]) -> None:
    report, last = made
    found = Page(render(report, last, in_bytes=True))
    assert str(report.zones[0].peak.size_bytes) in found.text


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=3, unique=True), st.text())
def test_any_name_is_text(names: list[str], host: str) -> None:
    sizes = {name: (lambda n: (9 + n) * MIB) for name in names}
    report = recorded(sizes, 9)
    object.__setattr__(report, "host_name", host)
    object.__setattr__(report, "file", host)
    found = Page(render(report))
    assert list(found.dangers()) == []
    for name in names:
        assert any(words.startswith(printable(name, "utf-8")) for words in found.words("summary"))


def test_the_script_asks_for_nothing() -> None:
    script = (Path(command.__file__).parents[1] / "views/html/page.js").read_text()
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacent|document\.write|eval|Function\(|fetch|XMLHttp|import\(", script
    )
    assert "://" not in script


def test_pairs_with_zones_that_were_not_recorded_are_listed(made: tuple[Report, Closeup]) -> None:
    last = made[1]
    assert last.pairs
    said = str(sections.sharing(replace(last, heat=(), heat_zones=()), False))
    assert "No page is mapped by two zones" not in said
    assert "no two of the zones that were recorded" in said
    assert "Who shares with whom" in said
    assert "heat map" not in said
