"""JSON as text: indented, an entry a line, and on one line."""

from __future__ import annotations

import json

from zonerss.views.document import Json, Listing, render_json

FIELDS = {"a": None, "b": {"c": 1}, "rows": [{"x": "\u00e9"}, {"x": 2}], "none": []}


def test_indented() -> None:
    assert render_json(FIELDS) == json.dumps(FIELDS, indent=2)


def test_a_listing_has_an_entry_a_line() -> None:
    assert (
        render_json(Listing(FIELDS))
        == """{
  "a": null,
  "b": {"c": 1},
  "rows": [
    {"x": "\\u00e9"},
    {"x": 2}
  ],
  "none": []
}"""
    )


def test_compact_is_one_line_whatever_it_is() -> None:
    assert render_json(FIELDS, compact=True) == json.dumps(FIELDS)
    assert render_json(Listing(FIELDS), compact=True) == json.dumps(FIELDS)


def test_text_that_is_json_already_stays_as_it_is() -> None:
    made = Listing({"rows": [Json('{"x": 1}'), {"y": 2}]})
    for compact in (False, True):
        assert json.loads(render_json(made, compact)) == {"rows": [{"x": 1}, {"y": 2}]}
    assert render_json(made, compact=True) == '{"rows": [{"x": 1}, {"y": 2}]}'
