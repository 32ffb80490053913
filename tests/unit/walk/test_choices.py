"""Names of sources and bases: those that there are, and the sentences for others."""

from __future__ import annotations

import pytest

from zonerss.errors import UsageError
from zonerss.walk.choices import BASES, SOURCES, demand_basis, demand_source


def test_each_that_there_is_is_accepted() -> None:
    for name in SOURCES:
        demand_source(name)
    for name in BASES:
        demand_basis(name)


@pytest.mark.parametrize("name", ["", "Mapped", "pagemap,pagetable", "none"])
def test_another_is_refused_by_a_sentence_that_names_all(name: str) -> None:
    with pytest.raises(UsageError) as source:
        demand_source(name)
    with pytest.raises(UsageError) as basis:
        demand_basis(name)
    assert str(source.value) == f"there is no source {name!r}; say one of auto, pagetable, pagemap"
    assert str(basis.value) == f"there is no basis {name!r}; say mapped or incore"
