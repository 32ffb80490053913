"""docs/support-matrix.md says what vm/kernels.py says."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

PROJECT = Path(__file__).parents[3]
PAGE = PROJECT / "docs/support-matrix.md"


@pytest.fixture(scope="module")
def kernels() -> ModuleType:
    spec = importlib.util.spec_from_file_location("kernels", PROJECT / "vm/kernels.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["kernels"] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules["kernels"]


def test_the_page_has_the_table_word_for_word(kernels: ModuleType) -> None:
    tables = re.findall(r"(?:^\|.*\n)+", PAGE.read_text(), re.MULTILINE)
    assert kernels.matrix() + "\n" in tables, (
        "vm/kernels.py --matrix prints the table for docs/support-matrix.md"
    )


def test_kernels_and_features_stand_in_the_order_of_their_versions(kernels: ModuleType) -> None:
    for rows in ([k.version for k in kernels.KERNELS], [f.since for f in kernels.FEATURES]):
        assert rows == sorted(rows)


def test_the_oldest_kernel_has_both_sources_of_frames(kernels: ModuleType) -> None:
    since = {feature.name: feature.since for feature in kernels.FEATURES}
    assert since["BPF iterator over one task, bpf_loop"] <= kernels.KERNELS[0].version


def ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, PROJECT / "vm/kernels.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_each_series_of_the_guest_has_its_suite() -> None:
    series = ask().stdout.split()
    assert series == ["6.1", "6.12"]
    assert [ask(one).stdout for one in series] == ["bookworm\n", "bookworm-backports\n"]


@pytest.mark.parametrize("series", ["6.18", "6", "6.1.0", "", "--help"])
def test_a_kernel_that_the_guest_cannot_get_is_one_sentence(series: str) -> None:
    answer = ask(series)
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == f"vm/kernels.py: there is no guest kernel {series}: take one of 6.1, 6.12.\n"
