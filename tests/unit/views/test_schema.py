"""The list of schemas."""

from __future__ import annotations

from zonerss.schemas.words import document
from zonerss.views.schema import render


def test_one_row_for_each() -> None:
    one = document("x", "zonerss x --json", "x.md", {})
    assert render([one]) == ["DOCUMENT     PRINTED BY", "zonerss.x/1  zonerss x --json; docs/x.md"]
