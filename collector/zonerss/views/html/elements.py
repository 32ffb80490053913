"""Elements of HTML. Whatever is no markup yet becomes text here, and nowhere else.

Names of zones, processes and files are chosen by strangers: they are escaped for people
(:func:`zonerss.views.text.printable`) and then for HTML. The types tell one from the other: a str is a stranger's until
:func:`text` has made :data:`Markup` of it.

Source: HTML Living Standard, 13.1.2 (elements), 4.12.1.3 (what may stand in a script element).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any, NewType

from zonerss.plain import dataclass
from zonerss.views.text import printable, shorten

Markup = NewType("Markup", str)
"""HTML, in which every < and & is one of ours."""
NOTHING = Markup("")
_NAME_COLUMNS = 44
_VOID = frozenset({"br", "col", "meta", "link", "input"})


def text(what: str) -> Markup:
    """Anybody's text, to be read."""
    return Markup(escape(printable(what, "utf-8")))


def tag(element: str, *content: Markup, **attributes: str | bool | None) -> Markup:
    """
    An element.

    :param attributes: escaped here; ``class_`` is class, other underscores are dashes; True: it has no value; None,
        False: it is not there
    """
    words = [element]
    for name, value in attributes.items():
        if value is None or value is False:
            continue
        spelled = name.rstrip("_").replace("_", "-")
        words.append(spelled if value is True else f'{spelled}="{escape(printable(str(value), "utf-8"))}"')
    end = "" if element in _VOID else f"</{element}>"
    return Markup(f"<{' '.join(words)}>{''.join(content)}{end}")


def joined(parts: Iterable[Markup], between: str = "") -> Markup:
    """One after the other."""
    return Markup(escape(between).join(parts))


def name(what: str) -> Markup:
    """A zone's, a process's or a file's name; whatever script it is in, what stands beside it stays there."""
    return tag("bdi", text(what))


def short_name(what: str) -> Markup:
    """The same for a table: of a long one the middle is left out; the whole one is its title."""
    whole = printable(what, "utf-8")
    short = shorten(whole, _NAME_COLUMNS)
    return tag("bdi", text(short), title=None if short == whole else whole)


def paragraph(what: str, **attributes: str | bool | None) -> Markup:
    """Of text."""
    return tag("p", text(what), **attributes)


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a column."""

    name: str
    words: bool = False
    """Its cells are text; else numbers, which stand at the right."""
    help: str | None = None


def table(
    caption: str, heads: Sequence[Head], rows: Iterable[Sequence[Markup]], **attributes: str | bool | None
) -> Markup:
    """
    A table whose first column names its rows; it can be scrolled sideways where there is too little room.

    :param rows: cells, as many as there are heads
    """
    head = joined(
        tag("th", text(head.name), scope="col", title=head.help, class_="t" if head.words else None)
        for head in heads
    )
    body = joined((tag("tr", *map(_cell, heads, row, range(len(heads)))) for row in rows), "\n")
    whole = tag(
        "table",
        tag("caption", text(caption)),
        tag("thead", tag("tr", head)),
        tag("tbody", body),
        **attributes,
    )
    return tag("div", whole, class_="wide", tabindex="0", role="region", aria_label=caption)


def _cell(head: Head, cell: Markup, number: int) -> Markup:
    if number == 0:
        return tag("th", cell, scope="row", class_="t" if head.words else None)
    return tag("td", cell, class_="t" if head.words else None)


def details(summary: Markup, *content: Markup, **attributes: str | bool | None) -> Markup:
    """What is shown when somebody asks for it, and in print."""
    return tag("details", tag("summary", summary), *content, **attributes)


def data(what: Any) -> Markup:
    """JSON to stand in a script element: ASCII, and nothing in it begins or ends an element or a comment."""
    found = json.dumps(what, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return Markup(found.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))
