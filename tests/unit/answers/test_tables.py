"""Moments as rows: sums that hold between the tables, and columns of the types that they say."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from tests.unit.history.moments import Host, moments

from zonerss.answers.tables import NUMBER, REAL, TABLES, TEXT, TEXTS
from zonerss.history.moment import Moment

TYPES = {TEXT: str, NUMBER: int, REAL: (int, float), TEXTS: tuple}


@given(moments())
@settings(max_examples=20, deadline=None)
def test_every_row_has_its_columns(moment: Moment) -> None:
    for table in TABLES.values():
        for row in table.rows(moment):
            assert len(row) == len(table.columns)
            for value, kind in zip(row, table.columns.values(), strict=True):
                assert value is None or isinstance(value, TYPES[kind])


def rows(name: str, moment: Moment) -> list[dict[str, object]]:
    table = TABLES[name]
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows(moment)]


@given(moments())
@settings(max_examples=20, deadline=None)
def test_parts_and_pairs_are_those_of_the_zones(moment: Moment) -> None:
    rss: Counter[object] = Counter()
    pairs: Counter[tuple[object, object]] = Counter()
    for row in rows("parts", moment):
        zones = row["zones"]
        assert isinstance(zones, tuple)
        assert row["zone_count"] == len(zones)
        for zone in zones:
            rss[zone] += row["rss_bytes"]  # type: ignore[operator]
        for number, zone in enumerate(zones):
            for other in zones[number + 1 :]:
                pairs[zone, other] += row["rss_bytes"]  # type: ignore[operator]
    usages = {usage.zone: usage.rss_bytes for usage in moment.snapshot.zones}
    assert {zone: rss[zone] for zone in usages} == usages
    told = {(row["zone_a"], row["zone_b"]): row["shared_bytes"] for row in rows("pairs", moment)}
    assert told == {pair: size for pair, size in pairs.items() if size}


def test_a_file_counts_in_full_in_each_zone_that_maps_it() -> None:
    moment = Host(3, 3).moment()
    found = rows("files", moment)
    alone = [row for row in found if row["exclusive_bytes"]]
    assert len({row["file"] for row in alone}) == len(alone) == 3
    assert all(row["exclusive_bytes"] == row["mapped_bytes"] for row in alone)
    shared = Counter(row["file"] for row in found if not row["exclusive_bytes"])
    assert shared
    assert min(shared.values()) >= 2


def test_what_was_not_kept_has_no_rows() -> None:
    assert rows("files", Host(3, 3).moment(lean=True)) == []


@pytest.mark.parametrize("name", TABLES)
def test_no_column_has_a_name_of_sql(name: str) -> None:
    assert not {"by", "order", "group", "table", "grouping"} & set(TABLES[name].columns)
