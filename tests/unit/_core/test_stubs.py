"""What mypy knows of the C core is what its headers say."""

from __future__ import annotations

import pytest

from zonerss._core import lib
from zonerss._core.build import BPF_HEADERS, HEADERS, HERE
from zonerss._core.stubs import stub


def test_the_stub_is_what_the_headers_say_now() -> None:
    assert (HERE / "_lib.pyi").read_text() == stub((*HEADERS, *BPF_HEADERS)), (
        "a header has changed: run python -m zonerss._core.stubs"
    )


def test_the_stub_names_what_the_library_has() -> None:
    told = {
        line.split("(")[0].split()[1]
        for line in (HERE / "_lib.pyi").read_text().partition("class Lib:")[2].splitlines()
        if line.startswith("    def ")
    }
    if not hasattr(lib, "pagetable_open"):
        pytest.skip("needs_bpf_skeleton: zonerss was built without clang and bpftool")
    assert told == {name for name in dir(lib) if callable(getattr(lib, name))}
