"""Rows: sorted by what is shown."""

from __future__ import annotations

from tests.unit.builders import usage

from zonerss.views.columns import CHARGED, EXCLUSIVE, RSS, ZONE
from zonerss.views.table import sort_records


def test_sorted_by_the_value_shown_unknown_last() -> None:
    rows = [usage("a", charged_bytes=None), usage("b", charged_bytes=1), usage("c", charged_bytes=2)]
    assert [u.zone for u in sort_records(rows, CHARGED)] == ["c", "b", "a"]
    assert [u.zone for u in sort_records(rows, ZONE)] == ["a", "b", "c"]
    assert [u.zone for u in sort_records(rows, RSS, 1)] == ["a"]
    assert [u.zone for u in sort_records(rows, EXCLUSIVE)] == ["a", "b", "c"]
