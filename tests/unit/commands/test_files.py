"""files: from arguments to what is shown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.unit.builders import NoSession, evidence, members, snapshot

from zonerss.answers.files import FileUsage
from zonerss.census.census import Census
from zonerss.census.kinds import Kind
from zonerss.commands import files, main
from zonerss.records.files import FileKind, MappedFile

FILES = tuple(FileUsage(MappedFile(f"/f{n}", FileKind.FILE, True), n, 0, (("web", n),)) for n in (5, 3))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    asked: list[tuple[str, str | None]] = []

    def measure(session: object, way: str, zone: str | None) -> files.Found:
        asked.append((way, zone))
        return snapshot(), FILES, (), zone

    monkeypatch.setattr("zonerss.commands.watching.Session", NoSession)
    monkeypatch.setattr(files, "measure", measure)
    return asked


def test_text(machine: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["files", "web", "--by", "cgroup", "--limit", "1", "--bytes"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert machine == [("cgroup", "web")]
    assert [line.split()[:4] for line in lines[:2]] == [
        ["SIZE", "EXCL", "KIND", "FILE"],
        ["5", "0", "file", "/f5"],
    ]
    assert lines[2] == ""


def test_json_has_a_line_for_each_file(machine: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["files", "--json"]) == 0
    out = capsys.readouterr().out
    assert [file["name"] for file in json.loads(out)["files"]] == ["/f5", "/f3"]
    assert sum("/f" in line for line in out.splitlines()) == 2


def test_a_zone_may_be_spelled_as_it_is_shown() -> None:
    census = Census(2)
    census.mark(0, [1, 2], [Kind.FILE] * 2)
    census.mark(1, [3], [Kind.FILE])
    held = {n: [(None, pages)] for n, pages in census.parts().filled().items()}
    taken = snapshot(
        parts=census.parts(), members=members("a\nb", "db"), evidence=evidence(holdings=lambda: (held, ()))
    )

    class Session:
        def take(self, way: str, zone: str | None) -> Any:
            return taken

    _, found, _, name = files.measure(Session(), "zone", r"a\x0ab")
    assert [usage.bytes for usage in found] == [8192]
    assert name == "a\nb"


def test_columns_and_order(machine: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["files", "--tsv", "--sort", "-size", "-o", "size,file,shared,mapped_by"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "size\tfile\tshared\tmapped_by",
        "3\t/f3\t3\tweb",
        "5\t/f5\t5\tweb",
    ]
