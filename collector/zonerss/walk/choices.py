"""What a snapshot can be asked for by name: where frames come from, and what counts.

Apart from what answers it, so that names can be judged without importing that.
"""

from __future__ import annotations

from zonerss.errors import UsageError

SOURCES = ("auto", "pagetable", "pagemap")
BASES = ("mapped", "incore")


def demand_source(name: str) -> None:
    """:raises UsageError: there is no such source; the sentence names all"""
    if name not in SOURCES:
        raise UsageError(f"there is no source {name!r}; say one of {', '.join(SOURCES)}")


def demand_basis(name: str) -> None:
    """:raises UsageError: there is no such basis; the sentence names all"""
    if name not in BASES:
        raise UsageError(f"there is no basis {name!r}; say {' or '.join(BASES)}")
