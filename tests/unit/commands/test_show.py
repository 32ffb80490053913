"""show: its options."""

from __future__ import annotations

import pytest
from tests.unit.builders import MIB, snapshot, usage

from zonerss.answers.explain import account
from zonerss.answers.marks import Mark, Why
from zonerss.commands import main, show
from zonerss.commands.parser import Parser
from zonerss.errors import NotKept


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


def test_who_pays_for_whom_is_looked_up_only_where_a_bill_is_strange(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def paid(_: object, names: list[str]) -> dict[str, int]:
        asked.append(names)
        return dict.fromkeys(names, 80 * MIB)

    monkeypatch.setattr(account, "paid_for_others", paid)
    cached = usage("cached", charged_bytes=90 * MIB, cache_unmapped_bytes=80 * MIB)
    assert [mark.why for mark in show._marks(snapshot(cached, machine=None))] == [Why.CACHE]
    assert asked == []
    strange = usage("strange", charged_bytes=90 * MIB)
    assert [mark.why for mark in show._marks(snapshot(cached, strange, machine=None))] == [
        Why.CACHE,
        Why.PAYS,
    ]
    assert asked == [["strange"]]


@pytest.mark.parametrize("error", [OSError("no kpagecgroup"), NotKept("not recorded")])
def test_where_the_payers_cannot_be_read_the_bill_is_strange_all_the_same(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def paid(*_: object) -> dict[str, int]:
        raise error

    monkeypatch.setattr(account, "paid_for_others", paid)
    found = show._marks(snapshot(usage("strange", charged_bytes=90 * MIB), machine=None))
    assert found == (Mark(Why.BILL, "strange", 90 * MIB),)
