"""The benchmarks are run by hand: here it is seen that they still find what they use, and how ratios are told."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from tests.benchmarks import compare, worker

MODULES = sorted(path.stem for path in (Path(__file__).parents[1] / "benchmarks").glob("[a-z]*.py"))


@pytest.mark.parametrize("name", MODULES)
def test_it_can_be_imported(name: str) -> None:
    import_module(f"tests.benchmarks.{name}")


@pytest.mark.parametrize(
    "names", [["commands.share"], ["commands.files"], ["answers.explain.account", "accounting"]]
)
def test_what_the_worker_looks_for_is_there(names: list[str]) -> None:
    assert worker.module(*names)


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_the_medians() -> None:
    pairs = [(1.0, 2.0), (10.0, 10.0), (100.0, 100.0)]
    assert compare.spread(pairs, 1.0).split() == ["10.00", "10.00", "1.000", "(1.000-1.500)"]


@pytest.mark.parametrize(("new", "word"), [(102, ""), (110, "slower"), (90, "faster")])
def test_a_row_is_judged_only_beyond_the_noise(new: float, word: str) -> None:
    assert compare.spread([(100, new)] * 5, 1.0).split()[4:] == word.split()
