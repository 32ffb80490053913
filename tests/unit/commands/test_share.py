"""share: from arguments to what is shown."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest
from tests.unit.builders import NoSession, evidence, members, snapshot, usage

from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.commands import main
from zonerss.records.images import Image

NAMES = ("a", "b", "c")
CONTAINERS = {
    "a": {"id": "aa" * 32, "kind": "podman"},
    "b": {"id": "bb" * 32, "kind": "podman"},
    "c": {"id": "cc" * 32, "kind": "monitor"},
}


class Session(NoSession):
    """Three zones; the first shares two pages with the second, and three with the third."""

    def take(self, way: str, zone: Any = None) -> Any:
        assert not gc.isenabled() or way == "zone"
        census = Census(3)
        census.mark(0, range(10), [Kind.ANON] * 10)
        census.mark(1, range(2), [Kind.ANON] * 2)
        census.mark(2, range(2, 5), [Kind.ANON] * 3)
        usages = [usage(name, **CONTAINERS.get(name, {})) for name in zone or NAMES]
        parts = census.parts()

        def holdings(members: Any, wanted: Any) -> Any:
            """Private memory in each part."""
            filled = parts.filled()
            return {number: [(None, pages)] for number, pages in filled.items() if number in wanted}, ()

        asked = evidence(holdings=holdings, images=lambda: one_image)
        return snapshot(*usages, parts=parts, members=members(*NAMES), evidence=asked)


def one_image(id: str, uid: int | None) -> Image | None:
    """Containers a and b are of one image."""
    assert id != CONTAINERS["c"]["id"]
    return Image("ee" * 32, "web:1")


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.commands.watching.Session", Session)


def test_the_largest_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["SHARED", "ZONE", "ZONE"],
        ["12K", "a", "c"],
        ["and", "1", "more", "pair", "(--all)"],
    ]
    assert gc.isenabled()


def test_json_has_all(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [part["zones"] for part in read["parts"]] == [["a"], ["a", "c"], ["a", "b"]]
    assert [pair["bytes"] for pair in read["pairs"]] == [3 * 4096, 2 * 4096]
    assert read["pair_count"] == 2


def test_json_has_the_thousand_largest_pairs_and_says_how_many_there_are(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zonerss.commands.share._PAIRS", 1)
    assert main(["share", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [pair["bytes"] for pair in read["pairs"]] == [3 * 4096]
    assert (read["pair_count"], len(read["parts"])) == (2, 3)
    assert main(["share", "--json", "--all"]) == 0
    assert len(json.loads(capsys.readouterr().out)["pairs"]) == 2


def test_all_in_text(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zonerss.commands.share._SHOWN", 1)
    assert main(["share"]) == 0
    assert "and 1 more pair (--all)" in capsys.readouterr().out
    assert main(["share", "--all"]) == 0
    assert "more pair" not in capsys.readouterr().out


def test_a_zone_and_its_neighbours(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "b"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("b: ")
    assert lines[0].endswith("shared with 1 zone")
    assert [line.split() for line in lines[2:4]] == [
        ["SHARED", "WITH", "WHAT"],
        ["8K", "a", "8K", "of", "a", "fork"],
    ]
    assert main(["share", "b", "c", "--json"]) == 0
    read = json.loads(capsys.readouterr().out)
    assert [(own["zone"], own["neighbours"][0]["bytes"]) for own in read["own"]] == [
        ("b", 8192),
        ("c", 12288),
    ]
    assert [part["zones"] for part in read["parts"]] == [["a", "c"], ["a", "b"]]
    assert [(pair["zones"], pair["bytes"]) for pair in read["pairs"]] == [
        (["a", "c"], 12288),
        (["a", "b"], 8192),
    ]


def test_by_image(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "--by-image"]) == 0
    row = capsys.readouterr().out.splitlines()[1].split()
    assert row == ["2", "48K", "40K", "8K", "web:1", "8K", "of", "a", "fork"]
    assert main(["share", "--by-image", "--json"]) == 0
    (image,) = json.loads(capsys.readouterr().out)["images"]
    assert (image["containers"], image["saved_bytes"], image["apart_bytes"]) == (["a", "b"], 8192, 49152)


@pytest.mark.parametrize("words", [["a"], ["--by", "user"], ["--by", "cgroup"]])
def test_by_image_is_of_all_containers(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "--by-image", *words]) == 2
    assert "looks at all containers" in capsys.readouterr().err


def rows(capsys: pytest.CaptureFixture[str], *words: str) -> list[list[str]]:
    assert main(["share", "--tsv", *words]) == 0
    return [line.split("\t") for line in capsys.readouterr().out.splitlines()]


def test_pairs_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(capsys) == [["shared", "zone", "with"], ["12288", "a", "c"], ["8192", "a", "b"]]
    assert rows(capsys, "--sort", "with", "-o", "with") == [["with"], ["b"], ["c"]]


def test_parts_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(capsys, "--parts", "-o", "zones,size,what,anon", "--sort", "-size") == [
        ["zones", "size", "what", "anon"],
        ["a,b", "8192", "8192 of a fork", "8192"],
        ["a,c", "12288", "12288 of a fork", "12288"],
    ]


def test_neighbours_and_images_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert rows(capsys, "b", "--no-header") == [["8192", "b", "a", "8192 of a fork"]]
    assert rows(capsys, "--by-image", "-o", "+names")[1] == [
        "2",
        str(12 * 4096),
        str(10 * 4096),
        str(2 * 4096),
        "web:1",
        "8192 of a fork",
        "a,b",
    ]


def test_rows_that_are_left_out_are_counted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zonerss.commands.share._PAIRS", 1)
    monkeypatch.setattr("zonerss.commands.share._SHOWN", 1)
    assert main(["share", "--tsv", "--no-header"]) == 0
    assert capsys.readouterr() == ("12288\ta\tc\n", "zonerss: 1 more row left out: --all prints all\n")
    assert main(["share", "-o", "+shared"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines[:3]] == [
        ["SHARED", "ZONE", "WITH"],
        ["12K", "a", "c"],
        ["and", "1", "more", "row", "(--all)"],
    ]
    # The order decides which are first, not which are kept.
    assert main(["share", "--parts", "--sort", "-size", "--no-header"]) == 0
    assert capsys.readouterr().out.split()[:2] == ["8K", "2"]
    assert main(["share", "--sort", "-shared", "--no-header"]) == 0
    assert capsys.readouterr().out.split() == ["8K", "a", "b"]


@pytest.mark.parametrize(
    "words", [["-o", "size"], ["--parts", "--sort", "with"], ["--by-image", "-o", "with"]]
)
def test_a_column_of_another_table(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", *words]) == 2
    assert "there is no column" in capsys.readouterr().err


def test_json_has_all_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["share", "--json", "--parts", "--sort", "size"]) == 0
    assert json.loads(capsys.readouterr().out)["pair_count"] == 2
