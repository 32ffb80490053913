"""What the pages say exists: links, paths, names, verbs; and every page is in the index."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from zonerss.commands import VERBS
from zonerss.views.glossary import WORDS

PROJECT = Path(__file__).resolve().parents[2]
PACKAGE = PROJECT / "collector" / "zonerss"
DOCS = sorted((PROJECT / "docs").glob("*.md"))
PAGES = [*(PROJECT / f"{name}.md" for name in ("README", "CONTRIBUTING", "CHANGELOG")), *DOCS]
PAGES += sorted((PROJECT / "tests").glob("*/README.md"))
BUILT = ("vm/out", "collector/zonerss/_core/_")
"""Paths that begin so are made by a build and may be missing."""
ELSEWHERE = re.compile(r"^[/~]|[A-Z]{3}|\*|\.\.\.")
"""What is no path of the project: absolute, or with a placeholder as in VERB.py."""


def name_of(page: Path) -> str:
    return str(page.relative_to(PROJECT))


def prose(page: Path) -> str:
    """The page without its blocks of code."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """The fragments by which a page's headings are linked to: lower case, no punctuation, dashes for spaces."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def links(page: Path) -> list[str]:
    """Where a page links to within the project."""
    return [target for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in target]


def quoted(page: Path) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`\n]+)`", prose(page))


def paths(page: Path) -> Iterator[str]:
    """What is quoted and names a file of the project."""
    tops = {path.name for path in (*PROJECT.iterdir(), *PACKAGE.iterdir())}
    for words in quoted(page):
        path = words.split()[0].partition("::")[0]
        is_ours = path.split("/")[0] in tops or path.endswith((".py", ".c", ".h", ".md"))
        if "/" in path and is_ours and not ELSEWHERE.search(path.removesuffix("README.md")):
            yield path.rstrip("/")


def test_there_are_pages() -> None:
    assert len(PAGES) > 20
    assert sum(len(links(page)) for page in PAGES) > 100
    assert sum(len(list(paths(page))) for page in PAGES) > 50


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in links(page):
        path, _, fragment = target.partition("#")
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        assert not fragment or fragment in anchors(other), target


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_files_that_are_named_exist(page: Path) -> None:
    for path in paths(page):
        places = (PROJECT, PACKAGE, page.parent)
        assert path.startswith(BUILT) or any((place / path).exists() for place in places), path


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_python_names_exist(page: Path) -> None:
    for dotted in re.findall(r"`(zonerss(?:\.\w+)+)(?:\(.*?\))?s?`", prose(page)):
        thing = import_module("zonerss")
        for depth, name in enumerate(dotted.split(".")[1:], start=2):
            if not hasattr(thing, name):
                import_module(".".join(dotted.split(".")[:depth]))
            thing = getattr(thing, name)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_verbs_that_are_named_exist(page: Path) -> None:
    for words in quoted(page):
        match = re.match(r"(?:sudo )?zonerss ([a-z]\S*)", words)
        assert not match or match[1] in VERBS, words


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_its_page(verb: str) -> None:
    if verb != "help":  # prints the pages' own glossary
        heading = (PROJECT / "docs" / f"{verb}.md").read_text("utf-8").splitlines()[0]
        assert heading.startswith(f"# {verb}: ")


def test_the_index_has_every_page() -> None:
    index = PROJECT / "docs" / "README.md"
    assert {*links(index)} >= {page.name for page in DOCS if page != index}


def test_the_glossary_is_that_of_the_program() -> None:
    text = (PROJECT / "docs" / "glossary.md").read_text("utf-8")
    rows = re.findall(r"^\| (.+?) \| (.+) \|$", text, re.MULTILINE)
    assert rows == [("word", "meaning"), *WORDS.items()]
