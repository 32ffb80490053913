"""The data of charts: exact to the KiB, columns as changes, nothing drawn where nothing is known."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.browser.recordings import ZONES, night
from tests.unit.answers.reports import MIB, look, recorded, zone
from tests.unit.documents import watched

from zonerss.answers.report import Reporter
from zonerss.commands.report import _last, read
from zonerss.views.html import series
from zonerss.views.html.page import render
from zonerss.views.html.series import charts, layers, looks_of_zones, packed


def unpacked(column: Sequence[int | None]) -> list[int | None]:
    """As the page's script does it."""
    sums = accumulate(change or 0 for change in column)
    return [None if change is None else figure for change, figure in zip(column, sums, strict=True)]


@given(st.lists(st.none() | st.integers(0, 1 << 50)))
def test_columns_come_back(pages: list[int | None]) -> None:
    column = packed([None if page is None else page * 4096 for page in pages])
    assert unpacked(column) == [None if page is None else page * 4 for page in pages]


@given(st.lists(st.integers(0, 1 << 50), min_size=1))
def test_rounding_does_not_add_up(sizes: list[int]) -> None:
    found = unpacked(packed(sizes))
    assert all(abs((kib or 0) * 1024 - size) <= 512 for kib, size in zip(found, sizes, strict=True))


def test_a_zone_has_its_kinds_and_its_bill() -> None:
    report = recorded({"a": lambda n: (9 + n) * MIB}, 5)
    found = charts(report, None, report.zones)
    assert unpacked(found["times"])[1:3] == [found["times"][0] + 1, found["times"][0] + 2]
    assert found["zones"] == [
        {"anon": [8192, *[1024] * 4], "file": [1024, *[0] * 4], "charged": [9216, *[1024] * 4]}
    ]
    assert found["treemap"] == []
    assert found["heat"] is None


def test_a_zone_that_was_away_has_no_point_there() -> None:
    reporter = Reporter("zone")
    for n in range(9):
        names = ["a"] if 2 <= n < 5 else ["a", "b"]
        reporter.add(look(n, [zone(name, 9 * MIB, proportional_bytes=9 * MIB) for name in names]))
    report = reporter.report("x", "vm", 9)
    columns = charts(report, None, report.zones)["zones"]
    drawn = {one.usage.zone: found for one, found in zip(report.zones, columns, strict=True)}
    assert "at" not in drawn["a"]
    assert unpacked(drawn["b"]["at"]) == [0, 1, 5, 6, 7, 8]
    assert len(drawn["b"]["anon"]) == 6
    shares = {one.zone.usage.zone: one.column for one in layers(report) if one.zone}
    assert shares["b"] == [0 if 2 <= n < 5 else 9 * MIB for n in range(9)]


def test_where_snapshots_are_missing_a_hole_is_told() -> None:
    reporter = Reporter("zone")
    for n in [*range(10), *range(30, 40)]:
        reporter.add(look(n, [zone("a", 9 * MIB)]))
    report = reporter.report("x", "vm", 20)
    assert charts(report, None, report.zones)["holes"] == [9]
    ((start, end),) = series.hole_times(report)
    assert (end - start).total_seconds() == 21


def test_portions_that_are_not_known_have_no_layers() -> None:
    reporter = Reporter("zone")
    for n in range(3):
        reporter.add(look(n, [zone("a", 9 * MIB, proportional_bytes=None)]))
    assert layers(reporter.report("x", "vm", 3)) == []


def test_the_layers_add_up_to_the_rss_of_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series, "LAYERS", 2)
    night(tmp_path / "a.zrec", ZONES, 12)
    report = read(str(tmp_path / "a.zrec"), "zone")
    found = layers(report)
    assert [one.label for one in found] == ["workers", "monitoring/prometheus-0/prometheus", series.OTHERS]
    totals = [one.total.rss_bytes for one in report.looks]
    assert [
        sum(part or 0 for part in parts) for parts in zip(*(one.column for one in found), strict=True)
    ] == totals
    monkeypatch.undo()
    columns = [one.column for one in layers(report) if one.zone]
    assert len(columns) == len(report.zones)
    for at, total in enumerate(totals):
        assert abs(sum(column[at] or 0 for column in columns) - total) <= len(columns)


def test_of_many_zones_fewer_looks_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    report = watched()
    assert looks_of_zones(report, 5) == list(range(30))
    monkeypatch.setattr(series, "_POINTS", 50)
    monkeypatch.setattr(series, "_LEAST_POINTS", 4)
    chosen = looks_of_zones(report, 5)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, 29, 10)
    found = charts(report, None, report.zones)
    assert unpacked(found["zone_looks"]) == chosen
    assert {len(one["anon"]) for one in found["zones"]} == {10}


def test_what_zones_that_were_not_recorded_share_is_a_layer_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "a.zrec"
    night(path, ZONES, 12, only=("api", "web"))
    report = read(str(path), "zone")
    assert {zone.usage.zone for zone in report.zones} == {"api", "web"}
    found = layers(report)
    assert [one.label for one in found] == ["api", "web", series.UNRECORDED]
    totals = [one.total.rss_bytes for one in report.looks]
    for parts, total in zip(zip(*(one.column for one in found), strict=True), totals, strict=True):
        assert abs(sum(part or 0 for part in parts) - total) <= len(found)
    last = _last(report, None)
    assert last is not None
    assert last.rest is not None
    assert last.rest.bytes > MIB
    drawn = charts(report, last, report.zones)
    assert [one["colour"] for one in drawn["layers"]] == [0, 1, 12]
    assert [one[0] for one in drawn["treemap"]] == ["api", "web", series.UNRECORDED]
    areas = sum(sum(one[1:]) for one in drawn["treemap"])
    assert abs(areas - totals[-1] // 1024) <= 9
    page = render(report, last)
    assert page.count("Only some zones were recorded. What zones that were not recorded have") == 2


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("berlin")
def test_each_time_has_the_offset_of_its_own() -> None:
    turned = datetime(2026, 10, 25, 1, tzinfo=UTC)
    moments = [turned + timedelta(minutes=minutes) for minutes in (-100, -40, 20, 80)]
    assert series.offsets(moments) == [
        [round(moments[0].timestamp()), 7200],
        [round(turned.timestamp()), 3600],
    ]
    assert series.offsets(moments[2:]) == [[round(moments[2].timestamp()), 3600]]
    year = [turned + timedelta(days=days) for days in range(0, 400, 30)]
    assert [ahead for _, ahead in series.offsets(year)] == [3600, 7200, 3600]
    for moment in moments + year:
        ahead = [ahead for second, ahead in series.offsets([*moments, *year]) if second <= moment.timestamp()]
        assert timedelta(seconds=ahead[-1]) == moment.astimezone().utcoffset()
