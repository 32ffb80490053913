"""The JSON is the contract: every document as it was, to the last blank (tests/fixtures/documents)."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.unit.documents import DIRECTORY, DOCUMENTS, expected

PACKAGE = Path(__file__).parents[2] / "collector" / "zonerss"
SCHEMA = re.compile(r"zonerss\.[a-z-]+/\d+")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_is_the_same(name: str) -> None:
    assert DOCUMENTS[name]() == expected(name)


def test_each_file_has_its_document() -> None:
    assert sorted(path.stem for path in DIRECTORY.glob("*.json")) == sorted(DOCUMENTS)


def test_every_schema_of_the_program_has_a_document() -> None:
    spelled = {found for path in PACKAGE.rglob("*.py") for found in SCHEMA.findall(path.read_text("utf-8"))}
    assert spelled == {json.loads(expected(name))["schema"] for name in DOCUMENTS}
