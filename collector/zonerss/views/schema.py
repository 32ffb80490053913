"""Which documents have a schema: a table."""

from __future__ import annotations

from collections.abc import Iterable

from zonerss.schemas.words import Schema
from zonerss.views.table import render_rows


def render(schemas: Iterable[Schema]) -> list[str]:
    """One row for each: its name, and what prints it and tells more."""
    rows = [[schema["title"], schema["description"]] for schema in schemas]
    return render_rows(["DOCUMENT", "PRINTED BY"], rows, [True, True], prose=True)
