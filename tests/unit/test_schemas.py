"""The schemas: what documents are held to is itself complete, closed, and told on the pages."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests import contract
from tests.unit.documents import DOCUMENTS, expected
from zonerss.schemas import names, schema_of
from zonerss.schemas.words import HEADER, MAY_BE_IN_HEADER, or_null, text

PROJECT = Path(__file__).resolve().parents[2]
UNITS = {"bytes": "bytes", "pages": "base pages", "ns": "nanoseconds", "seconds": "seconds", "at": "RFC 3339"}
"""The last word of a field's name, and what its description says then."""


def objects(schema: Any) -> Iterator[dict[str, Any]]:
    """Every object of a schema, itself included."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield schema
        for inner in (*schema.get("properties", {}).values(), schema.get("items")):
            yield from objects(inner)


def fields(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field, by the names that lead to it: zones.rss_bytes."""
    for name, inner in schema.get("properties", {}).items():
        yield f"{path}{name}", inner
        yield from fields(inner, f"{path}{name}.")
    if "items" in schema:
        yield from fields(schema["items"], path)


def met(value: Any, path: str = "") -> Iterator[str]:
    """Every field that a document has, by the same names."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield f"{path}{name}"
            yield from met(inner, f"{path}{name}.")
    if isinstance(value, list):
        for inner in value:
            yield from met(inner, path)


def of(name: str) -> list[Any]:
    """The documents of a schema that this test has."""
    read = map(contract.PLAIN_LOADS, map(expected, DOCUMENTS))
    return [document for document in read if document["schema"] == f"zonerss.{name}/1"]


def test_there_are_schemas() -> None:
    assert {"snapshot", "sharing", "explain-process"} <= set(names())
    with pytest.raises(KeyError):
        schema_of("words")


@pytest.mark.parametrize("name", names())
def test_the_schema_is_one(name: str) -> None:
    schema = schema_of(name)
    Draft202012Validator.check_schema(schema)
    assert schema["title"] == f"zonerss.{name}/1" == schema["properties"]["schema"]["const"]
    assert "$ref" not in json.dumps(schema)


@pytest.mark.parametrize("name", names())
def test_no_object_has_other_fields(name: str) -> None:
    for found in objects(schema_of(name)):
        assert found["additionalProperties"] is False
        assert set(found["required"]) <= set(found["properties"])


@pytest.mark.parametrize("name", names())
def test_each_field_is_described_with_its_unit_and_what_null_means(name: str) -> None:
    for path, field in fields(schema_of(name)):
        help, last = field["description"], re.split(r"[._]", path)[-1]
        assert help, path
        if (
            field.get("type") in ("integer", "number", ["integer", "null"], ["number", "null"])
            and last in UNITS
        ):
            assert UNITS[last] in help, f"{path}: {help}"
        is_nullable = "null" in field.get("type", ()) or None in field.get("enum", ())
        assert is_nullable == ("null: " in help), f"{path}: {help}"


@pytest.mark.parametrize("name", names())
def test_each_field_is_met_in_a_document(name: str) -> None:
    """So that no schema tells of what is not there."""
    told = {path for path, _ in fields(schema_of(name))}
    in_all = {path for path, _ in fields({"properties": {**HEADER, **MAY_BE_IN_HEADER}})}
    found = {path for one in of(name) for path in met(one)}
    found |= in_all & {path for one in names() for document in of(one) for path in met(document)}
    missing = told - found
    assert not missing, "add them to a document of tests/unit/documents.py"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_document_keeps_its_schema(name: str) -> None:
    contract.check(contract.PLAIN_LOADS(expected(name)))


def spoiled(value: Any) -> Iterator[Any]:
    """The document with one thing wrong: a field too many, a field too few, one of another type."""
    yield value | {"surprise": 1}
    for name in value:
        if name not in (
            "schema",
            "unsettled_bytes",
            "groupings",
            "processes",
            "files",
            "tree",
            "numbers",
            "how_mapped",
        ):
            yield {key: inner for key, inner in value.items() if key != name}
        yield (
            value | {name: {"none": "such"}}
            if name != "schema"
            else value | {"began": 7, "pid": "7", "kernel": 7}
        )


@pytest.mark.parametrize("name", names())
def test_a_document_that_is_otherwise_fails(name: str) -> None:
    for document in of(name)[:1]:
        wrong = list(spoiled(document))
        assert len(wrong) > 3
        for one in wrong:
            with pytest.raises(AssertionError, match=f"schemas/{name}.py says"):
                contract.check(one)


def test_what_is_wrong_is_found_far_below() -> None:
    (document, *_) = of("snapshot")
    for field, value in (
        ("rss_bytes", -4096),
        ("rss_bytes", 1.5),
        ("rss_bytes", None),
        ("zone", None),
        ("x", 1),
    ):
        wrong = copy.deepcopy(document)
        wrong["zones"][1][field] = value
        with pytest.raises(AssertionError, match=r"at \['zones'\]\[1\]"):
            contract.check(wrong)


def test_a_document_without_schema_fails_and_other_json_does_not() -> None:
    with pytest.raises(AssertionError, match="no schema: write collector"):
        contract.check({"schema": "zonerss.no-such/1"})
    for other in (None, 7, [], {}, {"schema": 7}, {"schema": "https://example.org/"}):
        contract.check(other)


def test_all_that_tests_read_is_checked() -> None:
    with pytest.raises(AssertionError, match="no schema"):
        json.loads('{"schema": "zonerss.no-such/1"}')
    assert json.loads('{"schema": "other"}') == {"schema": "other"}


def test_null_is_one_of_the_words() -> None:
    either = Draft202012Validator(or_null({"enum": ["a"], "description": "x"}, "y"))
    assert [either.is_valid(value) for value in ("a", None, "b")] == [True, True, False]
    assert or_null(text("x"), "y")["description"] == "x. null: y"


# ---- what the pages say --------------------------------------------------------------------------------------

JSON_PAGE = "json.md"


def page_of(schema: dict[str, Any]) -> str:
    return str(schema["description"]).rpartition("; docs/")[2]


def quoted(page: str) -> set[str]:
    """The words that stand between backticks."""
    page_text = re.sub(r"^```.*?^```", "", (PROJECT / "docs" / page).read_text("utf-8"), flags=re.M | re.S)
    code = re.findall(r"`([^`]+)`|^ {4}(.*)$", page_text, re.MULTILINE)
    return {word for both in code for part in both for word in re.findall(r"\w+", part)}


@pytest.mark.parametrize("name", names())
def test_the_pages_tell_of_each_field(name: str) -> None:
    schema = schema_of(name)
    own = page_of(schema)
    linked = re.findall(r"\]\((\w+\.md)#zonerss", (PROJECT / "docs" / own).read_text("utf-8"))
    told = {word for page in (JSON_PAGE, own, *linked) for word in quoted(page)}
    missing = {path for path, _ in fields(schema) if path.rpartition(".")[2] not in told}
    assert not missing, f"docs/{own} says nothing of them"


@pytest.mark.parametrize("page", sorted({page_of(schema_of(name)) for name in names()} | {JSON_PAGE}))
def test_the_pages_tell_of_no_other_field(page: str) -> None:
    """Of those whose names have a unit; other words between backticks may be anything."""
    known = {path.rpartition(".")[2] for name in names() for path, _ in fields(schema_of(name))}
    assert {word for word in quoted(page) if re.fullmatch(r"[a-z_]+_(bytes|pages|ns)", word)} <= known
