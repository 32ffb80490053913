"""What the package offers to programs."""

from __future__ import annotations

from pathlib import Path

import pytest

import zonerss


@pytest.mark.parametrize("name", zonerss.__all__)
def test_each_name_is_there(name: str) -> None:
    assert getattr(zonerss, name) is not None


def test_another_name_is_an_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'moon'"):
        _ = zonerss.moon


def test_the_package_has_types() -> None:
    assert (Path(zonerss.__file__).parent / "py.typed").exists()
