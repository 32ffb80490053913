"""The page for people: whole HTML, nothing of a stranger's in it unescaped, readable in both colour schemes."""

from __future__ import annotations

import re
from base64 import b64decode
from datetime import timedelta
from hashlib import sha256
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.builders import BEGAN, MACHINE, look, snapshot, usage

from zonerss.answers.growth import Growth
from zonerss.answers.share import Pair
from zonerss.census.parts import Parts
from zonerss.plain import replace
from zonerss.records import Cause, Gap
from zonerss.serve.look import Look
from zonerss.serve.page import MARKS_SHOWN, render
from zonerss.serve.style import POLICY, STYLE
from zonerss.views.text import printable

EMPTY = ("meta", "link", "rect")
MIB = 1 << 20


class Page(HTMLParser):
    """The elements of a page, and what stands in each; complains of one that is not closed in its place."""

    def __init__(self, look: Look) -> None:
        super().__init__()
        self.open: list[tuple[str, dict[str, str | None]]] = []
        self.elements: list[tuple[str, dict[str, str | None], str]] = []
        self.texts: list[list[str]] = []
        self.html = render(look)
        self.html.encode()
        self.feed(self.html)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        assert len(dict(attributes)) == len(attributes), f"{tag} has an attribute twice"
        if tag in EMPTY:
            self.elements.append((tag, dict(attributes), ""))
        else:
            self.open.append((tag, dict(attributes)))
            self.texts.append([])

    def handle_endtag(self, tag: str) -> None:
        if tag in EMPTY:
            return
        name, attributes = self.open.pop()
        assert name == tag
        text = "".join(self.texts.pop())
        self.elements.append((tag, attributes, text))
        if self.texts:
            self.texts[-1].append(text)

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1].append(data)

    def all(self, tag: str) -> list[tuple[dict[str, str | None], str]]:
        return [(attributes, text) for name, attributes, text in self.elements if name == tag]

    def rows(self) -> list[list[str]]:
        """The cells of each line of tables, bars as their words."""
        found: list[list[str]] = [[]]
        for tag, _, text in self.elements:
            if tag in ("th", "td"):
                found[-1].append(text)
            elif tag == "tr":
                found.append([])
        return found[:-1]


def known(*usages, **fields) -> Look:
    """A look with a machine, of which 100 MiB anon and 50 MiB file are mapped."""
    pages = {(0,): [100 << 8, 50 << 8, 0, 0, 0]}
    return look(snapshot=snapshot(*usages, parts=Parts.of(1, pages)), **fields)


def test_each_zone_is_a_row_the_largest_first() -> None:
    small, large = usage("small"), usage("large", anon_bytes=90 * MIB, limit_bytes=100 * MIB, kind="docker")
    head, *rows = Page(known(small, large)).rows()
    assert head[:5] == ["ZONE", "KIND", "PROCS", "RSS", "BY KIND"]
    assert [row[0] for row in rows] == ["large", "small"]
    cells = dict(zip(head, rows[0], strict=True))
    assert cells["KIND"] == "docker"
    assert (cells["RSS"], cells["LIMIT"]) == ("90M", "100M")
    assert cells["BY KIND"] == "anon 90M, file 31K, shmem 7K; 90M of it shared"
    assert dict(zip(head, rows[1], strict=True))["LIMIT"] == "–"


def test_columns_that_say_nothing_are_left_out() -> None:
    head = Page(known(usage())).rows()[0]
    assert not {"LIMIT", "USED", "HUGETLB", "SWAP", "PRESSURE", "OOM"} & set(head)
    head = Page(known(usage(exclusive_bytes=None, proportional_bytes=None, hugetlb_bytes=MIB))).rows()[0]
    assert "EXCL" not in head
    assert "HUGETLB" in head


def test_growth_is_told_once_it_is_known() -> None:
    assert "GROWS" not in Page(known(usage())).rows()[0]
    growth = Growth()
    for number in range(8):
        size = (10 + 3 * number) * MIB
        growth.add(snapshot(usage(anon_bytes=size), began=BEGAN + timedelta(minutes=number)))
    head, row = Page(known(usage(), growth=growth)).rows()
    assert dict(zip(head, row, strict=True))["GROWS"] == "+3.0M/min ▲"


def test_bars_are_as_long_as_what_they_stand_for() -> None:
    one = usage("one", anon_bytes=60 * MIB, file_bytes=40 * MIB, shmem_bytes=0, exclusive_bytes=75 * MIB)
    other = usage("other", anon_bytes=0, file_bytes=25 * MIB, shmem_bytes=25 * MIB, exclusive_bytes=None)
    html = Page(known(one, other)).html
    rects = re.findall(r'<rect class="(\w+)" x="(\d+)" width="(\d+)"', html.partition("<table>")[2])
    assert rects == [
        ("anon", "0", "600"),
        ("file", "600", "400"),
        ("dim", "750", "250"),
        ("file", "0", "250"),
        ("shmem", "250", "250"),
    ]


def test_the_machine_is_a_bar_and_words() -> None:
    page = Page(known(usage()))
    (bar,) = (text for attributes, text in page.all("svg") if "of memory" in (attributes["aria-label"] or ""))
    assert bar.startswith("997M of memory: zones 150M, page cache 281M")
    assert "swap 4.0M of 503M" in page.html
    assert "memory pressure 1.2" in page.html
    assert Page(look(snapshot=snapshot(machine=None))).all("section") == []


def test_what_stands_out_has_its_command_and_signs() -> None:
    full = usage("full", charged_bytes=99 * MIB, limit_bytes=100 * MIB, anon_bytes=99 * MIB)
    page = Page(known(full))
    (line,) = (text for _, text in page.all("li") if "limit" in text)
    assert line == "!full has 99M of its limit of 100M (99%): zonerss zone full"
    head, row = page.rows()
    assert dict(zip(head, row, strict=True))["USED"] == "99% !"


def test_of_many_marks_the_others_are_counted() -> None:
    zones = [usage(f"z{n}", oom_kills=n + 1) for n in range(MARKS_SHOWN + 3)]
    page = Page(known(*zones))
    assert sum("killed" in text for _, text in page.all("li")) == MARKS_SHOWN
    assert "and " in page.html
    assert re.search(r"and [345] more of that kind: <code>zonerss --all</code>", page.html)


def test_last_lines_say_what_is_missing() -> None:
    page = Page(look(snapshot=snapshot(gaps=(Gap(1, "open", Cause.REFUSED),))))
    assert [text for _, text in page.all("p")][-1] == "Not counted: 1 process that may not be read (pid 1)."


def test_pairs_are_listed() -> None:
    page = Page(known(usage("a"), usage("b"), pairs=(Pair(("a", "b"), 7 * MIB),)))
    assert page.rows()[-1] == ["a", "b", "7.0M"]
    assert not Page(known(usage())).all("details")


def test_it_asks_for_itself_when_the_next_walk_may_be_done() -> None:
    def refresh(seconds: float) -> str | None:
        page = Page(look(stretched_seconds=seconds))
        return next(a["content"] for a, _ in page.all("meta") if a.get("http-equiv") == "refresh")

    assert refresh(30.2) == "31"
    assert refresh(0.5) == "5"


# ---- strangers' names ------------------------------------------------------------------------------------

HOSTILE = (
    "<script>alert(1)</script>",
    "\"' onmouseover='alert(1)",
    "</title></style><img src=x onerror=alert(1)>",
    "&lt;b&gt;",
    "\x1b[2J\u202e\x00\x07\r\n",
    b"\xff\xfe".decode("utf-8", "surrogateescape"),
    "x" * 250,
    "a  b",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_text_everywhere(name: str) -> None:
    zone = usage(name, kind=name, oom_kills=1, cgroup=name)
    served = look(
        snapshot=snapshot(zone, machine=replace(MACHINE, host_name=name)), pairs=(Pair((name, name), MIB),)
    )
    page = Page(served)
    plain = Page(look(snapshot=snapshot(usage("x", oom_kills=1)), pairs=(Pair(("x", "x"), MIB),)))
    assert [tag for tag, _, _ in page.elements] == [tag for tag, _, _ in plain.elements]
    allowed = {name for _, attributes, _ in plain.elements for name in attributes}
    assert {key for _, attributes, _ in page.elements for key in attributes} <= allowed
    (row,) = [text for attributes, text in page.all("bdi") if attributes.get("class") == "zone"][:1]
    shown = printable(name)
    assert row == (shown if len(shown) <= 64 else f"{'x' * 32}…{'x' * 31}")
    assert all(printable(line) == line for line in page.html.split("\n"))


@settings(max_examples=50, deadline=None)
@given(st.binary(min_size=1, max_size=250))
def test_any_bytes_are_a_name(name: bytes) -> None:
    page = Page(known(usage(name.decode("utf-8", "surrogateescape"), oom_kills=1)))
    assert len(page.rows()) == 2


# ---- the browser's laws ----------------------------------------------------------------------------------


def test_nothing_but_its_own_style_may_be_applied_or_fetched() -> None:
    page = Page(known(usage(), pairs=(Pair(("web", "web"), 1),)))
    assert not page.all("script")
    assert not [key for _, attributes, _ in page.elements for key in attributes if key.startswith("on")]
    assert not [key for _, attributes, _ in page.elements for key in attributes if key in ("style", "src")]
    assert {a["href"] for a, _ in (*page.all("a"), *page.all("link"))} == {
        "metrics",
        "snapshot.json",
        "data:,",
    }
    assert "url(" not in STYLE
    assert "@import" not in STYLE


def test_the_policy_is_that_of_the_style() -> None:
    page = Page(known(usage()))
    policy = next(
        a["content"] for a, _ in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy == POLICY
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    ((_, style),) = page.all("style")
    (digest,) = re.findall(r"style-src 'sha256-(.*)'", policy)
    assert b64decode(digest) == sha256(style.encode()).digest()


def test_tables_say_what_is_a_header_of_what() -> None:
    page = Page(known(usage(), usage("b"), pairs=(Pair(("a", "b"), 1),)))
    scopes = [attributes.get("scope") for attributes, _ in page.all("th")]
    assert set(scopes) == {"col", "row"}
    assert scopes.count("row") == 2
    assert all(
        attributes.get("role") == "img" and attributes["aria-label"] for attributes, _ in page.all("svg")
    )
    assert page.all("html")[0][0]["lang"] == "en"


def schemes() -> list[dict[str, str]]:
    """The colours of the light and of the dark scheme, by name."""
    return [
        dict(re.findall(r"--(\w+): (#\w+);", block))
        for block in re.findall(r":root \{(.*?)\}", STYLE, re.DOTALL)
    ]


def contrast(one: str, other: str) -> float:
    """Source: WCAG 2.2, "contrast ratio" and "relative luminance"."""

    def luminance(colour: str) -> float:
        digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
        parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", [0, 1])
def test_contrast_is_enough(scheme: int) -> None:
    colours = schemes()[scheme]
    assert set(colours) == set(schemes()[0])
    for ground in (colours["ground"], colours["row"]):
        for text in ("ink", "faint", "link", "alarm", "warning"):
            assert contrast(colours[text], ground) >= 4.5, text
        for shape in ("zones", "anon", "file", "shmem", "other"):
            assert contrast(colours[shape], ground) >= 3, shape


def test_every_class_of_the_page_has_its_style() -> None:
    zone = usage(
        limit_bytes=MIB,
        oom_kills=1,
        hugetlb_bytes=1,
        swap_bytes=1,
        pressure_some=1.0,
        charged_bytes=900 << 10,
    )
    page = Page(known(zone, pairs=(Pair(("web", "web"), 1),)))
    classes = {name for _, attributes, _ in page.elements for name in (attributes.get("class") or "").split()}
    styled = set(re.findall(r"\.([a-z][\w-]*)", STYLE))
    assert classes - {"pairs"} <= styled
    assert styled - classes <= {"tmpfs", "warning", "some"}
