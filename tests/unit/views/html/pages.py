"""What a parser of HTML finds in a page: its elements, its texts, what it would ask for and what it would run."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from zonerss.plain import dataclass, field

VOID = {"meta", "link", "br", "col", "input"}


@dataclass
class Element:
    """One element."""

    name: str
    attributes: dict[str, str]
    texts: list[str] = field(default_factory=list)
    """Of it and of all below it."""


class Page(HTMLParser):
    """A parsed page."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(page)
        self.close()
        assert not self._open, [element.name for element in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Every element that begins also ends, in the same order."""
        assert len(dict(attrs)) == len(attrs), (tag, attrs)
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        """Of the last that began."""
        assert self._open.pop().name == tag

    def handle_data(self, data: str) -> None:
        """Text."""
        for element in self._open:
            element.texts.append(data)

    def handle_comment(self, data: str) -> None:
        """A page has none."""
        raise AssertionError(data)

    def all(self, name: str, **attributes: str) -> list[Element]:
        """Elements of a name, with these attributes."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [one for one in self.elements if one.name == name and wanted.items() <= one.attributes.items()]

    def words(self, name: str, **attributes: str) -> list[str]:
        """The text of each of them."""
        return ["".join(one.texts) for one in self.all(name, **attributes)]

    @property
    def data(self) -> dict[str, Any]:
        """What its charts draw."""
        found: dict[str, Any] = json.loads(self.words("script", id="data")[0])
        return found

    @property
    def text(self) -> str:
        """All that is to be read."""
        return "".join(self.all("body")[0].texts)

    def dangers(self) -> Iterator[str]:
        """What runs or asks for something, and is none of the page's own three blocks and its icon."""
        if [one.attributes.get("type") for one in self.all("script")] != ["application/json", None, None]:
            yield "scripts"
        if len(self.all("style")) != 1 or [one.attributes["href"] for one in self.all("link")] != ["data:,"]:
            yield "styles or links"
        for element in self.elements:
            if element.name in ("img", "iframe", "object", "embed", "base", "form", "svg", "math", "video"):
                yield element.name
            for name, value in element.attributes.items():
                if name.startswith("on") or name in (
                    "src",
                    "style",
                    "srcset",
                    "srcdoc",
                    "action",
                    "formaction",
                ):
                    yield f"{element.name} {name}"
                if name == "href" and not re.fullmatch(r"#[a-z0-9-]+|data:,", value):
                    yield f"{element.name} href {value}"
