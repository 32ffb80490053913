"""The JSON Schema of each document: one module of this package for each, found by its name (docs/schema.md).

A module says in ``SCHEMA`` what its document holds, in the words of :mod:`zonerss.schemas.words`. The schemas are those
of the documents that this version of zonerss writes: they allow no other field.

Source: JSON Schema, draft 2020-12.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module

from zonerss.schemas.words import Schema

_NO_SCHEMA = ("words",)


def names() -> list[str]:
    """The documents that have a schema, in order: ``explain-process`` is zonerss.explain-process/1."""
    found = (module.name.replace("_", "-") for module in pkgutil.iter_modules(__path__))
    return sorted(name for name in found if name not in _NO_SCHEMA)


def schema_of(name: str) -> Schema:
    """
    The schema of a document; it refers to nothing outside of itself.

    :raises KeyError: there is no such document
    """
    if name not in names():
        raise KeyError(name)
    schema: Schema = import_module(f"{__name__}.{name.replace('-', '_')}").SCHEMA
    return schema
