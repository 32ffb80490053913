"""show: its options."""

from __future__ import annotations

import pytest

from zonerss.commands import main, show
from zonerss.commands.parser import Parser


@pytest.mark.parametrize("words", [["-t"], ["--by", "zone"], ["--zone", "a"], ["-a"]])
def test_a_tree_is_of_all_cgroups(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--tree", *words]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize(
    ("words", "ways"),
    [
        ([], ("zone",)),
        (["-Z", "-J", "-T", "-t"], ("zone", "slice", "session", "user")),
        (["-a"], ("zone", "user")),
        (["--tree"], ("cgroup",)),
        (["--collectives"], tuple(show.COLLECTIVES)),
    ],
)
def test_the_options_of_prstat(words: list[str], ways: tuple[str, ...]) -> None:
    parser = Parser()
    show.prepare(parser)
    assert show._ways(parser.parse_args(words)) == ways
