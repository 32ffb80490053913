"""Elements: whatever a stranger calls a thing, it is text."""

from __future__ import annotations

import json
from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st
from tests.browser.recordings import HOSTILE

from zonerss.views.html.elements import Head, data, name, short_name, table, tag, text
from zonerss.views.text import encodable, printable

NAMES = st.text() | st.sampled_from(HOSTILE)


class Reader(HTMLParser):
    """What is in a piece of a page."""

    def __init__(self, piece: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(piece)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@given(NAMES)
def test_a_name_is_read_as_it_is_printed(what: str) -> None:
    found = Reader(tag("p", text(what), class_="x"))
    assert found.tags == [("p", {"class": "x"})]
    assert "".join(found.texts) == printable(what, "utf-8")


@given(NAMES)
def test_an_attribute_has_one_value_and_no_more(what: str) -> None:
    found = Reader(tag("td", title=what, hidden=True, open=False, lang=None))
    assert found.tags == [("td", {"title": printable(what, "utf-8"), "hidden": None})]


@given(NAMES, st.integers(-(1 << 62), 1 << 62))
def test_data_are_json_and_end_no_script(what: str, number: int) -> None:
    known = {"a": [encodable(what), number, None]}
    found = data(known)
    assert json.loads(found) == known
    assert found.isascii()
    assert not set("<>&") & set(found)


@given(st.lists(NAMES, min_size=1, max_size=4))
def test_a_table_has_a_cell_for_each(names: list[str]) -> None:
    heads = [Head("ZONE", True, help=names[0]), Head(names[-1])]
    found = Reader(table(names[0], heads, ([name(one), text("1K")] for one in names)))
    tags = [tag for tag, _ in found.tags]
    assert tags.count("tr") == len(names) + 1
    assert (tags.count("th"), tags.count("td"), tags.count("bdi")) == (len(names) + 2, len(names), len(names))


def test_of_a_long_name_a_table_has_both_ends() -> None:
    found = Reader(short_name("begin" + "x" * 99 + "end"))
    assert found.texts[0].startswith("beginx")
    assert found.texts[0].endswith("xend")
    assert len(found.texts[0]) == 44
    assert found.tags == [("bdi", {"title": "begin" + "x" * 99 + "end"})]
