"""The ten questions of docs/questions.md: each command answers on a terminal of 80 x 24, in the form of its example."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from rich.cells import cell_len

from tests.live.measure import Zone
from tests.live.test_terminal import STYLE, on_terminal
from tests.own import NAME

pytestmark = pytest.mark.same_in_container

PAGE = Path(__file__).parents[2] / "docs" / "questions.md"
RULES = f"""
[[rule]]
match = '/{NAME}/([^/]+)'
name = '{{1}}.service'
"""
_COMMAND = re.compile(r"^    \$ sudo zonerss(.*)\n((?:    .*\n|\n(?=    (?!\$)))*)", re.MULTILINE)
_HEADS = re.compile(r"^[A-Z±#]+(?: +[A-Za-z#█▓░±]+)* *$")


class Example(NamedTuple):
    """A command of the page, and what it printed when the page was made."""

    words: tuple[str, ...]
    printed: tuple[str, ...]


EXAMPLES = [
    Example(tuple(words.split()), tuple(line[4:] for line in printed.splitlines()))
    for words, printed in _COMMAND.findall(PAGE.read_text("utf-8"))
]


@pytest.fixture(scope="module")
def rules(cgroups, tmp_path_factory) -> Iterator[Path]:
    """Two services that share memory, one of them with a limit that it is near to."""
    api, db = (Zone(cgroups, cgroups.make(name)) for name in ("shop-api", "shop-db"))
    try:
        own = api.spawn()
        own.map("anon 1900")
        for child in [own.fork() for _ in range(6)]:
            own.map("anon 100", child)
        name = "memory.limit_in_bytes" if cgroups.hierarchy.version == 1 else "memory.max"
        if (
            limit := api.path / name
        ).exists():  # not where cgroups with processes have no controllers below them
            limit.write_text(str(16 << 20))
        memory = db.spawn().map("memfd 900")
        own.map(f"file {memory.path} 400 shared read")
        file = tmp_path_factory.mktemp("rules") / "rules.toml"
        file.write_text(RULES)
        yield file
    finally:
        for zone in (api, db):
            zone.end()
            cgroups.remove(zone.path)


def test_there_are_ten() -> None:
    assert len(EXAMPLES) == 10


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: " ".join(example.words) or "show")
def test_each_command_answers(example: Example, rules: Path) -> None:
    words = [*(example.words or ("show",)), "--rules", str(rules)]
    if "--watch" in words:
        words[words.index("--watch") + 1] = "0.1"
    shown = on_terminal(*words, columns=80)
    assert shown.status == 0, shown.text
    lines = [STYLE.sub("", line) for line in shown.text.split("\x1b[H\x1b[J")[-1].splitlines()]
    assert all(cell_len(line) <= 80 for line in lines)
    # The tables of the page's example are still there, with the column that they begin with.
    for head in filter(_HEADS.match, example.printed):
        assert any(line.split()[:1] == head.split()[:1] for line in lines), head
