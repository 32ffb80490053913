"""The contract of the JSON: each document that a test reads is held to its schema.

While tests run, json.loads() is :func:`loads` (tests/conftest.py). So no test has to think of it, whether the document
came from a function, a command or a process.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from jsonschema import Draft202012Validator

from zonerss.schemas import names, schema_of

PLAIN_LOADS = json.loads


@functools.cache
def validator(name: str) -> Draft202012Validator:
    return Draft202012Validator(schema_of(name))


def check(document: Any) -> None:
    """Fail unless a document of zonerss is what its schema says; other values are no matter."""
    schema = document.get("schema") if isinstance(document, dict) else None
    if not (isinstance(schema, str) and schema.startswith("zonerss.")):
        return
    name = schema.removeprefix("zonerss.").removesuffix("/1")
    assert name in names(), (
        f"{schema} has no schema: write collector/zonerss/schemas/{name.replace('-', '_')}.py"
    )
    for error in validator(name).iter_errors(document):
        where = "".join(f"[{step!r}]" for step in error.absolute_path)
        raise AssertionError(
            f"{schema} is not what schemas/{name}.py says, at {where or 'its top'}: {error.message}"
        )


def loads(*args: Any, **options: Any) -> Any:
    """json.loads(), and check() of what it gave."""
    value = PLAIN_LOADS(*args, **options)
    check(value)
    return value
